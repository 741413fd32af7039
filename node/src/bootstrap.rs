//! Bootstrap: this machine's store made anew from a snapshot of the cloud truth, beside the one that is there.
//!
//! Nothing is believed before it is verified: the manifest by its signature, every chunk by its hash, and what is in them by the node's own
//! engine, bundle by bundle and page by page. The old store is only read until the new one is whole and holds all that the old one held.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use studiovault_protocol::author::WAY_BACK;
use studiovault_protocol::feed::Page;
use studiovault_protocol::id::Author;
use studiovault_protocol::membership::Roster;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::snapshot::{Expected, Manifest, ManifestError, Seen};

use crate::clock;
use crate::config::{ConfigError, FolderLock, Machine, write_secret};
use crate::node::{NodeError, PackRefused};
use crate::snapshots::{FileError, is_file};
use crate::store::{Location, Reader, SliceRoom, Store, StoreError};
use crate::uplink::UplinkError;
use crate::wording::parted;

mod chunks;
mod delta;
mod fetch;
mod lan;
mod loading;

pub use delta::Base;
pub use lan::LanReach;
pub use loading::{Filled, Loaded};

/// What is being done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Chunks come; counted in bytes.
    Fetching,
    /// What this machine holds of it goes into the new store; counted in places of its log.
    TakingOver,
    /// The chunks go into it; counted in chunks.
    Loading,
    /// Machines on the LAN fill it; counted in commands.
    Filling,
}

/// Why this machine was not begun anew. Its store is as it was; chunks that were fetched stay for the next try.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder or the studio file.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The way to the cloud.
    #[error("{}; nothing was changed: {}", parted(&.0.to_string()).0, again(.0))]
    Uplink(#[from] UplinkError),
    /// The disk's, most likely: there is no room for a second store beside the first.
    #[error(
        "the new store could not be kept; nothing was changed: make room on the disk for a second store beside the one that is there, then try again"
    )]
    NotKept,
    /// The person's: there is nobody who makes snapshots.
    #[error(
        "this studio has no cloud truth, and so no snapshots; take what the other machines hold with `studiovault bootstrap --lan`"
    )]
    NoCloud,
    /// The cloud's: it has not made one yet.
    #[error(
        "the cloud has no snapshot of this studio yet; have one made with `studiovault cloud snapshot`, or start `studiovault run`: everything comes by itself"
    )]
    NoSnapshot,
    /// The giver's, or this machine's clock.
    #[error(
        "{0}; nothing was changed: have a new snapshot made with `studiovault cloud snapshot`, and check this machine's clock"
    )]
    Manifest(#[from] ManifestError),
    /// The giver's.
    #[error(
        "a chunk of the snapshot is not the one that its manifest names; nothing was changed: try again, and tell whoever runs the cloud"
    )]
    Chunk,
    /// The snapshot's maker's.
    #[error(
        "the snapshot holds what this machine refuses: {0}; nothing was changed: have a new one made, and tell whoever runs the cloud"
    )]
    Refused(String),
    /// A bug, or damage: the same logs come to another state here.
    #[error(
        "the snapshot's logs come to another state here than at the cloud; nothing was changed: run the same version on both, then have a new snapshot made"
    )]
    OtherState,
    /// Nobody who could fill it.
    #[error(
        "no machine of the studio came in reach within a minute, or all of them went; nothing was changed: start one on this network, or name its address with --peer"
    )]
    Alone,
    /// This machine wrote what would not be in the new store.
    #[error(
        "{0} transactions of this machine would be lost; nothing was changed: start `studiovault run` until they are with the cloud, then try again"
    )]
    WouldLose(u64),
    /// The person's: something else stands where a file belongs.
    #[error("{0} is no file; nothing was changed: take it away, then try again")]
    NoFile(PathBuf),
    /// The disk's.
    #[error(
        "{path}: {source}; nothing was changed: make room, check that the folder may be written, then try again"
    )]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<FileError> for BootstrapError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Chunk => Self::Chunk,
            FileError::NoFile(path) => Self::NoFile(path),
            FileError::Disk { path, source } => Self::Disk { path, source },
        }
    }
}

impl From<PackRefused> for BootstrapError {
    fn from(refused: PackRefused) -> Self {
        match refused {
            PackRefused::NotKept => Self::NotKept,
            other => Self::Refused(other.to_string()),
        }
    }
}

/// What to do about it, with nobody who tries again: the words of a running node would promise that.
fn again(error: &UplinkError) -> &'static str {
    match error {
        UplinkError::Unauthorised(_) => {
            "sign in again with `studiovault login`, then run this again"
        }
        UplinkError::Unknown(_) => "start `studiovault run` until the cloud knows this machine",
        UplinkError::Missing(_) => {
            "have a new snapshot made with `studiovault cloud snapshot`, then run this again"
        }
        UplinkError::ShutOut => WAY_BACK,
        UplinkError::Nonsense(_) | UplinkError::Address(_) => {
            "check that the address is the cloud's and both are up to date"
        }
        _ => "run this again when the cloud is in reach",
    }
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> BootstrapError {
    let path = path.to_owned();
    move |source| BootstrapError::Disk { path, source }
}

/// A machine that begins anew; its folder is taken for as long as this lives.
pub struct Bootstrap {
    machine: Machine,
    roster: Roster,
    /// How far the newest snapshot went that this machine has seen.
    noted: Option<Seen>,
    /// How far the store holds the feed.
    held: Option<Seen>,
    own: BTreeSet<Author>,
    _lock: FolderLock,
}

