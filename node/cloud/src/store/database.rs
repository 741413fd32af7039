//! What a database must do for the truth: transactions of statements that every one of them reads alike.
//!
//! The statements are written once, with `?1`, `?2` for their parameters, in the part of SQL that all databases share;
//! what they do not share is asked of [`Dialect`].

use std::ops::ControlFlow;

use super::StoreError;
use super::cell::Cell;

/// A database that keeps studios.
pub trait TruthStore: Send + Sync {
    /// Begins a transaction: all that it writes stays at its commit, and nothing if it is dropped before.
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, StoreError>;

    /// Which words it needs where databases differ.
    fn dialect(&self) -> Dialect;

    /// Names the studios that another server wrote to, if there can be others; called once, on a thread of its own.
    fn follow(&self, changed: &mut dyn FnMut(Option<i64>) -> ControlFlow<()>) {
        let _ = changed;
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// One consistent view of what is committed.
    Read,
    /// Changes.
    Write,
}

/// Where databases differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Embedded: this process is the only one that writes.
    Sqlite,
    /// Shared: other servers write as well.
    Postgres,
}

/// One open transaction.
pub trait Transaction {
    /// Runs a statement and tells how many rows it touched.
    fn execute(&self, sql: &str, cells: &[Cell<'_>]) -> Result<usize, StoreError>;

    /// Runs an insert of one row for each of these; as few questions as the database takes.
    fn execute_many(&self, sql: &str, rows: &[Vec<Cell<'_>>]) -> Result<(), StoreError> {
        rows.iter()
            .try_for_each(|cells| self.execute(sql, cells).map(drop))
    }

    /// Hands the rows of a question to `each` until it has enough or fails.
    fn query(
        &self,
        sql: &str,
        cells: &[Cell<'_>],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError>;

    /// Which words it needs where databases differ.
    fn dialect(&self) -> Dialect;

    /// Makes everything durable.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// What is done with each row.
pub type EachRow<'f> = dyn FnMut(Row<'_>) -> Result<ControlFlow<()>, StoreError> + 'f;

/// One row of an answer.
#[derive(Clone, Copy)]
pub struct Row<'r>(pub &'r dyn Cells);

/// A row as its database holds it.
pub trait Cells {
    /// The cell of a column; columns are counted from 0.
    fn cell(&self, at: usize) -> Result<Cell<'_>, StoreError>;
}
