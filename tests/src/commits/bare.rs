//! The same rows once more, in as many transactions, by nothing but the database: what no server in front of it can be faster than.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rusqlite::Connection;

use crate::bench::timed;

/// The tables that grow with commands; each has a `row`.
const TABLES: [&str; 5] = ["log_bundle", "feed_page", "entity", "command", "audit_log"];

/// Copies the rows of a cloud's database into a fresh one beside it, with the same tables and indices, as durably.
pub fn sqlite(path: &Path, parts: usize) -> Result<Duration> {
    let source = Connection::open(path)?;
    let schema: Vec<String> = source
        .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let bare = Connection::open(path.with_extension("bare"))?;
    bare.pragma_update(None, "journal_mode", "WAL")?;
    bare.pragma_update(None, "synchronous", "FULL")?;
    bare.pragma_update(None, "foreign_keys", "OFF")?;
    for sql in schema.iter().filter(|sql| !sql.contains("sqlite_")) {
        bare.execute_batch(sql)?;
    }
    bare.execute("ATTACH ?1 AS source", [path.to_str()])?;
    let mut ranges = Vec::new();
    for table in TABLES {
        let asked =
            format!("SELECT coalesce(min(row), 0), coalesce(max(row), 0) FROM source.{table}");
        let range: (i64, i64) = bare.query_row(&asked, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        ranges.push((table, range));
    }
    let (done, took) = timed(|| {
        for part in 0..parts {
            let mut sql = String::from("BEGIN IMMEDIATE;");
            for (table, (first, last)) in &ranges {
                let at = |part: usize| bound((*first, *last), (part, parts));
                writeln!(
                    sql,
                    "INSERT INTO main.{table} SELECT * FROM source.{table} WHERE row >= {} AND row < {};",
                    at(part),
                    at(part + 1)
                )
                .expect("text takes text");
            }
            sql.push_str("COMMIT;");
            bare.execute_batch(&sql)?;
        }
        Ok::<_, rusqlite::Error>(())
    });
    done?;
    Ok(took)
}

/// Where a part of the rows begins.
fn bound((first, last): (i64, i64), (part, parts): (usize, usize)) -> i64 {
    let (part, parts) = (part as i64, parts as i64);
    first + (last + 1 - first) * part / parts
}

/// The same tables beside those of the cloud, empty, and what copies the rows into them.
pub fn setup() -> String {
    let mut sql = String::from("CREATE SCHEMA bare;");
    let (mut known, mut found, mut copied) = (String::new(), String::new(), String::new());
    for table in TABLES {
        writeln!(
            sql,
            "CREATE TABLE bare.{table} (LIKE public.{table} INCLUDING ALL);"
        )
        .expect("text takes text");
        known.push_str(&format!("{table}_at bigint; {table}_rows bigint;\n"));
        found.push_str(&format!(
            "SELECT coalesce(min(row), 0), coalesce(max(row) + 1 - min(row), 0) INTO {table}_at, {table}_rows FROM public.{table};\n"
        ));
        copied.push_str(&format!(
            "INSERT INTO bare.{table} SELECT * FROM public.{table}
             WHERE row >= {table}_at + {table}_rows * part / parts AND row < {table}_at + {table}_rows * (part + 1) / parts;\n"
        ));
    }
    format!(
        "{sql} CREATE PROCEDURE bare.copy(parts bigint) LANGUAGE plpgsql AS $$
         DECLARE {known}
         BEGIN {found} FOR part IN 0 .. parts - 1 LOOP {copied} COMMIT; END LOOP; END $$;"
    )
}

/// The copy of all rows in so many transactions.
pub fn copy(parts: usize) -> String {
    format!("CALL bare.copy({parts})")
}
