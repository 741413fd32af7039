//! Conflicts as rows: those open now, and the ledger of every one that opened, changed or closed.
//!
//! The rows follow the state and decide nothing; the ledger only grows.

use rusqlite::{Connection, params};
use serde_json::{Value as Json, json};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{Conflict, KeyClaim, Priorities, Side};
use studiovault_protocol::time::WallMs;

use super::batch::{Applied, Batch};
use super::touched::Loaded;
use super::{Rules, StoreError, history};

/// Who or what changed a conflict.
#[derive(Clone, Copy, Debug)]
pub(super) enum Decider {
    /// A command.
    Command(Dot, WallMs),
    /// An entry of the feed.
    Feed(u64, WallMs),
    /// New priorities in the roster.
    Roster,
    /// Another policy in force.
    Policy,
}

/// One row of the ledger.
#[derive(Debug)]
pub(super) struct LedgerEntry {
    conflict: String,
    entity: EntityId,
    field: Option<String>,
    event: &'static str,
    winner: Option<String>,
    rule: Option<String>,
    sides: String,
    /// The conflict, until its base is looked up.
    question: Option<Conflict>,
    base: Option<String>,
    decided_by: String,
    decided_at: i64,
    /// Other entities that it is about.
    parties: Vec<EntityId>,
}

/// Compares the conflicts of an entity with those before and notes what changed.
pub(super) fn note(
    loaded: &mut Loaded,
    ledger: &mut Vec<LedgerEntry>,
    (decider, priorities): (Decider, &Priorities),
    applied: &mut Applied,
) {
    loaded.decider = Some(decider);
    if loaded.conflicts.is_empty() && !loaded.entity.in_conflict() {
        return;
    }
    let now = loaded.entity.conflicts(priorities);
    let before = std::mem::replace(&mut loaded.conflicts, now);
    for old in &before {
        if !loaded.conflicts.iter().any(|new| new.id == old.id) {
            applied.closed.push(old.id.clone());
            ledger.push(closed(old, loaded, (decider, priorities)));
        }
    }
    for new in &loaded.conflicts {
        let event = match before.iter().find(|old| old.id == new.id) {
            None => {
                applied.opened.push(new.id.clone());
                "opened"
            }
            Some(old) if old == new => continue,
            Some(_) => "changed",
        };
        let winner = new.sides.iter().find(|side| side.dot == new.suggested);
        ledger.push(LedgerEntry {
            event,
            winner: winner.map(|side| side_json(side).to_string()),
            rule: Some(word(&new.rule)),
            ..entry(new, decider)
        });
    }
}

fn closed(
    old: &Conflict,
    loaded: &Loaded,
    (decider, priorities): (Decider, &Priorities),
) -> LedgerEntry {
    let winner = match &old.field {
        Some(field) => loaded
            .entity
            .value(field, priorities)
            .map(|value| value.to_json()),
        None => Some(json!({ "deleted": loaded.entity.life.is_deleted() })),
    };
    LedgerEntry {
        event: "closed",
        winner: winner.map(|value| value.to_string()),
        ..entry(old, decider)
    }
}

fn entry(conflict: &Conflict, decider: Decider) -> LedgerEntry {
    let (decided_by, at) = match decider {
        Decider::Command(dot, ts) => (dot.to_string(), ts),
        Decider::Feed(position, at) => (format!("feed {position}"), at),
        Decider::Roster => ("roster".to_owned(), WallMs(0)),
        Decider::Policy => ("policy".to_owned(), WallMs(0)),
    };
    let others = conflict.sides.iter().map(|side| side.entity);
    LedgerEntry {
        parties: others.filter(|other| *other != conflict.entity).collect(),
        conflict: conflict.id.clone(),
        entity: conflict.entity,
        field: conflict.field.clone(),
        event: "",
        winner: None,
        rule: None,
        sides: sides_json(conflict).to_string(),
        question: Some(conflict.clone()),
        base: None,
        decided_by,
        decided_at: at.0,
    }
}

