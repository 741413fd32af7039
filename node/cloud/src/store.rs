//! The truth's tables, and the only place that names a database: SQLite in the folder, or a PostgreSQL that several servers
//! share.
//!
//! Every write happens in a transaction of [`Store::write`], which commits whole or leaves nothing. The statements are the
//! same for both databases; what a database must do stands in [`TruthStore`].

mod ahead;
mod audit;
mod cell;
mod commands;
#[cfg(test)]
pub mod damage;
mod database;
mod entities;
mod feed;
mod held;
mod later;
mod logs;
mod moving;
mod postgres;
mod schema;
mod sign_ins;
mod sqlite;
mod studios;
mod telemetry;
mod tokens;

use std::cell::RefCell;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use ahead::Ahead;
use cell::{Cell, cells};
use database::{Access, Dialect, Row, Transaction, TruthStore};
use later::Later;

pub use audit::Audit;
pub use commands::{HistoryRow, NewCommand};
pub use entities::EntityRow;
pub use held::Place;
pub use logs::{BundleRow, Reading};
pub use studios::StudioRow;
pub use telemetry::Told;

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
    /// The person's: studios would be mixed.
    #[error("the shared database has studios already: give an empty one")]
    NotEmpty,
    /// A test's: it asked the server to break.
    #[error("a failure that a test asked for")]
    Provoked,
    /// The database refuses what a row says: a bug, or damage. It concerns that row alone.
    #[error("the database refuses a row ({0}): restore it from a backup")]
    Row(#[source] Box<dyn Error + Send + Sync>),
    /// The same of one row among many that were written together: whose it is shows when they are written one by one.
    #[error(
        "the database refuses one of the rows written together ({0}): restore it from a backup"
    )]
    Together(#[source] Box<dyn Error + Send + Sync>),
    /// The person's: an address that names no database.
    #[error(
        "the database's address cannot be used ({0}): give it as postgres://USER:PASSWORD@HOST:PORT/NAME"
    )]
    Address(String),
    /// The network's, or whoever runs the database: it is away, restarting or overloaded.
    #[error(
        "the database is away ({0}): nothing is lost, clients will send again; check that it runs and can be reached"
    )]
    Away(#[source] Box<dyn Error + Send + Sync>),
    /// Anything else the database says.
    #[error(
        "the database cannot be used ({0}): check that its folder is writable and that no other program holds it"
    )]
    Database(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Whether it concerns the touched rows alone, so that other commands may go on.
    pub fn is_of_the_row(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::Row(_) => true,
            Self::Newer(_)
            | Self::Full
            | Self::NotEmpty
            | Self::Provoked
            | Self::Address(_)
            | Self::Together(_)
            | Self::Away(_)
            | Self::Database(_) => false,
        }
    }
}

/// The database.
pub struct Store {
    database: Box<dyn TruthStore>,
}

impl Store {
    /// Opens or makes the database of a folder and brings it to this version's tables.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            database: Box::new(sqlite::Sqlite::open(folder)?),
        })
    }

    /// The same tables in memory: gone with the process.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            database: Box::new(sqlite::Sqlite::in_memory()?),
        })
    }

    /// Connects to a PostgreSQL and brings it to this version's tables. Not on a thread that must not wait.
    pub fn shared(address: &str) -> Result<Self, StoreError> {
        Ok(Self {
            database: Box::new(postgres::Postgres::open(address)?),
        })
    }

    /// Names the studios that other servers wrote to, until `changed` breaks; `None` means any.
    pub fn follow(&self, changed: &mut dyn FnMut(Option<i64>) -> ControlFlow<()>) {
        if self.is_shared() {
            self.database.follow(changed);
        }
    }

    /// Whether other servers may write to the same database.
    pub fn is_shared(&self) -> bool {
        self.database.dialect() == Dialect::Postgres
    }

    /// Runs `work` in one transaction: all of it stays, or none if `work` or the commit fails.
    pub fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.commit(None, work)
    }

    /// The same, where a shared database is asked for many rows at once. A row that it refuses among them fails all of it with
    /// [`StoreError::Together`]: [`Self::write`] finds whose it is.
    pub fn write_together<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let later = self.is_shared().then(RefCell::default);
        self.commit(later, work)
    }

    fn commit<T, E: From<StoreError>>(
        &self,
        later: Option<RefCell<Later>>,
        work: impl FnOnce(&Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.database.begin(Access::Write)?;
        let session = Session::new(&*transaction, later);
        let done = work(&session)?;
        session.write_kept()?;
        drop(session);
        transaction.commit()?;
        Ok(done)
    }

    /// Runs `work` on one consistent view of what is committed.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.database.begin(Access::Read)?;
        work(&Session::new(&*transaction, None))
    }
}

/// One open transaction.
pub struct Session<'a> {
    transaction: &'a dyn Transaction,
    /// Where rows are written together: those that are not written yet.
    later: Option<RefCell<Later>>,
    ahead: RefCell<Ahead>,
}

impl<'a> Session<'a> {
    /// Every row is written at once, or with `later` together with others where that comes to the same.
    fn new(transaction: &'a dyn Transaction, later: Option<RefCell<Later>>) -> Self {
        Self {
            transaction,
            later,
            ahead: RefCell::default(),
        }
    }
}

impl Session<'_> {
    fn run(&self, sql: &str, cells: &[Cell<'_>]) -> Result<(), StoreError> {
        self.count(sql, cells).map(drop)
    }

    /// Like `run`, and tells how many rows it touched.
    fn count(&self, sql: &str, cells: &[Cell<'_>]) -> Result<usize, StoreError> {
        self.make_way(sql)?;
        self.transaction.execute(sql, cells)
    }

    /// Inserts a row; the statement returns its name inside the database.
    fn insert(&self, sql: &str, cells: &[Cell<'_>]) -> Result<i64, StoreError> {
        let row = self.first(sql, cells, |row| row.get(0))?;
        row.ok_or(StoreError::Damaged("an insert that returns nothing"))
    }

    /// The first row, read by `read`.
    fn first<T>(
        &self,
        sql: &str,
        cells: &[Cell<'_>],
        read: impl FnOnce(Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.make_way(sql)?;
        let (mut read, mut first) = (Some(read), None);
        self.transaction.query(sql, cells, &mut |row| {
            if let Some(read) = read.take() {
                first = Some(read(row)?);
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }

    /// Every row, read by `read`.
    fn all<T>(
        &self,
        sql: &str,
        cells: &[Cell<'_>],
        mut read: impl FnMut(Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.make_way(sql)?;
        let mut all = Vec::new();
        self.transaction.query(sql, cells, &mut |row| {
            all.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
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
