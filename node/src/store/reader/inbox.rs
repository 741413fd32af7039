//! What waits for a person: open conflicts, dead letters, and the queue of own commands.
//!
//! Lists are bounded by the caller's limit; nothing is decided here.

use std::collections::BTreeSet;

use rusqlite::{Row, params};
use serde_json::{Map, Value as Json};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::Outcome;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::vector::Vector;

use super::super::authors::Authors;
use super::super::{history, queue, receipt};
use super::{HistoryEntry, StoreError, View};

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
    /// The value that the sides grew from, where known.
    pub base: Option<Json>,
    /// `[{ entity, dot, ts, value, state, code, proposed }]`.
    pub sides: Vec<Json>,
    /// The newest side's wall clock.
    pub opened_at: WallMs,
}

/// A line of the conflict ledger.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerRow {
    /// Which conflict.
    pub conflict: String,
    /// The field; `None` for the entity's life.
    pub field: Option<String>,
    /// opened, changed or closed.
    pub event: String,
    /// What was shown from then on, as JSON.
    pub winner: Option<Json>,
    /// The rule that picked it; `None` if a person or the cloud decided.
    pub rule: Option<String>,
    /// The value that the candidates grew from, where known.
    pub base: Option<Json>,
    /// The candidates.
    pub sides: Vec<Json>,
    /// The dot of the deciding command, or `feed` and a position.
    pub decided_by: String,
    /// The decider's wall clock.
    pub decided_at: WallMs,
}

/// A command of any machine that the cloud did not take, or breaks on.
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
    /// The receipt that it gave, as it is printed.
    pub receipt: Option<String>,
    /// The cloud's code.
    pub code: String,
    /// The cloud's words.
    pub detail: String,
    /// The cloud's wall clock.
    pub rejected_at: WallMs,
    /// What settled it: fixed or discarded; `None` while it is open.
    pub settled: Option<String>,
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
    /// Tries on which the cloud broke, once it counts as stuck.
    pub attempts: u64,
    /// It waits although the cloud works: the cloud breaks on it.
    pub stuck: bool,
    /// What the cloud said, if it did not simply accept.
    pub last_error: Option<String>,
}

const CONFLICT: &str =
    "SELECT conflict.id, entity.uuid, entity_type.name, field, kind, suggested, rule, clock_suspect, sides, opened_at,
     (SELECT base FROM conflict_ledger AS line WHERE line.conflict = conflict.id ORDER BY line.id DESC LIMIT 1)
     FROM conflict JOIN entity ON entity.id = conflict.entity JOIN entity_type ON entity_type.id = entity.type";

