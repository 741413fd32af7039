//! Loading a snapshot into a fresh store, what the old store held beyond it too, and then the exchange.

use std::fs;
use std::path::PathBuf;

use studiovault_protocol::frontier::{Range, Reach};
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::merge::FOLD;
use studiovault_protocol::pack::Taken;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::snapshot::{ChunkName, Manifest};

use super::delta::{Base, take_bundles, take_pages};
use super::{Bootstrap, BootstrapError, Stage, disk};
use crate::clock;
use crate::config::system_user;
use crate::driver::Driver;
use crate::pack::Intake;
use crate::store::{AuditKind, AuditLine, Location, Reader, Store, exchange};

/// The folder of the new store.
pub(super) const STORE: &str = "store";

/// What stands in the new store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// The last position of the feed that came.
    pub position: u64,
    /// Commands that came from the LAN; 0 if it was a snapshot.
    pub commands: u64,
    /// Up to which position the old store stood in for the snapshot.
    pub own: u64,
    /// Bytes of the chunks that were fetched for it, now or before it was broken off.
    pub fetched: u64,
    /// Bundles that the snapshot held.
    pub bundles: u64,
    /// Pages of the feed.
    pub pages: u64,
    /// Bundles that the old store held and the snapshot did not.
    pub carried_over: u64,
    /// Why snapshots that peers hold were not loaded.
    pub passed: Vec<String>,
}

impl Loaded {
    /// What was done, for the audit log.
    fn words(&self) -> String {
        match (self.commands, self.fetched) {
            (0, _) => format!(
                "this machine was begun anew from the snapshot at position {} of the feed",
                self.position
            ),
            (commands, 0) => format!(
                "this machine was begun anew with {commands} commands of the others on its network"
            ),
            (commands, _) => format!(
                "this machine was begun anew with {commands} commands, from a snapshot that another machine on its network holds"
            ),
        }
    }
}

/// A new store that is whole, and not in the old one's place yet.
pub struct Filled {
    pub(super) unfinished: Unfinished,
    pub(super) intake: Intake,
    pub(super) loaded: Loaded,
    /// The snapshot that it was made of.
    pub(super) held: Option<Manifest>,
}

