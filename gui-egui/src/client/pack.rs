//! Packs for a USB stick: made and taken in by the product's command, which reads the store; the window only follows it.
//!
//! One at a time, beside everything else. What the command reports is put into sentences here; what it prints beyond a limit is
//! not read.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use studiovault_protocol::pack::{Label, Scope, Taken};
use studiovault_protocol::time::WallMs;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::program::complaint_text;
use super::{Client, Ended, wall_now};
use crate::folder::home;
use crate::message::{Carried, Done, Message, PackOrder, Request};
use crate::model::{bytes_text, count, counted, moment_text};

/// Bytes of output that are read: ten lines of progress a second for half a day.
const OUTPUT: u64 = 16 * 1024 * 1024;
/// Reasons that are told of what was refused.
const REASONS: usize = 2;
/// The file in a folder that is named alone.
const FILE: &str = "studio.pack";

/// A pack that is under way.
pub(super) struct Carrying {
    request: Request,
    task: AbortHandle,
}

/// What the command says of a pack that it made.
#[derive(Deserialize)]
struct Made {
    bytes: u64,
    label: Label,
}

/// What the command says of a pack that it took in.
#[derive(Deserialize)]
struct Report {
    label: Option<Label>,
    #[serde(flatten)]
    taken: Taken,
    waiting: u64,
    damaged_parts: u64,
}

impl Client {
    /// Begins to make or to take in a pack.
    pub(super) fn carry(&mut self, request: Request, order: PackOrder) {
        let (command, folder) = (self.command.clone(), self.folder.clone());
        let (later, asked) = (self.later.clone(), request.clone());
        let task = tokio::spawn(async move {
            let outcome = match command {
                Ok(command) => carry((&command, &folder), &order, &later).await,
                Err(sentence) => Err(sentence),
            };
            let outcome = outcome.map(|note| Done {
                note: Some(note),
                ..Done::default()
            });
            let request = asked;
            // The window may be gone meanwhile.
            let _ = later.send(Message::Answered { request, outcome }).await;
        });
        let task = task.abort_handle();
        self.carrying = Some(Carrying { request, task });
    }

    /// Ends the pack that is under way, if one is.
    pub(super) fn drop_pack(&mut self) -> Result<(), Ended> {
        let Some(Carrying { request, task }) = self.carrying.take() else {
            return Ok(());
        };
        if task.is_finished() {
            return Ok(());
        }
        // The child ends with its handle.
        task.abort();
        let sentence = match &request {
            Request::Carry(PackOrder::Take { .. }) => {
                "Stopped. What was taken in so far is kept; taking the pack in again costs nothing."
            }
            _ => "Stopped: no pack was made.",
        };
        let outcome = Err(sentence.to_owned());
        self.tell(Message::Answered { request, outcome })
    }
}

async fn carry(
    (command, folder): (&Path, &Path),
    order: &PackOrder,
    later: &mpsc::Sender<Message>,
) -> Result<String, String> {
    let (file, mut words) = match order {
        PackOrder::Make { file, .. } => (place(file, Some(FILE)), vec!["export"]),
        PackOrder::Take { file } => (place(file, None), vec!["import-pack"]),
    };
    if let PackOrder::Make {
        lacking_at: Some(name),
        ..
    } = order
    {
        words.extend(["--for", name]);
    }
    if matches!(order, PackOrder::Make { replace: true, .. }) {
        words.push("--force");
    }
    let mut child = Command::new(command)
        .args(words)
        .args(["--json", "--progress", "--data"])
        .arg(folder)
        .arg("--")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} does not start: {error}.", command.display()))?;
    let report = follow(&mut child, later).await;
    let mut complaint = String::new();
    if let Some(output) = child.stderr.take() {
        let _ = output.take(OUTPUT).read_to_string(&mut complaint).await;
    }
    let ended = child.wait().await;
    let told = told(order, (&file, &report));
    if ended.is_ok_and(|ended| ended.success()) {
        return Ok(told);
    }
    Err(format!("{told} {}", complaint_text(&complaint))
        .trim()
        .to_owned())
}

/// Hands progress on until the command ends; what else it prints is its report.
async fn follow(child: &mut Child, later: &mpsc::Sender<Message>) -> String {
    let mut report = String::new();
    let Some(output) = child.stdout.take() else {
        return report;
    };
    let mut lines = BufReader::new(output.take(OUTPUT)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str::<Carried>(&line) {
            // The window may be gone meanwhile.
            Ok(carried) => drop(later.send(Message::Carried(carried)).await),
            Err(_) => {
                report.push_str(&line);
                report.push('\n');
            }
        }
    }
    report
}

