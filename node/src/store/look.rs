//! Looking at what is committed without changing it: single entities, the queue, and a disk that is made full for a test.

use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::Entity;

use super::{Store, StoreError, touched};

impl Store {
    /// An entity as committed.
    pub fn entity(&self, id: EntityId) -> Result<Option<Entity>, StoreError> {
        Ok(touched::read(self, id)?.map(|loaded| loaded.entity))
    }

    /// Every entity ever seen, deleted ones too, in the order in which they were first met.
    pub fn entity_ids(&self) -> Result<Vec<EntityId>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT uuid FROM entity ORDER BY id")?;
        let ids = statement.query_map([], |row| row.get(0).map(EntityId))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// How many own commands wait for a verdict.
    pub fn undecided(&self) -> Result<u64, StoreError> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM sync_queue WHERE sync_status IN ('pending', 'sent')",
            )?
            .query_row([], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// From now on the disk has no room for another page. Only tests call this: it is how a full disk is met on purpose.
    pub fn fill_disk(&self) -> Result<(), StoreError> {
        let pages: i64 = self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))?;
        Ok(self.cap(pages)?)
    }

    /// The disk has room again.
    pub fn free_disk(&self) -> Result<(), StoreError> {
        Ok(self.cap(i64::from(u32::MAX - 1))?)
    }

    fn cap(&self, pages: i64) -> Result<(), rusqlite::Error> {
        let sql = format!("PRAGMA max_page_count = {pages}");
        self.connection.query_row(&sql, [], |_| Ok(()))
    }
}
