//! Processes of the demo: this very binary, each with a folder and a log of its own.
//!
//! A process ends with the demo, whatever ends the demo, unless it is told to stay.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};

use crate::cli::failure::{Exit, Failure};

/// How often something that is awaited is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// A process that is not ready by then has a problem of its own.
const READY: Duration = Duration::from_secs(20);

/// A running process.
pub(super) struct Process {
    child: Child,
    /// Its output.
    pub out: PathBuf,
}

impl Process {
    /// Starts `studiovault --data FOLDER --json ARGUMENTS`; its output and log go to files beside the folder.
    pub fn start(folder: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let out = folder.with_extension("out");
        let failed = |error: std::io::Error| {
            let text = format!(
                "{}: {error}\nCheck that the disk has room.",
                folder.display()
            );
            Failure::new(Exit::Failed, text)
        };
        let mut command = program(folder, arguments)?;
        command
            .stdin(Stdio::null())
            .stdout(File::create(&out).map_err(failed)?)
            .stderr(log(folder).map_err(failed)?)
            .kill_on_drop(true);
        // Not with the terminal's interrupt: the demo ends its processes itself, and kept ones stay.
        #[cfg(unix)]
        command.process_group(0);
        Ok(Self {
            child: command.spawn().map_err(failed)?,
            out,
        })
    }

    /// Waits for the line that says it is ready.
    pub async fn ready<A: DeserializeOwned>(&mut self) -> Result<A, Failure> {
        let deadline = tokio::time::Instant::now() + READY;
        loop {
            let text = std::fs::read_to_string(&self.out).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                return serde_json::from_str(line).map_err(|error| self.broken(&error.to_string()));
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.broken(&format!("it ended with {status}")));
            }
            if tokio::time::Instant::now() > deadline {
                return Err(self.broken("it is not ready after 20 s"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it ends by itself, and well.
    pub async fn finish(&mut self) -> Result<(), Failure> {
        match tokio::time::timeout(READY, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.broken(&format!("it ended with {status}"))),
            _ => Err(self.broken("it did not end after 20 s")),
        }
    }

    fn broken(&self, what: &str) -> Failure {
        let name = self.out.with_extension("");
        let log = std::fs::read_to_string(self.out.with_extension("log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or("nothing in its log");
        let text = format!(
            "{} did not start: {what} ({last})\nRead its log.",
            name.display()
        );
        Failure::new(Exit::Failed, text)
    }

    /// kill -9, as a power cut or a crash would end it.
    pub async fn kill(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill().await;
    }

    /// Lets it outlive the demo.
    pub fn stay(mut self) -> Option<u32> {
        let id = self.child.id();
        let _ = self.child.try_wait();
        // Dropping the child would end it.
        std::mem::forget(self.child);
        id
    }
}

/// Runs a command to its end and reads what it printed.
pub(super) async fn run(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    // Not left behind by an interrupt.
    let mut command = program(folder, arguments)?;
    let output = command.kill_on_drop(true).output().await;
    let output = output.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("studiovault {}: {error}\nTry again.", arguments[0]),
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let text = format!(
        "studiovault {} failed: {}\nTry again.",
        arguments[0],
        said.trim()
    );
    Err(Failure::new(Exit::Failed, text))
}

fn program(folder: &Path, arguments: &[&str]) -> Result<Command, Failure> {
    let binary = std::env::current_exe().map_err(|error| {
        let text =
            format!("this program does not find itself: {error}\nStart it by its full path.");
        Failure::new(Exit::Failed, text)
    })?;
    let mut command = Command::new(binary);
    command
        .arg("--data")
        .arg(folder)
        .arg("--json")
        .args(arguments);
    // The folders go with the demo; nothing of theirs stays in anybody's keychain.
    command
        .env("STUDIOVAULT_KEYS", "file")
        .env_remove("STUDIOVAULT_DATA")
        .env_remove("STUDIOVAULT_CLOUD_TOKEN");
    Ok(command)
}

/// Appended to, so that a restart adds to it.
fn log(folder: &Path) -> std::io::Result<File> {
    let path = folder.with_extension("log");
    File::options().create(true).append(true).open(path)
}
