//! The local store: everything that outlives the process, in one SQLite file with one writer.
//!
//! What [`Batch::commit`] returned from survives a power cut whole; what it did not return from leaves no trace. Only this file
//! and the folder beside it name rusqlite. It decides nothing: it carries out [`studiovault_protocol::event::Write`] in order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use studiovault_protocol::id::{DeviceId, StudioId};
use studiovault_protocol::membership::Rights;
use studiovault_protocol::merge::{Priorities, StateSum};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::vector::{Epochs, Vector};

use crate::lock::Lock;

mod adopt;
mod apply;
mod audit;
mod authors;
mod batch;
mod beside;
mod checkpoint;
mod collect;
mod error;
mod evidence;
mod fold;
mod history;
mod keys;
mod known;
mod ledger;
mod letters;
mod look;
mod packed;
mod quarantine;
mod queue;
mod reader;
mod rebuild;
mod receipt;
mod restore;
mod schema;
mod stream;
mod touched;
mod verify;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use audit::{AuditKind, AuditLine, AuditQuestion, AuditRow};
pub use batch::{Applied, Batch};
pub use beside::exchange;
pub use collect::Collected;
pub use error::StoreError;
pub use reader::{
    ActivityEntry, BundleRow, ConflictRow, DeadLetterRow, Deleted, EntityRow, HistoryEntry,
    Holding, LedgerRow, Listing, NameFault, QUERY_ROWS, QuarantineRow, QueryRows, QueueRow, Reader,
    Ruling, Slice, SliceRoom, View,
};
pub use restore::{OwnTip, Restored};
pub use stream::{BlockChunk, CloudLoad, PageChunk};

pub use verify::Verification;

use authors::Authors;
use checkpoint::Checkpointer;
use keys::Naming;
use known::Known;
use touched::Types;

/// The database's name inside the data folder.
const FILE: &str = "studio.db";
/// Held locked while a process uses the folder.
const LOCK: &str = "studio.lock";
/// Where the rights are kept that the rows were made by.
const CUTS: &str = "cuts";
const ASIDE: &str = "aside";
const CLOSED: &str = "closed";

/// Where a store lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// A data folder; made if it does not exist.
    Folder(PathBuf),
    /// Nowhere: the same schema in memory, for the simulator and tests.
    Memory,
}

impl Location {
    /// The file that a folder's store is, or will be.
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Whether a store is there, with anything in it.
    pub fn is_kept_in(folder: &Path) -> bool {
        std::fs::metadata(Self::file_in(folder)).is_ok_and(|file| file.len() > 0)
    }
}

/// What the engine knows at the moment of a write, and the store's work depends on.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// The roster's priority table, for the pick that is shown.
    pub priorities: &'a Priorities,
    /// What of the logs counts.
    pub rights: &'a Rights,
    /// The epoch tree, the bundle being written included.
    pub epochs: &'a Epochs,
    /// Own commands enter the queue only if somebody waits for them.
    pub has_cloud: bool,
}

/// Where the next row of each append-only table goes.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    position: i64,
    applied: i64,
    entity: i64,
    bytes: i64,
}

/// What of the roster and the policies the rows were made by.
#[derive(Debug, Default)]
struct MadeBy {
    priorities: Option<Priorities>,
    rights: Rights,
}

/// What an author had seen of others at its last applied bundle, and the log position that holds it.
type Past = (Vector, i64);

/// The writer's side of the store; one thread owns it.
pub struct Store {
    /// Stands first, so that it ends before the connection: the last to close tidies the log away.
    checkpointer: Option<Checkpointer>,
    connection: Connection,
    location: Location,
    authors: Authors,
    known: Known,
    types: Types,
    /// A transaction was rolled back: what is kept in memory must be read again.
    stale: bool,
    /// A cache over `log_bundle.past`; emptied by a rollback.
    pasts: HashMap<i64, Past>,
    counters: Counters,
    state_sum: StateSum,
    /// Over the natural keys that more than one live entity has.
    key_sum: StateSum,
    /// The natural keys that the index was made with.
    naming: Naming,
    /// What the rows were made by; `None` if it cannot be read any more.
    adopted: Option<Policy>,
    /// What every `shown` was picked with.
    made_by: MadeBy,
    _lock: Option<Lock>,
}

impl Store {
    /// Opens or makes a store, brings its schema up to date and checks the settings that durability rests on. A fresh one begins
    /// with `policy`; another one keeps the policy that its rows were made by until a write brings another.
    pub fn open(location: Location, policy: &Policy) -> Result<Self, StoreError> {
        let lock = match &location {
            Location::Folder(folder) => Some(lock_folder(folder)?),
            Location::Memory => None,
        };
        let connection = match &location {
            Location::Folder(folder) => {
                keep_private(folder);
                Connection::open(folder.join(FILE))?
            }
            Location::Memory => Connection::open_in_memory()?,
        };
        Self::start(connection, location, policy, lock)
    }

    fn start(
        mut connection: Connection,
        location: Location,
        policy: &Policy,
        lock: Option<Lock>,
    ) -> Result<Self, StoreError> {
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        schema::configure(&connection, &location)?;
        schema::migrate(&mut connection)?;
        let checkpointer = match &location {
            Location::Folder(folder) => Some(Checkpointer::start(&folder.join(FILE))?),
            Location::Memory => None,
        };
        let mut store = Self {
            checkpointer,
            known: Known::load(&connection)?,
            connection,
            location,
            authors: Authors::default(),
            types: Types::default(),
            stale: true,
            pasts: HashMap::new(),
            counters: Counters::default(),
            state_sum: StateSum::default(),
            key_sum: StateSum::default(),
            naming: Naming::default(),
            adopted: None,
            made_by: MadeBy::default(),
            _lock: lock,
        };
        store.start_policy(policy)?;
        store.load()?;
        store.start_fold()?;
        Ok(store)
    }

