//! Commands that the truth holds without a verdict: decided when a carrier asks for them, withdrawn by what stands in their
//! place, and told as stuck.
//!
//! A carrier asks only for what the truth broke on before; so each is decided as carefully as a fresh one.

use std::collections::BTreeMap;

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::{Only, Stuck};
use studiovault_protocol::id::Dot;
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::{Code, Outcome};
use studiovault_protocol::vector::Vector;

use super::bench::{Case, Ruling};
use super::sitting::{Sitting, refused_together, settle_guarded};
use crate::decide::Refusal;
use crate::store::{Savepoint, StoreError};

/// A bundle held before, with all that its author had seen.
pub(super) struct HeldBundle {
    pub(super) row: i64,
    pub(super) bundle: Bundle,
    past: Vector,
    role: Role,
}

impl HeldBundle {
    pub(super) fn past(&self) -> &Vector {
        &self.past
    }
}

impl Sitting<'_> {
    /// From here on decides these commands and no others.
    pub fn only(&mut self, only: Option<Only>) {
        self.only = only;
    }

    /// Decides what the carrier asks for among the commands held before.
    pub fn decide_held(&mut self) -> Result<(), StoreError> {
        let Some(only) = self.only.clone() else {
            return Ok(());
        };
        let mut bundles: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for counter in only.counters {
            let dot = only.author.at(counter);
            if let Some(row) = self.session.bundle_of(self.studio.row, dot)? {
                bundles.entry(row).or_default().push(counter);
            }
        }
        for (row, counters) in bundles {
            let held = self.held_bundle(row)?;
            if held.bundle.header().together {
                self.rule_together(&held)?;
                continue;
            }
            for counter in counters {
                self.rule(&held, counter, Ruling::Open)?;
            }
        }
        Ok(())
    }

    /// What stands in the place of an undecided command withdraws it.
    pub(super) fn withdraw(&mut self, dot: Dot) -> Result<(), StoreError> {
        let row = self.session.bundle_of(self.studio.row, dot)?;
        let held = self.held_bundle(row.ok_or(StoreError::Damaged("a replaced command"))?)?;
        let outcome: Outcome = Refusal::new(
            Code::Withdrawn,
            "another command was sent in its place before it was decided",
        )
        .into();
        self.rule(&held, dot.counter, Ruling::Given(&outcome))?;
        Ok(())
    }

    /// Tells everybody which commands the truth broke on again and again.
    pub fn tell_stuck(&mut self, stuck: &[Stuck]) -> Result<(), StoreError> {
        for Stuck { dot, detail } in stuck {
            let Some(row) = self.session.bundle_of(self.studio.row, *dot)? else {
                continue;
            };
            let place = (row, dot.counter);
            let undecided = self.session.held(place)?;
            if undecided.is_some_and(|held| held.verdict.is_none())
                && self.session.insert_stuck(place, detail)?
            {
                self.ledger.stuck(*dot, detail.clone());
            }
        }
        Ok(())
    }

    pub(super) fn held_bundle(&self, row: i64) -> Result<HeldBundle, StoreError> {
        let (bytes, past) = self.session.bundle(row)?;
        let bundle = Bundle::decode(bytes).map_err(|_| StoreError::Damaged("a stored bundle"))?;
        let member = self.state.roster.member(bundle.author().device);
        // What the truth wrote for clients without a log counts as theirs.
        let member = member.filter(|_| bundle.author() != self.studio.cloud);
        Ok(HeldBundle {
            row,
            role: member.map_or(Role::Member, |member| member.grant.role),
            bundle,
            past,
        })
    }

    /// Decides one command if it is undecided.
    pub(super) fn rule(
        &mut self,
        held: &HeldBundle,
        counter: u64,
        ruling: Ruling<'_>,
    ) -> Result<Option<Outcome>, StoreError> {
        let known = self.session.held((held.row, counter))?;
        if known.is_none_or(|known| known.verdict.is_some()) {
            return Ok(None);
        }
        let dot = held.bundle.author().at(counter);
        let command = held.bundle.command(counter);
        let command = command.ok_or(StoreError::Damaged("a stored bundle"))?;
        let case = Case {
            command,
            dot,
            bundle: held.row,
            past: &held.past,
            epochs: self.state.log.epochs(),
            role: held.role,
            content: None,
            position: self.ledger.verdict_position(&held.bundle, counter),
            ruling,
            held: true,
        };
        let shut_out = Outcome::from(Refusal::shut_out());
        let case = if self.state.stands(dot) {
            case
        } else {
            Case {
                ruling: Ruling::Given(&shut_out),
                ..case
            }
        };
        self.provoke(&case)?;
        let outcome = settle_guarded(&mut self.bench, self.session, &case)?;
        if let Some(outcome) = &outcome {
            self.ledger.verdict(&held.bundle, counter, outcome);
            self.audit_late(dot, command, outcome)?;
        }
        self.note_setback(dot, command, outcome.as_ref());
        if let Some(dot) = self.bench.take_withdrawn() {
            self.withdraw(dot)?;
        }
        Ok(outcome)
    }

    /// Decides a whole bundle that is taken whole or not at all, if it is undecided.
    pub(super) fn rule_together(&mut self, held: &HeldBundle) -> Result<(), StoreError> {
        let known = self.session.held((held.row, held.bundle.first()))?;
        if known.is_none_or(|known| known.verdict.is_some()) {
            return Ok(());
        }
        let (entries, setbacks) = (self.ledger.len(), self.setbacks_len());
        self.bench.mark();
        self.session.savepoint(Savepoint::Bundle)?;
        let mut tried = Vec::new();
        for counter in held.bundle.first()..=held.bundle.last() {
            tried.push(self.rule(held, counter, Ruling::Open)?);
        }
        if tried.iter().all(|it| *it == Some(Outcome::Accepted)) {
            self.bench.keep();
            return self.session.release(Savepoint::Bundle);
        }
        self.session.roll_back(Savepoint::Bundle)?;
        self.bench.undo();
        self.ledger.cut_back(entries);
        self.cut_setbacks(setbacks);
        let whole: Option<Vec<Outcome>> = tried.into_iter().collect();
        for (counter, outcome) in (held.bundle.first()..).zip(whole.into_iter().flatten()) {
            let outcome = refused_together(outcome);
            self.rule(held, counter, Ruling::Given(&outcome))?;
        }
        Ok(())
    }

    /// Breaks where a test wants it to.
    pub(super) fn provoke(&self, case: &Case<'_>) -> Result<(), StoreError> {
        let breaks = self.truth.breaks_on.is_some_and(|on| on(case.command));
        if breaks && case.ruling == Ruling::Open {
            return Err(StoreError::Provoked);
        }
        Ok(())
    }
}
