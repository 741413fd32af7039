//! The read-only side of the store, for applications.

use std::path::Path;

use super::StoreError;

/// Read-only connections to a folder's store.
pub struct Reader;

impl Reader {
    /// Opens a folder's store for reading.
    pub fn open(_folder: &Path) -> Result<Self, StoreError> {
        Ok(Self)
    }
}
