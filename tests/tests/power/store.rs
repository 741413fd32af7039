//! The node's own store, through its own driver: whatever somebody could rely on when the power went is there afterwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use studiovault_lab::power::studio::{Member, moment};
use studiovault_lab::power::{Acked, Cut, Recording, Tail, scratch};
use studiovault_node::driver::{Driver, Event, WriteRequest};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::api::vv_text;
use studiovault_protocol::author::Mutation;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Op;
use studiovault_protocol::id::Dot;
use studiovault_protocol::policy::Policy;

const WRITER: &str = env!("CARGO_BIN_EXE_store-writer");
/// Enough for several checkpoints.
const ROUNDS: u32 = 240;
/// With each of the three tails.
const CUTS: usize = 500;

fn recorded() -> Result<Recording> {
    let folder = scratch("power-store")?;
    let mut command = Command::new(WRITER);
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
struct Log {
    commands: BTreeSet<Dot>,
    bundles: BTreeSet<String>,
}

/// Reads logs; bytes that were read in an earlier cut are not decoded again.
#[derive(Default)]
struct Decoder {
    known: HashMap<Vec<u8>, (Dot, Dot, String)>,
}

impl Decoder {
    fn log(&mut self, folder: &Path) -> Result<Log> {
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
    let policy = Policy::default();
    let store = Store::open(Location::Folder(folder.to_owned()), &policy)?;
    let mut driver = Driver::new(Member::Disk.setup(77), store, moment(1))?;
    let applied = vv_text(driver.engine().log().applied());
    let state = driver.store().state_sum().hex();
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

fn write_on(driver: &mut Driver) -> Result<()> {
    let serde_json::Value::Object(fields) = serde_json::json!({"name": "After the cut"}) else {
        unreachable!("fields are an object")
    };
    let create = Mutation {
        entity_type: "client".to_owned(),
        entity: None,
        op: Op::Create,
        fields,
        read: None,
        replaces: None,
    };
    let request = WriteRequest {
        actor: "Ana".to_owned(),
        mutations: vec![create],
        together: false,
        skip_existing: false,
    };
    let output = driver.step(moment(2), vec![Event::Write(1, request)]);
    let (_, answer) = output.answers.first().context("a write is answered")?;
    let written = answer
        .as_ref()
        .map_err(|error| anyhow::anyhow!("writing on: {error}"))?;
    ensure!(written.bundle.is_some(), "writing on wrote nothing");
    Ok(())
}

/// The cuts that lost or broke something, each with what.
fn failing_cuts(recording: &Recording, cuts: &[Cut]) -> Result<Vec<String>> {
    let (run, mut decoder) = (Run::of(recording)?, Decoder::default());
    let folder = scratch("power-cut")?;
    let into: PathBuf = folder.path().join("files");
    let mut replay = recording.replay();
    let mut failing = Vec::new();
    for cut in cuts {
        let Acked(told) = replay.materialise(*cut, &into)?;
        let known = &run.facts[..told.len()];
        if let Err(error) = check(&into, known, (&run, &mut decoder)) {
            failing.push(format!("{cut:?}: {error:#}"));
        }
    }
    Ok(failing)
}

fn cuts(recording: &Recording, tail: Tail, count: usize) -> Vec<Cut> {
    let points = recording.cut_points(count).into_iter();
    points
        .map(|after| Cut {
            after,
            tail,
            seed: 11,
        })
        .collect()
}

#[test]
fn the_store_loses_no_acknowledged_command_in_1500_power_cuts() -> Result<()> {
    let recording = recorded()?;
    let run = Run::of(&recording)?;
    let lost = std::thread::scope(|scope| {
        let one = |tail| {
            let recording = &recording;
            scope.spawn(move || failing_cuts(recording, &cuts(recording, tail, CUTS)))
        };
        let running = Tail::ALL.map(one);
        let ended = running.map(|thread| thread.join().expect("no check panics"));
        ended
            .into_iter()
            .collect::<Result<Vec<Vec<String>>>>()
            .map(|lists| lists.concat())
    })?;
    println!(
        "power: {} cuts in {} events with {} acknowledgements and {} states; {} lost something",
        3 * CUTS,
        recording.events(),
        run.facts.len(),
        run.states.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:#?}");
    Ok(())
}

/// A part of the one above that ends within seconds.
#[test]
fn a_commit_waits_for_the_disk() -> Result<()> {
    let recording = recorded()?;
    let lost = failing_cuts(&recording, &cuts(&recording, Tail::Dropped, 60))?;
    assert!(lost.is_empty(), "{lost:#?}");
    Ok(())
}

#[test]
fn a_store_whose_log_is_not_synced_is_caught() -> Result<()> {
    let pretending = recorded()?.without_syncs("-wal");
    let failing = failing_cuts(&pretending, &cuts(&pretending, Tail::Dropped, 60))?;
    assert!(
        failing.len() > 30,
        "only {} of 60 cuts were caught",
        failing.len()
    );
    Ok(())
}
