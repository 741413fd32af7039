//! Commands that got no verdict because nobody knew their type or a field, decided now that a policy does.
//!
//! They are judged against what was decided before, as if they came only now; their effect is that of a command which stands
//! where it was written.

use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{Outcome, Verdict, fold};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::vector::Epochs;

use super::{Bench, Case, Past, Ruling, Slot, beyond, reaches_beyond, repeated};
use crate::store::{EntityRow, StoreError, Undecided};

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

    /// Decides on a command that was stored without a verdict. `None`: there is none yet.
    pub fn settle_late(
        &mut self,
        case: &Case<'_>,
        undecided: &Undecided,
    ) -> Result<Option<Outcome>, StoreError> {
        let command = case.command;
        let slot = self.slot(command.entity, &command.entity_type)?;
        let outcome = match case.ruling {
            Ruling::Given(outcome) => Some(outcome.clone()),
            Ruling::Postponed => None,
            Ruling::Open if undecided.repeats => {
                let first = self.session.first_use(self.studio, command.id)?;
                first
                    .and_then(|first| first.verdict)
                    .map(|_| repeated().into())
            }
            Ruling::Open if reaches_beyond(case) => Some(beyond().into()),
            Ruling::Open => {
                let mut history = self.past_of(&slot)?;
                history.retain(|past| past.row.verdict.is_some());
                let records = history.iter().map(|past| past.record(case.epochs));
                let (name, id) = (&slot.row.entity.entity_type, slot.row.entity.id);
                let before = EntityRow {
                    entity: fold(name, id, records, &self.policy),
                    ..slot.row
                };
                self.decide(case, &before, &history)
            }
        };
        let Some(outcome) = outcome else {
            return Ok(None);
        };
        let verdict = Verdict {
            position: case.position,
            outcome: outcome.clone(),
        };
        self.session.decide_command(undecided.row, &verdict)?;
        let mut slot = self.slot(command.entity, &command.entity_type)?;
        let rejected = matches!(outcome, Outcome::Rejected { .. });
        slot.row.orphan |= rejected && command.op == Op::Create;
        self.fold_anew(slot, case.epochs)?;
        Ok(Some(outcome))
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
