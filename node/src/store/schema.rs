//! The schema: numbered migrations, the settings that durability rests on, and the views for applications.
//!
//! A released migration is never edited. Views are made anew whenever the policy changes and hold no data.

use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite_migration::{M, Migrations};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::pos;
use studiovault_protocol::receipt;
use studiovault_protocol::sabotage::Bug;

use super::{Location, StoreError, put_encoded};

/// Each takes the schema from the version of its place to the next.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("schema_1.sql")),
    M::up(include_str!("schema_2.sql")),
    M::up(include_str!("schema_3.sql")),
    M::up(include_str!("schema_4.sql")),
    M::up(include_str!("schema_5.sql")),
    M::up(include_str!("schema_6.sql")),
    M::up(include_str!("schema_7.sql")),
    M::up(include_str!("schema_8.sql")),
    M::up(include_str!("schema_9.sql")),
    M::up(include_str!("schema_10.sql")),
    M::up(include_str!("schema_11.sql")),
    M::up(include_str!("schema_12.sql")),
    M::up(include_str!("schema_13.sql")),
    M::up(include_str!("schema_14.sql")),
    M::up(include_str!("schema_15.sql")),
    M::up(include_str!("schema_16.sql")),
];
/// The newest schema version known here.
const KNOWN: i64 = MIGRATIONS.len() as i64;
/// One higher whenever the views of a policy's types say something else than before.
pub(super) const VIEWS: u32 = 2;
/// Pages of the writer's cache, in KiB. With 100,000 entities the whole process must stay below 80 MiB.
const CACHE_KIB: i64 = 24 * 1024;
/// KiB of a read-only connection's cache; a node has a few of them.
const READER_CACHE_KIB: i64 = 2 * 1024;
/// Prepared statements kept per connection: more than the store has.
const STATEMENTS: usize = 128;
/// Pages of the write-ahead log at which the writer itself moves it, if nobody beside it did.
const WRITER_CHECKPOINT_PAGES: i64 = 4 * 1024;
/// A log that was larger than this is cut back after a checkpoint, bytes.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

/// Whether a row of `entity` has an open letter: a command that the cloud did not take, or broke on.
pub(super) const FIXING: &str =
    "EXISTS (SELECT 1 FROM dead_letter WHERE dead_letter.entity = entity.uuid AND settled IS NULL)";
/// Whether the newest command of every author on a row of `entity` has a verdict.
pub(super) const DECIDED: &str =
    "NOT EXISTS (SELECT 1 FROM json_each(entity.vv) AS mark WHERE json_extract(mark.value, '$[1]') > coalesce(
      (SELECT last FROM verdict WHERE verdict.author = json_extract(mark.value, '$[0]')
       AND verdict.first <= json_extract(mark.value, '$[1]') ORDER BY verdict.first DESC LIMIT 1), 0))";

/// The standing entries of a type that name a row of `entity` as their sale, after `SELECT` and what is wanted of each `entry`.
fn naming(entry_type: &str) -> String {
    format!(
        "FROM entity AS entry WHERE entry.sale = entity.uuid AND entry.deleted = 0
         AND entry.type = (SELECT id FROM entity_type WHERE name = '{entry_type}')"
    )
}

/// Whether a void stands against a row of `entity`.
pub(super) fn voided() -> String {
    format!("EXISTS (SELECT 1 {})", naming(pos::VOID))
}

/// What the corrections of a row of `entity` add up to: millions and rests, since a sum of 64 bits can be too small. Nothing if a void stands
/// against it: it counts nothing then, and neither do they.
pub(super) fn corrections() -> [String; 2] {
    let cents = format!("json_extract(entry.shown, '$.{}')", pos::AMOUNT);
    ["/", "%"].map(|part| {
        format!(
            "(SELECT sum({cents} {part} 1000000) {} AND NOT {})",
            naming(pos::CORRECTION),
            voided()
        )
    })
}

/// Makes the settings that every commit rests on, and checks that they hold.
pub(super) fn configure(connection: &Connection, location: &Location) -> Result<(), StoreError> {
    let journal = match location {
        Location::Folder(_) => "wal",
        Location::Memory => "memory",
    };
    let found = switch_journal(connection, "WAL")?;
    if found != journal {
        let setting = "journal_mode";
        return Err(StoreError::NotDurable { setting, found });
    }
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;
         PRAGMA journal_size_limit = {WAL_BYTES}; PRAGMA wal_autocheckpoint = {WRITER_CHECKPOINT_PAGES};"
    ))?;
    configure_flush(connection)?;
    configure_statements(connection)
}

/// Asks for a journal; the one that is in force then. SQLite names the new one before it has written it down, and what goes wrong
/// there, such as a full disk, is told only to whoever asks on.
pub(super) fn switch_journal(connection: &Connection, wanted: &str) -> Result<String, StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA journal_mode = {wanted}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?)
}

