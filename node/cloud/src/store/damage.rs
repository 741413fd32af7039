//! What tests do to a database behind the truth's back: another hand on the same file.

use std::path::Path;

use rusqlite::Connection;

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
