//! A store that is made beside another one, and takes its place at once or not at all.
//!
//! What only this machine knows goes over from the old one before anything is loaded: which epochs it wrote itself, and its audit log.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use rusqlite::Connection;
use studiovault_protocol::id::Author;

use super::{FILE, Store, StoreError, put_encoded, schema};

/// Under which the epochs are kept that this machine wrote before this store was made.
pub(super) const OWN: &str = "own_epochs";

impl Store {
    /// The epochs that this machine wrote.
    pub fn own_epochs(&self) -> Result<BTreeSet<Author>, StoreError> {
        let mut own = self.authors.own().clone();
        let mut statement = self
            .connection
            .prepare("SELECT DISTINCT author FROM log_bundle WHERE own = 1")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            own.extend(self.authors.author(row.get(0)?));
        }
        Ok(own)
    }

    /// Takes over what only this machine knows from the store in a folder. This one must be fresh.
    pub fn take_over(&mut self, folder: &Path, own: &BTreeSet<Author>) -> Result<(), StoreError> {
        let path = folder.join(FILE);
        let path = path.to_string_lossy();
        self.connection
            .execute("ATTACH DATABASE ?1 AS old", [&path])?;
        let copied = self.connection.execute_batch(
            "BEGIN IMMEDIATE;
             INSERT INTO audit_log (at, kind, device, actor, what)
                SELECT at, kind, device, actor, what FROM old.audit_log ORDER BY id;
             INSERT INTO roster (hash, record) SELECT hash, record FROM old.roster ORDER BY id;
             INSERT INTO policy (hash, record) SELECT hash, record FROM old.policy;
             INSERT OR IGNORE INTO meta (key, value) SELECT key, value FROM old.meta
                WHERE key IN ('studio', 'device', 'has_cloud');
             COMMIT;",
        );
        if copied.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.connection.execute_batch("DETACH DATABASE old")?;
        copied?;
        put_encoded(&self.connection, OWN, own)?;
        self.authors.set_own(own.clone());
        Ok(())
    }
}

/// Puts the store of one folder in the place of another folder's. Nobody else may use either. Whenever it is broken off, the
/// folder has the one or the other whole.
pub fn exchange(fresh: &Path, live: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::Folder {
        folder: live.to_owned(),
        cause,
    };
    one_file(&fresh.join(FILE))?;
    if live.join(FILE).exists() {
        // A write-ahead log that stayed behind would be taken for the new store's.
        one_file(&live.join(FILE))?;
    }
    fs::rename(fresh.join(FILE), live.join(FILE)).map_err(failed)?;
    // The name is on the disk too, where the system can do that for a folder.
    if let Ok(folder) = File::open(live) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Moves everything into the database itself: no file beside it belongs to it any more.
fn one_file(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(path)?;
    schema::configure_flush(&connection)?;
    let found = schema::switch_journal(&connection, "DELETE")?;
    if found == "delete" {
        return Ok(());
    }
    let setting = "journal_mode";
    Err(StoreError::NotDurable { setting, found })
}
