//! The snapshot that a machine holds, whole, and hands on to its peers.

use std::fs;
use std::path::{Path, PathBuf};

use studiovault_protocol::id::Hash;
use studiovault_protocol::limits;
use studiovault_protocol::snapshot::Manifest;
use studiovault_protocol::wire::Offer;

use super::files::{ChunkFiles, FileError, disk, is_file, piece, sync_names, write_whole};

/// The folder `snapshot` of a machine.
#[derive(Clone, Debug)]
pub struct Shelf {
    place: PathBuf,
    chunks: ChunkFiles,
}

impl Shelf {
    /// Of a machine's folder.
    pub fn of(folder: &Path) -> Self {
        let place = folder.join("snapshot");
        let chunks = ChunkFiles::at(place.join("chunks"));
        Self { place, chunks }
    }

    fn manifest_path(&self) -> PathBuf {
        self.place.join("manifest")
    }

    /// Its chunks, and others that are on their way onto it.
    pub fn chunks(&self) -> &ChunkFiles {
        &self.chunks
    }

    /// The manifest that stands here. It was checked when it came.
    pub fn manifest(&self) -> Option<Manifest> {
        let path = self.manifest_path();
        let length = fs::metadata(&path).ok()?.len();
        if length > limits::MANIFEST_BYTES as u64 || !is_file(&path).ok()? {
            return None;
        }
        Manifest::decode(fs::read(&path).ok()?).ok()
    }

    /// What peers are told of it.
    pub fn offer(&self) -> Option<Offer> {
        self.manifest().map(|manifest| offer(&manifest))
    }

    /// Bytes of the manifest or of a chunk from one on, and how many it has in all.
    pub fn piece(&self, object: Hash, from: u32) -> Option<(u32, Vec<u8>)> {
        piece(&self.chunks.path(object), from).or_else(|| {
            let path = self.manifest_path();
            let is_it = self.manifest()?.id() == object;
            is_it.then(|| piece(&path, from))?
        })
    }

    /// Makes room for chunks.
    pub fn prepare(&self) -> Result<(), FileError> {
        let place = self.place.join("chunks");
        fs::create_dir_all(&place).map_err(disk(&place))
    }

    /// Puts a manifest here whose chunks all stand here; what only the one before named goes.
    pub fn hold(&self, manifest: &Manifest) -> Result<Offer, FileError> {
        // What comes after rests on it.
        sync_names(&self.place.join("chunks"))?;
        write_whole(&self.manifest_path(), manifest.bytes())?;
        sync_names(&self.place)?;
        self.chunks.tidy(manifest)?;
        Ok(offer(manifest))
    }
}

fn offer(manifest: &Manifest) -> Offer {
    Offer {
        id: manifest.id(),
        position: manifest.body().position,
        manifest: u32::try_from(manifest.bytes().len()).expect("a manifest is bounded"),
    }
}