impl Bootstrap {
    /// Makes the new store of the old one up to the base, and of the chunks beyond.
    pub fn fill(
        &self,
        (manifest, base): (&Manifest, Base),
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Filled, BootstrapError> {
        let (folder, store) = self.fresh(STORE)?;
        let unfinished = Unfinished(folder);
        let mut intake = Intake::beside(&self.machine, store)?;
        let loaded = self.take_in(&mut intake, (manifest, base), told)?;
        compare(intake.driver(), manifest)?;
        Ok(Filled {
            unfinished,
            intake,
            loaded,
            held: Some(manifest.clone()),
        })
    }

    /// A fresh store beside the old one, in a folder of that name.
    pub(super) fn fresh(&self, name: &str) -> Result<(PathBuf, Store), BootstrapError> {
        let folder = self.place().join(name);
        // What is there was left behind by a bootstrap that was broken off.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(disk(&folder))?;
        let mut store = Store::open(Location::Folder(folder.clone()), &Policy::default())?;
        store.take_over(self.machine.folder.path(), &self.own)?;
        Ok((folder, store))
    }

    /// Adds what the old store holds beyond the new one, and puts the new one in its place.
    pub fn finish(self, filled: Filled) -> Result<Loaded, BootstrapError> {
        let Filled {
            unfinished,
            mut intake,
            mut loaded,
            held,
        } = filled;
        loaded.carried_over = self.carry_over(&mut intake)?;
        let mut store = intake.into_store();
        self.note(&mut store, &loaded)?;
        drop(store);
        exchange(&unfinished.0, self.machine.folder.path())?;
        if let Some(manifest) = held {
            self.shelve(&manifest);
        }
        // What is left of it is of no use, and cleared away at the next time if it is not now.
        let _ = fs::remove_dir_all(self.place());
        Ok(loaded)
    }

    /// Takes the signed records in, the old store up to the base, and every chunk beyond.
    fn take_in(
        &self,
        intake: &mut Intake,
        (manifest, base): (&Manifest, Base),
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Loaded, BootstrapError> {
        let signed = manifest.body().segments.first();
        let signed = signed.map_or(0, |segment| segment.chunks.len());
        let names: Vec<_> = base.beyond(manifest).map(|(_, name)| *name).collect();
        // What logs hold is judged by the signed records.
        let (signed, beyond) = names.split_at(signed);
        let mut loaded = Loaded {
            position: manifest.body().position,
            own: base.0,
            fetched: base.packed_bytes(manifest),
            ..Loaded::default()
        };
        for name in signed {
            self.take_chunk(intake, name, &mut loaded)?;
        }
        if base.is_some() {
            self.take_base(intake, (base, &mut loaded), told)?;
        }
        for (done, name) in (1..).zip(beyond) {
            self.take_chunk(intake, name, &mut loaded)?;
            told(Stage::Loading, done, beyond.len() as u64);
        }
        Ok(loaded)
    }

    fn take_chunk(
        &self,
        intake: &mut Intake,
        name: &ChunkName,
        loaded: &mut Loaded,
    ) -> Result<(), BootstrapError> {
        for part in self.parts(name)? {
            let taken = whole(intake.take(part)?)?;
            loaded.bundles += taken.bundles.new;
            loaded.pages += taken.pages.new;
        }
        Ok(())
    }

    /// Takes in what the old store holds and the new one lacks, above all what this machine wrote and nobody else has.
    fn carry_over(&self, intake: &mut Intake) -> Result<u64, BootstrapError> {
        let reader = Reader::open(self.machine.folder.path())?;
        let holding = reader.read(|view| view.holding())?;
        let old = LogIndex::restore(holding.chains);
        let ranges = lacking(&old, intake.driver());
        let carried = take_bundles(intake, (&reader, &ranges, holding.position), &mut |_| {})?;
        // The feed beyond what came: machines on the LAN may be behind this one.
        take_pages(intake, (&reader, holding.feed))?;
        let mut lost = lacking(&old, intake.driver());
        // What others wrote, and this store refuses, it would refuse from anybody.
        lost.retain(|range| self.own.contains(&range.author));
        match reader.read(|view| view.bundles_in(&lost))? {
            0 => Ok(carried),
            lost => Err(BootstrapError::WouldLose(lost)),
        }
    }

    fn note(&self, store: &mut Store, loaded: &Loaded) -> Result<(), BootstrapError> {
        let line = AuditLine {
            kind: AuditKind::Bootstrap,
            device: Some(self.machine.identity.device),
            actor: system_user(),
            what: loaded.words(),
        };
        let mut batch = store.begin()?;
        batch.audit(&line, clock::wall())?;
        Ok(batch.commit()?)
    }
}

/// A store in the making. What is left of it when this ends is taken away: it is as large as the other one.
pub(super) struct Unfinished(pub(super) PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What cannot be taken away now is at the next bootstrap.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A part of a snapshot is taken whole: nothing of it waits and nothing of it is refused.
pub(super) fn whole(taken: Taken) -> Result<Taken, BootstrapError> {
    if let Some((reason, _)) = taken.refused.first_key_value() {
        return Err(BootstrapError::Refused(reason.clone()));
    }
    if taken.bundles.waiting + taken.pages.waiting > 0 {
        let reason = "a part of it does not continue the one before".to_owned();
        return Err(BootstrapError::Refused(reason));
    }
    Ok(taken)
}

/// Whether the store came to where the manifest says: the same page, and the same state.
fn compare(driver: &Driver, manifest: &Manifest) -> Result<(), BootstrapError> {
    let (feed, body) = (driver.engine().feed(), manifest.body());
    let head = feed.head();
    if (head.position, head.hash) != (body.position, body.head.prefix()) {
        let reason = "its feed does not end where its manifest says".to_owned();
        return Err(BootstrapError::Refused(reason));
    }
    if feed.folded() != body.position {
        let reason = "its feed decides on what is not in it".to_owned();
        return Err(BootstrapError::Refused(reason));
    }
    // What the cloud has not decided yet is in the state here, and not in the cloud's.
    let is_comparable = body.fold == FOLD && feed.undecided().is_empty();
    if is_comparable && driver.store().state_sum() != body.sum {
        return Err(BootstrapError::OtherState);
    }
    Ok(())
}

/// What a log holds and a driver lacks.
fn lacking(old: &LogIndex, driver: &Driver) -> Vec<Range> {
    let mut reach = Reach::default();
    for (author, chain) in driver.engine().log().chains() {
        reach.extend(author, chain.held.0);
    }
    let devices = old.devices().into_iter();
    devices
        .flat_map(|device| old.lacking(&reach, device))
        .collect()
}
