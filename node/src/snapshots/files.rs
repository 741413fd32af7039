//! Chunks as files: each under its hash, whole or not there, so that what was broken off goes on where it was.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use studiovault_protocol::id::Hash;
use studiovault_protocol::limits;
use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::{ChunkName, Manifest, split};

/// Why a chunk is not read or kept. What was there is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its giver's, or damage.
    #[error("a chunk of the snapshot is not the one that its manifest names")]
    Chunk,
    /// The person's: something else stands where a file belongs.
    #[error("{0} is no file")]
    NoFile(PathBuf),
    /// The disk's.
    #[error("{path}: {source}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A folder of chunks.
#[derive(Clone, Debug)]
pub struct ChunkFiles(PathBuf);

impl ChunkFiles {
    /// Those in a folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where a chunk stands.
    pub fn path(&self, hash: Hash) -> PathBuf {
        self.0.join(hash.to_string())
    }

    /// Makes the folder, and takes away whatever in it the manifest does not name.
    pub fn tidy(&self, manifest: &Manifest) -> Result<(), FileError> {
        let place = &self.0;
        fs::create_dir_all(place).map_err(disk(place))?;
        let chunks = manifest.chunks();
        let named: BTreeSet<String> = chunks.map(|name| name.hash.to_string()).collect();
        for file in fs::read_dir(place).map_err(disk(place))? {
            let file = file.map_err(disk(place))?;
            is_file(&file.path())?;
            if !named.contains(&*file.file_name().to_string_lossy()) {
                fs::remove_file(file.path()).map_err(disk(&file.path()))?;
            }
        }
        Ok(())
    }

    /// Keeps a chunk if it is the one of that name.
    pub fn keep(&self, name: &ChunkName, bytes: &[u8]) -> Result<(), FileError> {
        if !name.names(bytes) {
            return Err(FileError::Chunk);
        }
        write_whole(&self.path(name.hash), bytes)
    }

    /// A chunk as it is kept.
    pub fn read(&self, name: &ChunkName) -> Result<Vec<u8>, FileError> {
        let path = self.path(name.hash);
        let length = fs::metadata(&path).map_err(disk(&path))?.len();
        if length != u64::from(name.packed) {
            return Err(FileError::Chunk);
        }
        let bytes = fs::read(&path).map_err(disk(&path))?;
        name.names(&bytes).then_some(bytes).ok_or(FileError::Chunk)
    }

    /// What is in a chunk.
    pub fn parts(&self, name: &ChunkName) -> Result<Vec<Part>, FileError> {
        let packed = self.read(name)?;
        let most = limits::SNAPSHOT_CHUNK_BYTES.min(name.raw as usize);
        let raw = zstd::bulk::decompress(&packed, most).map_err(|_| FileError::Chunk)?;
        if raw.len() != name.raw as usize {
            return Err(FileError::Chunk);
        }
        split(&raw).map_err(|_| FileError::Chunk)
    }
}

/// Bytes of a file from one on, as many as a frame carries, and how many it has in all. `None`: there is no such file, or nothing there.
pub(super) fn piece(path: &Path, from: u32) -> Option<(u32, Vec<u8>)> {
    let mut file = File::open(path).ok()?;
    let length = u32::try_from(file.metadata().ok()?.len()).ok()?;
    let most = limits::PIECE_BYTES.min(length.checked_sub(from)? as usize);
    file.seek(SeekFrom::Start(u64::from(from))).ok()?;
    let mut bytes = vec![0; most];
    file.read_exact(&mut bytes).ok()?;
    (!bytes.is_empty()).then_some((length, bytes))
}

/// Writes a file, whole or not at all, onto the disk.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let draft = path.with_extension("part");
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(disk(path))
}

/// Has the names of a folder's files on the disk. Windows has no such thing: there a rename lasts as files do.
pub(super) fn sync_names(folder: &Path) -> Result<(), FileError> {
    if cfg!(unix) {
        let sync = || File::open(folder)?.sync_all();
        sync().map_err(disk(folder))?;
    }
    Ok(())
}

/// Whether there is a file. Something else of that name is nobody's work here, and reading a pipe would never end.
pub fn is_file(path: &Path) -> Result<bool, FileError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => Err(FileError::NoFile(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(disk(path)(error)),
    }
}

pub(super) fn disk(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Disk { path, source }
}
