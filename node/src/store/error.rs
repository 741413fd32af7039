//! What can go wrong with the local store, told to people with the next step.
//!
//! After any of these the open transaction is rolled back: nothing of it was kept, nothing committed before is touched.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the store did not do what it was asked. Whatever the variant, the transaction under way left no trace.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left. The disk's fault; reads still work.
    #[error(
        "the disk is full: this was not saved, everything saved before is safe. Free some space, then try again"
    )]
    Full,
    /// Written by a later version. The person's fault; nothing changed.
    #[error(
        "this data folder was written by a newer version (schema {found}, this one knows {known}): update studiovault on this machine"
    )]
    Newer {
        /// The folder's schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another process holds the folder. The person's fault; nothing changed.
    #[error(
        "the data folder {} is in use by another studiovault process: stop that one, or give this one a folder of its own with --data",
        .0.display()
    )]
    InUse(PathBuf),
    /// The folder cannot be made or opened. The disk's or the person's fault; nothing changed.
    #[error("the data folder {} cannot be used: {cause}. Check that it exists and may be written", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Of another studio or another machine. The person's fault; nothing changed.
    #[error(
        "this data folder belongs to {held}, not to {asked}: give the right folder with --data"
    )]
    OtherOwner {
        /// Whose it is.
        held: String,
        /// Whom it was opened for.
        asked: String,
    },
    /// A row that cannot be read back. The disk's fault or a bug; nothing changed.
    #[error(
        "a damaged row in the local store ({0}): stop the node and run `studiovault verify`, which says what can be mended"
    )]
    Corrupt(String),
    /// The database file itself, no row of it. The disk's fault; nothing changed.
    #[error(
        "the database file is damaged ({0}): stop the node, move studio.db and what begins with its name out of the folder, and run `studiovault bootstrap`, or `bootstrap --lan`; keep the old files, they hold what only this machine has"
    )]
    Malformed(String),
    /// SQLite did not take a setting that durability rests on. The build's or the file system's fault.
    #[error(
        "the file system under the data folder does not give what saving safely needs ({setting} is {found}): move the folder to a local disk"
    )]
    NotDurable {
        /// Which.
        setting: &'static str,
        /// What it is instead.
        found: String,
    },
    /// A read or write failed in the device. The disk's fault: the process must stop and reopen, never retry the flush.
    #[error(
        "the disk failed while the store was in use ({0}): check the disk, then start the node again"
    )]
    Disk(rusqlite::Error),
    /// A query that an application sent. The application's fault; nothing changed.
    #[error("{0}. Queries read the app_ views only; see GET /openapi.json")]
    Query(String),
    /// Anything else SQLite says: a bug of ours, most likely.
    #[error(
        "the local store failed: {0}. Nothing of this was kept; run `studiovault doctor` if it comes again"
    )]
    Sqlite(rusqlite::Error),
    /// The transaction failed before; this one must be dropped.
    #[error("this transaction failed before and was rolled back: begin a new one")]
    Aborted,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Malformed(error.to_string())
            }
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl StoreError {
    /// A row that does not decode, named.
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }

    /// Whether space is what is missing.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}
