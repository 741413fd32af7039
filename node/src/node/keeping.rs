//! Holding the newest snapshot: its manifest from a peer or from the cloud, its chunks of the machine's own log, from peers, or from the
//! cloud, in this order.
//!
//! Whoever holds it hands it on, so that a machine with no internet begins from it. A machine whose peers hold one asks the cloud only
//! where it carries for them; nothing here is in the way of a write.

use std::sync::Arc;
use std::time::Duration;

use studiovault_protocol::feed::Page;
use studiovault_protocol::id::Hash;
use studiovault_protocol::snapshot::{ChunkName, Expected, Manifest, Seen};
use studiovault_protocol::wire::Offer;
use tokio::sync::oneshot;

use super::{Inner, Node};
use crate::clock;
use crate::runner::{Local, Relay};
use crate::snapshots::{MakeError, Shelf, make_segment};
use crate::store::SliceRoom;

/// After a start the first look is put off so long: links stand by then.
const FIRST: Duration = Duration::from_secs(2);
/// How often a machine looks at what its peers hold.
const LOOK: Duration = Duration::from_secs(15);
/// Of how many looks one asks the cloud: about once an hour.
const CLOUD_LOOKS: u64 = 240;
/// How long peers may take for one object: a mebibyte or two.
const PATIENCE: Duration = Duration::from_secs(60);
/// Manifests that were looked at and are not to be held.
const PASSED: usize = 64;

impl Node {
    /// The snapshots that peers hold.
    pub(crate) async fn offers(&self) -> Vec<Offer> {
        self.inner.offers().await
    }

    /// A manifest or a chunk from a peer, which is what that name stands for; `None` if nobody in reach has it.
    pub(crate) async fn obtain(&self, object: Hash, most: u32) -> Option<Arc<[u8]>> {
        self.inner.obtain(object, most).await
    }
}

impl Inner {
    async fn offers(&self) -> Vec<Offer> {
        let (answer, answered) = oneshot::channel();
        // A node that stops is told of nothing any more.
        let _ = self.local.send(Local::Relay(Relay::Offers(answer))).await;
        answered.await.unwrap_or_default()
    }

    async fn obtain(&self, object: Hash, most: u32) -> Option<Arc<[u8]>> {
        let (answer, answered) = oneshot::channel();
        let asked = Local::Relay(Relay::Obtain((object, most), answer));
        self.local.send(asked).await.ok()?;
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.ok()?.ok()?
    }
}

/// Looks for newer snapshots for as long as the node runs.
pub(super) fn spawn(inner: &Arc<Inner>) {
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        let mut keeping = Keeping::default();
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            let Some(running) = inner.upgrade() else {
                return;
            };
            keeping.look(&running).await;
            pause = LOOK;
        }
    });
}

/// What is known of snapshots from look to look.
#[derive(Default)]
struct Keeping {
    looks: u64,
    passed: Vec<Hash>,
}

impl Keeping {
    async fn look(&mut self, inner: &Arc<Inner>) {
        let shelf = Shelf::of(inner.folder.path());
        let roster = inner.board.roster();
        let Some(cloud) = roster.cloud() else {
            return;
        };
        let held = shelf.manifest();
        let held = held.filter(|held| held.is_signed_by(&cloud.key));
        let is_first = self.looks == 0;
        let newer = self.newer(inner, held.as_ref()).await;
        // After a start what is held is looked through as well: what was damaged is made or fetched anew.
        let Some(manifest) = newer.or(held.filter(|_| is_first)) else {
            return;
        };
        if let Err(reason) = hold(inner, (&shelf, &manifest)).await {
            tracing::info!(%reason, "the newest snapshot is not held yet; it is tried again");
        }
    }

    /// A manifest that is newer than the one held, from a peer, else from the cloud.
    async fn newer(&mut self, inner: &Arc<Inner>, held: Option<&Manifest>) -> Option<Manifest> {
        let at = held.map_or(0, |held| held.body().position);
        let offers = inner.offers().await;
        let mut better: Vec<Offer> = offers
            .iter()
            .filter(|offer| held.is_none_or(|held| held.id() != offer.id))
            .filter(|offer| offer.position >= at && !self.passed.contains(&offer.id))
            .copied()
            .collect();
        better.sort_by_key(|offer| std::cmp::Reverse(offer.position));
        for offer in better {
            let bytes = inner.obtain(offer.id, offer.manifest).await;
            let found = bytes.and_then(|bytes| self.fit(inner, held, bytes.to_vec()));
            if found.is_some() {
                return found;
            }
            self.pass(offer.id);
        }
        let is_due = self.looks.is_multiple_of(CLOUD_LOOKS);
        self.looks += 1;
        let gateway = inner.board.status().gateway.as_ref().map(|one| one.device);
        let is_mine = offers.is_empty() || gateway == Some(inner.device);
        let cloud = inner.cloud.as_ref().filter(|_| is_due && is_mine)?;
        match cloud.snapshot().await {
            Ok(bytes) => self.fit(inner, held, bytes),
            Err(error) => {
                tracing::debug!(%error, "the cloud gave no snapshot");
                None
            }
        }
    }