impl View<'_> {
    /// Open conflicts, newest first.
    pub fn conflicts(&self, limit: usize) -> Result<Vec<ConflictRow>, StoreError> {
        let sql = format!("{CONFLICT} ORDER BY opened_at DESC, conflict.id LIMIT ?1");
        let mut rows = self.gather(&sql, params![limit as i64], conflict_row)?;
        rows.iter_mut()
            .try_for_each(|row| self.propose_names(row))?;
        rows.extend(self.key_conflicts(limit)?);
        rows.sort_by_key(|row| std::cmp::Reverse(row.opened_at));
        rows.truncate(limit);
        Ok(rows)
    }

    /// One open conflict.
    pub fn conflict(&self, id: &str) -> Result<Option<ConflictRow>, StoreError> {
        let sql = format!("{CONFLICT} WHERE conflict.id = ?1");
        match self.gather(&sql, params![id], conflict_row)?.pop() {
            Some(mut row) => {
                self.propose_names(&mut row)?;
                Ok(Some(row))
            }
            None => self.key_conflict(id),
        }
    }

    /// All commands applied to the entities of a conflict: as a context it covers every side, and nothing that came later.
    pub fn conflict_context(&self, row: &ConflictRow) -> Result<Vector, StoreError> {
        let others = row.sides.iter();
        let others = others.filter_map(|side| side["entity"].as_str()?.parse::<EntityId>().ok());
        let entities: BTreeSet<EntityId> = others.chain([row.entity]).collect();
        let mut contexts = Vec::with_capacity(entities.len());
        for entity in entities {
            contexts.extend(self.entity(entity)?.map(|row| row.vv));
        }
        if let [only] = &mut contexts[..] {
            return Ok(std::mem::take(only));
        }
        let epochs = self.epochs(&Authors::load(self.connection)?)?;
        let mut all = Vector::default();
        contexts.iter().for_each(|one| all.join_all(&epochs, one));
        Ok(all)
    }

    /// The first side of a conflict that whoever read up to there has not seen.
    pub fn unseen_side(&self, row: &ConflictRow, read: &Vector) -> Result<Option<Dot>, StoreError> {
        let epochs = self.epochs(&Authors::load(self.connection)?)?;
        let sides = row.sides.iter();
        let mut sides = sides.filter_map(|side| side["dot"].as_str()?.parse().ok());
        Ok(sides.find(|dot| !read.covers(&epochs, *dot)))
    }

    /// The open conflicts of one entity.
    pub fn conflicts_of(&self, entity: EntityId) -> Result<Vec<ConflictRow>, StoreError> {
        let sql = format!("{CONFLICT} WHERE entity.uuid = ?1 ORDER BY conflict.id");
        let mut rows = self.gather(&sql, params![entity.0], conflict_row)?;
        rows.iter_mut()
            .try_for_each(|row| self.propose_names(row))?;
        rows.extend(self.key_conflict_of(entity)?);
        Ok(rows)
    }

    /// The edits that the cloud refused because of the entity's life and that nothing covered since, the latest last; of
    /// one that was read up to somewhere only those that were seen.
    pub fn refused_edits(
        &self,
        entity: EntityId,
        read: Option<&Vector>,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut conflicts = self.conflicts_of(entity)?.into_iter();
        let Some(life) = conflicts.find(|row| row.field.is_none()) else {
            return Ok(Vec::new());
        };
        let epochs = self.epochs(&Authors::load(self.connection)?)?;
        let sides = life.sides.iter().filter(|side| side["state"] == "rejected");
        let dots: Vec<Dot> = sides
            .filter_map(|side| side["dot"].as_str()?.parse().ok())
            .filter(|dot| read.is_none_or(|read| read.covers(&epochs, *dot)))
            .collect();
        let mut edits = self.history(entity)?;
        edits.retain(|entry| dots.contains(&entry.dot));
        edits.sort_by_key(|entry| (entry.ts, entry.dot));
        Ok(edits)
    }

    /// The ledger of one conflict, oldest first.
    pub fn ledger(&self, conflict: &str) -> Result<Vec<LedgerRow>, StoreError> {
        let sql = format!("{LEDGER} WHERE conflict = ?1 ORDER BY id");
        self.gather(&sql, params![conflict], ledger_row)
    }

    /// The ledger of all conflicts about one entity, oldest first.
    pub fn ledger_of(&self, entity: EntityId) -> Result<Vec<LedgerRow>, StoreError> {
        let sql = format!(
            "{LEDGER} WHERE entity = ?1 OR id IN (SELECT line FROM ledger_party WHERE entity = ?1) ORDER BY id"
        );
        self.gather(&sql, params![entity.0], ledger_row)
    }

    /// Dead and stuck letters that nobody settled, newest first.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        let sql = format!(
            "{LETTER} WHERE settled IS NULL ORDER BY rejected_at DESC, feed_position DESC, letter.author, counter DESC LIMIT ?1"
        );
        self.letters(&sql, params![limit as i64])
    }

    /// What stands in the place of a command or gives it up: fixed or discarded.
    pub fn settled(&self, dot: Dot) -> Result<Option<String>, StoreError> {
        let sql = "SELECT kind FROM replacement JOIN epoch ON epoch.id = replacement.author
                   WHERE epoch.device = ?1 AND epoch.epoch = ?2 AND counter = ?3 LIMIT 1";
        let (author, counter) = (dot.author, dot.counter.cast_signed());
        let key = params![author.device.0, author.epoch.0.cast_signed(), counter];
        let mut found = self.gather(sql, key, |row| Ok(row.get(0)?))?;
        Ok(found.pop())
    }

    /// One letter, settled or not.
    pub fn dead_letter(&self, dot: Dot) -> Result<Option<DeadLetterRow>, StoreError> {
        let sql = format!(
            "{LETTER} WHERE epoch.device = ?1 AND epoch.epoch = ?2 AND letter.counter = ?3"
        );
        let author = dot.author;
        let key = params![
            author.device.0,
            author.epoch.0.cast_signed(),
            dot.counter.cast_signed()
        ];
        Ok(self.letters(&sql, key)?.pop())
    }

    /// Letters with what their commands say in the log. Neighbours stand in one bundle, which is read once.
    fn letters(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<DeadLetterRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let (mut letters, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            let position: i64 = row.get(6)?;
            let bundle = match last.take() {
                Some((held, bundle)) if held == position => bundle,
                _ => history::bundle(row, (7, 8))?,
            };
            let dot = dot(&row.get::<_, String>(0)?)?;
            let command = bundle.command(dot.counter);
            let command =
                command.ok_or_else(|| StoreError::corrupt(format!("the letter {dot}")))?;
            letters.push(DeadLetterRow {
                dot,
                entity: EntityId(row.get(1)?),
                entity_type: command.entity_type.clone(),
                operation: queue::operation(command).to_owned(),
                fields: queue::changes(command),
                receipt: receipt::printed((self.connection, row.get(9)?), (dot, command))?,
                code: row.get(2)?,
                detail: row.get(3)?,
                rejected_at: WallMs(row.get(4)?),
                settled: row.get(5)?,
            });
            last = Some((position, bundle));
        }
        Ok(letters)
    }

    /// Own commands in the queue, newest first; those before a dot if one is given.
    pub fn queue(&self, before: Option<Dot>, limit: usize) -> Result<Vec<QueueRow>, StoreError> {
        let sql = "SELECT epoch.name || '.' || counter, entity_type, operation, payload_json, created_at, sync_status, last_error, attempts,
                   EXISTS (SELECT 1 FROM dead_letter AS letter WHERE letter.author = sync_queue.author
                     AND letter.counter = sync_queue.counter AND letter.code = 'STUCK'),
                   (SELECT exceptions FROM verdict WHERE verdict.author = sync_queue.author AND verdict.last >= sync_queue.counter
                     AND verdict.first <= sync_queue.counter AND verdict.first > sync_queue.counter - 1000
                     ORDER BY verdict.first DESC LIMIT 1), counter
                   FROM sync_queue JOIN epoch ON epoch.id = sync_queue.author
                   WHERE counter < ?1 ORDER BY counter DESC LIMIT ?2";
        let bound = before.map_or(i64::MAX, |dot| dot.counter.cast_signed());
        self.gather(sql, params![bound, limit as i64], |row| {
            let said = said(
                row.get_ref(9)?.as_blob_or_null().unwrap_or_default(),
                row.get(10)?,
            )?;
            Ok(QueueRow {
                dot: dot(&row.get::<_, String>(0)?)?,
                entity_type: row.get(1)?,
                operation: row.get(2)?,
                payload: json(row.get_ref(3)?.as_str().unwrap_or_default())?,
                created_at: WallMs(row.get(4)?),
                sync_status: row.get(5)?,
                last_error: said.or(row.get(6)?),
                attempts: row.get::<_, i64>(7)?.unsigned_abs(),
                stuck: row.get(8)?,
            })
        })
    }

    pub(in crate::store) fn gather<T>(
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

/// What the cloud said of a command, among the exceptions of the verdict on it.
fn said(exceptions: Option<&[u8]>, counter: i64) -> Result<Option<String>, StoreError> {
    let Some(bytes) = exceptions else {
        return Ok(None);
    };
    let exceptions: Vec<(u64, Outcome)> =
        postcard::from_bytes(bytes).map_err(|_| StoreError::corrupt("the words of a verdict"))?;
    let mut exceptions = exceptions.iter();
    let outcome = exceptions.find(|(at, _)| *at == counter.cast_unsigned());
    Ok(outcome.and_then(|(_, outcome)| queue::words(outcome)))
}

const LEDGER: &str = "SELECT conflict, field, event, winner, rule, base, sides, decided_by, decided_at FROM conflict_ledger";

fn ledger_row(row: &Row<'_>) -> Result<LedgerRow, StoreError> {
    let (winner, base): (Option<String>, Option<String>) = (row.get(3)?, row.get(5)?);
    Ok(LedgerRow {
        conflict: row.get(0)?,
        field: row.get(1)?,
        event: row.get(2)?,
        winner: winner.map(|text| json(&text)).transpose()?,
        rule: row.get(4)?,
        base: base.map(|text| json(&text)).transpose()?,
        sides: json(row.get_ref(6)?.as_str().unwrap_or_default())?,
        decided_by: row.get(7)?,
        decided_at: WallMs(row.get(8)?),
    })
}

const LETTER: &str = "SELECT epoch.name || '.' || letter.counter, letter.entity, code, detail, rejected_at, settled,
     bundle.position, bundle.bytes, bundle.hash, letter.author
     FROM dead_letter AS letter JOIN epoch ON epoch.id = letter.author
     JOIN log_bundle AS bundle ON bundle.author = letter.author AND bundle.first =
       (SELECT max(first) FROM log_bundle WHERE author = letter.author AND first <= letter.counter)";

fn conflict_row(row: &Row<'_>) -> Result<ConflictRow, StoreError> {
    let base: Option<String> = row.get(10)?;
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
        base: base.map(|text| json(&text)).transpose()?,
    })
}

fn dot(text: &str) -> Result<Dot, StoreError> {
    text.parse()
        .map_err(|_| StoreError::corrupt(format!("the dot {text}")))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::corrupt(format!("the JSON {text}")))
}
