//! A writer for the power test's own test: plain SQLite, one row a commit, each acknowledged when its commit returned.
//! It is the smallest program whose durability is known, so that the net can be shown to catch and to let pass.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

#[derive(Parser)]
struct Options {
    /// Where the database goes.
    folder: PathBuf,
    /// SQLite's `synchronous`: FULL or NORMAL.
    synchronous: String,
    /// How many rows to commit.
    rows: u32,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let ack_path =
        std::env::var_os("POWER_ACK").context("POWER_ACK names the file for acknowledgements")?;
    let mut acks = OpenOptions::new()
        .create(true)
        .append(true)
        .open(ack_path)?;
    let database = rusqlite::Connection::open(options.folder.join("plain.db"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", &options.synchronous)?;
    // Several checkpoints within the run: they are where a write-ahead log is most delicate.
    database.pragma_update(None, "wal_autocheckpoint", 150)?;
    database.execute(
        "CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
        (),
    )?;
    for id in 1..=options.rows {
        database.execute("INSERT INTO row VALUES (?1, ?2)", (id, "x".repeat(300)))?;
        acks.write_all(format!("{id}\n").as_bytes())?;
    }
    Ok(())
}
