//! The node's own store, through its own driver: whatever somebody could rely on when the power went is there afterwards.
//! Who writes is a program of its own, `store-writer`; what it promised stands in the recording.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use studiovault_node::driver::{Driver, Event};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::api::vv_text;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::id::Dot;
use studiovault_protocol::policy::Policy;

use super::studio::{Member, moment};
use super::{Acked, Cut, Fault, Recorder, Recording, Tail, scratch};
use crate::writes::{create, transaction};

/// Enough for several checkpoints.
const ROUNDS: u32 = 240;

/// On a disk that goes wrong once, so many.
const FEW_ROUNDS: u32 = 12;

/// Records the program `store-writer` for as long as it takes to try every one of its calls.
pub fn recorded_few(writer: &Path) -> Result<Recording> {
    let folder = scratch("power-few")?;
    let mut command = Command::new(writer);
    command.arg(folder.path()).arg(FEW_ROUNDS.to_string());
    Recording::run(&mut command, folder.path())
}

/// Runs it on a disk whose call with that number goes wrong once. Whatever the program made of it, what it had promised must be
/// there: in the files as they lie, and if the power went at once. Fails with what is not; tells whether the fault was met.
pub fn broken_once(writer: &Path, (fault, number): (Fault, u64)) -> Result<bool> {
    let folder = scratch("power-broken")?;
    let recorder = Recorder::new(folder.path())?;
    let mut command = Command::new(writer);
    command.arg(folder.path()).arg(FEW_ROUNDS.to_string());
    recorder.watch(&mut command);
    command
        .env("POWER_FAIL", fault.at(number))
        .env("RUST_BACKTRACE", "0");
    let output = command.output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(!told.contains("panicked"), "a panic: {told}");
    let code = output.status.code();
    ensure!(code.is_some(), "it was killed: {told}");
    let recording = recorder.finish()?;
    let (run, mut decoder) = (Run::of(&recording)?, Decoder::default());
    let left = scratch("power-broken-left")?;
    let cut = Cut {
        after: recording.events(),
        tail: Tail::Dropped,
        seed: 1,
    };
    recording.replay().materialise(cut, left.path())?;
    for (place, what) in [(left.path(), "after a cut"), (folder.path(), "as they lie")] {
        let mut driver = promised(place, &run.facts, &mut decoder).context(what)?;
        write_on(&mut driver).context(what)?;
    }
    Ok(recording.is_struck())
}

/// Records the program `store-writer`, which lies there.
pub fn recorded(writer: &Path) -> Result<Recording> {
    let folder = scratch("power-store")?;
    let mut command = Command::new(writer);
    command.arg(folder.path()).arg(ROUNDS.to_string());
    Recording::run(&mut command, folder.path())
}

/// What somebody outside knew from some moment on.
enum Fact {
    /// These commands are here: they were answered, or said to be held.
    Commands(Dot, Dot),
    /// This bundle was sent.
    Sent(String),
    /// A step ended with this applied, in this state.
    State(String, String),
}

impl Fact {
    fn of(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        Ok(match words[..] {
            ["wrote", first, last] => Fact::Commands(first.parse()?, last.parse()?),
            ["held", dot] => Fact::Commands(dot.parse()?, dot.parse()?),
            ["sent", hash] => Fact::Sent(hash.to_owned()),
            ["state", applied, state] => Fact::State(applied.to_owned(), state.to_owned()),
            _ => anyhow::bail!("the writer told something unknown: {line}"),
        })
    }
}

/// All facts of a run, in order; a cut knows a prefix of them.
struct Run {
    facts: Vec<Fact>,
    states: BTreeMap<String, String>,
}

impl Run {
    fn of(recording: &Recording) -> Result<Self> {
        let Acked(lines) = recording.acknowledged();
        let facts: Vec<Fact> = lines
            .iter()
            .map(|line| Fact::of(line))
            .collect::<Result<_>>()?;
        let states = facts.iter().filter_map(|fact| match fact {
            Fact::State(applied, state) => Some((applied.clone(), state.clone())),
            _ => None,
        });
        let states = states.collect();
        Ok(Run { facts, states })
    }
}

/// What a restarted store holds in its log.
#[derive(Default)]
pub(super) struct Log {
    pub(super) commands: BTreeSet<Dot>,
    bundles: BTreeSet<String>,
    /// The sum over the state of all entities, where the store was opened.
    pub(super) state: String,
}