/// Where a person means: in their own folder if they name no other, and for a folder the usual file in it.
fn place(typed: &str, usual: Option<&str>) -> PathBuf {
    let typed = Path::new(typed.trim());
    let path = match home() {
        Some(home) if typed.is_relative() => home.join(typed),
        _ => typed.to_owned(),
    };
    match usual {
        Some(file) if path.is_dir() => path.join(file),
        _ => path,
    }
}

fn told(order: &PackOrder, (file, report): (&Path, &str)) -> String {
    match order {
        PackOrder::Make { .. } => {
            let made = serde_json::from_str(report);
            made.map_or(String::new(), |made| made_sentence(&made, file))
        }
        PackOrder::Take { .. } => {
            let taken = serde_json::from_str(report);
            taken.map_or(String::new(), |taken| taken_sentence(&taken, wall_now()))
        }
    }
}

fn made_sentence(Made { bytes, label }: &Made, file: &Path) -> String {
    let what = match &label.scope {
        Scope::For(name) if label.bundles + label.pages == 0 => {
            return format!(
                "{name} lacks nothing, as far as it is known here; the roster and the policies are in {}.",
                file.display()
            );
        }
        Scope::Everything => "all that this machine holds".to_owned(),
        Scope::For(name) => format!("what {name} was not known to hold"),
        Scope::Since => "what a frontier lacked".to_owned(),
    };
    format!(
        "The pack is made: {} ({}) holds {what}, {} and {} of the cloud's feed. Take it in on the other machine.",
        file.display(),
        bytes_text(*bytes),
        counted(label.bundles, "transaction"),
        counted(label.pages, "page"),
    )
}

fn taken_sentence(report: &Report, now: WallMs) -> String {
    let taken = &report.taken;
    let whose = report.label.as_ref().map_or(String::new(), |label| {
        format!(" of {}, made {},", label.name, moment_text(label.at, now))
    });
    let mut words = format!(
        "The pack{whose} is read: {} new, {} held already",
        counted(taken.bundles.new, "transaction"),
        count(taken.bundles.held)
    );
    let signed = taken.records + taken.policies + taken.pages.new;
    if signed > 0 {
        words.push_str(&format!(
            ", {} of roster, policy and feed new",
            counted(signed, "document")
        ));
    }
    words.push('.');
    if report.waiting + taken.pages.waiting > 0 {
        words.push_str(&format!(
            " {} for something that it does not hold: take in a pack of everything.",
            waits(report.waiting + taken.pages.waiting)
        ));
    }
    if report.damaged_parts > 0 {
        words.push_str(&format!(
            " {} damaged and left out.",
            counted(report.damaged_parts, "part")
        ));
    }
    for (reason, times) in taken.refused.iter().take(REASONS) {
        words.push_str(&format!(" Refused {} times: {reason}.", count(*times)));
    }
    words
}

fn waits(number: u64) -> String {
    match number {
        1 => "1 waits".to_owned(),
        number => format!("{} wait", count(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_name_lies_in_the_persons_own_folder_and_a_folder_gets_the_usual_file() {
        let folder = std::env::temp_dir();
        let named = folder.display().to_string();
        assert_eq!(place(&named, Some(FILE)), folder.join(FILE));
        assert_eq!(place(&named, None), folder);
        if let Some(home) = home() {
            assert_eq!(place(" a.pack ", Some(FILE)), home.join("a.pack"));
        }
    }

    #[test]
    fn a_pack_that_was_taken_in_says_whose_it_is_and_what_waits() {
        let report = r#"{"label":{"studio":"00000000-0000-0000-0000-000000000001","device":"00000000-0000-0000-0000-000000000002",
            "name":"front-desk","at":0,"scope":"everything","bundles":3,"pages":0},"records":1,"policies":0,
            "bundles":{"new":2,"held":1,"waiting":0},"pages":{"new":0,"held":0,"waiting":0},
            "refused":{"a bad signature":2},"parked":1,"waiting":1,"damaged_parts":0,"ending":"whole"}"#;
        let report: Report = serde_json::from_str(report).expect("reads");
        let words = taken_sentence(&report, WallMs(0));
        for part in [
            "The pack of front-desk, made",
            "2 transactions new, 1 held already, 1 document of roster",
            "1 waits for something that it does not hold",
            "Refused 2 times: a bad signature.",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
}
