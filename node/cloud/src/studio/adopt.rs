//! Taking another policy into use: entities are folded by it, and what waited for it is decided.
//!
//! A verdict that was given stays: a policy never judges what another one has judged.

use studiovault_protocol::policy::Policy;

use super::bench::Ruling;
use super::held::HeldBundle;
use super::sitting::Sitting;
use crate::decide;
use crate::store::StoreError;

impl Sitting<'_> {
    /// Takes the policy in force into use, if the studio's rows were made by another.
    pub fn adopt(&mut self) -> Result<(), StoreError> {
        let next = self.bench.policy().clone();
        let known = self.state.adopted.replace(next.clone());
        if known.as_ref() == Some(&next) {
            return Ok(());
        }
        let row = self.studio.row;
        self.session.set_adopted(row, next.text())?;
        let grows = known.as_ref().is_some_and(|known| known.grows_into(&next));
        let touched = if grows {
            self.session.undecided_entities(row)?
        } else {
            self.session.entity_ids(row)?
        };
        for id in touched {
            self.bench.refold(id, self.state.log.epochs())?;
        }
        self.decide_waiting(known.as_ref())
    }

    /// Decides what waited for a policy that knows it, in the order of application.
    fn decide_waiting(&mut self, known: Option<&Policy>) -> Result<(), StoreError> {
        let mut last: Option<HeldBundle> = None;
        for waited in self.session.undecided(self.studio.row)? {
            let held = match last.take().filter(|held| held.row == waited.bundle) {
                Some(held) => held,
                None => self.held_bundle(waited.bundle)?,
            };
            // What the policy before knew waits for something else.
            let command = held.bundle.command(waited.counter);
            let was_known =
                |policy| command.is_some_and(|command| decide::known(command, policy).is_some());
            if known.is_none_or(|policy| !was_known(policy)) {
                if held.bundle.header().together {
                    self.rule_together(&held)?;
                } else {
                    self.rule(&held, waited.counter, Ruling::Open)?;
                }
            }
            last = Some(held);
        }
        Ok(())
    }
}
