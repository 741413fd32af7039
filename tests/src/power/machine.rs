//! The real program under power cuts: two machines of a studio, recorded from `init` on, while they write, hear each other, change
//! the key of the mesh and are started again.
//!
//! At a cut one machine loses what the tail says, while the other is looked at as it was: whatever it had written down of the
//! first one's log had been on the wire, so the first one must still hold it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use studiovault_node::config::{Folder, Machine as Made};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::api::{TxAnswer, TxRequest};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::policy::Policy;
use tempfile::TempDir;

use super::store::{Decoder, Log};
use super::{Acked, Cut, Recorder, Recording, Replay, scratch};
use crate::lab::Api;
use crate::lab::machine::{create, path, update};
use crate::processes::{Running, Said, until};

/// The machines, as folders.
const NAMES: [&str; 2] = ["desk", "laptop"];
/// Transactions before the machines are started again, and after.
const WRITES: u64 = 40;
/// A start of the program that a test watches.
const RUN: [&str; 4] = ["run", "--silent", "--listen", "127.0.0.1:0"];

/// What two machines did, and what was promised meanwhile.
pub struct Recorded {
    recording: Recording,
    _folder: TempDir,
}

/// What somebody outside knew from some moment on.
#[derive(Debug)]
enum Promise {
    /// The machine is made.
    Made(usize),
    /// Its API answers, so its store is there.
    Runs(usize),
    /// A transaction was answered.
    Wrote(usize, Dot, Dot),
    /// A change of the key was answered, and this is the key since.
    Rekeyed(usize, String),
}

impl Promise {
    fn of(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        Ok(match words[..] {
            ["made", at] => Self::Made(at.parse()?),
            ["runs", at] => Self::Runs(at.parse()?),
            ["wrote", at, first, last] => Self::Wrote(at.parse()?, first.parse()?, last.parse()?),
            ["rekeyed", at, key] => Self::Rekeyed(at.parse()?, key.to_owned()),
            _ => anyhow::bail!("an unknown promise: {line}"),
        })
    }
}

/// One studio while it is recorded.
struct Studio<'r> {
    recorder: &'r Recorder,
    folders: [PathBuf; 2],
    /// What each of them created.
    entities: [Vec<EntityId>; 2],
}

/// Records the real program.
pub fn recorded() -> Result<Recorded> {
    let folder = scratch("power-machines")?;
    let recorder = Recorder::new(folder.path())?;
    let mut studio = Studio {
        recorder: &recorder,
        folders: NAMES.map(|name| folder.path().join(name)),
        entities: [Vec::new(), Vec::new()],
    };
    studio.make(&folder.path().join("studio.kit"))?;
    for round in 0..2 {
        studio.live(round)?;
    }
    let recording = recorder.finish()?;
    recording.check(folder.path())?;
    Ok(Recorded {
        recording,
        _folder: folder,
    })
}

