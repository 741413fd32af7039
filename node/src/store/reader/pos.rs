//! The point of sale as this machine holds it: a day's totals, and what was set aside.
//!
//! Totals are folded from the entries at every question; nothing is counted beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rusqlite::{OptionalExtension, params};
use studiovault_protocol::api::SetAside;
use studiovault_protocol::id::{Author, Dot, EntityId, Epoch};
use studiovault_protocol::merge::Context;
use studiovault_protocol::pos::{self, Entry, Says, Totals};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::vector::{Epochs, Vector};

use super::super::authors::Authors;
use super::super::{history, packed};
use super::{StoreError, View};
use crate::config::Region;

/// A command that is held and never applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuarantineRow {
    /// Its name.
    pub dot: Dot,
    /// The entry.
    pub entity: EntityId,
    /// The type that the command names.
    pub entity_type: String,
    /// create, update, delete, restore or resolve.
    pub operation: String,
    /// All of its bundle is set aside with it.
    pub whole: bool,
    /// The person.
    pub actor: String,
    /// The author's wall clock.
    pub written_at: WallMs,
    /// Why.
    pub reason: SetAside,
    /// What settled it: fixed or discarded; `None` while somebody has to look at it.
    pub settled: Option<String>,
}

/// What the authors of entries had seen.
struct Contexts {
    epochs: Epochs,
    /// By entry what its bundle had seen, and what its author had read, where it says so.
    seen: BTreeMap<Dot, (Rc<Vector>, Option<Vector>)>,
}

impl Contexts {
    fn saw(&self, one: Dot, other: Dot) -> bool {
        let seen = self.seen.get(&one);
        seen.is_some_and(|(past, read)| {
            Context::new(&self.epochs, (past, one), read.as_ref()).covers(other)
        })
    }
}

