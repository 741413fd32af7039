//! Entities folded anew by another policy: what it does not know is opaque, what it knows at last stands where it was written.

use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::fold;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::vector::Epochs;

use super::{Bench, Past, Slot};
use crate::store::StoreError;

impl Bench<'_> {
    /// The policy by which this bench decides.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether nothing has changed here.
    pub fn is_idle(&self) -> bool {
        !self.slots.values().any(|slot| slot.changed)
    }

    /// Folds an entity anew.
    pub fn refold(&mut self, id: EntityId, epochs: &Epochs) -> Result<(), StoreError> {
        let slot = self.slot(id, "")?;
        self.fold_anew(slot, epochs)
    }

    fn fold_anew(&mut self, mut slot: Slot, epochs: &Epochs) -> Result<(), StoreError> {
        let history = self.past_of(&slot)?;
        let records = history.iter().map(|past| past.record(epochs));
        let (name, id) = (&slot.row.entity.entity_type, slot.row.entity.id);
        slot.row.entity = fold(name, id, records, &self.policy);
        slot.row.orphan &= !slot.row.entity.life.exists();
        slot.changed = true;
        self.put(id, slot);
        Ok(())
    }

    fn past_of(&mut self, slot: &Slot) -> Result<Vec<Past>, StoreError> {
        let rows = self.session.history(slot.row.row)?;
        self.history(rows, slot.row.entity.id)
    }
}
