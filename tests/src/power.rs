//! Power cuts: records what a process writes, then rebuilds its files as a cut at any point could have left them.
//!
//! The model of the disk: a file's bytes are safe once a sync of that file that began after the write has returned.
//! Names (created, renamed, removed) become safe in order, with the next sync of anything, as on a journalling file
//! system. Everything else is at the mercy of the cut's [`Tail`]. `kill -9` alone is [`Tail::Kept`], which is why it
//! can never find a missing sync.

pub mod errand;
mod library;
pub mod machine;
pub mod objects;
pub mod place;
mod record;
mod replay;
pub mod store;
pub mod studio;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

pub use replay::Replay;

use record::{Op, Record};

use crate::processes::{Running, Said, say_in};
use crate::sim::dice::Dice;

/// The recording library's name beside the log.
const LIBRARY: &str = "recorder.so";

/// What happens to bytes that were written but not yet synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// None of them reached the disk.
    Dropped,
    /// Any of their 512-byte sectors did, in any combination.
    Torn,
    /// All of them did.
    Kept,
}

impl Tail {
    pub const ALL: [Tail; 3] = [Tail::Dropped, Tail::Torn, Tail::Kept];
}

/// How one call of the disk goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write finds no room.
    NoSpace,
    /// A write fails.
    Broken,
    /// A write writes half.
    Short,
    /// A sync fails.
    Sync,
}

impl Fault {
    pub const ALL: [Fault; 4] = [Fault::NoSpace, Fault::Broken, Fault::Short, Fault::Sync];

    /// What the recorder is told: of the calls that a process makes from now on, that one.
    pub fn at(self, number: u64) -> String {
        let word = match self {
            Fault::NoSpace => "enospc",
            Fault::Broken => "eio",
            Fault::Short => "short",
            Fault::Sync => "sync",
        };
        format!("{word} {number}")
    }
}

/// One power cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How many of the recorded events happened before it.
    pub after: usize,
    pub tail: Tail,
    /// Chooses the sectors of a torn tail; the same cut always leaves the same files.
    pub seed: u64,
}

/// What had been acknowledged before a cut, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acked(pub Vec<String>);

/// Watches the files below one folder while processes write to them.
pub struct Recorder {
    folder: PathBuf,
    /// Holds the log and the file for acknowledgements.
    scratch: TempDir,
    start: Vec<(PathBuf, Vec<u8>)>,
}

/// Everything that happened to the files, in order. Cheap to clone.
#[derive(Clone)]
pub struct Recording {
    content: Arc<Content>,
}

struct Content {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// Relative paths, by the number that records use.
    paths: Vec<PathBuf>,
    /// The files that lay there when the recording began.
    start: Vec<(PathBuf, Vec<u8>)>,
}

impl Recorder {
    /// Begins to record what happens below `folder`, which must exist.
    pub fn new(folder: &Path) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("opening {}", folder.display()))?;
        let start = read_files(&folder)?;
        let scratch = scratch("power")?;
        std::fs::write(scratch.path().join(LIBRARY), library::recorder()?)?;
        Ok(Recorder {
            folder,
            scratch,
            start,
        })
    }

    /// Makes a command, and every process it starts, record what it writes.
    pub fn watch(&self, command: &mut Command) {
        command.envs(self.variables());
    }

    /// Runs the real program on a folder to its end, watched.
    pub fn say(&self, folder: &Path, arguments: &[&str]) -> Said {
        self.say_with(folder, arguments, &[])
    }

    /// The same with more in its environment.
    pub fn say_with(&self, folder: &Path, arguments: &[&str], more: &[(&str, &Path)]) -> Said {
        let variables = self.variables();
        say_in(folder, arguments, &[&named(&variables), more].concat())
    }

    /// Starts the real program on a folder, watched.
    pub fn start(&self, folder: &Path, arguments: &[&str]) -> Running {
        Running::start_in(folder, arguments, &named(&self.variables()))
    }

    /// What a process needs in its environment to be watched.
    ///
    /// It finds the path of a file for acknowledgements in `POWER_ACK`: each append there is one acknowledgement.
    pub fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", self.scratch.path().join(LIBRARY)),
            ("POWER_DIR", self.folder.clone()),
            ("POWER_LOG", self.log()),
            ("POWER_ACK", self.scratch.path().join("acknowledged")),
        ]
    }

    /// Notes that somebody outside has now seen `what` acknowledged.
    pub fn ack(&self, what: &str) -> Result<()> {
        let mut log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.log())?;
        // One append, like the library's records, so that none of them is torn apart.
        Ok(log.write_all(&record::encode_ack(what))?)
    }

    /// Ends the recording; call it when no watched process runs any more.
    pub fn finish(self) -> Result<Recording> {
        let bytes =
            std::fs::read(self.log()).context("nothing was recorded: was the process watched?")?;
        let (records, paths) = record::parse(&bytes, &self.folder)?;
        let content = Content {
            bytes,
            records,
            paths,
            start: self.start,
        };
        Ok(Recording {
            content: Arc::new(content),
        })
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }
}

impl Recording {
    /// Runs a command to its end and records what it does below `folder`; fails if it fails or writes unseen.
    pub fn run(command: &mut Command, folder: &Path) -> Result<Self> {
        let recorder = Recorder::new(folder)?;
        recorder.watch(command);
        let status = command
            .status()
            .with_context(|| format!("starting {command:?}"))?;
        ensure!(status.success(), "{command:?}: {status}");
        let recording = recorder.finish()?;
        recording.check(folder)?;
        Ok(recording)
    }

