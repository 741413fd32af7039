//! One command of the real program over folders of its own, recorded: a pack that is written or taken in, a store that is begun anew.
//!
//! Whenever it is cut off, and whichever call of the disk fails it, what it leaves is what was there before or what it was to make;
//! done again it comes to its end. Only a pack that is being taken in may be there in part.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use studiovault_node::config::{Folder, Machine};
use studiovault_node::pack::{Ending, Incoming, Piece};
use studiovault_protocol::id::{Dot, Hash};
use studiovault_protocol::membership::MeshKey;
use studiovault_protocol::pack::Part;
use tempfile::TempDir;

use super::store::Decoder;
use super::{Cut, Fault, Recorder, Recording, Tail, read_files, scratch};
use crate::processes::{Said, done, say};

/// In an errand's words, before a path below its folder.
const BELOW: &str = "@/";
/// The folder of packs; whatever else lies in an errand's folder is a machine.
pub const STICK: &str = "stick";
/// A pack ends so, and one that is being written with [`UNFINISHED`].
const PACK: &str = ".pack";
const UNFINISHED: &str = ".part";

/// What may be there of it when it was broken off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// All of it or nothing.
    Whole,
    /// A part of it, and nothing else.
    Part,
}

/// What a command is to do.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Its name in reports.
    pub name: &'static str,
    /// The machine that does it, as a folder.
    pub machine: &'static str,
    /// Its words.
    pub words: &'static [&'static str],
    /// What it is to be done again with.
    pub again: &'static [&'static str],
    /// What it may leave.
    pub promise: Promise,
}

/// A command that was recorded.
#[derive(Clone)]
pub struct Errand {
    task: Task,
    recording: Recording,
    before: Seen,
    after: Seen,
}

/// What lies in an errand's folder, as far as anybody minds.
#[derive(Clone, PartialEq, Eq, Default)]
struct Seen {
    machines: BTreeMap<String, Held>,
    packs: BTreeMap<String, BTreeSet<Hash>>,
}

/// What a machine holds; nothing if it has no store.
#[derive(Clone, PartialEq, Eq, Default)]
struct Held {
    commands: BTreeSet<Dot>,
    state: String,
}

impl Seen {
    /// Whether all of it is in another one.
    fn is_within(&self, other: &Self) -> bool {
        let machines = self.machines.iter().all(|(name, held)| {
            let more = other.machines.get(name);
            more.is_some_and(|more| held.commands.is_subset(&more.commands))
        });
        machines && self.packs == other.packs
    }

    fn words(&self) -> String {
        let machines = self.machines.iter().map(|(name, held)| {
            let state = held.state.get(..6).unwrap_or_default();
            format!("{name} {} commands {state}", held.commands.len())
        });
        let packs = self.packs.iter();
        let packs = packs.map(|(name, pack)| format!("{name} {} bundles", pack.len()));
        machines.chain(packs).collect::<Vec<_>>().join(", ")
    }
}

/// Reads what lies in errands' folders.
#[derive(Default)]
pub struct Reader {
    decoder: Decoder,
}

impl Reader {
    /// All of a folder; an error if a machine or a pack that has its name is not whole.
    fn look(&mut self, root: &Path) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut keys = Vec::new();
        for name in names(root)? {
            let folder = root.join(&name);
            if name == STICK {
                continue;
            }
            let machine = Machine::load(Folder::at(&folder));
            let machine = machine.with_context(|| name.clone())?;
            keys.extend(machine.studio.mesh_keys().into_iter().map(MeshKey));
            let held = self.held(&folder).with_context(|| name.clone())?;
            seen.machines.insert(name, held);
        }
        let stick = root.join(STICK);
        for name in names(&stick).unwrap_or_default() {
            let path = stick.join(&name);
            if name.ends_with(PACK) {
                let pack = whole_pack(&path, &keys).with_context(|| name.clone())?;
                seen.packs.insert(name, pack);
            }
        }
        Ok(seen)
    }

    fn held(&mut self, folder: &Path) -> Result<Held> {
        if !folder.join("studio.db").exists() {
            return Ok(Held::default());
        }
        let log = self.decoder.opened(folder)?;
        // A store that holds nothing is as good as none.
        let is_empty = log.commands.is_empty();
        Ok(Held {
            state: if is_empty { String::new() } else { log.state },
            commands: log.commands,
        })
    }
}

/// The bundles and pages of a pack that is whole.
fn whole_pack(path: &Path, keys: &[MeshKey]) -> Result<BTreeSet<Hash>> {
    let mut incoming = Incoming::open(path, keys)?;
    let mut held = BTreeSet::new();
    loop {
        match incoming.next_piece()? {
            Piece::Part(part) => match *part {
                Part::Bundles(items) | Part::Pages(items) => {
                    held.extend(items.iter().map(|item| Hash::of(&item.0)));
                }
                _ => {}
            },
            Piece::Damaged => bail!("a part of it is damaged"),
            Piece::End(Ending::Whole) => return Ok(held),
            Piece::End(ending) => bail!("it is {ending:?}"),
        }
    }
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Copies a folder's files.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for (path, _) in read_files(from)? {
        let target = to.join(&path);
        fs::create_dir_all(target.parent().context("a folder")?)?;
        // With its mode: keys are for their owner alone.
        fs::copy(from.join(&path), target)?;
    }
    Ok(())
}

