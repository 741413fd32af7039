//! `window` and `completions`: what the command hands over to others.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::say;
use super::{Call, Outcome};

/// The sibling binary.
const WINDOW: &str = "studiovault-window";

#[derive(Args)]
pub(crate) struct Window {}

#[derive(Args)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

/// `studiovault window`: runs until the window is closed.
pub(crate) fn window(call: &Call, _: Window) -> Outcome {
    let folder = folder(call)?;
    let binary = sibling().ok_or_else(|| {
        let text = format!(
            "the window ({WINDOW}) is not beside this program\nBuild it with `cargo build --release -p studiovault-gui`, or install it into the same folder."
        );
        Failure::new(Exit::NotFound, text)
    })?;
    let status = std::process::Command::new(&binary)
        .arg("--data")
        .arg(folder.path())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(
            Exit::Failed,
            format!(
                "the window ended with {status}\nStart {} by itself to see why.",
                binary.display()
            ),
        )),
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!(
                "{} does not start: {error}\nCheck that it may be executed.",
                binary.display()
            ),
        )),
    }
}

fn sibling() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let path = here.with_file_name(format!("{WINDOW}{}", std::env::consts::EXE_SUFFIX));
    path.exists().then_some(path)
}

/// `studiovault completions SHELL`.
pub(crate) fn completions(completions: Completions, mut command: clap::Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, "studiovault", &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
