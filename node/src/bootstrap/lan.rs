//! A new store from machines on the LAN, where there is no internet or no cloud truth: a node of its own beside the live store takes the
//! newest snapshot that one of them holds, signed by the cloud truth, and then pulls what they hold beyond it as every machine does.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use studiovault_protocol::api::Status;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::snapshot::{ChunkName, Manifest};
use studiovault_protocol::wire::Offer;
use tokio::sync::broadcast::error::RecvError;

use super::loading::{Filled, STORE, Unfinished};
use super::{Base, Bootstrap, BootstrapError, Loaded, Stage};
use crate::config::{Folder, Machine};
use crate::node::{Announce, Node, NodeConfig, Pull};
use crate::pack::Intake;
use crate::store::{Location, Store};
use crate::wording::parted;

/// Nobody came in reach for so long: there is nobody.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the machines on the LAN are found.
#[derive(Clone, Debug)]
pub struct LanReach {
    /// Where the mesh listens.
    pub listen: Vec<SocketAddr>,
    /// Addresses to dial besides what is found.
    pub peers: Vec<SocketAddr>,
    /// Whether this machine announces itself meanwhile.
    pub announce: Announce,
}

/// How long after the first link peers are waited for that hold a snapshot: they say so right after their hello.
const OFFERS: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(100);

/// A new store of a snapshot, or why none was loaded.
type Found = Result<Filled, Vec<String>>;