/// Keeps statements, and keeps their plans: without the second setting SQLite prepares a statement with a bound `LIMIT` anew at
/// every use, which was a third of the time it takes to apply a command.
fn configure_statements(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Flushes whatever must be flushed, down to the medium, and checks that SQLite took it so.
pub(super) fn configure_flush(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;",
    )?;
    if Bug::NormalSync.is_on() {
        return Ok(connection.execute_batch("PRAGMA synchronous = NORMAL;")?);
    }
    for (setting, wanted) in [
        ("synchronous", 2i64),
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
    ] {
        let found: i64 = connection.pragma_query_value(None, setting, |row| row.get(0))?;
        if found != wanted {
            let found = found.to_string();
            return Err(StoreError::NotDurable { setting, found });
        }
    }
    Ok(())
}

/// The settings of a read-only connection.
pub(super) fn configure_reader(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE_KIB}; PRAGMA temp_store = MEMORY;"
    ))?;
    configure_statements(connection)
}

/// Brings the schema up to date; a folder of a newer version is refused untouched.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > KNOWN {
        let known = KNOWN;
        return Err(StoreError::Newer { found, known });
    }
    match Migrations::from_slice(MIGRATIONS).to_latest(connection) {
        Ok(()) => Ok(()),
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => Err(err.into()),
        Err(other) => Err(StoreError::corrupt(other.to_string())),
    }
}

/// An empty store as an older version of the program left it; how many versions there are.
#[cfg(test)]
pub(super) fn migrate_to(connection: &mut Connection, version: usize) -> usize {
    let migrations = Migrations::from_slice(MIGRATIONS);
    let older = migrations.to_version(connection, version);
    older.expect("an older schema can be made");
    MIGRATIONS.len()
}

/// Makes the views of a policy's types, and no others.
pub(super) fn make_views(connection: &Connection, policy: &Policy) -> Result<(), StoreError> {
    let views: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'view' AND name LIKE 'app\\_%' ESCAPE '\\'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for view in views {
        connection.execute_batch(&format!("DROP VIEW {}", quoted(&view)))?;
    }
    for name in policy.types().keys() {
        connection.execute(
            "INSERT OR IGNORE INTO entity_type (name) VALUES (?1)",
            [name],
        )?;
        let id: i64 = connection.query_row(
            "SELECT id FROM entity_type WHERE name = ?1",
            [name],
            |row| row.get(0),
        )?;
        connection.execute_batch(&view(policy, name, id))?;
    }
    put_encoded(connection, "views", &VIEWS)
}

/// The statement that makes the view of one type: plain SQL, so that any SQLite driver can read it.
fn view(policy: &Policy, name: &str, id: i64) -> String {
    let mut sql = format!(
        "CREATE VIEW {} AS SELECT {} AS id",
        quoted(&format!("app_{name}")),
        uuid_text("entity.uuid")
    );
    for field in policy.types()[name].fields.keys() {
        let path = format!("$.\"{field}\"").replace('\'', "''");
        if field == receipt::FIELD && policy.types()[name].append_only {
            // As it is printed, and as every other place shows it.
            write!(
                sql,
                ", coalesce(entity.receipt, json_extract(shown, '{path}')) AS {}",
                quoted(field)
            )
            .expect("text grows");
            continue;
        }
        write!(sql, ", json_extract(shown, '{path}') AS {}", quoted(field)).expect("text grows");
    }
    if policy.types()[name].append_only && policy.types()[name].field(receipt::FIELD).is_some() {
        sql += ", entity.receipt AS _receipt";
    }
    if name == pos::SALE {
        let (voided, [millions, rests]) = (voided(), corrections());
        write!(
            sql,
            ", {voided} AS _voided, coalesce({millions} * 1000000 + {rests}, 0) AS _corrections_cents"
        )
        .expect("text grows");
    }
    write!(
        sql,
        ", CASE WHEN conflict OR twin OR {FIXING} THEN 'needs fixing' WHEN confirmed AND {DECIDED} THEN 'confirmed'
         ELSE 'saved here' END AS _sync_state,
         conflict OR twin AS _conflict,
         (SELECT group_concat(epoch.name || '.' || json_extract(tip.value, '$[1]'), ',')
            FROM json_each(entity.vv) AS tip CROSS JOIN epoch ON epoch.id = json_extract(tip.value, '$[0]')) AS _vv,
         deleted AS _deleted,
         opaque AS _needs_newer_version
         FROM entity WHERE type = {id} AND deleted = 0"
    )
    .expect("text grows");
    sql
}

/// An SQL expression that writes a UUID blob as text.
fn uuid_text(column: &str) -> String {
    let part = |from: u8, length: u8| format!("substr(lower(hex({column})), {from}, {length})");
    format!(
        "{} || '-' || {} || '-' || {} || '-' || {} || '-' || {}",
        part(1, 8),
        part(9, 4),
        part(13, 4),
        part(17, 4),
        part(21, 12)
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
