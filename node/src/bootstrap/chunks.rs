//! Chunks as files: each under its hash, whole or not there, so that a bootstrap that was broken off goes on where it was.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use studiovault_protocol::limits;
use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::{ChunkName, Manifest, split};

use super::delta::Base;
use super::{Bootstrap, BootstrapError, disk, is_file};

impl Bootstrap {
    fn chunks(&self) -> PathBuf {
        self.place().join("chunks")
    }

    fn chunk_path(&self, name: &ChunkName) -> PathBuf {
        self.chunks().join(name.hash.to_string())
    }

    /// The chunks of a manifest beyond the base that are not here, with their places. What is here and no chunk of it goes.
    pub fn missing(
        &self,
        manifest: &Manifest,
        base: Base,
    ) -> Result<Vec<(usize, ChunkName)>, BootstrapError> {
        let place = self.chunks();
        fs::create_dir_all(&place).map_err(disk(&place))?;
        let named: BTreeSet<String> = manifest
            .chunks()
            .map(|name| name.hash.to_string())
            .collect();
        for file in fs::read_dir(&place).map_err(disk(&place))? {
            let file = file.map_err(disk(&place))?;
            is_file(&file.path())?;
            if !named.contains(&*file.file_name().to_string_lossy()) {
                fs::remove_file(file.path()).map_err(disk(&file.path()))?;
            }
        }
        let mut missing = Vec::new();
        for (at, name) in base.beyond(manifest) {
            if self.read_chunk(name).is_err() {
                missing.push((at, *name));
            }
        }
        Ok(missing)
    }

    /// Keeps a chunk if it is the one that the manifest names.
    pub fn keep(&self, name: &ChunkName, bytes: &[u8]) -> Result<(), BootstrapError> {
        if !name.names(bytes) {
            return Err(BootstrapError::Chunk);
        }
        let path = self.chunk_path(name);
        let draft = path.with_extension("part");
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(disk(&path))
    }

    fn read_chunk(&self, name: &ChunkName) -> Result<Vec<u8>, BootstrapError> {
        let path = self.chunk_path(name);
        let length = fs::metadata(&path).map_err(disk(&path))?.len();
        if length != u64::from(name.packed) {
            return Err(BootstrapError::Chunk);
        }
        let bytes = fs::read(&path).map_err(disk(&path))?;
        name.names(&bytes)
            .then_some(bytes)
            .ok_or(BootstrapError::Chunk)
    }

    /// What is in a chunk that is here.
    pub(super) fn parts(&self, name: &ChunkName) -> Result<Vec<Part>, BootstrapError> {
        let packed = self.read_chunk(name)?;
        let most = limits::SNAPSHOT_CHUNK_BYTES.min(name.raw as usize);
        let raw = zstd::bulk::decompress(&packed, most).map_err(|_| BootstrapError::Chunk)?;
        if raw.len() != name.raw as usize {
            return Err(BootstrapError::Chunk);
        }
        split(&raw).map_err(|_| BootstrapError::Chunk)
    }
}