impl Studio<'_> {
    fn make(&self, kit: &Path) -> Result<()> {
        let kit = kit.to_str().context("a path that is text")?;
        let region = ["--time-zone", "Europe/Lisbon", "--currency", "EUR"];
        let found = [
            "init",
            "--name",
            NAMES[0],
            "--studio-name",
            "Lisbon",
            "--kit",
            kit,
        ];
        self.say(0, &[&found[..], &region].concat())?;
        self.recorder.ack("made 0")?;
        self.say(1, &["recover", "--kit", kit, "--name", NAMES[1]])?;
        self.recorder.ack("made 1")
    }

    fn say(&self, at: usize, arguments: &[&str]) -> Result<()> {
        let Said { code, error, .. } = self.recorder.say(&self.folders[at], arguments);
        ensure!(code == 0, "{arguments:?}: {error}");
        Ok(())
    }

    fn start(&self, at: usize, arguments: &[&str]) -> Result<Running> {
        let running = self.recorder.start(&self.folders[at], arguments);
        self.recorder.ack(&format!("runs {at}"))?;
        Ok(running)
    }

    fn api(&self, at: usize) -> Result<Api> {
        let folder = Folder::at(&self.folders[at]);
        let token = std::fs::read_to_string(folder.token_path())?;
        Ok(Api::at_socket(&folder.socket_path())?.with_token(&token))
    }

    fn status(&self, at: usize) -> Result<Value> {
        self.api(at)?.get(&path("/status"))?.ok()
    }

    /// One run of both: they write, one changes the key, and in the end both hold all.
    fn live(&mut self, round: u64) -> Result<()> {
        let desk = self.start(0, &RUN)?;
        until(&self.folders[0], "it listens", || {
            self.status(0)
                .is_ok_and(|status| status["node"]["listening"][0].is_string())
        });
        let status = self.status(0)?;
        let address = status["node"]["listening"][0]
            .as_str()
            .context("it listens")?;
        let laptop = self.start(1, &[&RUN[..], &["--peer", address]].concat())?;
        let apis = [self.api(0)?, self.api(1)?];
        for number in round * WRITES..(round + 1) * WRITES {
            self.write(&apis, number)?;
        }
        apis[0].post(&path("/rekey"), &json!({}))?.ok()?;
        let key = key_of(&self.folders[0])?;
        self.recorder.ack(&format!("rekeyed 0 {key}"))?;
        self.write(&apis, (round + 1) * WRITES)?;
        until(&self.folders[0], "both hold the same", || {
            let applied = |at| self.status(at).map(|status| status["applied"].clone());
            matches!((applied(0), applied(1)), (Ok(one), Ok(other)) if one == other)
        });
        laptop.stop();
        desk.stop();
        Ok(())
    }

    /// Some creates or an edit; two of three times at the desk.
    fn write(&mut self, apis: &[Api; 2], number: u64) -> Result<()> {
        let at = usize::from(number % 3 == 2);
        let known = self.entities[at].get(number as usize % 13);
        let known = known.filter(|_| number.is_multiple_of(4));
        let mutations = match known {
            Some(entity) => vec![update("client", *entity, json!({"phone": number.to_string()}))],
            None => (0..number % 9 + 1)
                .map(|part| json!({"name": format!("Client {number}-{part}"), "notes": "x".repeat(200)}))
                .map(|fields| create("client", fields))
                .collect(),
        };
        let request = TxRequest {
            mutations,
            ..TxRequest::default()
        };
        let answer = apis[at].post(&path("/tx"), &serde_json::to_value(&request)?)?;
        let answer: TxAnswer = serde_json::from_value(answer.ok()?)?;
        let written = answer.bundle.context("every transaction writes")?;
        let told = format!("wrote {at} {} {}", written.first, written.last);
        self.entities[at].extend(&answer.ids);
        self.recorder.ack(&told)
    }
}

/// The newest key of the mesh that a folder keeps.
fn key_of(folder: &Path) -> Result<String> {
    let text = std::fs::read_to_string(Folder::at(folder).studio_path())?;
    let studio: Value = serde_json::from_str(&text)?;
    let key = studio["mesh_key"].as_str().context("a key")?;
    Ok(key.to_owned())
}

impl Recorded {
    /// Everything that the processes did.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The same on disks that only pretend to sync the files with that ending.
    pub fn without_syncs(self, ending: &str) -> Self {
        Recorded {
            recording: self.recording.without_syncs(ending),
            ..self
        }
    }

    /// The cuts that lost or broke something, each with what.
    pub fn failing_cuts(&self, cuts: &[Cut]) -> Result<Vec<String>> {
        let scratch = scratch("power-cut")?;
        let Acked(lines) = self.recording.acknowledged();
        let promises: Vec<Promise> = lines
            .iter()
            .map(|line| Promise::of(line))
            .collect::<Result<_>>()?;
        let keys = promises.iter().filter_map(|promise| match promise {
            Promise::Rekeyed(_, key) => Some(key.clone()),
            _ => None,
        });
        let mut checker = Checker {
            keys: keys.collect(),
            left: scratch.path().join("left"),
            seen: scratch.path().join("seen"),
            replays: [self.recording.replay(), self.recording.replay()],
            decoder: Decoder::default(),
        };
        let mut failing = Vec::new();
        for cut in cuts {
            if let Err(error) = checker.check(*cut, &promises) {
                failing.push(format!("{cut:?}: {error:#}"));
            }
        }
        Ok(failing)
    }

