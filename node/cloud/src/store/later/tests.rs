//! What the database is asked, in which order, and what it holds in the end.

use std::cell::RefCell;

use super::super::database::{Dialect, EachRow, Transaction};
use super::super::{Store, cells};
use super::*;

const ONE: &str = "INSERT INTO one (a) VALUES (?1)";
const TWO: &str = "INSERT INTO two (a) VALUES (?1)";

/// A transaction that notes what it is asked, and refuses one number.
#[derive(Default)]
struct Noted {
    asked: RefCell<Vec<String>>,
    refused: Option<i64>,
}

impl Noted {
    fn note(&self, words: String) {
        self.asked.borrow_mut().push(words);
    }
}

impl Transaction for Noted {
    fn execute(&self, sql: &str, _: &[Cell<'_>]) -> Result<usize, StoreError> {
        self.note(sql.to_owned());
        Ok(1)
    }

    fn execute_many(&self, sql: &str, rows: &[Vec<Cell<'_>>]) -> Result<(), StoreError> {
        let numbers = rows.iter().map(|row| match row[0] {
            Cell::Int(number) => number,
            _ => 0,
        });
        let numbers: Vec<i64> = numbers.collect();
        if self.refused.is_some_and(|one| numbers.contains(&one)) {
            return Err(StoreError::Row("refused".into()));
        }
        let name = table(sql);
        self.note(format!("{name} {numbers:?}"));
        Ok(())
    }

    fn query(&self, sql: &str, _: &[Cell<'_>], _: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.note(sql.to_owned());
        Ok(())
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What a database is asked by that work.
fn asked(work: impl FnOnce(&Session<'_>) -> Result<(), StoreError>) -> Vec<String> {
    let noted = Noted::default();
    let session = Session::new(&noted, Some(RefCell::default()));
    work(&session).expect("nothing is refused");
    session.write_kept().expect("nothing is refused");
    noted.asked.take()
}

#[test]
fn rows_of_one_table_are_written_together_and_before_they_are_read() {
    let told = asked(|session| {
        for n in 1..=3 {
            session.savepoint(Savepoint::Command)?;
            session.add(ONE, cells![n])?;
            session.release(Savepoint::Command)?;
        }
        session.add(TWO, cells![7_i64])?;
        session.all("SELECT a FROM three", cells![], |_| Ok(()))?;
        session.run("UPDATE four SET a = 1", cells![])?;
        session.all("SELECT a FROM two", cells![], |_| Ok(()))?;
        session.add(ONE, cells![4_i64])
    });
    let expected = [
        "SELECT a FROM three",
        "UPDATE four SET a = 1",
        "one [1, 2, 3]",
        "two [7]",
        "SELECT a FROM two",
        "one [4]",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_undone_is_not_written_and_what_came_before_it_is() {
    let told = asked(|session| {
        session.add(ONE, cells![1_i64])?;
        session.savepoint(Savepoint::Bundle)?;
        session.add(ONE, cells![2_i64])?;
        session.savepoint(Savepoint::Command)?;
        session.add(ONE, cells![3_i64])?;
        session.roll_back(Savepoint::Command)?;
        session.add(ONE, cells![4_i64])?;
        session.release(Savepoint::Bundle)?;
        session.savepoint(Savepoint::Bundle)?;
        session.add(ONE, cells![5_i64])?;
        session.roll_back(Savepoint::Bundle)
    });
    assert_eq!(told, ["one [1, 2, 4]"]);
}

#[test]
fn a_savepoint_is_set_behind_the_rows_before_it_once_there_is_something_to_undo() {
    let told = asked(|session| {
        session.add(ONE, cells![1_i64])?;
        session.savepoint(Savepoint::Bundle)?;
        session.add(ONE, cells![2_i64])?;
        session.savepoint(Savepoint::Command)?;
        session.add(ONE, cells![3_i64])?;
        session.run("UPDATE four SET a = 1", cells![])?;
        session.add(ONE, cells![4_i64])?;
        session.roll_back(Savepoint::Command)?;
        session.add(ONE, cells![5_i64])?;
        session.all("SELECT a FROM one", cells![], |_| Ok(()))?;
        session.release(Savepoint::Bundle)
    });
    let expected = [
        "one [1]",
        "SAVEPOINT bundle",
        "one [2]",
        "SAVEPOINT command",
        "UPDATE four SET a = 1",
        "ROLLBACK TO command",
        "RELEASE command",
        "one [5]",
        "SELECT a FROM one",
        "RELEASE bundle",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_row_that_is_refused_among_others_is_told_as_that_and_concerns_no_single_command() {
    let noted = Noted {
        refused: Some(2),
        ..Noted::default()
    };
    let session = Session::new(&noted, Some(RefCell::default()));
    for n in 1..=3 {
        session.add(ONE, cells![n]).expect("it is kept");
    }
    let refused = session.write_kept().expect_err("it is refused");
    assert!(matches!(refused, StoreError::Together(_)), "{refused:?}");
    assert!(!refused.is_of_the_row());
}

#[test]
fn an_embedded_database_writes_every_row_at_once() {
    let store = Store::in_memory().expect("a database");
    let together: Result<bool, StoreError> =
        store.write_together(|session| Ok(session.writes_together()));
    assert!(!together.expect("runs"));
}