    fn pass(&mut self, id: Hash) {
        if self.passed.len() >= PASSED {
            self.passed.remove(0);
        }
        self.passed.push(id);
    }

    /// A manifest that may be held, and is newer than the one that is.
    fn fit(
        &mut self,
        inner: &Arc<Inner>,
        held: Option<&Manifest>,
        bytes: Vec<u8>,
    ) -> Option<Manifest> {
        let manifest = Manifest::decode(bytes).ok()?;
        let roster = inner.board.roster();
        let cloud = roster.cloud()?;
        let body = manifest.body();
        let expected = Expected {
            studio: inner.studio.studio,
            cloud: cloud.grant.device,
            key: &cloud.key,
            seen: seen(inner, held),
            now: clock::wall(),
        };
        if let Err(error) = manifest.check(&expected) {
            tracing::warn!(%error, "a snapshot that was offered is not taken");
            self.pass(manifest.id());
            return None;
        }
        let is_newer = held.is_none_or(|held| {
            let held = held.body();
            let at =
                |body: &studiovault_protocol::snapshot::ManifestBody| (body.position, body.issued);
            held.author != body.author || at(body) > at(held)
        });
        is_newer.then_some(manifest)
    }
}

/// What a manifest is held against: the feed that this machine has, and the snapshot that it holds of it.
fn seen(inner: &Arc<Inner>, held: Option<&Manifest>) -> Option<Seen> {
    let room = SliceRoom { bytes: 1, items: 1 };
    let first = inner
        .reader
        .read(|view| view.feed_slice((0, u64::MAX >> 2), room));
    let page = first.ok()?.items.into_iter().next();
    let author = page
        .and_then(|bytes| Page::decode(bytes).ok())?
        .body()
        .author;
    let held = held.filter(|held| held.body().author == author);
    let position = held.map_or(0, |held| held.body().position);
    Some(Seen { author, position })
}

/// Why a snapshot is not held.
#[derive(Debug, thiserror::Error)]
enum NotHeld {
    #[error("a chunk of it is in nobody's reach")]
    Chunk,
    #[error(transparent)]
    File(#[from] crate::snapshots::FileError),
    #[error(transparent)]
    Made(#[from] MakeError),
    #[error("the work broke off")]
    Broken,
}

/// Gets every chunk of a manifest, and then puts it on the shelf.
async fn hold(inner: &Arc<Inner>, (shelf, manifest): (&Shelf, &Manifest)) -> Result<(), NotHeld> {
    shelf.prepare()?;
    let (mut first, mut fetched) = (0, 0);
    for (at, segment) in manifest.body().segments.iter().enumerate() {
        for place in make(inner, (shelf, manifest), at).await? {
            let name = &segment.chunks[place];
            let bytes = fetch(inner, (manifest, first + place), name).await;
            shelf.chunks().keep(name, &bytes.ok_or(NotHeld::Chunk)?)?;
            fetched += u64::from(name.packed);
        }
        first += segment.chunks.len();
    }
    let offer = shelf.hold(manifest)?;
    let (position, bytes) = (offer.position, manifest.packed_bytes());
    tracing::info!(position, bytes, fetched, "holds the newest snapshot");
    // A node that stops tells nobody any more.
    let _ = inner.local.send(Local::Relay(Relay::Hold(offer))).await;
    Ok(())
}

/// Makes what is missing of a segment of the machine's own log; the places of its chunks that are still missing then.
async fn make(
    inner: &Arc<Inner>,
    (shelf, manifest): (&Shelf, &Manifest),
    segment: usize,
) -> Result<Vec<usize>, NotHeld> {
    let (inner, manifest, files) = (inner.clone(), manifest.clone(), shelf.chunks().clone());
    let made = tokio::task::spawn_blocking(move || {
        let names = &manifest.body().segments[segment].chunks;
        let missing = || {
            let places = names.iter().enumerate();
            let missing = places.filter(|(_, name)| files.read(name).is_err());
            missing.map(|(place, _)| place).collect::<Vec<_>>()
        };
        if missing().is_empty() {
            return Ok(Vec::new());
        }
        for (at, bytes) in make_segment(&inner.reader, &manifest, segment)? {
            files.keep(&names[at], &bytes)?;
        }
        Ok(missing())
    });
    made.await.unwrap_or(Err(NotHeld::Broken))
}

/// A chunk from a peer, else from the cloud.
async fn fetch(
    inner: &Arc<Inner>,
    (manifest, place): (&Manifest, usize),
    name: &ChunkName,
) -> Option<Vec<u8>> {
    let from_peer = inner.obtain(name.hash, name.packed).await;
    if let Some(bytes) = from_peer.filter(|bytes| name.names(bytes)) {
        return Some(bytes.to_vec());
    }
    let bytes = inner
        .cloud
        .as_ref()?
        .snapshot_chunk(manifest.id(), place)
        .await;
    bytes.ok().filter(|bytes| name.names(bytes))
}
