//! Snapshots of studios: made beside all other work, kept as objects, and given to whoever has to begin or begin anew.
//!
//! A chunk is put before the manifest that names it, and taken away after the last one that did, so a manifest that is found can be fetched
//! whole. Several servers may make them at once: whatever they put under one name is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use studiovault_protocol::id::{Hash, StudioId};
use studiovault_protocol::limits;
use studiovault_protocol::snapshot::{ChunkName, Manifest};

use crate::objects::{Objects, ObjectsError};
use crate::store::StoreError;

mod making;
pub mod upkeep;

/// Manifests of one studio that are kept: whoever is fetching one has the time of two more to end.
const KEPT: usize = 3;

/// Why there is no snapshot. Nothing that was there is gone.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The asker's.
    #[error("this studio is not enrolled here")]
    NotEnrolled,
    /// Whoever's who put the database back.
    #[error("the feed is behind what it was: nothing is made of it until its end has come back")]
    Behind,
    /// The maker's: more than a manifest can name.
    #[error("the studio is larger than a snapshot can be")]
    TooLarge,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place of the objects.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// A bug.
    #[error("the snapshot broke off; whoever runs the server finds more in its log")]
    Broken,
}

/// All snapshots of a cloud truth.
#[derive(Debug)]
pub struct Snapshots {
    objects: Objects,
    /// One is made at a time.
    turn: tokio::sync::Mutex<()>,
    /// The one that was asked for last: whoever fetches its chunks asks for many.
    recent: Mutex<Option<(StudioId, Arc<Manifest>)>>,
}

impl Snapshots {
    /// Kept there.
    pub fn new(objects: Objects) -> Self {
        Self {
            objects,
            turn: tokio::sync::Mutex::default(),
            recent: Mutex::default(),
        }
    }

    /// The newest of a studio.
    pub async fn latest(&self, studio: StudioId) -> Result<Option<Arc<Manifest>>, SnapshotError> {
        let held = self.objects.held(&manifests(studio)).await?;
        for name in held.keys().rev() {
            // One that was damaged is passed over for the one before.
            if let Some(manifest) = self.manifest(studio, name).await? {
                return Ok(Some(self.remember(studio, manifest)));
            }
        }
        Ok(None)
    }

    /// The one of that id.
    pub async fn named(
        &self,
        studio: StudioId,
        id: Hash,
    ) -> Result<Option<Arc<Manifest>>, SnapshotError> {
        if let Some(manifest) = self.recalled(studio, id) {
            return Ok(Some(manifest));
        }
        let held = self.objects.held(&manifests(studio)).await?;
        let wanted = id.to_string();
        let Some(name) = held.keys().find(|name| name.ends_with(&wanted)) else {
            return Ok(None);
        };
        let manifest = self.manifest(studio, name).await?;
        Ok(manifest.map(|manifest| self.remember(studio, manifest)))
    }

    /// The bytes of a chunk; `None` if it is gone or damaged. A damaged one is taken away, so that the next snapshot keeps it anew.
    pub async fn chunk(
        &self,
        studio: StudioId,
        name: &ChunkName,
    ) -> Result<Option<Bytes>, SnapshotError> {
        let (key, most) = (
            chunk_key(studio, name.hash),
            limits::SNAPSHOT_CHUNK_PACKED_BYTES,
        );
        let found = self.objects.read(&key, most).await?;
        if found.as_ref().is_some_and(|bytes| !name.names(bytes)) {
            tracing::error!(chunk = %name.hash, "a chunk of a snapshot was damaged where it is kept; it is made anew with the next snapshot");
            self.objects.delete(&key).await?;
            return Ok(None);
        }
        Ok(found)
    }

    async fn manifest(
        &self,
        studio: StudioId,
        name: &str,
    ) -> Result<Option<Manifest>, SnapshotError> {
        let key = format!("{}/{name}", manifests(studio));
        let found = self.objects.read(&key, limits::MANIFEST_BYTES).await?;
        Ok(found.and_then(|bytes| Manifest::decode(&bytes[..]).ok()))
    }

    fn recalled(&self, studio: StudioId, id: Hash) -> Option<Arc<Manifest>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, manifest) = recent.as_ref()?;
        ((*of, manifest.id()) == (studio, id)).then(|| manifest.clone())
    }

    fn remember(&self, studio: StudioId, manifest: Manifest) -> Arc<Manifest> {
        let manifest = Arc::new(manifest);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Some((studio, manifest.clone()));
        manifest
    }

    /// The names of all chunks of a studio, with their lengths.
    async fn chunks_held(&self, studio: StudioId) -> Result<BTreeMap<String, u64>, SnapshotError> {
        Ok(self
            .objects
            .held(&format!("snapshots/{studio}/chunks"))
            .await?)
    }

    /// Keeps a chunk, unless it is kept already.
    async fn put_chunk(
        &self,
        studio: StudioId,
        (name, bytes): (&ChunkName, Bytes),
    ) -> Result<(), SnapshotError> {
        let key = chunk_key(studio, name.hash);
        if self.objects.length(&key).await? != Some(u64::from(name.packed)) {
            self.objects.put(&key, bytes).await?;
        }
        Ok(())
    }

    async fn put_manifest(
        &self,
        studio: StudioId,
        manifest: &Manifest,
    ) -> Result<(), SnapshotError> {
        let body = manifest.body();
        let (position, issued) = (body.position, body.issued.0.max(0));
        let name = format!("{position:020}-{issued:020}-{}", manifest.id());
        let key = format!("{}/{name}", manifests(studio));
        let bytes = Bytes::copy_from_slice(manifest.bytes());
        Ok(self.objects.put(&key, bytes).await?)
    }

    /// Takes the oldest away, and every chunk that only they named.
    async fn forget_old(&self, studio: StudioId) -> Result<(), SnapshotError> {
        let held = self.objects.held(&manifests(studio)).await?;
        let names: Vec<&String> = held.keys().collect();
        let (old, kept) = names.split_at(names.len().saturating_sub(KEPT));
        if old.is_empty() {
            return Ok(());
        }
        let mut needed = BTreeSet::new();
        for name in kept {
            if let Some(manifest) = self.manifest(studio, name).await? {
                needed.extend(manifest.chunks().map(|chunk| chunk.hash));
            }
        }
        for name in old {
            let manifest = self.manifest(studio, name).await?;
            self.objects
                .delete(&format!("{}/{name}", manifests(studio)))
                .await?;
            let chunks: Vec<Hash> = manifest
                .iter()
                .flat_map(Manifest::chunks)
                .map(|chunk| chunk.hash)
                .collect();
            for hash in chunks.into_iter().filter(|hash| !needed.contains(hash)) {
                self.objects.delete(&chunk_key(studio, hash)).await?;
            }
        }
        Ok(())
    }
}

fn manifests(studio: StudioId) -> String {
    format!("snapshots/{studio}/manifests")
}

fn chunk_key(studio: StudioId, hash: Hash) -> String {
    format!("snapshots/{studio}/chunks/{hash}")
}
