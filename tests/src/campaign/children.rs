//! Programs that a campaign starts: ended when their time is over or somebody wants an end, with all that they printed.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::is_stopped;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By itself, well.
    Good,
    /// By itself, badly.
    Bad,
    /// It took too long.
    TooSlow,
    /// Somebody wanted an end.
    Stopped,
}

/// Runs a program for that long at most; how it ended, and the lines that it printed.
pub fn run(command: &mut Command, limit: Duration) -> Result<(End, Vec<String>)> {
    // A file takes all that it has to say; a pipe that nobody reads would hold it up.
    let out = tempfile::tempfile()?;
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out.try_clone()?);
    // A group of its own: Ctrl-C is for the campaign, which ends it with all that it started.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let began = Instant::now();
    let end = loop {
        if let Some(status) = child.try_wait()? {
            break if status.success() {
                End::Good
            } else {
                End::Bad
            };
        }
        if is_stopped() || began.elapsed() > limit {
            end_all(&mut child)?;
            break if is_stopped() {
                End::Stopped
            } else {
                End::TooSlow
            };
        }
        std::thread::sleep(LOOK);
    };
    Ok((end, lines(out)?))
}

/// Ends a program and whatever it started in its group.
fn end_all(child: &mut Child) -> Result<()> {
    #[cfg(unix)]
    Command::new("kill")
        .args(["-KILL", "--", &format!("-{}", child.id())])
        .status()?;
    // An error means that it has ended.
    let _ended = child.kill();
    child.wait()?;
    Ok(())
}

fn lines(mut out: File) -> Result<Vec<String>> {
    out.rewind()?;
    let mut bytes = Vec::new();
    out.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_what_it_started_and_its_words_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.expect("runs").success());
        let (tell, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // It ends when nobody is left who has the other end open.
            let read = std::fs::read(fifo);
            tell.send(read)
        });
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3> fifo; sleep 600 & echo said; wait"]);
        command.current_dir(folder.path());
        let (end, lines) = run(&mut command, Duration::from_secs(2)).expect("runs");
        assert_eq!((end, lines), (End::TooSlow, vec!["said".to_owned()]));
        let ended = ended.recv_timeout(Duration::from_secs(60));
        assert!(ended.expect("what it started has ended too").is_ok());
    }
}
