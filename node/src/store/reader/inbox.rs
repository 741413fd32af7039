//! What waits for a person: open conflicts, dead letters, and the queue of own commands.
//!
//! Lists are bounded by the caller's limit; nothing is decided here.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value as Json};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::time::WallMs;

use super::{StoreError, View};

/// An open conflict.
#[derive(Clone, PartialEq, Debug)]
pub struct ConflictRow {
    /// The same on every device.
    pub id: String,
    /// The entity.
    pub entity: EntityId,
    /// Its type.
    pub entity_type: String,
    /// The field; `None` for the entity's life.
    pub field: Option<String>,
    /// As [`studiovault_protocol::merge::ConflictKind`] writes itself.
    pub kind: String,
    /// The side that is shown meanwhile.
    pub suggested: Dot,
    /// Why, as [`studiovault_protocol::merge::PickRule`] writes itself.
    pub rule: String,
    /// A clock is more than a day off.
    pub clock_suspect: bool,
    /// `[{ dot, ts, value, state, code }]`.
    pub sides: Vec<Json>,
    /// The newest side's wall clock.
    pub opened_at: WallMs,
}

/// A line of the conflict ledger.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerRow {
    /// Which conflict.
    pub conflict: String,
    /// opened, changed or closed.
    pub event: String,
    /// What was shown from then on, as JSON.
    pub winner: Option<Json>,
    /// The rule that picked it; `None` if a person or the cloud decided.
    pub rule: Option<String>,
    /// The candidates.
    pub sides: Vec<Json>,
    /// The dot of the deciding command, or `feed` and a position.
    pub decided_by: String,
    /// The decider's wall clock.
    pub decided_at: WallMs,
}

/// An own command that the cloud did not take.
#[derive(Clone, PartialEq, Debug)]
pub struct DeadLetterRow {
    /// The command.
    pub dot: Dot,
    /// The entity.
    pub entity: EntityId,
    /// Its type.
    pub entity_type: String,
    /// create, update, delete, restore, resolve or void.
    pub operation: String,
    /// The changes by field.
    pub fields: Map<String, Json>,
    /// The cloud's code.
    pub code: String,
    /// The cloud's words.
    pub detail: String,
    /// The cloud's wall clock.
    pub rejected_at: WallMs,
}

/// An own command on its way.
#[derive(Clone, PartialEq, Debug)]
pub struct QueueRow {
    /// The command.
    pub dot: Dot,
    /// The entity's type.
    pub entity_type: String,
    /// create, update, delete, restore, resolve or void.
    pub operation: String,
    /// The entity and the changes.
    pub payload: Json,
    /// When it was written.
    pub created_at: WallMs,
    /// pending, sent, confirmed or rejected.
    pub sync_status: String,
    /// What the cloud said, if it did not simply accept.
    pub last_error: Option<String>,
}

const CONFLICT: &str =
    "SELECT conflict.id, entity.uuid, entity_type.name, field, kind, suggested, rule, clock_suspect, sides, opened_at
     FROM conflict JOIN entity ON entity.id = conflict.entity JOIN entity_type ON entity_type.id = entity.type";