impl View<'_> {
    /// What the sales of one day come to, in the region's days and currency.
    pub fn pos_totals(&self, day: &str, region: &Region) -> Result<Totals, StoreError> {
        let authors = Authors::load(self.connection)?;
        let mut entries = self.sales(day, (&authors, region))?;
        let sales: BTreeSet<EntityId> = entries.iter().map(|sale| sale.id).collect();
        for entry in self.corrections_and_voids(&authors, region)? {
            let Some(sale) = entry.named_sale() else {
                continue;
            };
            if sales.contains(&sale)
                || entry.day == day && !self.stands(sale, (&authors, region))?
            {
                entries.push(entry);
            }
        }
        let contexts = self.contexts(&entries, &authors)?;
        let currency = region.currency.to_string();
        let saw = |one, other| contexts.saw(one, other);
        Ok(pos::totals(&entries, &currency, saw))
    }

    /// The receipt of an entry as it is shown.
    pub fn receipt(&self, id: EntityId) -> Result<Option<String>, StoreError> {
        let receipt = self
            .connection
            .prepare_cached("SELECT receipt FROM entity WHERE uuid = ?1")?
            .query_row([id.0], |row| row.get(0))
            .optional()?;
        Ok(receipt.flatten())
    }

    /// What was set aside, newest first.
    pub fn quarantine(&self, limit: usize) -> Result<Vec<QuarantineRow>, StoreError> {
        let sql = "SELECT epoch.name || '.' || counter, entity, entity_type, operation, whole, actor, written_at, reason,
                   (SELECT kind FROM replacement AS instead WHERE instead.author = quarantine.author AND instead.counter = quarantine.counter LIMIT 1)
                   FROM quarantine JOIN epoch ON epoch.id = quarantine.author
                   ORDER BY written_at DESC, epoch.name, counter LIMIT ?1";
        let mut rows = self.gather(sql, params![limit as i64], |row| {
            let text: String = row.get(0)?;
            let dot = text.parse();
            Ok(QuarantineRow {
                dot: dot.map_err(|_| StoreError::corrupt(format!("the dot {text}")))?,
                entity: EntityId(row.get(1)?),
                entity_type: row.get(2)?,
                operation: row.get(3)?,
                whole: row.get(4)?,
                actor: row.get(5)?,
                written_at: WallMs(row.get(6)?),
                reason: match row.get::<_, String>(7)?.as_str() {
                    "cut" => SetAside::Cut,
                    "split" => SetAside::Split,
                    "role" => SetAside::Role,
                    _ => SetAside::Rewrites,
                },
                settled: row.get(8)?,
            })
        })?;
        rows.extend(self.evidence_rows()?);
        rows.sort_by_key(|row| std::cmp::Reverse(row.written_at));
        rows.truncate(limit);
        Ok(rows)
    }

    fn sales(
        &self,
        day: &str,
        (authors, region): (&Authors, &Region),
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT uuid, ?1, state FROM entity
                   WHERE type = (SELECT id FROM entity_type WHERE name = ?1) AND deleted = 0
                   AND coalesce(json_extract(shown, ?2), ?3) = ?3";
        let path = format!("$.\"{}\"", pos::DAY);
        let found = self.entries(sql, params![pos::SALE, path, day], (authors, region))?;
        Ok(found.into_iter().filter(|sale| sale.day == day).collect())
    }

    /// All corrections and voids.
    fn corrections_and_voids(
        &self,
        authors: &Authors,
        region: &Region,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT entity.uuid, entity_type.name, entity.state FROM entity
                   JOIN entity_type ON entity_type.id = entity.type
                   WHERE entity_type.name IN (?1, ?2) AND entity.deleted = 0";
        self.entries(sql, params![pos::CORRECTION, pos::VOID], (authors, region))
    }

    fn stands(&self, sale: EntityId, known: (&Authors, &Region)) -> Result<bool, StoreError> {
        let sql = "SELECT uuid, ?1, state FROM entity
                   WHERE uuid = ?2 AND type = (SELECT id FROM entity_type WHERE name = ?1)";
        let found = self.entries(sql, params![pos::SALE, sale.0], known)?;
        Ok(!found.is_empty())
    }

    fn entries(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        (authors, region): (&Authors, &Region),
    ) -> Result<Vec<Entry>, StoreError> {
        let found = self.gather(sql, params, |row| {
            let (id, name) = (EntityId(row.get(0)?), row.get::<_, String>(1)?);
            let state = row.get_ref(2)?.as_blob().unwrap_or_default();
            let entity = packed::unpack(&name, id, state, authors)?;
            Ok(Entry::of(&entity, |at| region.day(at)))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// What the authors of corrections and voids had seen, where a sale has both.
    fn contexts(&self, entries: &[Entry], authors: &Authors) -> Result<Contexts, StoreError> {
        let of = |wanted: fn(&Says) -> bool| -> BTreeSet<EntityId> {
            let found = entries.iter().filter(|entry| wanted(&entry.says));
            found.filter_map(Entry::named_sale).collect()
        };
        let voided = of(|says| matches!(says, Says::Void { .. }));
        let corrected = of(|says| matches!(says, Says::Correction { .. }));
        let both: BTreeSet<_> = voided.intersection(&corrected).copied().collect();
        let mut contexts = Contexts {
            epochs: Epochs::default(),
            seen: BTreeMap::new(),
        };
        if both.is_empty() {
            return Ok(contexts);
        }
        contexts.epochs = self.epochs(authors)?;
        let asked = |entry: &&Entry| entry.named_sale().is_some_and(|sale| both.contains(&sale));
        for entry in entries.iter().filter(asked) {
            let row: i64 = self
                .connection
                .prepare_cached("SELECT id FROM entity WHERE uuid = ?1")?
                .query_row([entry.id.0], |row| row.get(0))?;
            let history = history::read(self.connection, authors, row)?;
            let mut records = history.records(entry.id, &contexts.epochs);
            let made = records.find(|(_, record)| record.dot == entry.dot);
            let seen = made.map(|(piece, made)| (Rc::clone(&piece.past), made.command.ctx.clone()));
            drop(records);
            contexts.seen.extend(seen.map(|seen| (entry.dot, seen)));
        }
        Ok(contexts)
    }

    /// The tree of epochs.
    pub(super) fn epochs(&self, authors: &Authors) -> Result<Epochs, StoreError> {
        let sql = "SELECT id, parent_epoch, parent_counter FROM epoch WHERE start IS NOT NULL";
        let mut epochs = Epochs::default();
        let found = self.gather(sql, [], |row| {
            let number: i64 = row.get(0)?;
            let author: Option<Author> = authors.author(number);
            let parent: (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
            Ok((
                author.ok_or_else(|| StoreError::corrupt(format!("epoch {number}")))?,
                parent,
            ))
        })?;
        for (author, (epoch, counter)) in found {
            let parent = epoch.zip(counter);
            let parent =
                parent.map(|(epoch, at)| (Epoch(epoch.cast_unsigned()), at.cast_unsigned()));
            epochs.insert(author, parent);
        }
        Ok(epochs)
    }
}
