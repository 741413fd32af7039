//! The product's command beside this one: it founds, joins and runs what the window only shows.
//!
//! The node that is started outlives the window. Output is read up to a limit and shown, never interpreted but for the two words.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value as Json;
use studiovault_protocol::api::Problem;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Client, Ended};
use crate::message::{Done, Making, Message, Request};

/// The command's name.
const COMMAND: &str = "studiovault";
/// The recovery kit of a studio that was founded here, until it is kept elsewhere; the command keeps one there that nobody read.
const KIT: &str = "recovery-kit";
/// Bytes of output that are read.
const OUTPUT: u64 = 64 * 1024;

/// The machine that a window is for.
pub struct Place {
    /// Its data folder.
    pub folder: PathBuf,
    /// The product's command; else the sentence that says that there is none.
    pub command: Result<PathBuf, String>,
}

impl Place {
    /// The machine of a folder, with the command that lies beside this program.
    pub fn of(folder: PathBuf) -> Self {
        let here = std::env::current_exe().ok();
        let beside = here.and_then(|here| beside(&here));
        let command = beside.ok_or_else(|| {
            format!("The command `{COMMAND}` is not beside this program. Build it, or install both into one folder.")
        });
        Self { folder, command }
    }
}

impl Client {
    /// Founds, joins or starts a machine in the folder.
    pub(super) async fn make(&mut self, request: Request) -> Result<(), Ended> {
        let outcome = match &request {
            Request::Found { name, studio } => self.found(name, studio).await?,
            Request::Join { code, name, at } => self.join((code, name, at)).await?,
            Request::KitKept => {
                self.forget_kit();
                self.start_node()
            }
            _ => self.start_node(),
        };
        let joined = outcome.is_ok() && matches!(request, Request::Join { .. });
        let outcome = if joined { self.start_node() } else { outcome };
        self.tell(Message::Answered {
            request,
            outcome: outcome.map(|()| Done::default()),
        })
    }

    fn start_node(&self) -> Result<(), String> {
        let mut command = std::process::Command::new(self.command.clone()?);
        command
            .arg("run")
            .arg("--data")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        apart(&mut command);
        command.spawn().map(drop).map_err(|error| {
            format!("The node does not start: {error}. Start it in a terminal; that says more.")
        })
    }

    async fn found(&mut self, name: &str, studio: &str) -> Result<Result<(), String>, Ended> {
        // The command writes it before anything else, so that whenever this ends the studio is none or its kit is there.
        let kit = self.kit_path();
        let kit = kit.to_string_lossy();
        let arguments = [
            "init",
            "--name",
            name,
            "--studio-name",
            studio,
            "--kit",
            &*kit,
        ];
        let mut child = match self.begin(&arguments) {
            Ok(child) => child,
            Err(sentence) => return Ok(Err(sentence)),
        };
        let said = everything(&mut child).await;
        self.tell_kit()?;
        Ok(said.map(drop))
    }

    fn kit_path(&self) -> PathBuf {
        self.folder.join(KIT)
    }

    /// Shows the kit of a studio that was founded here, until a person says that it is kept elsewhere.
    pub(super) fn tell_kit(&mut self) -> Result<(), Ended> {
        let path = self.kit_path();
        let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
        let founded = is_file && self.folder.join("node.json").exists();
        match founded.then(|| std::fs::read_to_string(path)) {
            Some(Ok(text)) => self.tell(Message::Making(Making::Kit(text))),
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// A person keeps the kit elsewhere.
    pub(super) fn forget_kit(&self) {
        if let Err(error) = std::fs::remove_file(self.kit_path()) {
            tracing::warn!(%error, "the recovery kit stays in the folder");
        }
    }

    async fn join(
        &mut self,
        (code, name, at): (&str, &str, &str),
    ) -> Result<Result<(), String>, Ended> {
        let mut arguments = vec!["join", code, "--name", name, "--json"];
        if !at.is_empty() {
            arguments.extend(["--at", at]);
        }
        let mut child = match self.begin(&arguments) {
            Ok(child) => child,
            Err(sentence) => return Ok(Err(sentence)),
        };
        let Some(output) = child.stdout.take() else {
            return Ok(Err(
                "The command says nothing. Join in a terminal.".to_owned()
            ));
        };
        let mut lines = BufReader::new(output.take(OUTPUT)).lines();
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => {
                        if let Some(making) = greeting(&line) {
                            self.tell(Message::Making(making))?;
                        }
                    }
                    Ok(None) | Err(_) => return Ok(everything(&mut child).await.map(drop)),
                },
                request = self.requests.recv() => match request {
                    None => return Err(Ended::Closed),
                    // The child ends with its handle.
                    Some(Request::Cancel) => return Ok(Err("Joined nothing.".to_owned())),
                    Some(_) => {}
                },
            }
        }
    }

    fn begin(&self, arguments: &[&str]) -> Result<Child, String> {
        let mut command = Command::new(self.command.clone()?);
        command
            .args(arguments)
            .arg("--data")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
            .spawn()
            .map_err(|error| format!("{COMMAND} does not start: {error}."))
    }
}

/// A process of its own: what ends the window does not end it.
#[cfg(unix)]
fn apart(command: &mut std::process::Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn apart(_command: &mut std::process::Command) {}

fn beside(here: &Path) -> Option<PathBuf> {
    let path = here.with_file_name(format!("{COMMAND}{}", std::env::consts::EXE_SUFFIX));
    path.exists().then_some(path)
}

/// What a command says until its end; its complaint if it fails.
async fn everything(child: &mut Child) -> Result<String, String> {
    let (mut said, mut complaint) = (String::new(), String::new());
    if let Some(output) = child.stdout.take() {
        let _ = output.take(OUTPUT).read_to_string(&mut said).await;
    }
    if let Some(output) = child.stderr.take() {
        let _ = output.take(OUTPUT).read_to_string(&mut complaint).await;
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(said),
        _ => Err(complaint_text(&complaint)),
    }
}

/// The last lines that a command complained with: as text, or as a problem in JSON.
pub(super) fn complaint_text(complaint: &str) -> String {
    let problem = serde_json::from_str::<Problem>(complaint.trim());
    let text = problem.map_or_else(|_| complaint.trim().to_owned(), |told| told.to_string());
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return "The command failed and said nothing. Try it in a terminal.".to_owned();
    }
    lines.join(" ")
}

/// The two words, once the other machine knows that the code is known here.
fn greeting(line: &str) -> Option<Making> {
    let json: Json = serde_json::from_str(line).ok()?;
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    Some(Making::Words {
        words: text("words")?.replace('-', " "),
        host: text("host")?,
        studio: text("studio")?,
    })
}
