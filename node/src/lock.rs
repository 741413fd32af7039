//! A locked file: the sign that a process uses a folder.
//!
//! The system lets go of it when the process ends, however it ends. Dropped, it is given back at once, also where a program that
//! this one just started still shares the open file.

use std::fs::{File, TryLockError};
use std::path::Path;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock of a file, which is made if it is not there; never waits for it.
    pub fn take(path: &Path) -> Result<Self, TryLockError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(TryLockError::Error)?;
        file.try_lock()?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If it fails, closing the file gives the lock back.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_although_the_open_file_is_shared() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let lock = Lock::take(&path).expect("is free");
        // What a program that was just started holds for a moment.
        let shared = lock.0.try_clone().expect("a second handle");
        assert!(matches!(Lock::take(&path), Err(TryLockError::WouldBlock)));
        drop(lock);
        assert!(Lock::take(&path).is_ok());
        drop(shared);
    }
}
