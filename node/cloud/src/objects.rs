//! Where snapshots are kept beside the database: objects under keys, in a folder by default.
//!
//! An object is there whole or not at all, and on the disk once it is put. Nobody's word is taken for what an object holds: whoever reads one
//! checks it, and none is read that is larger than it may be.

use std::error::Error;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

/// Why an object is not kept or not given. The disk's, or whoever's who runs the store.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// It is away, full, or refuses.
    #[error(
        "the place of the snapshots cannot be used ({0}): check that it is there, has room, and lets this server in"
    )]
    Away(#[source] Box<dyn Error + Send + Sync>),
    /// Something else was put in an object's place.
    #[error(
        "an object of the snapshots is larger than it can be: delete it, and make a new snapshot"
    )]
    TooLarge,
}

impl From<object_store::Error> for ObjectsError {
    fn from(error: object_store::Error) -> Self {
        Self::Away(error.into())
    }
}

/// A place for objects.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

impl Objects {
    /// In a folder, which is made.
    pub fn in_folder(folder: &FilePath) -> Result<Self, ObjectsError> {
        std::fs::create_dir_all(folder).map_err(|error| ObjectsError::Away(error.into()))?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
        })
    }

    /// Gone with the process.
    pub fn in_memory() -> Self {
        Self {
            store: Arc::new(InMemory::new()),
        }
    }

    /// Keeps an object.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectsError> {
        self.store.put(&Path::from(key), bytes.into()).await?;
        Ok(())
    }

    /// An object of at most so many bytes.
    pub async fn read(&self, key: &str, most: usize) -> Result<Option<Bytes>, ObjectsError> {
        let found = match self.store.get(&Path::from(key)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        if found.meta.size > most as u64 {
            return Err(ObjectsError::TooLarge);
        }
        Ok(Some(found.bytes().await?))
    }

    /// How many bytes an object has.
    pub async fn length(&self, key: &str) -> Result<Option<u64>, ObjectsError> {
        match self.store.head(&Path::from(key)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => Ok(Some(found?.size)),
        }
    }

    /// The names of all objects under a key, in order.
    pub async fn names(&self, under: &str) -> Result<Vec<String>, ObjectsError> {
        let under = Path::from(under);
        let found = self.store.list(Some(&under));
        let found: Vec<_> = found.try_collect().await?;
        let names = found.iter().filter_map(|object| object.location.filename());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Takes an object away; one that is gone already is no fault.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectsError> {
        match self.store.delete(&Path::from(key)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => Ok(done?),
        }
    }
}