    /// Leaves in `into` what a cut leaves of all machines; their folders.
    pub fn left_by(&self, cut: Cut, into: &Path) -> Result<[PathBuf; 2]> {
        self.recording.replay().materialise(cut, into)?;
        Ok(NAMES.map(|name| into.join(name)))
    }
}

struct Checker {
    /// What the cut leaves.
    left: PathBuf,
    /// What everybody could see just before it.
    seen: PathBuf,
    replays: [Replay; 2],
    decoder: Decoder,
    /// Every key of the first machine's mesh that was promised, in order.
    keys: Vec<String>,
}

impl Checker {
    fn check(&mut self, cut: Cut, promises: &[Promise]) -> Result<()> {
        let [left, seen] = &mut self.replays;
        let Acked(told) = left.materialise(cut, &self.left)?;
        let whole = Cut {
            tail: super::Tail::Kept,
            ..cut
        };
        seen.materialise(whole, &self.seen)?;
        let known = &promises[..told.len()];
        for (at, name) in NAMES.into_iter().enumerate() {
            let what = || format!("the {name}");
            let log = self.opened(at, known).with_context(what)?;
            self.nothing_sent_is_missing(at, &log).with_context(what)?;
        }
        Ok(())
    }

    /// One machine after the cut: made, opened, whole, with all that it promised.
    fn opened(&mut self, at: usize, known: &[Promise]) -> Result<Log> {
        let folder = self.left.join(NAMES[at]);
        let (mut is_made, mut runs, mut written, mut key) = (false, false, BTreeSet::new(), None);
        for promise in known {
            match promise {
                Promise::Made(of) if *of == at => is_made = true,
                Promise::Runs(of) if *of == at => runs = true,
                Promise::Wrote(of, first, last) if *of == at => {
                    written.extend((first.counter..=last.counter).map(|n| first.author.at(n)));
                }
                Promise::Rekeyed(of, since) if *of == at => key = Some(since),
                _ => {}
            }
        }
        let made = Made::load(Folder::at(&folder));
        ensure!(!is_made || made.is_ok(), "made, and {:?}", made.err());
        if let Some(key) = key {
            // A later one may be in force that nobody was told of yet.
            let found = key_of(&folder)?;
            let mut later = self.keys.iter().skip_while(|other| *other != key);
            ensure!(
                later.any(|other| *other == found),
                "the new key is forgotten"
            );
        }
        let database = folder.join("studio.db");
        ensure!(!runs || database.exists(), "ran, and the store is gone");
        if !database.exists() {
            return Ok(Log::default());
        }
        let log = self.decoder.opened(&folder)?;
        let lost = written.iter().find(|dot| !log.commands.contains(dot));
        ensure!(lost.is_none(), "an acknowledged command is lost: {lost:?}");
        Ok(log)
    }

    /// What the other machine had of this one's log, this one still has.
    fn nothing_sent_is_missing(&mut self, at: usize, log: &Log) -> Result<()> {
        let other = self.seen.join(NAMES[1 - at]);
        let own = self.seen.join(NAMES[at]);
        if !other.join("studio.db").exists() || !Folder::at(&own).is_made() {
            return Ok(());
        }
        let device = Made::load(Folder::at(&own))?.identity.device;
        // It may have been about to make its tables.
        drop(Store::open(
            Location::Folder(other.clone()),
            &Policy::default(),
        )?);
        let heard = self.decoder.log(&other)?;
        let mut of_this = heard
            .commands
            .iter()
            .filter(|dot| dot.author.device == device);
        let lost = of_this.find(|dot| !log.commands.contains(dot));
        ensure!(
            lost.is_none(),
            "the other machine has {lost:?} of it, and it has not"
        );
        Ok(())
    }
}