    /// Compares a whole replay with the files as they are: a difference means that writes went unseen.
    ///
    /// Only for processes that ended by themselves; a killed one may have written what it did not get to record.
    pub fn check(&self, folder: &Path) -> Result<()> {
        let replayed = scratch("power-check")?;
        let whole = Cut {
            after: self.events(),
            tail: Tail::Kept,
            seed: 0,
        };
        self.replay().materialise(whole, replayed.path())?;
        let (expected, found) = (read_files(folder)?, read_files(replayed.path())?);
        let names = |files: &[(PathBuf, Vec<u8>)]| {
            files
                .iter()
                .map(|(path, _)| path.clone())
                .collect::<Vec<_>>()
        };
        ensure!(
            names(&expected) == names(&found),
            "files were made unseen: {:?}, replayed {:?}",
            names(&expected),
            names(&found)
        );
        for ((path, real), (_, replayed)) in expected.iter().zip(&found) {
            ensure!(
                real == replayed,
                "{} was written unseen (by mmap or raw system calls)",
                path.display()
            );
        }
        Ok(())
    }

    /// How many events were recorded: writes, syncs, acknowledgements and all others.
    pub fn events(&self) -> usize {
        self.content.records.len()
    }

    /// How many acknowledgements were recorded.
    pub fn acks(&self) -> usize {
        self.content
            .records
            .iter()
            .filter(|record| matches!(record.op, Op::Ack(_)))
            .count()
    }

    /// How many calls there were that such a fault could have hit.
    pub fn targets(&self, fault: Fault) -> u64 {
        let is_one = |record: &&Record| match fault {
            Fault::Sync => matches!(record.op, Op::Sync { .. }),
            _ => matches!(record.op, Op::Write { .. }),
        };
        self.content.records.iter().filter(is_one).count() as u64
    }

    /// Whether a call went wrong on purpose.
    pub fn is_struck(&self) -> bool {
        let mut records = self.content.records.iter();
        records.any(|record| matches!(record.op, Op::Struck))
    }

    /// About `count` different points, in order, spread over the whole recording; all of them if there are fewer.
    pub fn cut_points(&self, count: usize) -> Vec<usize> {
        let all = self.events() + 1;
        let count = count.clamp(1, all);
        (0..count).map(|number| number * all / count).collect()
    }

    /// That many cuts at random points, in order, with each of the three tails.
    pub fn random_cuts(&self, count: usize, seed: u64) -> Vec<Cut> {
        let mut dice = Dice::new(seed);
        let mut points: Vec<usize> = (0..count).map(|_| dice.place(self.events() + 1)).collect();
        points.sort_unstable();
        let of = |tail| points.iter().map(move |after| (*after, tail));
        let cuts = Tail::ALL.into_iter().flat_map(of);
        cuts.map(|(after, tail)| Cut { after, tail, seed })
            .collect()
    }

    /// The same run on a disk that only pretends to sync the files with that ending: shows that a test can fail.
    pub fn without_syncs(&self, ending: &str) -> Self {
        let Content {
            bytes,
            paths,
            start,
            records,
        } = &*self.content;
        let pretended = |record: &&Record| match record.op {
            Op::Sync { path, .. } => paths[path].to_string_lossy().ends_with(ending),
            _ => false,
        };
        let content = Content {
            bytes: bytes.clone(),
            records: records
                .iter()
                .filter(|record| !pretended(record))
                .cloned()
                .collect(),
            paths: paths.clone(),
            start: start.clone(),
        };
        Recording {
            content: Arc::new(content),
        }
    }

    /// Everything that was acknowledged in the whole run, in order.
    pub fn acknowledged(&self) -> Acked {
        let told = self
            .content
            .records
            .iter()
            .filter_map(|record| match &record.op {
                Op::Ack(what) => Some(what.clone()),
                _ => None,
            });
        Acked(told.collect())
    }

    /// The cuts of which what is left breaks a promise, each with what; `holds` is given that folder and what had been acknowledged.
    pub fn failing_cuts(
        &self,
        what: &str,
        cuts: &[Cut],
        mut holds: impl FnMut(&Path, &[String]) -> Result<()>,
    ) -> Result<Vec<String>> {
        let scratch = scratch("power-cut")?;
        let left = scratch.path().join("left");
        let mut replay = self.replay();
        let mut failing = Vec::new();
        for cut in cuts {
            let Acked(told) = replay.materialise(*cut, &left)?;
            if let Err(error) = holds(&left, &told) {
                failing.push(format!("{what}, {cut:?}: {error:#}"));
            }
        }
        Ok(failing)
    }

    /// A replay from the beginning; each thread has its own.
    pub fn replay(&self) -> Replay {
        Replay::new(Arc::clone(&self.content))
    }
}

/// Variables as a command takes them.
fn named<'v>(variables: &'v [(&'static str, PathBuf); 4]) -> Vec<(&'v str, &'v Path)> {
    let named = variables.iter();
    named
        .map(|(name, value)| (*name, value.as_path()))
        .collect()
}

/// A temporary folder in memory where there is one: what a replay writes needs no disk.
pub fn scratch(name: &str) -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(name)
        .tempdir_in(parent)
        .context("creating a temporary folder")
}

/// All files below a folder with their relative paths, sorted. SQLite's shared-memory files never survive a cut.
fn read_files(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !path.to_string_lossy().ends_with("-shm") {
                let short = path
                    .strip_prefix(folder)
                    .expect("the walk stays below its root")
                    .to_owned();
                files.push((short, std::fs::read(&path)?));
            }
        }
    }
    files.sort();
    Ok(files)
}
