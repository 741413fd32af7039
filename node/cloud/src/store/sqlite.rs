//! The embedded database: one SQLite file for all studios, one connection that writes and one that reads.
//!
//! WAL with `synchronous=FULL` is asserted when the file is opened: what is committed survives a power cut.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::cell::Cell;
use super::database::{Access, Cells, Dialect, EachRow, Row, Transaction, TruthStore};
use super::{StoreError, schema};

/// Statements kept prepared for each connection.
const STATEMENTS: usize = 96;
/// How long a read waits while the database is being opened elsewhere, such as by a backup.
const BUSY: Duration = Duration::from_secs(5);

/// The database of a folder, or in memory.
pub struct Sqlite {
    writer: Mutex<Connection>,
    /// In memory there is one connection for both.
    reader: Option<Mutex<Connection>>,
}

impl Sqlite {
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
}

impl TruthStore for Sqlite {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let (connection, word) = match (access, &self.reader) {
            (Access::Read, Some(reader)) => (hold(reader), "BEGIN"),
            (Access::Read, None) => (hold(&self.writer), "BEGIN"),
            (Access::Write, _) => (hold(&self.writer), "BEGIN IMMEDIATE"),
        };
        connection.prepare_cached(word)?.execute([])?;
        Ok(Box::new(Open { connection }))
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
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

/// One open transaction; rolled back when it is dropped without a commit.
struct Open<'a> {
    connection: MutexGuard<'a, Connection>,
}

impl Transaction for Open<'_> {
    fn execute(&self, sql: &str, cells: &[Cell<'_>]) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(cells))?)
    }

    fn query(
        &self,
        sql: &str,
        cells: &[Cell<'_>],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(cells))?;
        while let Some(row) = rows.next()? {
            if each(Row(row))? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}

impl Cells for rusqlite::Row<'_> {
    fn cell(&self, at: usize) -> Result<Cell<'_>, StoreError> {
        match self.get_ref(at)? {
            ValueRef::Null => Ok(Cell::Null),
            ValueRef::Integer(number) => Ok(Cell::Int(number)),
            ValueRef::Text(text) => std::str::from_utf8(text)
                .map(Cell::Text)
                .map_err(|_| StoreError::Damaged("text that is none")),
            ValueRef::Blob(bytes) => Ok(Cell::Bytes(bytes)),
            ValueRef::Real(_) => Err(StoreError::Damaged("a number with a fraction")),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(number) => ValueRef::Integer(*number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Self::Row(error.into())
            }
            _ => Self::Database(error.into()),
        }
    }
}
