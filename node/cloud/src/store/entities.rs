//! The entities' state as the truth has decided it, and the sums over it.

use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::Entity;

use super::{Dialect, Session, StoreError, cell, cells};

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
        if let Some(known) = self.entity_ahead(id) {
            return Ok(known);
        }
        self.first(
            "SELECT row, orphan, state FROM entity WHERE studio = ?1 AND id = ?2",
            cells![studio, id.0],
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
            cells![studio],
            |row| Ok(EntityId(cell::bytes(row, 0)?)),
        )
    }

    /// The first of a run of row ids for new entities, long enough for one request.
    pub fn next_entity_row(&self) -> Result<i64, StoreError> {
        let sql = match self.transaction.dialect() {
            Dialect::Sqlite => "SELECT coalesce(max(row), 0) + 1 FROM entity",
            // Other servers draw runs at the same time.
            Dialect::Postgres => "SELECT nextval('entity_run') * 10000",
        };
        let next = self.first(sql, cells![], |row| row.get(0))?;
        next.ok_or(StoreError::Damaged("the rows of the entities"))
    }

    /// Stores an entity's state; `shown` is its shown side as JSON.
    pub fn set_entity(
        &self,
        studio: i64,
        entity: &EntityRow,
        shown: &str,
    ) -> Result<(), StoreError> {
        self.forget_ahead();
        let life = &entity.entity.life;
        self.add(
            "INSERT INTO entity (row, studio, id, type, live, orphan, state, shown)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (row) DO UPDATE
             SET type = excluded.type, live = excluded.live, orphan = excluded.orphan, state = excluded.state, shown = excluded.shown",
            cells![
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

    /// Notes that the create of an entity without a row was rejected: nothing is kept of it but that.
    pub fn insert_orphan(&self, studio: i64, id: EntityId) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO orphan (studio, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            cells![studio, id.0],
        )
    }

    /// Whether the create of an entity without a row was rejected.
    pub fn is_orphan(&self, studio: i64, id: EntityId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM orphan WHERE studio = ?1 AND id = ?2";
        let found = self.first(sql, cells![studio, id.0], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Live entities of a studio.
    pub fn live_entities(&self, studio: i64) -> Result<u64, StoreError> {
        self.sum(
            "SELECT count(*) FROM entity WHERE studio = ?1 AND live = 1",
            studio,
        )
        .map(i64::unsigned_abs)
    }

    /// The sum of all sales, and of those that a void stands against, in cents.
    pub fn sales(&self, studio: i64) -> Result<(i128, i128), StoreError> {
        let (id, order) = match self.transaction.dialect() {
            Dialect::Sqlite => ("lower(hex(id))", "shown ->> '$.order'"),
            Dialect::Postgres => ("encode(id, 'hex')", "shown::json ->> 'order'"),
        };
        let voided = format!(
            "AND {id} IN (
               SELECT replace(lower({order}), '-', '') FROM entity
               WHERE studio = ?1 AND type = 'pos_void' AND live = 1)"
        );
        Ok((self.cents("", studio)?, self.cents(&voided, studio)?))
    }

    /// Two valid sales can add up to more than a sum of 64 bits takes, so millions and rests are added apart.
    fn cents(&self, which: &str, studio: i64) -> Result<i128, StoreError> {
        let cents = match self.transaction.dialect() {
            Dialect::Sqlite => "shown ->> '$.amount_cents'",
            Dialect::Postgres => "CAST(shown::json ->> 'amount_cents' AS BIGINT)",
        };
        let sql = format!(
            "SELECT CAST(sum(cents / 1000000) AS BIGINT), CAST(sum(cents % 1000000) AS BIGINT) FROM (
               SELECT {cents} AS cents FROM entity
               WHERE studio = ?1 AND type = 'pos_order' AND live = 1 {which}) AS sale"
        );
        let parts = self.first(&sql, cells![studio], |row| {
            let (millions, rests): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok((millions.unwrap_or(0), rests.unwrap_or(0)))
        })?;
        let (millions, rests) = parts.unwrap_or_default();
        Ok(i128::from(millions) * 1_000_000 + i128::from(rests))
    }

    pub(super) fn sum(&self, sql: &str, studio: i64) -> Result<i64, StoreError> {
        let sum = self.first(sql, cells![studio], |row| row.get::<Option<i64>>(0))?;
        Ok(sum.flatten().unwrap_or(0))
    }
}
