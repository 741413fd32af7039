//! Plays a recording and rebuilds the files as a cut would have left them.
//! It keeps what is safe apart from what is pending, so going on to a later cut costs only the events in between.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::record::{Op, PathNumber};
use super::{Acked, Content, Cut, Tail};

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// A recording played up to some event.
pub struct Replay {
    content: Arc<Content>,
    /// Events played so far.
    played: usize,
    files: Vec<File>,
    /// Names as the running process sees them.
    names: Names,
    safe_names: Names,
    pending_names: Vec<Pending<NameChange>>,
    acked: Vec<String>,
}

type FileNumber = usize;
type Names = BTreeMap<PathNumber, FileNumber>;

#[derive(Default)]
struct File {
    safe: Vec<u8>,
    pending: Vec<Pending<ByteChange>>,
}

struct Pending<Change> {
    /// Where its record begins in the log.
    at: u64,
    change: Change,
}

#[derive(Clone)]
enum ByteChange {
    Write { offset: u64, data: Range<usize> },
    Size(u64),
}

#[derive(Clone, Copy)]
enum NameChange {
    Add(PathNumber, FileNumber),
    Remove(PathNumber),
    Move(PathNumber, PathNumber),
    Link(PathNumber, PathNumber),
}

impl Replay {
    pub(super) fn new(content: Arc<Content>) -> Self {
        let mut replay = Replay {
            content,
            played: 0,
            files: Vec::new(),
            names: Names::new(),
            safe_names: Names::new(),
            pending_names: Vec::new(),
            acked: Vec::new(),
        };
        replay.rewind();
        replay
    }

