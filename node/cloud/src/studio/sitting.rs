//! The truth at work on one request, inside its transaction: it holds bundles, decides their commands, and at the end stores
//! what changed and seals the feed's pages.

mod again;
mod wording;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::{CausalGap, Only, RefusedBundle, Rejection};
use studiovault_protocol::command::Command;
use studiovault_protocol::id::{Author, CommandId, Dot, EntityId, Hash};
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::{Code, Entity, Outcome, Priorities};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::vector::Vector;

use super::bench::{Bench, Case, Ruling};
use super::intake::{self, Arrival, Judgement};
use super::ledger::{Binding, Ledger};
use super::{State, Studio};
use crate::store::{Audit, BundleRow, Savepoint, Session, StoreError};
use crate::truth::Truth;

use wording::{tally, word, words};

/// Bytes of latest states echoed in one answer; beyond, the state comes with the changes.
const LATEST_BYTES: usize = 256 * 1024;

/// What came of the bundles of one request.
#[derive(Debug, Default)]
pub struct Taken {
    /// Bundles that wait.
    pub gaps: Vec<CausalGap>,
    /// Bundles that are not held.
    pub refused: Vec<RefusedBundle>,
    /// Commands that were not simply accepted.
    pub rejections: Vec<Rejection>,
}

/// The truth at work on one request, inside its transaction.
pub struct Sitting<'a> {
    pub(super) studio: &'a Studio,
    pub(super) truth: &'a Truth,
    pub(super) session: &'a Session<'a>,
    pub(super) state: State,
    priorities: Priorities,
    pub(super) bench: Bench<'a>,
    pub(super) ledger: Ledger,
    at: WallMs,
    moved: BTreeSet<Author>,
    setbacks: Vec<Setback>,
    /// What is to be decided, if not everything.
    pub(super) only: Option<Only>,
    /// What came of it so far.
    pub taken: Taken,
}

/// A command that was not simply accepted.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) dot: Dot,
    pub(super) command: CommandId,
    pub(super) entity: EntityId,
    pub(super) outcome: Outcome,
}

/// How a bundle's commands are heard.
#[derive(Clone, Copy, Debug)]
pub struct Hearing {
    /// The role of whoever they come from.
    pub role: Role,
    /// What stands for what they say when an id comes again; `None`: their words.
    pub content: Option<Hash>,
}

/// A bundle that was just stored.
#[derive(Clone, Copy)]
pub(super) struct Stored<'b> {
    pub(super) bundle: &'b Bundle,
    row: i64,
    past: &'b Vector,
    hearing: Hearing,
}