impl View<'_> {
    /// Open conflicts, newest first.
    pub fn conflicts(&self, limit: usize) -> Result<Vec<ConflictRow>, StoreError> {
        let sql = format!("{CONFLICT} ORDER BY opened_at DESC, conflict.id LIMIT ?1");
        self.gather(&sql, params![limit as i64], conflict_row)
    }

    /// One open conflict.
    pub fn conflict(&self, id: &str) -> Result<Option<ConflictRow>, StoreError> {
        self.connection
            .prepare_cached(&format!("{CONFLICT} WHERE conflict.id = ?1"))?
            .query_row([id], |row| Ok(conflict_row(row)))
            .optional()?
            .transpose()
    }

    /// The open conflicts of one entity.
    pub fn conflicts_of(&self, entity: EntityId) -> Result<Vec<ConflictRow>, StoreError> {
        let sql = format!("{CONFLICT} WHERE entity.uuid = ?1 ORDER BY conflict.id");
        self.gather(&sql, params![entity.0], conflict_row)
    }

    /// The ledger of one conflict, oldest first.
    pub fn ledger(&self, conflict: &str) -> Result<Vec<LedgerRow>, StoreError> {
        let sql = "SELECT conflict, event, winner, rule, sides, decided_by, decided_at FROM conflict_ledger
                   WHERE conflict = ?1 ORDER BY id";
        self.gather(sql, params![conflict], |row| {
            let winner: Option<String> = row.get(2)?;
            Ok(LedgerRow {
                conflict: row.get(0)?,
                event: row.get(1)?,
                winner: winner.map(|text| json(&text)).transpose()?,
                rule: row.get(3)?,
                sides: json(row.get_ref(4)?.as_str().unwrap_or_default())?,
                decided_by: row.get(5)?,
                decided_at: WallMs(row.get(6)?),
            })
        })
    }

    /// Dead letters that nobody settled, newest first.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        let sql = "SELECT epoch.name || '.' || counter, entity, entity_type, operation, payload_json, code, detail, rejected_at
                   FROM dead_letter JOIN epoch ON epoch.id = dead_letter.author
                   WHERE settled IS NULL ORDER BY dead_letter.id DESC LIMIT ?1";
        self.gather(sql, params![limit as i64], |row| {
            let payload: Json = json(row.get_ref(4)?.as_str().unwrap_or_default())?;
            let fields = payload.get("fields").and_then(Json::as_object).cloned();
            Ok(DeadLetterRow {
                dot: dot(&row.get::<_, String>(0)?)?,
                entity: EntityId(row.get(1)?),
                entity_type: row.get(2)?,
                operation: row.get(3)?,
                fields: fields.unwrap_or_default(),
                code: row.get(5)?,
                detail: row.get(6)?,
                rejected_at: WallMs(row.get(7)?),
            })
        })
    }

    /// Own commands in the queue, newest first; those before a dot if one is given.
    pub fn queue(&self, before: Option<Dot>, limit: usize) -> Result<Vec<QueueRow>, StoreError> {
        let sql = "SELECT epoch.name || '.' || counter, entity_type, operation, payload_json, created_at, sync_status, last_error
                   FROM sync_queue JOIN epoch ON epoch.id = sync_queue.author
                   WHERE counter < ?1 ORDER BY counter DESC LIMIT ?2";
        let bound = before.map_or(i64::MAX, |dot| dot.counter.cast_signed());
        self.gather(sql, params![bound, limit as i64], |row| {
            Ok(QueueRow {
                dot: dot(&row.get::<_, String>(0)?)?,
                entity_type: row.get(1)?,
                operation: row.get(2)?,
                payload: json(row.get_ref(3)?.as_str().unwrap_or_default())?,
                created_at: WallMs(row.get(4)?),
                sync_status: row.get(5)?,
                last_error: row.get(6)?,
            })
        })
    }

    pub(super) fn gather<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

fn conflict_row(row: &Row<'_>) -> Result<ConflictRow, StoreError> {
    Ok(ConflictRow {
        id: row.get(0)?,
        entity: EntityId(row.get(1)?),
        entity_type: row.get(2)?,
        field: row.get(3)?,
        kind: row.get(4)?,
        suggested: dot(&row.get::<_, String>(5)?)?,
        rule: row.get(6)?,
        clock_suspect: row.get(7)?,
        sides: json(row.get_ref(8)?.as_str().unwrap_or_default())?,
        opened_at: WallMs(row.get(9)?),
    })
}

fn dot(text: &str) -> Result<Dot, StoreError> {
    text.parse()
        .map_err(|_| StoreError::corrupt(format!("the dot {text}")))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::corrupt(format!("the JSON {text}")))
}
