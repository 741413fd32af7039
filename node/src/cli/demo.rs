//! `demo`: a cloud truth and three machines of one studio as processes of their own on this computer, on real purchases.
//!
//! Nothing in it is staged: it uses the commands and the API that a studio uses, and it is `ok` only if every machine and
//! the cloud's own tables agree at the end.

mod machine;
mod process;
mod story;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use indicatif::ProgressBar;
use studiovault_node::config::random_bytes;

use super::failure::{Exit, Failure};
use super::import::progress_bar;
use super::output::say;
use super::run::stop_signal;
use super::{Call, Outcome, runtime};
use story::Cast;

/// The purchases that the demo imports; see `tests/data/README.md` for where they come from.
const PURCHASES: &str = include_str!("../../../tests/data/cdnow_sample.txt");

#[derive(Args)]
pub(crate) struct Demo {
    /// Leave everything running and say how to look around
    #[arg(long)]
    keep: bool,
}

/// `studiovault demo`.
pub(crate) fn demo(call: &Call, demo: Demo) -> Outcome {
    let number = u32::from_le_bytes(random_bytes());
    // What the environment names is a machine's own folder; the demo plays elsewhere.
    let own = std::env::var_os("STUDIOVAULT_DATA").map(PathBuf::from);
    let named = call
        .data
        .clone()
        .filter(|folder| Some(folder) != own.as_ref());
    let folder = named
        .unwrap_or_else(|| std::env::temp_dir().join(format!("studiovault-demo-{number:08x}")));
    check_empty(&folder)?;
    runtime()?.block_on(async {
        let stopped = stop_signal()?;
        tokio::select! {
            outcome = play(call, &demo, folder.clone()) => outcome,
            () = stopped => {
                let text = format!("interrupted; its processes are stopped\nLook at {} or delete it.", folder.display());
                Err(Failure::new(Exit::Failed, text))
            }
        }
    })
}

/// The demo deletes its folder in the end, so nothing else may be in it.
fn check_empty(folder: &Path) -> Outcome {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        _ => {
            let text = format!(
                "the demo plays in an empty folder of its own, and {} is none\nName another with --data, or leave it out.",
                folder.display()
            );
            Err(Failure::new(Exit::Refused, text))
        }
    }
}

async fn play(call: &Call, demo: &Demo, folder: PathBuf) -> Outcome {
    let stage = Stage::new(call);
    let mut cast = Cast::assemble(&stage, &folder)
        .await
        .map_err(|failure| at(&folder, failure))?;
    let acknowledged = story::tell(&stage, &mut cast)
        .await
        .map_err(|failure| at(&folder, failure))?;
    let table = verdict::read(&cast, &acknowledged)
        .await
        .map_err(|failure| at(&folder, failure))?;
    table.print(call, stage.begun.elapsed());
    let off = table.off();
    if demo.keep {
        cast.leave_running(&folder);
    } else {
        cast.end().await;
    }
    if !off.is_empty() {
        let text = format!(
            "the demo is off: {}\nThe logs are in {}.",
            off.join("; "),
            folder.display()
        );
        return Err(Failure::new(Exit::Failed, text));
    }
    if !demo.keep {
        // What is left of a folder that cannot be deleted does no harm.
        let _ = std::fs::remove_dir_all(&folder);
    }
    Ok(())
}

/// A failure half-way tells where the logs are.
fn at(folder: &Path, failure: Failure) -> Failure {
    let text = format!("{}\nThe logs are in {}.", failure.text(), folder.display());
    Failure::new(Exit::Failed, text)
}

/// Where the demo tells what it does: the output, or nobody if that is for JSON; bars go to the error stream.
struct Stage {
    begun: Instant,
    quiet: bool,
}

impl Stage {
    fn new(call: &Call) -> Self {
        Self {
            begun: Instant::now(),
            quiet: call.json,
        }
    }

    /// Says one sentence with the time since the beginning.
    fn say(&self, sentence: &str) {
        if !self.quiet {
            say!("{:5.1} s  {sentence}", self.begun.elapsed().as_secs_f64());
        }
    }

    /// A bar for what can be counted.
    fn bar(&self, length: u64, what: &str) -> ProgressBar {
        progress_bar(length, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_plays_in_an_empty_folder_only() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(check_empty(folder.path()).is_ok());
        assert!(check_empty(&folder.path().join("new")).is_ok());
        let photo = folder.path().join("photo.raw");
        std::fs::write(&photo, "x").expect("writes");
        assert!(check_empty(folder.path()).is_err());
        assert!(check_empty(&photo).is_err());
    }
}
