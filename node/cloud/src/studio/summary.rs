//! What the tables hold of a studio, counted from the rows themselves.

use studiovault_protocol::cloud::Summary;
use studiovault_protocol::id::EntityId;

use super::Studio;
use crate::store::StoreError;
use crate::truth::Truth;

impl Studio {
    /// The type of an entity that is known.
    pub fn type_of(&self, truth: &Truth, id: EntityId) -> Result<Option<String>, StoreError> {
        truth.store.read(|session| {
            let row = session.entity(self.row, id)?;
            Ok(row.map(|row| row.entity.entity_type))
        })
    }

    /// Counts and sums from the tables.
    pub fn summary(&self, truth: &Truth) -> Result<Summary, StoreError> {
        truth.store.read(|session| {
            let row = session.studio(self.id)?;
            let row = row.ok_or(StoreError::Damaged("a studio that is gone"))?;
            let counts = session.command_counts(self.row)?;
            let (pos_gross_cents, pos_voided_cents) = session.sales(self.row)?;
            Ok(Summary {
                commands: counts.held,
                confirmed: counts.confirmed,
                rejected: counts.rejected,
                entities: session.live_entities(self.row)?,
                pos_gross_cents,
                pos_voided_cents,
                head: row.head.0,
                state_hash: row.sum.hex(),
            })
        })
    }
}