impl Batch<'_> {
    /// Looks up what the sides of each conflict in the waiting lines grew from.
    pub(super) fn find_bases(&mut self, rules: &Rules<'_>) -> Result<(), StoreError> {
        if self
            .touched
            .ledger
            .iter()
            .all(|entry| entry.question.is_none())
        {
            return Ok(());
        }
        self.write_waiting()?;
        self.touched.flush_history(self.store)?;
        for entry in &mut self.touched.ledger {
            let Some(conflict) = entry.question.take() else {
                continue;
            };
            let Some(loaded) = self.touched.entities.peek(conflict.entity) else {
                continue;
            };
            let store = &*self.store;
            let from = (&store.connection, &store.authors);
            let base = history::base(from, (loaded.row, &conflict), rules)?;
            entry.base = base.map(|base| base.to_string());
        }
        Ok(())
    }
}

/// Writes a line on the conflict over a natural key.
pub(super) fn write_key(
    connection: &Connection,
    (conflict, winner, event): (&Conflict, Option<KeyClaim>, &'static str),
    decider: Decider,
) -> Result<(), StoreError> {
    let winner =
        winner.map(|claim| json!({"entity": claim.entity, "value": claim.name().to_json()}));
    let mut lines = vec![LedgerEntry {
        event,
        winner: winner.map(|winner| winner.to_string()),
        rule: Some(word(&conflict.rule)),
        ..entry(conflict, decider)
    }];
    write(connection, &mut lines)
}

/// Writes the ledger rows that wait, in order.
pub(super) fn write(
    connection: &Connection,
    ledger: &mut Vec<LedgerEntry>,
) -> Result<(), StoreError> {
    for entry in ledger.drain(..) {
        connection
            .prepare_cached(
                "INSERT INTO conflict_ledger (conflict, entity, field, event, winner, rule, sides, base, decided_by, decided_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                entry.conflict,
                entry.entity.0,
                entry.field,
                entry.event,
                entry.winner,
                entry.rule,
                entry.sides,
                entry.base,
                entry.decided_by,
                entry.decided_at
            ])?;
        let line = connection.last_insert_rowid();
        for party in entry.parties {
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO ledger_party (entity, line) VALUES (?1, ?2)",
                )?
                .execute(params![party.0, line])?;
        }
    }
    Ok(())
}

/// Makes the rows of open conflicts those of the entity's state.
pub(super) fn write_open(connection: &Connection, loaded: &Loaded) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM conflict WHERE entity = ?1")?
        .execute([loaded.row])?;
    for conflict in &loaded.conflicts {
        let opened_at = conflict
            .sides
            .iter()
            .map(|side| side.ts.0)
            .max()
            .unwrap_or(0);
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO conflict (id, entity, field, kind, suggested, rule, clock_suspect, sides, opened_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                conflict.id,
                loaded.row,
                conflict.field,
                word(&conflict.kind),
                conflict.suggested.to_string(),
                word(&conflict.rule),
                conflict.clock_suspect,
                sides_json(conflict).to_string(),
                opened_at
            ])?;
    }
    Ok(())
}

fn sides_json(conflict: &Conflict) -> Json {
    conflict.sides.iter().map(side_json).collect()
}

pub(super) fn side_json(side: &Side) -> Json {
    json!({
        "entity": side.entity,
        "dot": side.dot.to_string(),
        "ts": side.ts.0,
        "value": side.value.as_ref().map(|value| value.to_json()),
        "state": word(&side.state),
        "code": side.code.map(|code| code.word()),
    })
}

/// The word of a plain variant, as JSON writes it.
pub(super) fn word<T: serde::Serialize>(variant: &T) -> String {
    match serde_json::to_value(variant) {
        Ok(Json::String(word)) => word,
        _ => String::new(),
    }
}
