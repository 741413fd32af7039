//! Collecting the content of what was deleted long ago: its values leave the row, id, life and history stay for ever.
//!
//! A deleted entity is its id and its life in the state hash, so that machines may collect at different times. Nothing here is
//! read by the fold: whatever arrives later is judged by the whole history, as if nothing had been collected.

use rusqlite::params;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::limits;
use studiovault_protocol::sabotage::Bug;
use studiovault_protocol::time::WallMs;

use super::batch::Batch;
use super::{StoreError, packed, touched};

/// Tombstones looked at in one transaction at most, so that no write waits long for it.
const ROUND: i64 = 200;

/// What a round did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Collected {
    /// Entities whose content was collected.
    pub entities: u64,
    /// More may be due.
    pub more: bool,
}

impl Batch<'_> {
    /// Collects what was deleted at least [`limits::TOMBSTONE_MS`] ago. The time runs from the moment at which this machine first
    /// saw the delete by its own clock: no other machine's clock can shorten it.
    pub fn collect(&mut self, now: WallMs) -> Result<Collected, StoreError> {
        self.guarded(|batch| batch.collect_round(now))
    }

    fn collect_round(&mut self, now: WallMs) -> Result<Collected, StoreError> {
        let fresh = self.tombstones("noticed_at IS NULL", [])?;
        let due = self.tombstones(
            "noticed_at <= ?1 AND entity.conflict = 0 AND entity.opaque = 0
             AND NOT EXISTS (SELECT 1 FROM dead_letter AS letter WHERE letter.entity = entity.uuid AND letter.settled IS NULL)",
            [match Bug::TombstoneEarly.is_on() {
                true => now.0,
                false => now.0.saturating_sub(limits::TOMBSTONE_MS),
            }],
        )?;
        if fresh.is_empty() && due.is_empty() {
            return Ok(Collected {
                entities: 0,
                more: false,
            });
        }
        self.open()?;
        self.flush()?;
        let connection = &self.store.connection;
        for (row, _) in &fresh {
            connection
                .prepare_cached("UPDATE tombstone SET noticed_at = ?2 WHERE entity = ?1")?
                .execute([*row, now.0])?;
        }
        for (row, id) in &due {
            let what = || StoreError::corrupt(format!("entity {id}"));
            let mut entity = touched::read(self.store, *id)?.ok_or_else(what)?.entity;
            entity.fields.clear();
            let state = packed::pack(&entity, &self.store.authors);
            connection
                .prepare_cached("UPDATE entity SET shown = '{}', state = ?2 WHERE id = ?1")?
                .execute(params![row, state])?;
            connection
                .prepare_cached("UPDATE tombstone SET collected = 1 WHERE entity = ?1")?
                .execute([row])?;
        }
        let full = ROUND as usize;
        Ok(Collected {
            entities: due.len() as u64,
            more: fresh.len() == full || due.len() == full,
        })
    }

    fn tombstones(
        &self,
        which: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<(i64, EntityId)>, StoreError> {
        let sql = format!(
            "SELECT entity.id, entity.uuid FROM tombstone JOIN entity ON entity.id = tombstone.entity
             WHERE collected = 0 AND {which} LIMIT {ROUND}"
        );
        let mut statement = self.store.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params, |row| Ok((row.get(0)?, EntityId(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