impl<'a> Sitting<'a> {
    /// Begins on a copy of the studio's state.
    pub fn new(
        studio: &'a Studio,
        (truth, session): (&'a Truth, &'a Session<'a>),
        state: State,
        at: WallMs,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            studio,
            truth,
            session,
            priorities: state.roster.priorities(),
            bench: Bench::new(session, state.policies.in_force().clone(), studio.row)?,
            ledger: Ledger::after(state.head.0),
            state,
            at,
            moved: BTreeSet::new(),
            setbacks: Vec::new(),
            only: None,
            taken: Taken::default(),
        })
    }

    /// Takes one bundle in, or says why not.
    pub fn arrive(&mut self, arrival: Arrival) -> Result<(), StoreError> {
        let Arrival {
            index,
            bundle,
            role,
        } = arrival;
        match intake::judge(&self.state.log, &bundle, self.studio.cloud) {
            Judgement::Take => {
                let content = None;
                self.hold(&bundle, Hearing { role, content }).map(drop)
            }
            Judgement::Known => Ok(()),
            Judgement::Wait(gap) => {
                self.taken.gaps.push(gap);
                Ok(())
            }
            Judgement::Refuse(detail) => {
                self.audit(&bundle, "bundle", &format!("refused: {detail}"))?;
                self.taken.refused.push(RefusedBundle { index, detail });
                Ok(())
            }
        }
    }

    /// Stores, applies and decides a bundle.
    pub fn hold(
        &mut self,
        bundle: &Bundle,
        hearing: Hearing,
    ) -> Result<Vec<Option<Outcome>>, StoreError> {
        let position = self.ledger.bundle(bundle);
        let (row, past) = self.store(bundle, position)?;
        let stored = Stored {
            bundle,
            row,
            past: &past,
            hearing,
        };
        let epochs = self.state.log.epochs();
        let aside = self.bench.set_aside(bundle, (&past, epochs))?;
        let asked = |at: u64| {
            let within = |only: &Only| {
                only.author == bundle.author() && only.counters.binary_search(&at).is_ok()
            };
            self.only.as_ref().is_none_or(within)
        };
        let asked: Vec<bool> = (bundle.first()..=bundle.last()).map(asked).collect();
        let together = bundle.header().together;
        let beyond = self.beyond_cut(bundle);
        let outcomes = if self.studio.stands(bundle) {
            self.settle_each(stored, |_| Ruling::Given(&Outcome::Accepted))?
        } else if let Some(outcomes) = aside {
            self.settle_each(stored, |at| Ruling::Given(&outcomes[at]))?
        } else if beyond.contains(&true) {
            self.settle_cut(stored, (&asked, &beyond))?
        } else if together && asked.contains(&true) {
            self.settle_together(stored)?
        } else {
            self.settle_each(stored, |at| {
                if asked[at] && !together {
                    Ruling::Open
                } else {
                    Ruling::Postponed
                }
            })?
        };
        self.audit(bundle, "bundle", &tally(&outcomes))?;
        for ((dot, command), outcome) in bundle.commands().zip(&outcomes) {
            self.note_setback(dot, command, outcome.as_ref());
        }
        Ok(outcomes)
    }

    /// Stores and applies a bundle that stands in the feed at `position`.
    fn store(&mut self, bundle: &Bundle, position: u64) -> Result<(i64, Vector), StoreError> {
        self.state.log.hold(bundle);
        let past = self.state.log.apply(bundle).clone();
        let row = self.session.insert_bundle(
            self.studio.row,
            &BundleRow {
                author: bundle.author(),
                counters: (bundle.first(), bundle.last()),
                position,
                past: &past,
                bytes: bundle.bytes(),
            },
        )?;
        self.moved.insert(bundle.author());
        Ok((row, past))
    }

    /// How many setbacks there are; for [`Self::cut_setbacks`].
    pub(super) fn setbacks_len(&self) -> usize {
        self.setbacks.len()
    }

    /// Forgets all but the first `len` setbacks.
    pub(super) fn cut_setbacks(&mut self, len: usize) {
        self.setbacks.truncate(len);
    }

    pub(super) fn note_setback(&mut self, dot: Dot, command: &Command, outcome: Option<&Outcome>) {
        match outcome {
            None | Some(Outcome::Accepted) => {}
            Some(outcome) => self.setbacks.push(Setback {
                dot,
                command: command.id,
                entity: command.entity,
                outcome: outcome.clone(),
            }),
        }
    }

    /// The studio's state as this request has made it so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// An entity as this request has made it so far; an empty one if nothing is known of it.
    pub fn entity(&mut self, id: EntityId, entity_type: &str) -> Result<Entity, StoreError> {
        self.bench.entity(id, entity_type)
    }

    /// The shown side of an entity as JSON.
    pub fn shown(&mut self, id: EntityId, entity_type: &str) -> Result<String, StoreError> {
        let entity = self.bench.entity(id, entity_type)?;
        let fields = entity.shown(&self.priorities).fields;
        Ok(serde_json::Value::Object(fields).to_string())
    }

    /// Decides every command by itself.
    pub(super) fn settle_each<'r>(
        &mut self,
        stored: Stored<'_>,
        ruling: impl Fn(usize) -> Ruling<'r>,
    ) -> Result<Vec<Option<Outcome>>, StoreError> {
        let mut outcomes = Vec::with_capacity(stored.bundle.commands().len());
        let stands = self.studio.stands(stored.bundle);
        if stands {
            self.ledger.as_it_stands(stored.bundle);
        }
        for (at, (dot, command)) in stored.bundle.commands().enumerate() {
            let case = Case {
                command,
                dot,
                bundle: stored.row,
                past: stored.past,
                epochs: self.state.log.epochs(),
                role: stored.hearing.role,
                content: stored.hearing.content,
                position: if stands {
                    0
                } else {
                    self.ledger.verdict_position(stored.bundle, dot.counter)
                },
                ruling: ruling(at),
                held: false,
            };
            self.provoke(&case)?;
            let outcome = settle_guarded(&mut self.bench, self.session, &case)?;
            if let Some(outcome) = outcome.as_ref().filter(|_| !stands) {
                self.ledger.verdict(stored.bundle, dot.counter, outcome);
            }
            if let Some(dot) = self.bench.take_withdrawn() {
                self.withdraw(dot)?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Takes all commands of a bundle or none.
    fn settle_together(&mut self, stored: Stored<'_>) -> Result<Vec<Option<Outcome>>, StoreError> {
        let entries = self.ledger.len();
        self.bench.mark();
        self.session.savepoint(Savepoint::Bundle)?;
        let tried = self.settle_each(stored, |_| Ruling::Open)?;
        if tried
            .iter()
            .all(|outcome| *outcome == Some(Outcome::Accepted))
        {
            self.session.release(Savepoint::Bundle)?;
            self.bench.keep();
            return Ok(tried);
        }
        self.session.roll_back(Savepoint::Bundle)?;
        self.bench.undo();
        self.ledger.cut_back(entries);
        let whole: Option<Vec<Outcome>> = tried.into_iter().collect();
        match whole {
            None => self.settle_each(stored, |_| Ruling::Postponed),
            Some(outcomes) => {
                let outcomes: Vec<Outcome> = outcomes.into_iter().map(refused_together).collect();
                self.settle_each(stored, |at| Ruling::Given(&outcomes[at]))
            }
        }
    }

    /// Stores what changed, seals the feed's pages and hands the new state back.
    pub fn close(mut self) -> Result<(Taken, State), StoreError> {
        if self.ledger.is_empty() && self.bench.is_idle() {
            return Ok((self.taken, self.state));
        }
        self.echo_setbacks();
        let row = self.studio.row;
        self.bench.flush(&mut self.state.sum, &self.priorities)?;
        self.ledger.checkpoint(self.state.sum);
        let binding = Binding {
            studio: self.studio.id,
            author: self.studio.cloud,
            prev: self.state.head.1,
            at: self.at,
        };
        let ledger = std::mem::replace(&mut self.ledger, Ledger::after(0));
        for page in ledger.seal(binding, &self.truth.key) {
            self.session.insert_page(row, &page)?;
            self.state.head = (page.last(), page.hash());
        }
        self.note_ends()?;
        Ok((self.taken, self.state))
    }

    /// Notes where the moved chains and the feed end now.
    fn note_ends(&self) -> Result<(), StoreError> {
        let row = self.studio.row;
        for author in &self.moved {
            let chain = self.state.log.chain(*author);
            self.session
                .set_chain(row, *author, chain.expect("a moved author has a chain"))?;
        }
        self.session.set_head(row, self.state.head, self.state.sum)
    }

    /// Puts what was not simply accepted into the answer.
    fn echo_setbacks(&mut self) {
        let mut room = LATEST_BYTES;
        for setback in std::mem::take(&mut self.setbacks) {
            let (code, detail, fields) = words(setback.outcome);
            let latest = self.latest(setback.entity, &mut room);
            self.taken.rejections.push(Rejection {
                dot: setback.dot,
                command: setback.command,
                code,
                detail,
                fields,
                latest,
            });
        }
    }

    fn latest(&self, entity: EntityId, room: &mut usize) -> String {
        let latest = self.bench.latest(entity, &self.priorities);
        if latest.len() > *room {
            return String::new();
        }
        *room -= latest.len();
        latest
    }

    /// Notes what became of a command that had to wait for its verdict; those that did not stand in their bundle's line.
    pub(super) fn audit_late(
        &self,
        dot: Dot,
        command: &Command,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let (op, entity_type, entity) = (command.op.word(), &command.entity_type, command.entity);
        let line = Audit {
            studio: Some(self.studio.row),
            who: String::new(),
            device: Some(dot.author.device),
            what: format!("{op} {entity_type} {entity} by command {dot}"),
            outcome: word(outcome).to_owned(),
        };
        self.session.audit(&line, self.at)
    }

    fn audit(&self, bundle: &Bundle, what: &str, outcome: &str) -> Result<(), StoreError> {
        let line = Audit {
            studio: Some(self.studio.row),
            who: bundle.header().actor.clone(),
            device: Some(bundle.author().device),
            what: format!(
                "{what} {} to {}",
                bundle.author().at(bundle.first()),
                bundle.last()
            ),
            outcome: outcome.to_owned(),
        };
        self.session.audit(&line, self.at)
    }
}

/// Settles a command in a savepoint of its own: what breaks the server there is that command's outcome alone.
pub(super) fn settle_guarded(
    bench: &mut Bench<'_>,
    session: &Session<'_>,
    case: &Case<'_>,
) -> Result<Option<Outcome>, StoreError> {
    session.savepoint(Savepoint::Command)?;
    let settled = catch_unwind(AssertUnwindSafe(|| {
        if case.held {
            bench.settle_held(case)
        } else {
            bench.settle(case)
        }
    }));
    let outcome = match settled {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) if !error.is_of_the_row() => return Err(error),
        Ok(Err(error)) => {
            tracing::error!(command = %case.dot, %error, "one command could not be settled");
            session.roll_back(Savepoint::Command)?;
            return settle_broken(bench, case).map(Some);
        }
        Err(_) => {
            tracing::error!(command = %case.dot, "a bug: one command could not be settled");
            session.roll_back(Savepoint::Command)?;
            return settle_broken(bench, case).map(Some);
        }
    };
    session.release(Savepoint::Command)?;
    Ok(outcome)
}

fn settle_broken(bench: &mut Bench<'_>, case: &Case<'_>) -> Result<Outcome, StoreError> {
    if case.held {
        bench.settle_held_broken(case)
    } else {
        bench.settle_broken(case)
    }
}

/// A member of a transaction that is not taken: its own fault if it has one, else the others'.
pub(super) fn refused_together(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Rejected { .. } => outcome,
        Outcome::Merged(lost) => {
            let (code, detail, _) = words(Outcome::Merged(lost));
            Outcome::Rejected { code, detail }
        }
        Outcome::Accepted => Outcome::Rejected {
            code: Code::DependsOnRejected,
            detail: "it belongs together with a command that was not taken".into(),
        },
    }
}
