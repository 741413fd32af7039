//! The snapshots of a cloud truth where it keeps them, in a folder: whenever the power goes while it makes and forgets some, every
//! manifest that is found can be fetched whole, and the newest that somebody was told of is among them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use studiovault_protocol::snapshot::Manifest;

use super::errand::copy;
use super::{Cut, Recording, scratch};
use crate::processes::{Running, json};

/// The objects' folder in a cloud's.
pub const OBJECTS: &str = "objects";
/// In the name of an object that is being written.
const UNFINISHED: char = '#';

/// What a cloud did with its objects; each acknowledgement is the id of a snapshot.
#[derive(Clone)]
pub struct Objects {
    recording: Recording,
}

impl Objects {
    /// Recorded there.
    pub fn new(recording: Recording) -> Self {
        Self { recording }
    }

    /// Everything that it did.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The same on a disk that only pretends to sync what is being written.
    pub fn without_syncs(&self) -> Self {
        Self::new(self.recording.without_syncs("#1"))
    }

    /// The cuts that broke something, each with what.
    pub fn failing_cuts(&self, cuts: &[Cut]) -> Result<Vec<String>> {
        let holds = |left: &Path, told: &[String]| hold(left, told.last());
        self.recording.failing_cuts("snapshots", cuts, holds)
    }

    /// A cloud truth over what a cut leaves, beside its database: it makes the next snapshot, and that is whole.
    pub fn made_again(&self, cut: Cut, cloud: &Path) -> Result<()> {
        let scratch = scratch("power-cloud")?;
        let folder = scratch.path().join("cloud");
        copy(cloud, &folder)?;
        let objects = folder.join(OBJECTS);
        self.recording.replay().materialise(cut, &objects)?;
        let running = Running::cloud(&folder);
        let made = json(&folder, &["cloud", "snapshot"]);
        let id = made[0]["id"].as_str().context("an id")?.to_owned();
        running.stop();
        hold(&objects, Some(&id)).with_context(|| format!("{cut:?}"))
    }
}

/// Whether every manifest of every studio can be fetched whole, and the one of that id is there.
fn hold(objects: &Path, newest: Option<&String>) -> Result<()> {
    let mut found = Vec::new();
    for studio in entries(&objects.join("snapshots"))?.into_values() {
        let chunks = entries(&studio.join("chunks"))?;
        for (name, path) in entries(&studio.join("manifests"))? {
            if name.contains(UNFINISHED) {
                continue;
            }
            let manifest = Manifest::decode(fs::read(path)?).context("a manifest")?;
            for chunk in manifest.chunks() {
                let path = chunks.get(&chunk.hash.to_string());
                let path = path.with_context(|| format!("{name} lacks {}", chunk.hash))?;
                ensure!(chunk.names(&fs::read(path)?), "{} is not whole", chunk.hash);
            }
            found.push(manifest.id().to_string());
        }
    }
    let is_there = newest.is_none_or(|newest| found.contains(newest));
    ensure!(is_there, "the snapshot that was told of is gone");
    Ok(())
}

/// What lies in a folder, by name; nothing if there is none.
fn entries(folder: &Path) -> Result<BTreeMap<String, std::path::PathBuf>> {
    let Ok(found) = fs::read_dir(folder) else {
        return Ok(BTreeMap::new());
    };
    let named = found.map(|entry| {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Ok((name, entry.path()))
    });
    named.collect()
}