    /// Empties `into` and fills it with what the cut leaves; tells what had been acknowledged before it.
    ///
    /// Cuts in ascending order are cheap; an earlier one plays the recording from the start again.
    pub fn materialise(&mut self, cut: Cut, into: &Path) -> Result<Acked> {
        self.play_to(cut.after);
        if into.exists() {
            fs::remove_dir_all(into).with_context(|| format!("emptying {}", into.display()))?;
        }
        fs::create_dir_all(into)?;
        let mut chance = Chance(cut.seed ^ (cut.after as u64).rotate_left(32));
        for (path, file) in self.names_after(cut.tail, &mut chance) {
            let target = into.join(self.path_of(path));
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            let bytes = self.bytes_after(&self.files[file], cut.tail, &mut chance);
            fs::write(&target, bytes).with_context(|| format!("writing {}", target.display()))?;
            // Modes are not recorded: a cut leaves every file to its owner alone.
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600))?;
        }
        Ok(Acked(self.acked.clone()))
    }

    fn path_of(&self, path: PathNumber) -> &Path {
        let recorded = self.content.paths.len();
        match path.checked_sub(recorded) {
            None => &self.content.paths[path],
            Some(unrecorded) => &self.content.start[unrecorded].0,
        }
    }

    fn rewind(&mut self) {
        let content = Arc::clone(&self.content);
        self.played = 0;
        self.acked.clear();
        self.pending_names.clear();
        self.names.clear();
        self.files.clear();
        for (number, (path, bytes)) in content.start.iter().enumerate() {
            // A file that nothing touched has no number among the recorded paths; it gets one behind them.
            let known = content.paths.iter().position(|known| known == path);
            self.names.insert(
                known.unwrap_or(content.paths.len() + number),
                self.files.len(),
            );
            self.files.push(File {
                safe: bytes.clone(),
                pending: Vec::new(),
            });
        }
        self.safe_names = self.names.clone();
    }

    fn play_to(&mut self, after: usize) {
        if after < self.played {
            self.rewind();
        }
        let content = Arc::clone(&self.content);
        for record in &content.records[self.played..after] {
            self.play(record.at, &record.op);
        }
        self.played = after;
    }

    fn play(&mut self, at: u64, op: &Op) {
        match op {
            Op::Create(path) => {
                self.open(at, *path);
            }
            Op::Write { path, offset, data } => {
                let change = ByteChange::Write {
                    offset: *offset,
                    data: data.clone(),
                };
                let file = self.open(at, *path);
                self.files[file].pending.push(Pending { at, change });
            }
            Op::Truncate { path, size } => {
                let file = self.open(at, *path);
                self.files[file].pending.push(Pending {
                    at,
                    change: ByteChange::Size(*size),
                });
            }
            Op::Sync { path, until } => self.sync(*path, *until),
            Op::Unlink(path) => self.rename(at, NameChange::Remove(*path)),
            Op::Rename { from, to } => self.rename(at, NameChange::Move(*from, *to)),
            Op::Link { from, to } => self.rename(at, NameChange::Link(*from, *to)),
            Op::Ack(what) => self.acked.push(what.clone()),
            Op::Struck => {}
        }
    }

    /// The file of that name; made now if there is none, for two processes may have raced to create it.
    fn open(&mut self, at: u64, path: PathNumber) -> FileNumber {
        if let Some(file) = self.names.get(&path) {
            return *file;
        }
        let file = self.files.len();
        self.files.push(File::default());
        self.rename(at, NameChange::Add(path, file));
        file
    }

    fn rename(&mut self, at: u64, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(Pending { at, change });
    }

    fn sync(&mut self, path: PathNumber, until: u64) {
        let content = Arc::clone(&self.content);
        // A folder has no bytes; syncing it only makes names safe.
        if let Some(number) = self.names.get(&path) {
            let file = &mut self.files[*number];
            let covered = file.pending.partition_point(|pending| pending.at < until);
            for pending in file.pending.drain(..covered) {
                pending.change.apply(&mut file.safe, &content.bytes);
            }
        }
        let covered = self
            .pending_names
            .partition_point(|pending| pending.at < until);
        for pending in self.pending_names.drain(..covered) {
            pending.change.apply(&mut self.safe_names);
        }
    }

    fn names_after(&self, tail: Tail, chance: &mut Chance) -> Names {
        let pending = self.pending_names.len();
        let kept = match tail {
            Tail::Dropped => 0,
            // Names are journalled, so they are lost from the end only.
            Tail::Torn => chance.below(pending as u64 + 1) as usize,
            Tail::Kept => pending,
        };
        let mut names = self.safe_names.clone();
        for pending in &self.pending_names[..kept] {
            pending.change.apply(&mut names);
        }
        names
    }

    fn bytes_after(&self, file: &File, tail: Tail, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = file.safe.clone();
        for pending in &file.pending {
            match tail {
                Tail::Dropped => break,
                Tail::Kept => pending.change.apply(&mut bytes, &self.content.bytes),
                Tail::Torn => {
                    for sector in pending.change.sectors() {
                        if chance.below(2) == 0 {
                            sector.apply(&mut bytes, &self.content.bytes);
                        }
                    }
                }
            }
        }
        bytes
    }
}

impl ByteChange {
    fn apply(&self, bytes: &mut Vec<u8>, log: &[u8]) {
        match self {
            ByteChange::Size(size) => bytes.resize(to_index(*size), 0),
            ByteChange::Write { offset, data } => {
                let start = to_index(*offset);
                let end = start + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(&log[data.clone()]);
            }
        }
    }

    /// The parts of it that reach the disk independently of each other.
    fn sectors(&self) -> Vec<ByteChange> {
        let ByteChange::Write { offset, data } = self else {
            return vec![self.clone()];
        };
        let mut parts = Vec::new();
        let (mut offset, mut start) = (*offset, data.start);
        while start < data.end {
            let length = to_index(SECTOR - offset % SECTOR).min(data.end - start);
            parts.push(ByteChange::Write {
                offset,
                data: start..start + length,
            });
            offset += length as u64;
            start += length;
        }
        parts
    }
}

impl NameChange {
    fn apply(self, names: &mut Names) {
        match self {
            NameChange::Add(path, file) => {
                names.insert(path, file);
            }
            NameChange::Remove(path) => {
                names.remove(&path);
            }
            NameChange::Move(from, to) => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
            NameChange::Link(from, to) => {
                if let Some(file) = names.get(&from) {
                    names.insert(to, *file);
                }
            }
        }
    }
}

fn to_index(size: u64) -> usize {
    usize::try_from(size).expect("a recorded file fits into memory")
}

/// SplitMix64: enough to choose sectors, and the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
