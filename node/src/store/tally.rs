//! The figures of the status: each counted from its rows by an index, nothing kept in a second place.

use studiovault_protocol::api::Counts;
use studiovault_protocol::time::WallMs;

use super::{Store, StoreError};

impl Store {
    /// The counts of the status.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let count = |sql: &str| -> Result<u64, StoreError> {
            let found: i64 = self
                .connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?;
            Ok(found.cast_unsigned())
        };
        Ok(Counts {
            entities: count("SELECT count(*) FROM entity WHERE deleted = 0")?,
            commands: count("SELECT coalesce(sum(last - first + 1), 0) FROM log_bundle")?,
            pending: count(
                "SELECT count(*) FROM sync_queue WHERE sync_status IN ('pending', 'sent')",
            )?,
            confirmed: count("SELECT count(*) FROM entity WHERE deleted = 0 AND confirmed = 1")?,
            rejected: count("SELECT count(*) FROM sync_queue WHERE sync_status = 'rejected'")?,
            conflicts: count("SELECT count(*) FROM conflict")?,
            dead_letters: count("SELECT count(*) FROM dead_letter")?,
            parked: count("SELECT count(*) FROM log_bundle WHERE applied IS NULL")?,
            log_bytes: count("SELECT coalesce(sum(length(bytes)), 0) FROM log_bundle")?,
        })
    }

    /// When the oldest own command without a verdict was written.
    pub fn oldest_pending(&self) -> Result<Option<WallMs>, StoreError> {
        let sql = "SELECT min(created_at) FROM sync_queue WHERE sync_status IN ('pending', 'sent')";
        let oldest: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?;
        Ok(oldest.map(WallMs))
    }
}
