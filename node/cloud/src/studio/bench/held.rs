//! Commands that wait at the truth: what depends on them waits with them, what stands in their place withdraws them, and
//! in the end they are decided from what was decided before.
//!
//! Of a command and all that stand in its place at most one is ever confirmed.

use studiovault_protocol::command::Op;
use studiovault_protocol::id::Dot;
use studiovault_protocol::merge::{Code, Entity, Outcome, Verdict, fold};

use super::{Bench, Case, Past, Ruling, Slot, mismatch, reaches_beyond, repeated};
use super::{beyond, content_of};
use crate::decide::{Refusal, known};
use crate::store::{HistoryRow, Place, StoreError};

/// What a command that replaces another comes to.
#[derive(Debug)]
pub(super) enum StandIn {
    /// It replaces none.
    None,
    /// It may not stand there.
    Refused(Refusal),
    /// It may: the chain's first command, and what it withdraws if that is undecided.
    Allowed {
        first: Place,
        withdraws: Option<Dot>,
    },
}

impl Bench<'_> {
    /// Judges what a command says of the one that it replaces.
    pub(super) fn stand_in(&self, case: &Case<'_>) -> Result<StandIn, StoreError> {
        let Some(target) = case.command.replaces else {
            return Ok(StandIn::None);
        };
        let refused = |code, detail: &str| Ok(StandIn::Refused(Refusal::new(code, detail)));
        let unseen = "it stands in the place of a command that its author had not received";
        let Some(bundle) = self.session.bundle_of(self.studio, target)? else {
            return refused(Code::ValidationFailed, unseen);
        };
        let place = (bundle, target.counter);
        let held = self.session.held(place)?;
        let Some(held) = held.filter(|_| case.held().covers(target)) else {
            return refused(Code::ValidationFailed, unseen);
        };
        let first = self.session.first_of(place)?;
        let confirmed = matches!(
            &held.verdict,
            Some(Verdict {
                outcome: Outcome::Accepted | Outcome::Merged(_),
                ..
            })
        );
        if confirmed || self.session.any_confirmed(first)? {
            return refused(
                Code::IdempotencyMismatch,
                "what it stands in the place of was accepted meanwhile; look at it, and write what is still missing as a change of its own",
            );
        }
        let withdraws = held.verdict.is_none().then_some(target);
        Ok(StandIn::Allowed { first, withdraws })
    }

    /// Decides on a command of which nothing is settled. `None`: not now.
    pub(super) fn judge(
        &self,
        case: &Case<'_>,
        (slot, history): (&Slot, &[Past]),
        stand_in: &StandIn,
    ) -> Option<Outcome> {
        if let StandIn::Refused(refusal) = stand_in {
            return Some(refusal.clone().into());
        }
        if reaches_beyond(case) {
            return Some(beyond().into());
        }
        let ctx = case.context();
        // What came after a replaced command waits for that one, and so never for what replaces it.
        let before = slot.undecided.iter();
        let mut others = before
            .take_while(|dot| Some(**dot) != case.command.replaces)
            .filter(|dot| **dot != case.dot);
        // One that this version's policy does not know may stay so for long: nothing waits for it.
        let knows = |dot: Dot| {
            let past = history.iter().find(|past| past.dot() == dot);
            past.is_none_or(|past| known(past.command(), &self.policy).is_some())
        };
        if others.any(|dot| ctx.covers(*dot) && knows(*dot)) {
            return None;
        }
        if slot.undecided.is_empty() {
            return self.decide(case, (&slot.row.entity, slot.row.orphan, &[]), history);
        }
        // Undecided commands show, but nothing is decided by them.
        let decided: Vec<Past> = history
            .iter()
            .filter(|past| past.row.verdict.is_some())
            .cloned()
            .collect();
        let entity = &slot.row.entity;
        let records = decided.iter().map(|past| past.record(case.epochs));
        let entity_type = if entity.life.writes.is_empty() || decided.is_empty() {
            &case.command.entity_type
        } else {
            &entity.entity_type
        };
        let so_far: Entity = fold(entity_type, entity.id, records, &self.policy);
        let saw_it = |past: &&Past| past.record(case.epochs).ctx.covers(case.dot);
        let after: Vec<Dot> = decided.iter().filter(saw_it).map(Past::dot).collect();
        self.decide(case, (&so_far, slot.row.orphan, &after), &decided)
    }

    /// Keeps what a decided command stands in the place of, and that it withdraws it.
    pub(super) fn replaced(
        &mut self,
        case: &Case<'_>,
        stand_in: &StandIn,
        outcome: Option<&Outcome>,
    ) -> Result<(), StoreError> {
        let (StandIn::Allowed { first, withdraws }, Some(outcome)) = (stand_in, outcome) else {
            return Ok(());
        };
        let rejected = matches!(outcome, Outcome::Rejected { .. });
        if case.command.op == Op::Discard && rejected {
            return Ok(());
        }
        let place = (case.bundle, case.dot.counter);
        self.session.insert_replacement(place, *first, outcome)?;
        self.withdrawn = *withdraws;
        Ok(())
    }

    /// What the command settled last withdrew.
    pub fn take_withdrawn(&mut self) -> Option<Dot> {
        self.withdrawn.take()
    }

    /// Decides on a command that was held without a verdict. `None`: still not now.
    pub fn settle_held(&mut self, case: &Case<'_>) -> Result<Option<Outcome>, StoreError> {
        let command = case.command;
        let place = (case.bundle, case.dot.counter);
        let stand_in = self.stand_in(case)?;
        let before = self.slot(command.entity, &command.entity_type)?;
        let rows = self.session.history(before.row.row)?;
        let history = self.history(rows, command.entity)?;
        let first = self.session.first_use(self.studio, command.id)?;
        let earlier = first.filter(|first| first.place != place);
        let content = case.content.unwrap_or_else(|| content_of(command));
        let outcome = match (case.ruling, &earlier) {
            (Ruling::Given(outcome), _) => Some(outcome.clone()),
            (Ruling::Postponed, _) => None,
            (Ruling::Open, Some(first)) if first.content != content => Some(mismatch().into()),
            (Ruling::Open, Some(first)) => first.verdict.as_ref().map(|_| repeated().into()),
            (Ruling::Open, None) => self.judge(case, (&before, &history), &stand_in),
        };
        let Some(outcome) = outcome else {
            return Ok(None);
        };
        let verdict = Verdict {
            position: case.position,
            outcome: outcome.clone(),
        };
        self.session.set_verdict(place, &verdict)?;
        self.refold_decided(case, (before, history), Some(verdict));
        self.replaced(case, &stand_in, Some(&outcome))?;
        Ok(Some(outcome))
    }

    /// Decides that a held command broke the server: it leaves its entity's history, which it must not break again.
    pub fn settle_held_broken(&mut self, case: &Case<'_>) -> Result<Outcome, StoreError> {
        let outcome: Outcome = Refusal::internal().into();
        let verdict = Verdict {
            position: case.position,
            outcome: outcome.clone(),
        };
        let before = self.slot(case.command.entity, &case.command.entity_type)?;
        let place = (case.bundle, case.dot.counter);
        self.session.set_verdict(place, &verdict)?;
        self.session.leave_history(place)?;
        let rows = self.session.history(before.row.row)?;
        let history = self.history(rows, case.command.entity)?;
        self.refold_decided(case, (before, history), None);
        Ok(outcome)
    }

    /// Folds an entity anew after one of its commands was decided.
    fn refold_decided(
        &mut self,
        case: &Case<'_>,
        (before, mut history): (Slot, Vec<Past>),
        verdict: Option<Verdict>,
    ) {
        let place = (case.bundle, case.dot.counter);
        let is_it = |row: &HistoryRow| (row.bundle, row.counter) == place;
        let rejected = matches!(
            &verdict,
            Some(Verdict {
                outcome: Outcome::Rejected { .. },
                ..
            })
        );
        if let Some(past) = history.iter_mut().find(|past| is_it(&past.row)) {
            past.row.verdict = verdict;
        }
        let mut after = before;
        after.changed = true;
        after.undecided.retain(|dot| *dot != case.dot);
        let entity = &mut after.row.entity;
        let records = history.iter().map(|past| past.record(case.epochs));
        *entity = fold(&entity.entity_type, entity.id, records, &self.policy);
        after.row.orphan |= rejected && case.command.op == Op::Create;
        after.row.orphan &= !after.row.entity.life.exists();
        self.put(case.command.entity, after);
    }
}
