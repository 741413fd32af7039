//! What tests do to a database behind the truth's back: another hand on the same file.

use std::path::Path;

use rusqlite::Connection;

use super::{Store, StoreError, cells};

/// Runs statements on a folder's database.
pub fn run(folder: &Path, statements: &str) {
    let hand = Connection::open(folder.join("cloud.db")).expect("opens");
    hand.execute_batch(statements).expect("runs");
}

/// The one number that a query tells.
pub fn number(folder: &Path, query: &str) -> i64 {
    let hand = Connection::open(folder.join("cloud.db")).expect("opens");
    hand.query_row(query, [], |row| row.get(0)).expect("a row")
}

/// Makes every stored entity unreadable.
pub fn entities(store: &Store) {
    let damaged: Result<(), StoreError> =
        store.write(|session| session.run("UPDATE entity SET state = ?1", cells![[0xff_u8]]));
    damaged.expect("runs");
}

/// Has a PostgreSQL refuse the third command of every author, as long as it is of an entity's history.
pub fn third_commands(store: &Store) {
    let refused: Result<(), StoreError> = store.write(|session| {
        session.run(
            "ALTER TABLE command ADD CONSTRAINT no_third CHECK (counter <> 3 OR entity IS NULL)",
            cells![],
        )
    });
    refused.expect("runs");
}
