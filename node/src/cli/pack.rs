//! `export`, `import-pack` and `frontier`: the log as a file, for crews whose network isolates clients.
//!
//! A file that is there is never replaced unasked. What was used of a pack and what was not is always said, and decides the exit
//! code.

mod progress;
mod report;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use studiovault_node::config::{ConfigError, Machine, open_plain};
use studiovault_node::node::NodeError;
use studiovault_node::pack::{
    Ending, ExportError, Incoming, Intake, Outgoing, Overwrite, Piece, ReadError, Wanted,
};
use studiovault_protocol::api::{ExportRequest, FrontierView, PackRequest};
use studiovault_protocol::membership::MeshKey;
use studiovault_protocol::pack::{PackError, Part, Taken};

use super::client::Client;
use super::failure::{Exit, Failure};
use super::folder::{client, folder};
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};
pub(super) use progress::{Follower, Following, Progress};
use report::Report;

/// Bytes of a frontier at most: every log of the largest studio, many times over.
const FRONTIER_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write
    file: PathBuf,
    /// Only what that machine has not shown that it holds, by its own writes that came here
    #[arg(long = "for", value_name = "NAME", conflicts_with = "since")]
    device: Option<String>,
    /// Only what that frontier lacks, as `studiovault frontier` printed it on another machine; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    following: Following,
}

#[derive(Args)]
pub(crate) struct ImportPack {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    following: Following,
}

/// `studiovault export`.
pub(crate) fn export(call: &Call, export: Export) -> Outcome {
    let machine = Machine::load(folder(call)?)?;
    let wanted = match (export.device, &export.since) {
        (Some(name), _) => Wanted::For(name),
        (None, Some(path)) => Wanted::Since(Box::new(read_frontier(path)?)),
        (None, None) => Wanted::Everything,
    };
    let overwrite = if export.force {
        Overwrite::Yes
    } else {
        Overwrite::No
    };
    overwrite.may_take(&export.file)?;
    let mut outgoing = Outgoing::plan(&machine, &wanted)?;
    let label = outgoing.label().clone();
    if !outgoing.note()? {
        let request = ExportRequest {
            label: label.clone(),
        };
        let noted = client(call)?;
        let _: serde_json::Value = runtime()?.block_on(noted.post("/pack/made", &request))?;
    }
    let items = label.bundles + label.pages;
    let mut progress = Progress::new(export.following.follower(), items, "written");
    let bytes = outgoing.write(&export.file, overwrite, &mut |items| progress.add(items))?;
    progress.finish();
    if call.json {
        print_json(&json!({"file": export.file, "bytes": bytes, "label": label}));
        return Ok(());
    }
    say!(
        "{}: {bytes} bytes, {}",
        export.file.display(),
        label.words()
    );
    if label.bundles + label.pages == 0 {
        say!(
            "nothing is lacking there, as far as it is known here; the roster and the policies are in it"
        );
    }
    Ok(())
}

/// `studiovault frontier`.
pub(crate) fn frontier(call: &Call) -> Outcome {
    let machine = Machine::load(folder(call)?)?;
    print_json(&Outgoing::frontier(&machine)?);
    Ok(())
}

fn read_frontier(path: &Path) -> Result<FrontierView, Failure> {
    let missing = |error: std::io::Error| {
        let text = format!(
            "{}: {error}\nCheck the path and that you may read it.",
            path.display()
        );
        Failure::new(Exit::NotFound, text)
    };
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin()
            .take(FRONTIER_BYTES)
            .read_to_string(&mut text)
    } else {
        let file = open_plain(path).map_err(missing)?;
        file.take(FRONTIER_BYTES).read_to_string(&mut text)
    };
    read.map_err(missing)?;
    serde_json::from_str(&text).map_err(|_| ExportError::NoFrontier.into())
}

/// Whoever takes the parts in.
enum Taker {
    /// The node that runs with the folder.
    Node(Client, tokio::runtime::Runtime),
    /// The folder itself, while no node runs.
    Folder(Box<Intake>),
}