impl Bootstrap {
    /// Takes the folder, with which no node may run, and reads what it knows.
    pub fn begin(machine: Machine) -> Result<Self, BootstrapError> {
        let lock = machine.folder.lock()?;
        let folder = machine.folder.path().to_owned();
        let store = Store::open(Location::Folder(folder.clone()), &Policy::default())?;
        let own = store.own_epochs()?;
        let restored = store.restore()?;
        drop(store);
        let roster = machine.studio.roster().map_err(NodeError::Studio);
        let mut roster = roster?;
        // A stored record was checked when it came; one that no longer passes is left out.
        roster.extend(restored.records);
        let held = restored
            .feed_ends
            .last()
            .map_or(0, |(position, _)| *position);
        let held = match held {
            0 => None,
            held => held_feed(&folder, held)?,
        };
        Ok(Self {
            noted: noted(&machine)?,
            machine,
            roster,
            held,
            own,
            _lock: lock,
        })
    }

    /// Whether there is a cloud truth whose snapshots can be taken.
    pub fn check_cloud(&self) -> Result<(), BootstrapError> {
        let cloud = self.roster.cloud();
        cloud.map(|_| ()).ok_or(BootstrapError::NoCloud)
    }

    /// Decides on a manifest, and notes that one that may be loaded was seen: an older one is refused from then on.
    pub fn check(&self, bytes: Vec<u8>) -> Result<Manifest, BootstrapError> {
        let cloud = self.roster.cloud().ok_or(BootstrapError::NoCloud)?;
        let manifest = Manifest::decode(bytes)?;
        manifest.check(&Expected {
            studio: self.machine.studio.studio,
            cloud: cloud.grant.device,
            key: &cloud.key,
            seen: self.seen_before(&manifest)?,
            now: clock::wall(),
        })?;
        let text = serde_json::to_string(&Noted::from(manifest.seen()))
            .expect("small values always encode");
        write_secret(&noted_path(&self.machine), text.as_bytes())?;
        Ok(manifest)
    }

    /// What a manifest is held against. A machine that goes on with the feed takes the newest snapshot also where it is behind its store:
    /// the store's own page shows that it is of this very feed, and what is newer is carried over. An older snapshot than one that was
    /// seen is taken by nobody.
    fn seen_before(&self, manifest: &Manifest) -> Result<Option<Seen>, BootstrapError> {
        let body = manifest.body();
        let held = self.held.filter(|held| held.author == body.author);
        if held.is_some_and(|held| body.position < held.position) {
            let reader = Reader::open(self.machine.folder.path())?;
            let page = reader.read(|view| view.page_to(body.position))?;
            let page = page.and_then(|bytes| Page::decode(bytes).ok());
            if page.is_some_and(|page| page.hash() == body.head) {
                return Ok(self.noted.filter(|noted| noted.author == body.author));
            }
        }
        Ok(newest(self.held, self.noted))
    }

    /// Where chunks and the new store stand until it is done.
    fn place(&self) -> PathBuf {
        self.machine.folder.path().join("bootstrap")
    }
}

/// What stands in the file of what was seen.
#[derive(Serialize, Deserialize)]
struct Noted {
    device: studiovault_protocol::id::DeviceId,
    epoch: String,
    position: u64,
}

impl From<Seen> for Noted {
    fn from(seen: Seen) -> Self {
        Self {
            device: seen.author.device,
            epoch: format!("{:016x}", seen.author.epoch.0),
            position: seen.position,
        }
    }
}

fn noted_path(machine: &Machine) -> PathBuf {
    machine.folder.path().join("snapshot-seen.json")
}

/// What an earlier bootstrap noted. It outlives the store, so that one put back from a backup takes no older snapshot either.
fn noted(machine: &Machine) -> Result<Option<Seen>, BootstrapError> {
    let path = noted_path(machine);
    if !is_file(&path)? {
        return Ok(None);
    }
    let read = fs::read_to_string(&path).map_err(disk(&path))?;
    let noted = serde_json::from_str::<Noted>(&read).ok();
    Ok(noted.and_then(|noted| {
        let epoch = u64::from_str_radix(&noted.epoch, 16).ok()?;
        Some(Seen {
            author: Author {
                device: noted.device,
                epoch: studiovault_protocol::id::Epoch(epoch),
            },
            position: noted.position,
        })
    }))
}

/// Of two, the one that is further; the store's own feed counts where they are of two feeds.
fn newest(held: Option<Seen>, noted: Option<Seen>) -> Option<Seen> {
    match (held, noted) {
        (Some(held), Some(noted))
            if noted.author == held.author && noted.position > held.position =>
        {
            Some(noted)
        }
        (held, noted) => held.or(noted),
    }
}

/// Which feed a store holds up to a position.
fn held_feed(folder: &Path, position: u64) -> Result<Option<Seen>, StoreError> {
    let room = SliceRoom { bytes: 1, items: 1 };
    let first = Reader::open(folder)?.read(|view| view.feed_slice((0, position), room))?;
    let page = first
        .items
        .into_iter()
        .next()
        .and_then(|bytes| Page::decode(bytes).ok());
    Ok(page.map(|page| Seen {
        author: page.body().author,
        position,
    }))
}

#[cfg(test)]
mod tests;