    /// Reads all that is kept in memory beside the rows.
    fn load(&mut self) -> Result<(), StoreError> {
        let connection = &self.connection;
        self.authors = Authors::load(connection)?;
        let own = self.decoded(beside::OWN)?;
        self.authors.set_own(own.unwrap_or_default());
        self.types = Types::load(connection)?;
        let last = |table: &str| -> Result<i64, rusqlite::Error> {
            connection.query_row(table, [], |row| row.get(0))
        };
        self.counters = Counters {
            position: last("SELECT coalesce(max(position), 0) + 1 FROM log_bundle")?,
            applied: 1,
            entity: last("SELECT coalesce(max(id), 0) + 1 FROM entity")?,
            bytes: last(
                "SELECT coalesce((SELECT ends FROM log_bundle ORDER BY position DESC LIMIT 1), 0)",
            )?,
        };
        (self.state_sum, self.key_sum) = (StateSum::default(), StateSum::default());
        if let Some((state_sum, key_sum, applied)) = self.decoded("tally")? {
            (self.state_sum, self.key_sum, self.counters.applied) = (state_sum, key_sum, applied);
        }
        self.naming = self.decoded("naming")?.unwrap_or_default();
        self.adopted = self.adopted_text()?;
        self.pasts.clear();
        let priorities: Option<Vec<(DeviceId, i32)>> = self.decoded("priorities")?;
        self.made_by.priorities = priorities.map(|table| Priorities(table.into_iter().collect()));
        self.made_by.rights = Rights {
            cuts: self.decoded(CUTS)?.unwrap_or_default(),
            aside: self.decoded(ASIDE)?.unwrap_or_default(),
            closed: self.decoded(CLOSED)?.unwrap_or_default(),
        };
        self.stale = false;
        Ok(())
    }

    /// Fixes whose folder this is at the first start, and checks it at every later one.
    pub fn claim(&mut self, studio: StudioId, device: DeviceId) -> Result<(), StoreError> {
        for (key, id) in [("studio", studio.0), ("device", device.0)] {
            match self.recall(key)? {
                None => self.remember(key, &id)?,
                Some(held) if held == id => {}
                Some(held) => {
                    let text =
                        |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
                    let (held, asked) = (text(&held), text(&id));
                    return Err(StoreError::OtherOwner {
                        held: format!("{key} {held}"),
                        asked: format!("{key} {asked}"),
                    });
                }
            }
        }
        Ok(())
    }

    /// A small value kept under a name.
    pub fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?)
    }

    /// Keeps a small value under a name, durably, replacing what stood there.
    pub fn remember(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        put_meta(&self.connection, key, value)
    }

    fn decoded<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.recall(key)? else {
            return Ok(None);
        };
        postcard::from_bytes(&bytes)
            .map(Some)
            .map_err(|_| StoreError::corrupt(format!("meta {key}")))
    }

    /// The sum over the state of all entities; equal on machines that applied and folded the same.
    pub fn state_sum(&self) -> StateSum {
        self.state_sum
    }

    /// The state hash: the entities and the conflicts over natural keys.
    pub fn state_hash(&self) -> StateSum {
        let mut sum = self.state_sum;
        sum.add(self.key_sum);
        sum
    }

    /// Begins a transaction; dropped without [`Batch::commit`] it leaves no trace.
    pub fn begin(&mut self) -> Result<Batch<'_>, StoreError> {
        Batch::begin(self)
    }

    /// A second store in memory with all that is committed in this one: what a backup holds, or the clone of a disk.
    pub fn copied(&self, policy: &Policy) -> Result<Self, StoreError> {
        let mut copy = Connection::open_in_memory()?;
        rusqlite::backup::Backup::new(&self.connection, &mut copy)?.step(-1)?;
        Self::start(copy, Location::Memory, policy, None)
    }

    /// What a power cut leaves of a store in memory: everything committed, nothing of an open transaction.
    pub fn crash(self, policy: &Policy) -> Result<Self, StoreError> {
        let Self {
            connection,
            location,
            ..
        } = self;
        assert!(
            location == Location::Memory,
            "a folder is crashed by ending its process"
        );
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK")?;
        }
        Self::start(connection, location, policy, None)
    }
}

/// Makes the folder and takes its lock, which the system lets go when the process ends, however it ends.
fn lock_folder(folder: &std::path::Path) -> Result<Lock, StoreError> {
    let fail = |cause| StoreError::Folder {
        folder: folder.to_owned(),
        cause,
    };
    std::fs::create_dir_all(folder).map_err(fail)?;
    match Lock::take(&folder.join(LOCK)) {
        Ok(lock) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(folder.to_owned())),
        Err(std::fs::TryLockError::Error(cause)) => Err(fail(cause)),
    }
}

/// Lets nobody but the owner read the database, also in a folder that others may enter. What the file system refuses stays as it is.
fn keep_private(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let mut options = std::fs::File::options();
        let _ = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join(FILE));
        for suffix in ["", "-wal", "-shm"] {
            let path = folder.join(format!("{FILE}{suffix}"));
            let is_open = std::fs::symlink_metadata(&path)
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0);
            if is_open {
                let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600));
            }
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
}

fn put_meta(connection: &Connection, key: &str, value: &[u8]) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
        .execute(params![key, value])?;
    Ok(())
}

fn put_encoded<T: serde::Serialize>(
    connection: &Connection,
    key: &str,
    value: &T,
) -> Result<(), StoreError> {
    let bytes = postcard::to_stdvec(value).expect("small values always encode");
    put_meta(connection, key, &bytes)
}
