//! Chunks of the snapshot that is being loaded, kept so that a bootstrap that was broken off goes on where it was.

use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::{ChunkName, Manifest};

use super::delta::Base;
use super::{Bootstrap, BootstrapError};
use crate::snapshots::{ChunkFiles, FileError, Shelf};

impl Bootstrap {
    fn chunks(&self) -> ChunkFiles {
        ChunkFiles::at(self.place().join("chunks"))
    }

    /// The chunks of a manifest beyond the base that are not here, with their places. What is here and no chunk of it goes.
    pub fn missing(
        &self,
        manifest: &Manifest,
        base: Base,
    ) -> Result<Vec<(usize, ChunkName)>, BootstrapError> {
        let chunks = self.chunks();
        chunks.tidy(manifest)?;
        let beyond = base.beyond(manifest);
        let missing = beyond.filter(|(_, name)| chunks.read(name).is_err());
        Ok(missing.map(|(place, name)| (place, *name)).collect())
    }

    /// Keeps a chunk if it is the one that the manifest names.
    pub fn keep(&self, name: &ChunkName, bytes: &[u8]) -> Result<(), BootstrapError> {
        Ok(self.chunks().keep(name, bytes)?)
    }

    /// Puts the snapshot that was loaded where it is held and handed on, if all of it came. Else it is made there when the node runs.
    pub(super) fn shelve(&self, manifest: &Manifest) {
        let (shelf, chunks) = (Shelf::of(self.machine.folder.path()), self.chunks());
        let shelve = || {
            if manifest.chunks().any(|name| chunks.read(name).is_err()) {
                return Ok(());
            }
            shelf.prepare()?;
            for name in manifest.chunks() {
                shelf.chunks().keep(name, &chunks.read(name)?)?;
            }
            shelf.hold(manifest).map(drop)
        };
        if let Err(error) = shelve() {
            let error: FileError = error;
            tracing::info!(%error, "the snapshot is not held; it is tried again when the node runs");
        }
    }

    /// What is in a chunk that is here.
    pub(super) fn parts(&self, name: &ChunkName) -> Result<Vec<Part>, BootstrapError> {
        Ok(self.chunks().parts(name)?)
    }
}
