//! The truth's tables: one SQLite database for all studios, and the only place that names it.
//!
//! Every write happens in a transaction of [`Store::write`], which commits whole or leaves nothing; WAL with
//! `synchronous=FULL` is asserted when the database is opened.

mod audit;
mod cell;
mod commands;
#[cfg(test)]
pub mod damage;
mod entities;
mod feed;
mod held;
mod logs;
mod schema;
mod studios;
mod tokens;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row, TransactionBehavior};

pub use audit::Audit;
pub use commands::{HistoryRow, NewCommand};
pub use entities::EntityRow;
pub use held::Place;
pub use logs::{BundleRow, Reading};
pub use studios::StudioRow;

/// Statements kept prepared for each connection.
const STATEMENTS: usize = 96;
/// How long a read waits while the database is being opened elsewhere, such as by a backup.
const BUSY: Duration = Duration::from_secs(5);

/// Why the database did not do what was asked. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The person's: an older program on a newer folder.
    #[error(
        "{0} was written by a newer version of this program: start that version, or choose another folder"
    )]
    Newer(String),
    /// The disk's.
    #[error("the disk is full: free some space; nothing is lost, clients will send again")]
    Full,
    /// A row that this version cannot read: a broken disk or a bug.
    #[error("the database holds a damaged row ({0}): restore the folder from a backup")]
    Damaged(&'static str),
    /// A test's: it asked the server to break.
    #[error("a failure that a test asked for")]
    Provoked,
    /// Anything else the database says.
    #[error(
        "the database cannot be used ({0}): check that its folder is writable and that no other program holds it"
    )]
    Database(#[source] rusqlite::Error),
}

impl StoreError {
    /// Whether it concerns the touched rows alone, so that other commands may go on.
    pub fn is_of_the_row(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
            ),
            Self::Newer(_) | Self::Full | Self::Provoked => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Database(error),
        }
    }
}

/// The database.
pub struct Store {
    writer: Mutex<Connection>,
    /// In memory there is one connection for both.
    reader: Option<Mutex<Connection>>,
}

impl Store {
    /// Opens or makes the database of a folder and brings it to this version's tables.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("cloud.db");
        let mut writer = Connection::open(&path)?;
        prepare(&writer)?;
        schema::migrate(&mut writer, &path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&path, flags)?;
        reader.busy_timeout(BUSY)?;
        reader.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self {
            writer: Mutex::new(writer),
            reader: Some(Mutex::new(reader)),
        })
    }

    /// The same tables in memory: gone with the process.
    pub fn in_memory() -> Result<Self, StoreError> {
        let mut writer = Connection::open_in_memory()?;
        writer.set_prepared_statement_cache_capacity(STATEMENTS);
        writer.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut writer, Path::new("memory"))?;
        Ok(Self {
            writer: Mutex::new(writer),
            reader: None,
        })
    }

    /// Runs `work` in one transaction: all of it stays, or none if `work` or the commit fails.
    pub fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = hold(&self.writer);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let done = work(&Session {
            connection: &transaction,
        })?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    /// Runs `work` on one consistent view of what is committed.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = hold(self.reader.as_ref().unwrap_or(&self.writer));
        let transaction = connection.transaction().map_err(StoreError::from)?;
        work(&Session {
            connection: &transaction,
        })
    }
}

/// A panic while the lock was held rolled its transaction back, so the connection is sound.
fn hold(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if mode != "wal" || synchronous != 2 {
        return Err(StoreError::Damaged("the file system allows no durable log"));
    }
    Ok(())
}

/// One open transaction.
pub struct Session<'a> {
    connection: &'a Connection,
}

impl Session<'_> {
    /// Begins a savepoint that [`Self::release`] keeps and [`Self::roll_back`] undoes. They nest by name.
    pub fn savepoint(&self, name: Savepoint) -> Result<(), StoreError> {
        self.run(name.statements().0, [])
    }

    /// Keeps what happened since the savepoint.
    pub fn release(&self, name: Savepoint) -> Result<(), StoreError> {
        self.run(name.statements().1, [])
    }

    /// Undoes what happened since the savepoint and ends it.
    pub fn roll_back(&self, name: Savepoint) -> Result<(), StoreError> {
        self.run(name.statements().2, [])?;
        self.release(name)
    }

    fn run(&self, sql: &str, parameters: impl Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Like `run`, and tells how many rows it touched.
    fn count(&self, sql: &str, parameters: impl Params) -> Result<usize, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.execute(parameters)?)
    }

    fn insert(&self, sql: &str, parameters: impl Params) -> Result<i64, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.insert(parameters)?)
    }

    /// The first row, read by `read`.
    fn first<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        match rows.next()? {
            Some(row) => read(row).map(Some),
            None => Ok(None),
        }
    }

    /// Every row, read by `read`.
    fn all<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }
}

/// Which part of a transaction can be undone alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Savepoint {
    /// A bundle that is taken whole or not at all.
    Bundle,
    /// One command.
    Command,
}

impl Savepoint {
    fn statements(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Bundle => ("SAVEPOINT bundle", "RELEASE bundle", "ROLLBACK TO bundle"),
            Self::Command => (
                "SAVEPOINT command",
                "RELEASE command",
                "ROLLBACK TO command",
            ),
        }
    }
}