/// Reads logs; bytes that were read in an earlier cut are not decoded again.
#[derive(Default)]
pub(super) struct Decoder {
    known: HashMap<Vec<u8>, (Dot, Dot, String)>,
}

impl Decoder {
    /// Opens a folder's store, as a start does, and reads its log.
    pub(super) fn opened(&mut self, folder: &Path) -> Result<Log> {
        let store = Store::open(Location::Folder(folder.to_owned()), &Policy::default())?;
        store.restore().context("restoring")?;
        let state = store.state_sum().hex();
        drop(store);
        let log = self.log(folder)?;
        Ok(Log { state, ..log })
    }

    pub(super) fn log(&mut self, folder: &Path) -> Result<Log> {
        let database = rusqlite::Connection::open(folder.join("studio.db"))?;
        let check: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        ensure!(check == "ok", "integrity: {check}");
        let mut statement = database.prepare("SELECT bytes FROM log_bundle")?;
        let mut rows = statement.query(())?;
        let mut log = Log::default();
        while let Some(row) = rows.next()? {
            let (first, last, hash) = self.bundle(row.get_ref(0)?.as_blob()?)?;
            let counters = first.counter..=last.counter;
            log.commands
                .extend(counters.map(|counter| first.author.at(counter)));
            log.bundles.insert(hash.clone());
        }
        Ok(log)
    }

    fn bundle(&mut self, bytes: &[u8]) -> Result<&(Dot, Dot, String)> {
        if !self.known.contains_key(bytes) {
            let bundle = Bundle::decode(bytes.to_vec())?;
            let author = bundle.author();
            let (first, last) = (author.at(bundle.first()), author.at(bundle.last()));
            let entry = (first, last, bundle.hash().to_string());
            self.known.insert(bytes.to_vec(), entry);
        }
        Ok(&self.known[bytes])
    }
}

/// Restarts what a cut left and holds it against the facts that were known before it.
fn check(folder: &Path, known: &[Fact], (run, decoder): (&Run, &mut Decoder)) -> Result<()> {
    let mut driver = promised(folder, known, decoder)?;
    let applied = vv_text(driver.engine().log().applied());
    let state = driver.store().state_sum().hex();
    match run.states.get(&applied) {
        Some(expected) => ensure!(
            state == *expected,
            "the state at {applied} is not the one before the cut"
        ),
        None => ensure!(
            applied == "0",
            "no step ended at {applied}: half of one was kept"
        ),
    }
    write_on(&mut driver)
}

/// Restarts what is left; every promise must be kept.
fn promised(folder: &Path, known: &[Fact], decoder: &mut Decoder) -> Result<Driver> {
    let policy = Policy::default();
    let store = Store::open(Location::Folder(folder.to_owned()), &policy)?;
    let driver = Driver::new(Member::Disk.setup(77), store, moment(1))?;
    let log = decoder.log(folder)?;
    for fact in known {
        match fact {
            Fact::Commands(first, last) => {
                let mut dots = (first.counter..=last.counter).map(|n| first.author.at(n));
                let lost = dots.find(|dot| !log.commands.contains(dot));
                ensure!(lost.is_none(), "an acknowledged command is lost: {lost:?}");
            }
            Fact::Sent(hash) => ensure!(
                log.bundles.contains(hash),
                "a bundle that others have is lost here: {hash}"
            ),
            Fact::State(..) => {}
        }
    }
    Ok(driver)
}

fn write_on(driver: &mut Driver) -> Result<()> {
    let client = create("client", serde_json::json!({"name": "After the cut"}));
    let request = transaction("Ana", vec![client]);
    let output = driver.step(moment(2), vec![Event::Write(1, request)]);
    let (_, answer) = output.answers.first().context("a write is answered")?;
    let written = answer
        .as_ref()
        .map_err(|error| anyhow::anyhow!("writing on: {error}"))?;
    ensure!(written.bundle.is_some(), "writing on wrote nothing");
    Ok(())
}

/// The cuts that lost or broke something, each with what.
pub fn failing_cuts(recording: &Recording, cuts: &[Cut]) -> Result<Vec<String>> {
    let (run, mut decoder) = (Run::of(recording)?, Decoder::default());
    recording.failing_cuts("the store", cuts, |left, told| {
        check(left, &run.facts[..told.len()], (&run, &mut decoder))
    })
}