impl Taker {
    fn of(call: &Call, machine: &Machine) -> Result<Self, Failure> {
        match Intake::open(machine) {
            Ok(intake) => Ok(Self::Folder(Box::new(intake))),
            Err(NodeError::Config(ConfigError::Busy(_))) => {
                Ok(Self::Node(client(call)?, runtime()?))
            }
            Err(error) => Err(Failure::stepped(Exit::Failed, &error.to_string())),
        }
    }

    fn take(&mut self, part: Part) -> Result<Taken, Failure> {
        match self {
            Self::Folder(intake) => {
                let taken = intake.take(part);
                taken.map_err(|error| Failure::stepped(Exit::Failed, &error.to_string()))
            }
            Self::Node(client, runtime) => {
                let part = part.encode();
                runtime.block_on(client.post("/pack", &PackRequest { part }))
            }
        }
    }
}

/// `studiovault import-pack`.
pub(crate) fn import(call: &Call, import: ImportPack) -> Outcome {
    let machine = Machine::load(folder(call)?)?;
    let keys = machine.studio.mesh_keys().into_iter().map(MeshKey);
    let keys: Vec<MeshKey> = keys.collect();
    let mut incoming =
        Incoming::open(&import.file, &keys).map_err(|error| unread(&import.file, &error))?;
    let mut taker = Taker::of(call, &machine)?;
    let mut progress = Progress::new(import.following.follower(), incoming.length(), "bytes read");
    let mut report = Report::default();
    let problem = take_all(&mut incoming, &mut taker, (&mut report, &mut progress)).err();
    progress.finish();
    if call.json {
        print_json(&report);
    } else {
        report.lines().iter().for_each(|line| say!("{line}"));
    }
    match problem {
        Some(failure) => Err(failure),
        None => report.outcome(&import.file),
    }
}

/// Takes in part after part. What was taken stands in the report, however it ends.
fn take_all(
    incoming: &mut Incoming,
    taker: &mut Taker,
    (report, progress): (&mut Report, &mut Progress),
) -> Outcome {
    loop {
        let piece = incoming.next_piece().map_err(|error| {
            let text = format!(
                "the pack cannot be read on: {error}\nPut the stick back and take the pack in again: what was taken is kept and costs nothing."
            );
            Failure::new(Exit::Failed, text)
        })?;
        match piece {
            Piece::Part(part) => {
                if let Part::Label(label) = &*part {
                    report.label = Some(label.clone());
                }
                let taken = taker.take(*part)?;
                report.add(taken);
            }
            Piece::Damaged => report.damaged_parts += 1,
            Piece::End(ending) => {
                report.ending = Some(ending);
                return Ok(());
            }
        }
        progress.reach(incoming.position());
    }
}

fn unread(file: &Path, error: &ReadError) -> Failure {
    let (exit, next_step) = match error {
        ReadError::Disk(error) if error.kind() == std::io::ErrorKind::NotFound => {
            (Exit::NotFound, "Check the path.")
        }
        ReadError::Disk(_) => (Exit::Failed, "Check the path and that you may read it."),
        ReadError::Pack(PackError::Newer(_)) => (
            Exit::Refused,
            "Update StudioVault on this machine; nothing was written.",
        ),
        ReadError::Pack(PackError::Foreign) => (
            Exit::Refused,
            "Take a pack of this studio, made since its network key changed last; a machine that missed such a change has to meet another one on a network first. Nothing was written.",
        ),
        ReadError::Pack(_) => (
            Exit::Refused,
            "Take a file that `studiovault export` made; nothing was written.",
        ),
    };
    Failure::new(exit, format!("{}: {error}\n{next_step}", file.display()))
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let exit = match error {
            ExportError::Exists(_) | ExportError::NoFile(_) | ExportError::NoFrontier => {
                Exit::Refused
            }
            ExportError::NoSuchDevice(_) => Exit::NotFound,
            ExportError::Config(error) => return error.into(),
            _ => Exit::Failed,
        };
        Self::stepped(exit, &error.to_string())
    }
}
