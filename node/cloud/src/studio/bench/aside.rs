//! Bundles that rewrite an append-only entry: judged as every machine judges them, and not taken in any part.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Command;
use studiovault_protocol::id::Dot;
use studiovault_protocol::merge::{Code, Context, Outcome, breach};
use studiovault_protocol::vector::{Epochs, Vector};

use super::{Bench, Past};
use crate::decide::Refusal;
use crate::store::StoreError;

impl Bench<'_> {
    /// The outcomes of a bundle that rewrites an entry which its author knew; `None` if it does not.
    pub fn set_aside(
        &mut self,
        bundle: &Bundle,
        (past, epochs): (&Vector, &Epochs),
    ) -> Result<Option<Vec<Outcome>>, StoreError> {
        let first = bundle.author().at(bundle.first());
        let context = Context::new(epochs, (past, first), None);
        let policy = self.policy.clone();
        let found = breach(bundle, (&context, &policy), |command| {
            match self.entry_of(command) {
                // A row that cannot be read breaks the one command that needs it, not the bundle.
                Err(error) if error.is_of_the_row() => Ok(Vec::new()),
                entry => entry,
            }
        })?;
        let Some(breach) = found else {
            return Ok(None);
        };
        let outcomes = bundle.commands().map(|(dot, command)| {
            let detail = if dot == breach {
                format!(
                    "{} is an entry that is never changed or deleted: record a correction or a void that names it",
                    command.entity
                )
            } else {
                format!("it was written together with {breach}, which rewrites an entry")
            };
            Refusal::new(Code::AppendOnly, detail).into()
        });
        Ok(Some(outcomes.collect()))
    }

    /// The commands of an append-only entry, but for those that were set aside; of anything else none.
    fn entry_of(&mut self, command: &Command) -> Result<Vec<(Dot, Command)>, StoreError> {
        let id = command.entity;
        let known = match self.slots.get(&id) {
            Some(slot) => Some((slot.row.row, slot.row.entity.entity_type.clone())),
            None => {
                let row = self.session.entity(self.studio, id)?;
                row.map(|row| (row.row, row.entity.entity_type))
            }
        };
        let append_only = |name: &str| {
            let rules = self.policy.entity_type(name);
            rules.is_some_and(|rules| rules.append_only)
        };
        let Some((row, _)) = known.filter(|(_, name)| append_only(name)) else {
            return Ok(Vec::new());
        };
        let rows = self.session.history(row)?;
        let history = self.history(rows, id)?;
        let taken = history.iter().filter(|past| !past.is_set_aside());
        Ok(taken
            .map(|past| (past.dot(), past.command().clone()))
            .collect())
    }
}

impl Past {
    fn is_set_aside(&self) -> bool {
        let outcome = self.row.verdict.as_ref().map(|verdict| &verdict.outcome);
        matches!(
            outcome,
            Some(Outcome::Rejected {
                code: Code::AppendOnly,
                ..
            })
        )
    }
}
