//! Rows that a transaction writes together: kept until somebody asks for their table, or until its end, so that a shared database is
//! asked once for many of them.
//!
//! A savepoint is set only once something is written that it could undo, and one that is undone takes the kept rows after it along: the
//! database comes to the same rows as if each had been written at once. A row that it refuses is not known by name among so many; the
//! work is then done again, row by row.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::cell::AsCell;
use super::{Cell, Savepoint, Session, StoreError};

/// Rows kept at most: about a mebibyte.
const ROWS: usize = 4096;

/// What a transaction has not written yet.
#[derive(Debug, Default)]
pub(super) struct Later {
    rows: Vec<Row>,
    marks: Vec<Mark>,
    /// Those that the rows belong to, and perhaps more.
    tables: Vec<&'static str>,
}

/// A row of a statement.
#[derive(Debug)]
struct Row {
    sql: &'static str,
    cells: Vec<Kept>,
}

/// A savepoint that is open.
#[derive(Debug)]
struct Mark {
    name: Savepoint,
    /// How many of the kept rows came before it.
    rows: usize,
    /// The database knows of it.
    is_set: bool,
}

/// A cell that outlives its statement.
#[derive(Debug)]
enum Kept {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Kept {
    fn of(cell: &Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Int(number) => Self::Int(*number),
            Cell::Text(text) => Self::Text((*text).to_owned()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl AsCell for Kept {
    fn as_cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(number) => Cell::Int(*number),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }
}

impl Later {
    /// Whether a statement may see a kept row or touch one.
    fn concerns(&self, sql: &str) -> bool {
        self.tables.iter().any(|table| sql.contains(table))
    }

    fn keep(&mut self, row: Row) {
        let table = table(row.sql);
        if !self.tables.contains(&table) {
            self.tables.push(table);
        }
        self.rows.push(row);
    }
}

/// The table that an insert names.
fn table(insert: &str) -> &str {
    let name = insert.split_whitespace().nth(2);
    name.expect("it says INSERT INTO and which table")
}

impl Session<'_> {
    /// Whether rows are written together.
    pub fn writes_together(&self) -> bool {
        self.later.is_some()
    }

    /// Writes a row, at once or together with others of the statement.
    pub(super) fn add(&self, sql: &'static str, cells: &[Cell<'_>]) -> Result<(), StoreError> {
        let Some(later) = &self.later else {
            return self.run(sql, cells);
        };
        let is_full = {
            let mut later = later.borrow_mut();
            let cells = cells.iter().map(Kept::of).collect();
            later.keep(Row { sql, cells });
            later.rows.len() >= ROWS
        };
        if is_full { self.write_kept() } else { Ok(()) }
    }

    /// Writes what a statement could see, and sets the savepoints that could undo it.
    pub(super) fn make_way(&self, sql: &str) -> Result<(), StoreError> {
        let Some(later) = &self.later else {
            return Ok(());
        };
        if later.borrow().concerns(sql) {
            self.write_kept()
        } else if sql.trim_start().starts_with("SELECT") {
            Ok(())
        } else {
            self.set_marks(later)
        }
    }

    /// Writes all that is kept.
    pub(super) fn write_kept(&self) -> Result<(), StoreError> {
        let Some(later) = &self.later else {
            return Ok(());
        };
        self.set_marks(later)?;
        let rows = {
            let mut later = later.borrow_mut();
            later.tables.clear();
            std::mem::take(&mut later.rows)
        };
        self.write_rows(&rows)
    }

    /// Sets every open savepoint, each behind the rows that came before it.
    fn set_marks(&self, later: &RefCell<Later>) -> Result<(), StoreError> {
        let mut later = later.borrow_mut();
        let Later { rows, marks, .. } = &mut *later;
        let mut written = 0;
        for mark in marks.iter_mut().filter(|mark| !mark.is_set) {
            self.write_rows(&rows[written..mark.rows])?;
            written = mark.rows;
            self.transaction.execute(mark.name.statements().0, &[])?;
            mark.is_set = true;
        }
        if written > 0 {
            rows.drain(..written);
        }
        for mark in marks {
            mark.rows = 0;
        }
        Ok(())
    }

    fn write_rows(&self, rows: &[Row]) -> Result<(), StoreError> {
        let mut groups: BTreeMap<&str, Vec<Vec<Cell<'_>>>> = BTreeMap::new();
        for row in rows {
            let cells = row.cells.iter().map(AsCell::as_cell).collect();
            groups.entry(row.sql).or_default().push(cells);
        }
        for (sql, rows) in groups {
            let written = self.transaction.execute_many(sql, &rows);
            written.map_err(|error| match error {
                StoreError::Row(cause) => StoreError::Together(cause),
                other => other,
            })?;
        }
        Ok(())
    }

    /// Begins a savepoint that [`Self::release`] keeps and [`Self::roll_back`] undoes. They nest by name.
    pub fn savepoint(&self, name: Savepoint) -> Result<(), StoreError> {
        let Some(later) = &self.later else {
            return self.run(name.statements().0, &[]);
        };
        let mut later = later.borrow_mut();
        let rows = later.rows.len();
        later.marks.push(Mark {
            name,
            rows,
            is_set: false,
        });
        Ok(())
    }

    /// Keeps what happened since the savepoint.
    pub fn release(&self, name: Savepoint) -> Result<(), StoreError> {
        match self.end_mark(name) {
            Some(mark) if !mark.is_set => Ok(()),
            _ => self.transaction.execute(name.statements().1, &[]).map(drop),
        }
    }

    /// Undoes what happened since the savepoint and ends it.
    pub fn roll_back(&self, name: Savepoint) -> Result<(), StoreError> {
        let mark = self.end_mark(name);
        if let (Some(mark), Some(later)) = (&mark, &self.later) {
            later.borrow_mut().rows.truncate(mark.rows);
        }
        if mark.is_none_or(|mark| mark.is_set) {
            self.transaction.execute(name.statements().2, &[])?;
            self.transaction.execute(name.statements().1, &[])?;
        }
        Ok(())
    }

    fn end_mark(&self, name: Savepoint) -> Option<Mark> {
        let mark = self.later.as_ref()?.borrow_mut().marks.pop();
        let mark = mark.expect("a savepoint ends once");
        assert_eq!(
            mark.name, name,
            "savepoints end in the order of their nesting"
        );
        Some(mark)
    }
}

#[cfg(test)]
mod tests;
