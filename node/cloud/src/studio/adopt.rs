//! Taking another policy into use: entities are folded by it, and what waited for it is decided.
//!
//! A verdict that was given stays: a policy never judges what another one has judged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::Outcome;
use studiovault_protocol::vector::Vector;

use super::bench::{Case, Ruling};
use super::sitting::{Setback, Sitting, refused_together};
use crate::store::{Savepoint, StoreError, Undecided};

/// The undecided commands of one stored bundle.
struct Waiting {
    bundle: Arc<(Bundle, Vector)>,
    commands: Vec<Undecided>,
}

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
        let grows = known.is_some_and(|known| known.grows_into(&next));
        let touched = if grows {
            self.session.undecided_entities(row)?
        } else {
            self.session.entity_ids(row)?
        };
        for id in touched {
            self.bench.refold(id, self.state.log.epochs())?;
        }
        let mut waiting: Vec<Waiting> = Vec::new();
        for command in self.session.undecided(row)? {
            let bundle = self.bench.bundle(command.bundle)?;
            match waiting.last_mut() {
                Some(last) if last.commands[0].bundle == command.bundle => {
                    last.commands.push(command);
                }
                _ => waiting.push(Waiting {
                    bundle,
                    commands: vec![command],
                }),
            }
        }
        waiting.iter().try_for_each(|waiting| self.decide(waiting))
    }

    fn decide(&mut self, waiting: &Waiting) -> Result<(), StoreError> {
        let bundle = &waiting.bundle.0;
        let outcomes = if bundle.header().together {
            self.decide_together(waiting)?
        } else {
            self.decide_each(waiting, |_| Ruling::Open)?
        };
        for (waited, outcome) in waiting.commands.iter().zip(outcomes) {
            let (Some(outcome), Some(command)) = (outcome, bundle.command(waited.counter)) else {
                continue;
            };
            if outcome != Outcome::Accepted {
                self.setbacks.push(Setback {
                    dot: bundle.author().at(waited.counter),
                    command: command.clone(),
                    outcome,
                });
            }
        }
        Ok(())
    }

    fn decide_each<'r>(
        &mut self,
        waiting: &Waiting,
        ruling: impl Fn(usize) -> Ruling<'r>,
    ) -> Result<Vec<Option<Outcome>>, StoreError> {
        let (bundle, past) = &*waiting.bundle;
        let author = bundle.author();
        let role = self.state.roster.member(author.device);
        let Some(role) = role.map(|member| member.grant.role) else {
            return Ok(vec![None; waiting.commands.len()]);
        };
        // What the truth wrote for clients without a log counts as theirs.
        let role = if author == self.studio.cloud {
            Role::Member
        } else {
            role
        };
        let mut outcomes = Vec::with_capacity(waiting.commands.len());
        for (at, waited) in waiting.commands.iter().enumerate() {
            let Some(command) = bundle.command(waited.counter) else {
                return Err(StoreError::Damaged("a stored bundle"));
            };
            let case = Case {
                command,
                dot: author.at(waited.counter),
                bundle: waited.bundle,
                past,
                epochs: self.state.log.epochs(),
                role,
                content: None,
                position: self.ledger.verdict_position(bundle, waited.counter),
                ruling: ruling(at),
            };
            self.session.savepoint(Savepoint::Command)?;
            let settled = catch_unwind(AssertUnwindSafe(|| self.bench.settle_late(&case, waited)));
            let outcome = match settled {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) if !error.is_of_the_row() => return Err(error),
                Ok(Err(_)) | Err(_) => {
                    tracing::error!(command = %case.dot, "one command could not be decided; it goes on waiting");
                    self.session.roll_back(Savepoint::Command)?;
                    outcomes.push(None);
                    continue;
                }
            };
            self.session.release(Savepoint::Command)?;
            if let Some(outcome) = &outcome {
                self.ledger.verdict(bundle, waited.counter, outcome);
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// All of a transaction or none of it, as when it came.
    fn decide_together(&mut self, waiting: &Waiting) -> Result<Vec<Option<Outcome>>, StoreError> {
        let entries = self.ledger.len();
        self.bench.mark();
        self.session.savepoint(Savepoint::Bundle)?;
        let tried = self.decide_each(waiting, |_| Ruling::Open)?;
        if tried
            .iter()
            .all(|outcome| *outcome == Some(Outcome::Accepted))
        {
            self.session.release(Savepoint::Bundle)?;
            return Ok(tried);
        }
        self.session.roll_back(Savepoint::Bundle)?;
        self.bench.undo();
        self.ledger.cut_back(entries);
        let whole: Option<Vec<Outcome>> = tried.into_iter().collect();
        match whole {
            None => Ok(vec![None; waiting.commands.len()]),
            Some(outcomes) => {
                let outcomes: Vec<Outcome> = outcomes.into_iter().map(refused_together).collect();
                self.decide_each(waiting, |at| Ruling::Given(&outcomes[at]))
            }
        }
    }
}
