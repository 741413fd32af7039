//! The entities' state as the truth has decided it, and the sums over it.

use rusqlite::params;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::Entity;

use super::{Session, StoreError, cell};

/// One entity's row.
#[derive(Clone, PartialEq, Debug)]
pub struct EntityRow {
    /// Names it inside the database.
    pub row: i64,
    /// Its create was rejected.
    pub orphan: bool,
    /// Its state.
    pub entity: Entity,
}

impl Session<'_> {
    /// The entity of that id.
    pub fn entity(&self, studio: i64, id: EntityId) -> Result<Option<EntityRow>, StoreError> {
        self.first(
            "SELECT row, orphan, state FROM entity WHERE studio = ?1 AND id = ?2",
            params![studio, id.0],
            |row| {
                Ok(EntityRow {
                    row: row.get(0)?,
                    orphan: row.get(1)?,
                    entity: cell::unpack(row, 2, "an entity")?,
                })
            },
        )
    }

    /// All entities of a studio.
    pub fn entity_ids(&self, studio: i64) -> Result<Vec<EntityId>, StoreError> {
        self.all(
            "SELECT id FROM entity WHERE studio = ?1 ORDER BY row",
            [studio],
            |row| Ok(EntityId(cell::bytes(row, 0)?)),
        )
    }

    /// The first free row id of the entities.
    pub fn next_entity_row(&self) -> Result<i64, StoreError> {
        let last = self.first("SELECT max(row) FROM entity", [], |row| {
            Ok(row.get::<_, Option<i64>>(0)?)
        })?;
        Ok(last.flatten().unwrap_or(0) + 1)
    }

    /// Stores an entity's state; `shown` is its shown side as JSON.
    pub fn set_entity(
        &self,
        studio: i64,
        entity: &EntityRow,
        shown: &str,
    ) -> Result<(), StoreError> {
        let life = &entity.entity.life;
        self.run(
            "INSERT INTO entity (row, studio, id, type, live, orphan, state, shown)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (row) DO UPDATE
             SET type = excluded.type, live = excluded.live, orphan = excluded.orphan, state = excluded.state, shown = excluded.shown",
            params![
                entity.row,
                studio,
                entity.entity.id.0,
                entity.entity.entity_type,
                life.exists() && !life.is_deleted(),
                entity.orphan,
                cell::pack(&entity.entity),
                shown
            ],
        )
    }

    /// Live entities of a studio.
    pub fn live_entities(&self, studio: i64) -> Result<u64, StoreError> {
        self.sum(
            "SELECT count(*) FROM entity WHERE studio = ?1 AND live",
            studio,
        )
        .map(i64::unsigned_abs)
    }

    /// The sum of all sales, and of those that a void stands against, in cents; held at the ends of what 64 bits can say.
    pub fn sales(&self, studio: i64) -> Result<(i64, i64), StoreError> {
        let gross = self.cents("", studio)?;
        let voided = self.cents(
            "AND lower(hex(id)) IN (
               SELECT replace(lower(shown ->> '$.order'), '-', '') FROM entity
               WHERE studio = ?1 AND type = 'pos_void' AND live)",
            studio,
        )?;
        Ok((gross, voided))
    }

    /// Two valid sales can add up to more than SQLite's `sum` takes, so millions and rests are added apart.
    fn cents(&self, which: &str, studio: i64) -> Result<i64, StoreError> {
        let sql = format!(
            "SELECT sum(cents / 1000000), sum(cents % 1000000) FROM (
               SELECT shown ->> '$.amount_cents' AS cents FROM entity
               WHERE studio = ?1 AND type = 'pos_order' AND live {which})"
        );
        let parts = self.first(&sql, [studio], |row| {
            let (millions, rests): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok((millions.unwrap_or(0), rests.unwrap_or(0)))
        })?;
        let (millions, rests) = parts.unwrap_or_default();
        let cents = i128::from(millions) * 1_000_000 + i128::from(rests);
        let bounded = cents.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Ok(i64::try_from(bounded).expect("it was just bounded"))
    }

    pub(super) fn sum(&self, sql: &str, studio: i64) -> Result<i64, StoreError> {
        let sum = self.first(sql, [studio], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
        Ok(sum.flatten().unwrap_or(0))
    }
}