impl Errand {
    /// Does it in a folder that is prepared, and records that.
    pub fn record(task: Task, root: &TempDir) -> Result<Self> {
        let mut reader = Reader::default();
        let before = reader.look(root.path())?;
        let recorder = Recorder::new(root.path())?;
        let said = task.say(root.path(), task.words, |folder, words| {
            recorder.say(folder, words)
        });
        ensure!(said.code == 0, "{}: {said:?}", task.name);
        recorder.ack("done")?;
        let recording = recorder.finish()?;
        recording.check(root.path())?;
        let after = reader.look(root.path())?;
        ensure!(before != after, "{} does nothing", task.name);
        Ok(Self {
            task,
            recording,
            before,
            after,
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.task.name
    }

    /// Everything that it did.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The same on a disk that only pretends to sync the files with that ending.
    pub fn without_syncs(&self, ending: &str) -> Self {
        Self {
            recording: self.recording.without_syncs(ending),
            ..self.clone()
        }
    }

    /// So many points all over it, and each of the last ones, where what was made takes its place; in order.
    pub fn points(&self, spread: usize, last: usize) -> BTreeSet<usize> {
        let events = self.recording.events();
        let mut points: BTreeSet<usize> = self.recording.cut_points(spread).into_iter().collect();
        points.extend(events.saturating_sub(last)..=events);
        points
    }

    /// The cuts that broke something, each with what.
    pub fn failing_cuts(&self, cuts: &[Cut], reader: &mut Reader) -> Result<Vec<String>> {
        let holds = |left: &Path, told: &[String]| self.holds(left, !told.is_empty(), reader);
        self.recording.failing_cuts(self.task.name, cuts, holds)
    }

    /// Whether what is left is what may be.
    fn holds(&self, left: &Path, is_done: bool, reader: &mut Reader) -> Result<()> {
        let seen = reader.look(left)?;
        let may_be = match self.task.promise {
            _ if seen == self.after => true,
            _ if is_done => false,
            Promise::Whole => seen == self.before,
            Promise::Part => self.before.is_within(&seen) && seen.is_within(&self.after),
        };
        let [before, after] = [&self.before, &self.after].map(Seen::words);
        ensure!(
            may_be,
            "neither the old nor the new, but {} (before: {before}; after: {after})",
            seen.words()
        );
        Ok(())
    }

    /// Leaves what a cut leaves, lets the real program check it and take what is unfinished, and does the command again.
    pub fn done_again(&self, cut: Cut, taster: &Path) -> Result<()> {
        let scratch = scratch("power-again")?;
        let left = scratch.path().join("left");
        self.recording.replay().materialise(cut, &left)?;
        let stick = left.join(STICK);
        for name in names(&stick).unwrap_or_default() {
            if name.ends_with(UNFINISHED) {
                refused_or_whole(&say(
                    taster,
                    &["import-pack", below(&stick, &name)?.as_str()],
                ))?;
            }
        }
        self.again(&left).with_context(|| format!("{cut:?}"))
    }

    /// Does the command on what a broken one left; it comes to the end that it was to have.
    fn again(&self, left: &Path) -> Result<()> {
        let machine = left.join(self.task.machine);
        if machine.join("studio.db").exists() {
            done(&machine, &["verify"]);
        }
        let said = self.task.say(left, self.task.again, say);
        ensure!(said.code == 0, "done again: {said:?}");
        let mut reader = Reader::default();
        self.holds(left, true, &mut reader).context("done again")
    }

    /// Does it on a disk whose call with that number goes wrong once: it says so or it did it, both as the files lie and if the power
    /// went at once, and done again it comes to its end. Fails with what is not so; tells whether the fault was met.
    pub fn broken_once(&self, (fault, number): (Fault, u64)) -> Result<bool> {
        let scratch = [scratch("power-broken")?, scratch("power-broken-left")?];
        let [root, left] = scratch.each_ref().map(TempDir::path);
        let start = Cut {
            after: 0,
            tail: Tail::Kept,
            seed: 0,
        };
        self.recording.replay().materialise(start, root)?;
        let recorder = Recorder::new(root)?;
        let at = PathBuf::from(fault.at(number));
        let said = self.task.say(root, self.task.words, |folder, words| {
            recorder.say_with(folder, words, &[("POWER_FAIL", &at)])
        });
        ensure!(!said.error.contains("panicked"), "a panic: {}", said.error);
        let lines = said.error.trim().lines().count();
        let is_told = said.code > 0 && lines >= 2;
        ensure!(said.code == 0 || is_told, "without clear words: {said:?}");
        let recording = recorder.finish()?;
        let cut = Cut {
            after: recording.events(),
            tail: Tail::Dropped,
            seed: 1,
        };
        recording.replay().materialise(cut, left)?;
        let mut reader = Reader::default();
        for (place, what) in [(left, "after a cut"), (root, "as it lies")] {
            let held = self.holds(place, said.code == 0, &mut reader);
            held.and_then(|()| self.again(place))
                .with_context(|| format!("{what}, having said {said:?}"))?;
        }
        Ok(recording.is_struck())
    }
}

impl Task {
    fn say(&self, root: &Path, words: &[&str], say: impl Fn(&Path, &[&str]) -> Said) -> Said {
        let place = root.to_string_lossy();
        let full = words.iter().map(|word| match word.strip_prefix(BELOW) {
            Some(below) => format!("{place}/{below}"),
            None => (*word).to_owned(),
        });
        let full: Vec<String> = full.collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        say(&root.join(self.machine), &full)
    }
}

/// What a half-written pack is answered with; all of it may be there already, under the name that it has meanwhile.
fn refused_or_whole(said: &Said) -> Result<()> {
    let is_clear = said.error.contains("Copy the pack anew") || said.error.contains("no pack");
    ensure!(
        said.code == 0 || is_clear,
        "a half-written pack without clear words: {said:?}"
    );
    Ok(())
}

fn below(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    Ok(path.to_str().context("a path that is text")?.to_owned())
}
