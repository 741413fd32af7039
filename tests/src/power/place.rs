//! A studio for errands: a cloud truth with snapshots, a desk whose clients it has all decided on, and machines that have none of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use super::errand::{Errand, Promise, Reader, STICK, Task, copy};
use super::objects::{OBJECTS, Objects};
use super::{Cut, Fault, Recorder, Tail, scratch};
use crate::processes::{Running, done, join, json as asked, until};

/// Clients at the desk, with notes that do not compress. A few: every page of their stores is a call of the disk to be tried.
const CLIENTS: u64 = 60;
/// Snapshots: one more than are kept.
const SNAPSHOTS: u64 = 4;

const EXPORT: Task = Task {
    name: "a pack to a new name",
    machine: "desk",
    words: &["export", "@/stick/whole.pack"],
    again: &["export", "@/stick/whole.pack", "--force"],
    promise: Promise::Whole,
};
const REPLACE: Task = Task {
    name: "a pack over an older one",
    words: &["export", "@/stick/whole.pack", "--force"],
    ..EXPORT
};
const IMPORT: Task = Task {
    name: "a pack taken in",
    machine: "laptop",
    words: &["import-pack", "@/stick/whole.pack"],
    again: &["import-pack", "@/stick/whole.pack"],
    promise: Promise::Part,
};
const BEGIN: Task = Task {
    name: "a machine that begins",
    machine: "tablet",
    words: &["bootstrap"],
    again: &["bootstrap"],
    promise: Promise::Whole,
};
const BEGIN_ANEW: Task = Task {
    name: "a machine that begins anew with what only it has",
    machine: "laptop",
    ..BEGIN
};

/// The studio, and what was recorded in it.
pub struct Place {
    folder: TempDir,
    /// Bootstraps that are done again ask it.
    _cloud: Running,
    errands: Vec<Errand>,
    objects: Objects,
}

impl Place {
    /// Founds it and records all errands.
    pub fn new() -> Result<Self> {
        let folder = scratch("power-place")?;
        let root = folder.path();
        let (cloud, objects) = recorded_cloud(root)?;
        for name in ["laptop", "tablet", "taster"] {
            join(&root.join(name), &root.join("desk"))?;
        }
        // Nobody but the laptop has these: the cloud is still down.
        let laptop = root.join("laptop");
        let node = Running::node(&laptop, &[]);
        for name in ["name=Only here", "name=And this"] {
            done(&laptop, &["put", "client", name]);
        }
        node.stop();
        let cloud = Running::start(
            &root.join("cloud"),
            &["cloud", "--plain", "--listen", &cloud],
        );
        Ok(Self {
            errands: errands(root)?,
            objects,
            _cloud: cloud,
            folder,
        })
    }

    /// The commands that were recorded.
    pub fn errands(&self) -> &[Errand] {
        &self.errands
    }

    /// What the cloud did with its snapshots.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// A machine of the studio that may take in anything.
    pub fn taster(&self) -> PathBuf {
        self.folder.path().join("taster")
    }

    /// The cloud's folder, as it was left.
    pub fn still_cloud(&self) -> PathBuf {
        self.folder.path().join("still-cloud")
    }

    /// How many events were recorded in all.
    pub fn events(&self) -> usize {
        let of_errands = self
            .errands
            .iter()
            .map(|errand| errand.recording().events());
        of_errands.sum::<usize>() + self.objects.recording().events()
    }

    /// Cuts of everything at random points, with each of the three tails; how many there were, and those that broke something.
    pub fn random_cuts(&self, count: usize, seed: u64) -> Result<(usize, Vec<String>)> {
        let cuts = self.objects.recording().random_cuts(count, seed);
        let (mut tried, mut failing) = (cuts.len(), self.objects.failing_cuts(&cuts)?);
        let mut reader = Reader::default();
        for errand in &self.errands {
            let cuts = errand.recording().random_cuts(count, seed);
            tried += cuts.len();
            failing.extend(errand.failing_cuts(&cuts, &mut reader)?);
            let again = cuts[seed as usize % cuts.len()];
            if let Err(error) = errand.done_again(again, &self.taster()) {
                failing.push(format!("{}: {error:#}", errand.name()));
            }
        }
        let again = cuts[seed as usize % cuts.len()];
        if let Err(error) = self.objects.made_again(again, &self.still_cloud()) {
            failing.push(format!("snapshots: {error:#}"));
        }
        Ok((tried, failing))
    }

