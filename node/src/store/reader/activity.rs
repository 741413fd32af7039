//! What happened on all machines, newest first, as the log holds it.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value as Json};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::time::WallMs;

use super::super::{history, queue};
use super::past::ruling;
use super::{EntityRow, Ruling, StoreError, View};

/// Letters of a text in a row; an entity's history has it whole.
const LETTERS: usize = 200;

/// One command of any machine.
#[derive(Clone, PartialEq, Debug)]
pub struct ActivityEntry {
    /// Its name.
    pub dot: Dot,
    /// The person.
    pub actor: String,
    /// What it did.
    pub op: Op,
    /// To which entity.
    pub entity: EntityId,
    /// Its type.
    pub entity_type: String,
    /// What the entity shows now; `None` if it shows nothing.
    pub shown: Option<EntityRow>,
    /// Its changes by field, texts cut; of collected content none.
    pub fields: Map<String, Json>,
    /// The author's wall clock.
    pub ts: WallMs,
    /// What the cloud truth said, if it did.
    pub ruling: Option<Ruling>,
}

impl View<'_> {
    /// Applied commands before a log position, newest first, at least `limit` of them if there are; and where to go on.
    pub fn activity(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<ActivityEntry>, Option<u64>), StoreError> {
        let sql = "SELECT position, author, bytes, hash FROM log_bundle
                   WHERE applied IS NOT NULL AND position < ?1 ORDER BY position DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let before = before.map_or(i64::MAX, u64::cast_signed);
        let mut rows = statement.query(params![before])?;
        let (mut entries, mut known) = (Vec::new(), BTreeMap::new());
        while let Some(row) = rows.next()? {
            let position: i64 = row.get(0)?;
            let bundle = history::bundle(row, (2, 3))?;
            let mut verdicts = history::verdicts(self.connection, row.get(1)?, &bundle)?;
            let from = entries.len();
            for (dot, command) in bundle.commands() {
                let shown = self.shown_now(command.entity, &mut known)?;
                let collected = shown.as_ref().and_then(|row| row.tombstone);
                let collected = collected.is_some_and(|(_, collected)| collected);
                let fields = if collected {
                    Map::new()
                } else {
                    cut(queue::changes(command))
                };
                entries.push(ActivityEntry {
                    dot,
                    actor: bundle.header().actor.clone(),
                    op: command.op,
                    entity: command.entity,
                    entity_type: command.entity_type.clone(),
                    shown,
                    fields,
                    ts: command.ts,
                    ruling: verdicts
                        .remove(&dot.counter)
                        .map(|verdict| ruling(verdict.position, verdict.outcome)),
                });
            }
            entries[from..].reverse();
            if entries.len() >= limit {
                return Ok((entries, Some(position.cast_unsigned())));
            }
        }
        Ok((entries, None))
    }

    fn shown_now(
        &self,
        id: EntityId,
        known: &mut BTreeMap<EntityId, Option<EntityRow>>,
    ) -> Result<Option<EntityRow>, StoreError> {
        if let Some(row) = known.get(&id) {
            return Ok(row.clone());
        }
        let row = self.entity(id)?;
        known.insert(id, row.clone());
        Ok(row)
    }

    /// Commands of an entity without a verdict, besides one: what waits behind a stuck letter.
    pub fn undecided_beside(&self, entity: EntityId, dot: Dot) -> Result<u64, StoreError> {
        let waiting = |entry: &&super::HistoryEntry| entry.ruling.is_none() && entry.dot != dot;
        Ok(self.history(entity)?.iter().filter(waiting).count() as u64)
    }

    /// Open letters of an entity that were refused because of another command, besides one: what waits behind a dead letter.
    pub fn refused_beside(&self, entity: EntityId, dot: Dot) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM dead_letter JOIN epoch ON epoch.id = dead_letter.author
                   WHERE entity = ?1 AND settled IS NULL AND code = 'DEPENDS_ON_REJECTED'
                   AND epoch.name || '.' || counter <> ?2";
        let number: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![entity.0, dot.to_string()], |row| row.get(0))
            .optional()?;
        Ok(number.unwrap_or(0).unsigned_abs())
    }
}

fn cut(mut fields: Map<String, Json>) -> Map<String, Json> {
    for value in fields.values_mut() {
        if let Json::String(text) = value
            && let Some((at, _)) = text.char_indices().nth(LETTERS)
        {
            text.truncate(at);
            text.push_str("...");
        }
    }
    fields
}
