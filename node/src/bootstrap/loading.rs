//! Loading a snapshot into a fresh store, what the old store held beyond it too, and then the exchange.

use std::fs;
use std::path::PathBuf;

use studiovault_protocol::frontier::{Range, Reach};
use studiovault_protocol::limits;
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::merge::FOLD;
use studiovault_protocol::pack::{Part, Taken};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::snapshot::Manifest;
use studiovault_protocol::wire::Packed;

use super::{Bootstrap, BootstrapError, Stage, disk};
use crate::clock;
use crate::config::system_user;
use crate::driver::Driver;
use crate::pack::Intake;
use crate::store::{AuditKind, AuditLine, Location, Reader, SliceRoom, Store, exchange};

/// How much of the old store is carried over at one time.
const ROOM: SliceRoom = SliceRoom {
    bytes: limits::FRAME_BYTES,
    items: 4096,
};

/// What stands in the new store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// The last position of the feed that came.
    pub position: u64,
    /// Commands that came from the LAN; 0 if it was a snapshot.
    pub commands: u64,
    /// Bundles that the snapshot held.
    pub bundles: u64,
    /// Pages of the feed.
    pub pages: u64,
    /// Bundles that the old store held and the snapshot did not.
    pub carried_over: u64,
}

impl Loaded {
    /// What was done, for the audit log.
    fn words(&self) -> String {
        match self.commands {
            0 => format!(
                "this machine was begun anew from the snapshot at position {} of the feed",
                self.position
            ),
            commands => format!(
                "this machine was begun anew with {commands} commands of the others on its network"
            ),
        }
    }
}

impl Bootstrap {
    /// Makes the new store and puts it in the old one's place.
    pub fn load(
        self,
        manifest: &Manifest,
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Loaded, BootstrapError> {
        let (folder, store) = self.fresh()?;
        let unfinished = Unfinished(folder);
        let mut intake = Intake::beside(&self.machine, store)?;
        let loaded = self.fill(&mut intake, manifest, told)?;
        compare(intake.driver(), manifest)?;
        self.finish(unfinished, intake, loaded)
    }

    /// A fresh store beside the old one, and its folder.
    pub(super) fn fresh(&self) -> Result<(PathBuf, Store), BootstrapError> {
        let folder = self.place().join("store");
        // What is there was left behind by a bootstrap that was broken off.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(disk(&folder))?;
        let mut store = Store::open(Location::Folder(folder.clone()), &Policy::default())?;
        store.take_over(self.machine.folder.path(), &self.own)?;
        Ok((folder, store))
    }

    /// Adds what the old store holds beyond the new one, and exchanges them.
    pub(super) fn finish(
        self,
        unfinished: Unfinished,
        mut intake: Intake,
        mut loaded: Loaded,
    ) -> Result<Loaded, BootstrapError> {
        loaded.carried_over = self.carry_over(&mut intake)?;
        let mut store = intake.into_store();
        self.note(&mut store, &loaded)?;
        drop(store);
        exchange(&unfinished.0, self.machine.folder.path())?;
        // What is left of it is of no use, and cleared away at the next time if it is not now.
        let _ = fs::remove_dir_all(self.place());
        Ok(loaded)
    }

    /// Takes every chunk in.
    fn fill(
        &self,
        intake: &mut Intake,
        manifest: &Manifest,
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Loaded, BootstrapError> {
        let mut loaded = Loaded {
            position: manifest.body().position,
            ..Loaded::default()
        };
        let all = manifest.chunks().count() as u64;
        for (done, name) in (1..).zip(manifest.chunks()) {
            for part in self.parts(name)? {
                let taken = whole(intake.take(part)?)?;
                loaded.bundles += taken.bundles.new;
                loaded.pages += taken.pages.new;
            }
            told(Stage::Loading, done, all);
        }
        Ok(loaded)
    }

    /// Takes in what the old store holds and the new one lacks, above all what this machine wrote and nobody else has.
    fn carry_over(&self, intake: &mut Intake) -> Result<u64, BootstrapError> {
        let reader = Reader::open(self.machine.folder.path())?;
        let holding = reader.read(|view| view.holding())?;
        let old = LogIndex::restore(holding.chains);
        let ranges = lacking(&old, intake.driver());
        let (mut at, mut carried) = (0, 0);
        loop {
            let place = (at, holding.position);
            let slice = reader.read(|view| view.log_slice(&ranges, place, ROOM))?;
            if slice.items.is_empty() {
                break;
            }
            at = slice.at;
            let bundles = slice.items.into_iter().map(Packed).collect();
            carried += intake.take(Part::Bundles(bundles))?.bundles.new;
        }
        self.carry_pages(intake, (&reader, holding.feed))?;
        let mut lost = lacking(&old, intake.driver());
        // What others wrote, and this store refuses, it would refuse from anybody.
        lost.retain(|range| self.own.contains(&range.author));
        match reader.read(|view| view.bundles_in(&lost))? {
            0 => Ok(carried),
            lost => Err(BootstrapError::WouldLose(lost)),
        }
    }

    /// The feed beyond what came: machines on the LAN may be behind this one.
    fn carry_pages(
        &self,
        intake: &mut Intake,
        (reader, upto): (&Reader, u64),
    ) -> Result<(), BootstrapError> {
        let room = SliceRoom {
            items: limits::PACK_PAGES,
            ..ROOM
        };
        let mut at = intake.driver().engine().feed().held();
        while at < upto {
            let slice = reader.read(|view| view.feed_slice((at, upto), room))?;
            if slice.items.is_empty() {
                break;
            }
            at = slice.at;
            whole(intake.take(Part::Pages(slice.items.into_iter().map(Packed).collect()))?)?;
        }
        Ok(())
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
fn whole(taken: Taken) -> Result<Taken, BootstrapError> {
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
