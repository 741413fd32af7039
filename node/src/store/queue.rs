//! The sync queue: rows for people about this machine's own commands.
//!
//! The gateway forwards by log position and never reads them, so a wrong row here cannot lose a command.

use rusqlite::{Connection, params};
use serde_json::{Map, Value as Json, json};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::merge::Outcome;

use super::{Store, StoreError, history};

/// The queue's word for what a command does.
pub(super) fn operation(command: &Command) -> &'static str {
    match (command.op, command.entity_type.as_str()) {
        (Op::Create, "pos_void") => "void",
        (op, _) => op.word(),
    }
}

/// What a command says, as JSON: the entity and its changes.
pub(super) fn payload(command: &Command) -> Json {
    json!({ "entity_id": command.entity.to_string(), "fields": changes(command) })
}

/// A command's changes by field.
pub(super) fn changes(command: &Command) -> Map<String, Json> {
    let mut changes = Map::new();
    for write in &command.writes {
        match (change_json(&write.change), changes.get_mut(&write.field)) {
            // Adding to and removing from one set in one command.
            (Json::Object(more), Some(Json::Object(held))) => held.extend(more),
            (change, _) => drop(changes.insert(write.field.clone(), change)),
        }
    }
    changes
}

/// One change as JSON: a plain value, or `{ "add": [] }`, `{ "remove": [] }`, `{ "increment": n }`.
fn change_json(change: &Change) -> Json {
    match change {
        Change::Write(value) => value.to_json(),
        Change::Add(elements) => {
            json!({ "add": elements.iter().map(|element| element.to_json()).collect::<Vec<_>>() })
        }
        Change::Remove(elements) => {
            json!({ "remove": elements.iter().map(|(element, _)| element.to_json()).collect::<Vec<_>>() })
        }
        Change::Increment(by) => json!({ "increment": by }),
    }
}

/// Puts every command of an own bundle into the queue.
pub(super) fn enqueue(
    connection: &Connection,
    author: i64,
    bundle: &Bundle,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO sync_queue (author, counter, id, entity_type, operation, payload_json, created_at, sync_status)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending')",
    )?;
    for (dot, command) in bundle.commands() {
        statement.execute(params![
            author,
            dot.counter.cast_signed(),
            command.id.to_string(),
            command.entity_type,
            operation(command),
            payload(command).to_string(),
            command.ts.0
        ])?;
    }
    Ok(())
}

/// Puts every own command that no verdict decided into the queue: a cloud truth was added to the studio.
pub(super) fn enqueue_all(store: &Store) -> Result<(), StoreError> {
    let connection = &store.connection;
    let mut statement = connection.prepare_cached(
        "SELECT author, bytes, hash FROM log_bundle WHERE own = 1 AND NOT EXISTS
         (SELECT 1 FROM verdict WHERE verdict.author = log_bundle.author AND verdict.first = log_bundle.first)",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bundle = history::bundle(row, (1, 2))?;
        enqueue(connection, row.get(0)?, &bundle)?;
    }
    Ok(())
}

/// Notes that the cloud, or whoever carries it there, took an author's commands up to a counter.
pub(super) fn mark_sent(
    connection: &Connection,
    author: i64,
    (after, upto): (u64, u64),
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE sync_queue SET sync_status = 'sent'
             WHERE author = ?1 AND counter > ?2 AND counter <= ?3 AND sync_status = 'pending'",
        )?
        .execute([author, after.cast_signed(), upto.cast_signed()])?;
    Ok(())
}

/// Takes up the verdicts on a range: all confirmed, but for the counters of those that were rejected, ascending.
pub(super) fn decide(
    connection: &Connection,
    author: i64,
    ((first, last), rejected): ((u64, u64), &[u64]),
) -> Result<(), StoreError> {
    let (from, to) = (first.cast_signed(), last.cast_signed());
    if rejected.is_empty() {
        connection
            .prepare_cached(
                "UPDATE sync_queue SET sync_status = 'confirmed' WHERE author = ?1 AND counter BETWEEN ?2 AND ?3",
            )?
            .execute([author, from, to])?;
        return Ok(());
    }
    // One statement for all of them: each of its own costs as much as the rest of a verdict.
    let mut marks = vec![0u8; usize::try_from(last - first + 1).unwrap_or(0)];
    for counter in rejected {
        marks[(counter - first) as usize] = 1;
    }
    connection
        .prepare_cached(
            "UPDATE sync_queue SET sync_status = CASE substr(?4, counter - ?2 + 1, 1) WHEN x'01' THEN 'rejected' ELSE 'confirmed' END
             WHERE author = ?1 AND counter BETWEEN ?2 AND ?3",
        )?
        .execute(params![author, from, to, marks])?;
    Ok(())
}

/// What the cloud said of a command, if it did not simply accept.
pub(super) fn words(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted => None,
        Outcome::Merged(fields) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(field, code)| format!("{field}: {}", code.word()))
                .collect();
            Some(fields.join(", "))
        }
        Outcome::Rejected { code, detail } => Some(format!("{}: {detail}", code.word())),
    }
}
