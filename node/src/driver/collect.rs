//! When the content of what was deleted long ago is collected: once an hour, in a transaction of its own.
//!
//! The fold never reads what is collected, so a machine may do this at any time, or never.

use studiovault_protocol::event::Moment;
use studiovault_protocol::limits;

use super::Driver;
use crate::store::StoreError;

/// Between two rounds while more is due, ms: writes come first.
const ROUND_MS: u64 = 1_000;

impl Driver {
    /// Collects if it is time.
    pub(super) fn collect(&mut self, moment: Moment) -> Result<(), StoreError> {
        let now = moment.now;
        if now.mono < self.collect_at {
            return Ok(());
        }
        self.collect_at = now.mono.plus(limits::COLLECT_MS);
        let mut batch = self.store.begin()?;
        let collected = batch.collect(now.wall)?;
        batch.commit()?;
        if collected.more {
            self.collect_at = now.mono.plus(ROUND_MS);
        }
        Ok(())
    }
}