    /// Every call of the disk in every errand, and every way in which it can go wrong.
    pub fn faults(&self) -> Vec<(&Errand, (Fault, u64))> {
        let of_errand = |errand: &Errand| {
            let targets = Fault::ALL.map(|fault| (fault, errand.recording().targets(fault)));
            let each = |(fault, calls)| (1..=calls).map(move |number| (fault, number));
            targets.into_iter().flat_map(each).collect::<Vec<_>>()
        };
        let all = self.errands.iter();
        all.flat_map(|errand| {
            let faults = of_errand(errand).into_iter();
            faults.map(move |fault| (errand, fault))
        })
        .collect()
    }
}

/// A cut of an errand.
pub fn cuts(points: impl IntoIterator<Item = usize>, tail: Tail) -> Vec<Cut> {
    let cut = |after| Cut {
        after,
        tail,
        seed: 3,
    };
    points.into_iter().map(cut).collect()
}

/// A cloud truth that makes its snapshots while it is recorded; it is down again, and this is where it listened.
fn recorded_cloud(root: &Path) -> Result<(String, Objects)> {
    let (folder, desk) = (root.join("cloud"), root.join("desk"));
    fs::create_dir_all(folder.join(OBJECTS))?;
    let recorder = Recorder::new(&folder.join(OBJECTS))?;
    let cloud = recorder.start(&folder, &["cloud", "--plain", "--listen", "127.0.0.1:0"]);
    let text = |name: &str| cloud.ready[name].as_str().context("the cloud says it");
    let (url, token) = (text("url")?, text("token")?);
    let kit = desk.with_extension("kit");
    let kit = kit.to_str().context("a path")?;
    let named = ["init", "--name", "desk", "--studio-name", "Lisbon"];
    let more = ["--kit", kit, "--cloud", url, "--cloud-token", token];
    let region = ["--time-zone", "Europe/Lisbon", "--currency", "EUR"];
    done(&desk, &[&named[..], &more, &region].concat());
    let node = Running::node(&desk, &[]);
    let rows = root.join("rows.csv");
    fs::write(&rows, clients())?;
    let rows = rows.to_str().context("a path")?;
    done(&desk, &["import", rows, "--type", "client"]);
    for number in 0..SNAPSHOTS {
        done(&desk, &["put", "client", &format!("name=Later {number}")]);
        until(&desk, "all is confirmed", || {
            asked(&desk, &["status"])["counts"]["confirmed"] == json!(CLIENTS + number + 1)
        });
        let made = asked(&folder, &["cloud", "snapshot"]);
        recorder.ack(made[0]["id"].as_str().context("an id")?)?;
        if number == 0 {
            let early = root.join("early.pack");
            done(&desk, &["export", early.to_str().context("a path")?]);
        }
    }
    node.stop();
    let address = url.trim_start_matches("http://").to_owned();
    cloud.stop();
    let recording = recorder.finish()?;
    recording.check(&folder.join(OBJECTS))?;
    copy(&folder, &root.join("still-cloud"))?;
    Ok((address, Objects::new(recording)))
}

fn clients() -> String {
    let mut text = "name,notes\n".to_owned();
    for n in 0..CLIENTS {
        let part = |at: u64| blake3::hash(&[n, at].map(u64::to_le_bytes).concat()).to_hex();
        let note: Vec<_> = (0..40).map(part).collect();
        text.push_str(&format!("Client {n},{}\n", note.concat()));
    }
    text
}

/// Does all errands, each in a folder of its own.
fn errands(root: &Path) -> Result<Vec<Errand>> {
    let prepared = |task: Task, pack: Option<&Path>| -> Result<(Errand, TempDir)> {
        let place = scratch("power-task")?;
        copy(&root.join(task.machine), &place.path().join(task.machine))?;
        let stick = place.path().join(STICK);
        fs::create_dir_all(&stick)?;
        // A folder is there with what lies in it.
        fs::write(stick.join("holidays.jpg"), "no pack")?;
        if let Some(pack) = pack {
            fs::copy(pack, stick.join("whole.pack"))?;
        }
        Ok((Errand::record(task, &place)?, place))
    };
    let (export, made) = prepared(EXPORT, None)?;
    let whole = made.path().join(STICK).join("whole.pack");
    let (replace, _) = prepared(REPLACE, Some(&root.join("early.pack")))?;
    let (import, _) = prepared(IMPORT, Some(&whole))?;
    let (begin, _) = prepared(BEGIN, None)?;
    let (anew, _) = prepared(BEGIN_ANEW, None)?;
    Ok(vec![export, replace, import, begin, anew])
}