impl Bootstrap {
    /// Makes the new store from the newest snapshot that a machine in reach holds, and then from what they hold beyond it; from their logs
    /// alone where none has one that may be loaded. Puts it in the old one's place.
    pub async fn load_from_lan(
        self,
        reach: LanReach,
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Loaded, BootstrapError> {
        let (unfinished, mut loaded, held) = match self.load_snapshot(&reach, told).await? {
            Err(passed) => {
                let (folder, store) = self.fresh(STORE)?;
                drop(store);
                let loaded = Loaded {
                    passed,
                    ..Loaded::default()
                };
                (Unfinished(folder), loaded, None)
            }
            Ok(filled) => {
                let Filled {
                    unfinished,
                    intake,
                    loaded,
                    held,
                } = filled;
                drop(intake.into_store());
                (unfinished, loaded, held)
            }
        };
        let folder = unfinished.0.clone();
        let node = self.node((&folder, &reach), Pull::Everything).await?;
        let filled = fill(&node, told).await;
        let status = node.status_now().await;
        node.shutdown().await;
        drop(node);
        match filled {
            // The snapshot is whole without them; what is beyond it comes when they are back.
            Err(BootstrapError::Alone) if held.is_some() => {}
            filled => drop(filled?),
        }
        let store = Store::open(Location::Folder(folder), &Policy::default())?;
        let intake = Intake::beside(&self.machine, store)?;
        loaded.position = intake.driver().engine().feed().held();
        loaded.commands = status.counts.commands;
        self.finish(Filled {
            unfinished,
            intake,
            loaded,
            held,
        })
    }

    /// A node of this machine over another store, with no way to the cloud.
    async fn node(
        &self,
        (folder, reach): (&Path, &LanReach),
        pull: Pull,
    ) -> Result<Node, BootstrapError> {
        let mut studio = self.machine.studio.clone();
        studio.cloud = None;
        let machine = Machine {
            folder: Folder::at(folder),
            studio,
            ..self.machine.clone()
        };
        let config = NodeConfig {
            machine,
            listen: reach.listen.clone(),
            peers: reach.peers.clone(),
            announce: reach.announce,
        };
        Ok(Node::begin(config, pull).await?)
    }

    /// A new store of the newest snapshot that a machine in reach holds; else why none of theirs is loaded.
    async fn load_snapshot(
        &self,
        reach: &LanReach,
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Found, BootstrapError> {
        if self.check_cloud().is_err() {
            return Ok(Err(Vec::new()));
        }
        let (folder, store) = self.fresh("asking")?;
        let _unfinished = Unfinished(folder.clone());
        drop(store);
        let node = self.node((&folder, reach), Pull::Snapshots).await?;
        let filled = self.newest_of(&node, told).await;
        node.shutdown().await;
        filled
    }

    async fn newest_of(
        &self,
        node: &Node,
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Found, BootstrapError> {
        let mut passed = Vec::new();
        for offer in offers(node).await? {
            let filled = match self.of_offer((node, offer), told).await {
                Err(error @ (BootstrapError::Disk { .. } | BootstrapError::NotKept)) => {
                    return Err(error);
                }
                filled => filled,
            };
            match filled {
                Ok(mut filled) => {
                    filled.loaded.passed = passed;
                    return Ok(Ok(filled));
                }
                // Nothing of it is believed. What their logs hold, each author signed.
                Err(error) => passed.push(parted(&error.to_string()).0.to_owned()),
            }
        }
        Ok(Err(passed))
    }

    async fn of_offer(
        &self,
        (node, offer): (&Node, Offer),
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Filled, BootstrapError> {
        let bytes = node.obtain(offer.id, offer.manifest).await;
        let manifest = self.check(bytes.ok_or(BootstrapError::Chunk)?.to_vec())?;
        let base = self.base(&manifest)?;
        self.obtain(node, (&manifest, base), told).await?;
        match self.fill((&manifest, base), told) {
            // As with one from the cloud: nothing of the own store stands in.
            Err(BootstrapError::Refused(reason)) if base.is_some() => {
                tracing::info!(
                    reason,
                    "the store is no base; all of the snapshot is asked for"
                );
                let whole = (&manifest, Base::default());
                self.obtain(node, whole, told).await?;
                self.fill(whole, told)
            }
            filled => filled,
        }
    }

    /// Asks peers for every chunk beyond the base that is not here.
    async fn obtain(
        &self,
        node: &Node,
        (manifest, base): (&Manifest, Base),
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<(), BootstrapError> {
        let missing = self.missing(manifest, base)?;
        let all = base.packed_bytes(manifest);
        let lacking: u64 = missing.iter().map(|(_, name)| u64::from(name.packed)).sum();
        let mut done = all - lacking;
        told(Stage::Fetching, done, all);
        for (_, name) in missing {
            let bytes = chunk(node, &name).await?;
            self.keep(&name, &bytes)?;
            done += u64::from(name.packed);
            told(Stage::Fetching, done, all);
        }
        Ok(())
    }
}

/// A chunk from whichever peer has it. A link that broke is back within moments.
async fn chunk(node: &Node, name: &ChunkName) -> Result<Arc<[u8]>, BootstrapError> {
    /// How often, each time after a second.
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        if let Some(bytes) = node.obtain(name.hash, name.packed).await {
            return Ok(bytes);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let bytes = node.obtain(name.hash, name.packed).await;
    bytes.ok_or(BootstrapError::Chunk)
}

/// The snapshots that peers hold, the newest first; none if nobody has one.
async fn offers(node: &Node) -> Result<Vec<Offer>, BootstrapError> {
    let (began, mut linked) = (Instant::now(), None);
    loop {
        if linked.is_none() && !node.status().peers.is_empty() {
            linked = Some(Instant::now());
        }
        if linked.is_some_and(|since| since.elapsed() >= OFFERS) {
            let mut offers = node.offers().await;
            offers.sort_by_key(|offer| (std::cmp::Reverse(offer.position), offer.id));
            offers.dedup_by_key(|offer| offer.id);
            return Ok(offers);
        }
        if linked.is_none() && began.elapsed() >= PATIENCE {
            return Err(BootstrapError::Alone);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until no machine in reach holds anything that is lacking here.
async fn fill(
    node: &Node,
    told: &mut dyn FnMut(Stage, u64, u64),
) -> Result<std::sync::Arc<Status>, BootstrapError> {
    let mut events = node.events();
    let (mut best, mut since) = (0, Instant::now());
    loop {
        let status = node.status();
        let lacking = status.peers.iter().map(|peer| peer.ahead).max();
        let held = status.counts.commands;
        // Links that are tried and refused are events as well, and no progress.
        if held > best {
            (best, since) = (held, Instant::now());
        }
        match lacking {
            Some(0) => return Ok(status),
            Some(lacking) => told(Stage::Filling, held, held + lacking),
            None => {}
        }
        let left = PATIENCE.saturating_sub(since.elapsed());
        match tokio::time::timeout(left, events.recv()).await {
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => return Err(BootstrapError::Alone),
        }
    }
}
