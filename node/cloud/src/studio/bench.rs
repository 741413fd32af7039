//! Where commands are decided and applied: the entities that a request touches, kept in memory until its end.
//!
//! One command is settled as a whole or not at all; an entity changes here only after its command's row is written.

use std::collections::HashMap;
use std::sync::Arc;

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::id::{Author, Dot, EntityId, Hash};
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::{Code, Context, Entity, Outcome, Priorities, Record};
use studiovault_protocol::merge::{StateSum, Verdict, fold};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::vector::{Epochs, Vector};

use crate::decide::{Earlier, Refusal, Situation, decide};
use crate::store::{EntityRow, HistoryRow, NewCommand, Session, StoreError};

mod aside;
mod held;
mod late;

/// The entities that a request touches.
pub struct Bench<'a> {
    session: &'a Session<'a>,
    policy: Policy,
    studio: i64,
    next_row: i64,
    /// Boxed, since the map moves what it holds whenever it grows.
    slots: HashMap<EntityId, Box<Slot>>,
    /// What was replaced since [`Self::mark`]; `None` while nothing is to be taken back.
    undo: Option<Vec<Replaced>>,
    /// What the last settled command took the place of, if that has no verdict yet.
    withdrawn: Option<Dot>,
    bundles: HashMap<i64, Arc<(Bundle, Vector)>>,
}

/// A slot that another took the place of; `None`: there was none.
type Replaced = (EntityId, Option<Box<Slot>>);

#[derive(Clone, Debug)]
struct Slot {
    row: EntityRow,
    before: StateSum,
    changed: bool,
    /// It has a row, or a command's row names the one that it will have.
    named: bool,
    /// Its commands without a verdict.
    undecided: Vec<Dot>,
}

/// One command to be settled, with what its author had seen.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The command.
    pub command: &'a Command,
    /// Its name.
    pub dot: Dot,
    /// The row of its bundle.
    pub bundle: i64,
    /// All that its author had seen of others at that bundle.
    pub past: &'a Vector,
    /// The known epochs.
    pub epochs: &'a Epochs,
    /// The author's role.
    pub role: Role,
    /// What stands for what it says when its id comes again; `None`: its words.
    pub content: Option<Hash>,
    /// Where a verdict would stand.
    pub position: u64,
    /// Whether it is settled already.
    pub ruling: Ruling<'a>,
    /// It was held before, without a verdict.
    pub held: bool,
}

/// What is settled of a command before it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling<'a> {
    /// Nothing.
    Open,
    /// The outcome.
    Given(&'a Outcome),
    /// That there is no verdict for now.
    Postponed,
}

impl<'a> Case<'a> {
    /// What it supersedes.
    fn context(&self) -> Context<'a> {
        Context::new(
            self.epochs,
            (self.past, self.dot),
            self.command.ctx.as_ref(),
        )
    }

    /// What its author held when it wrote it.
    fn held(&self) -> Context<'a> {
        Context::new(self.epochs, (self.past, self.dot), None)
    }
}

impl<'a> Bench<'a> {
    /// An empty bench.
    pub fn new(session: &'a Session<'a>, policy: Policy, studio: i64) -> Result<Self, StoreError> {
        Ok(Self {
            session,
            policy,
            studio,
            next_row: session.next_entity_row()?,
            slots: HashMap::new(),
            undo: None,
            withdrawn: None,
            bundles: HashMap::new(),
        })
    }

    /// From here on [`Self::undo`] can take everything back.
    pub fn mark(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// Keeps everything since [`Self::mark`].
    pub fn keep(&mut self) {
        self.undo = None;
    }

    /// Takes back everything since [`Self::mark`].
    pub fn undo(&mut self) {
        let replaced = self.undo.take().unwrap_or_default();
        for (id, slot) in replaced.into_iter().rev() {
            match slot {
                Some(slot) => self.slots.insert(id, slot),
                None => self.slots.remove(&id),
            };
        }
    }

    /// Decides on a command and applies it. `None`: no verdict.
    pub fn settle(&mut self, case: &Case<'_>) -> Result<Option<Outcome>, StoreError> {
        let command = case.command;
        let content = case.content.unwrap_or_else(|| content_of(command));
        let first = self.session.first_use(self.studio, command.id)?;
        let stand_in = self.stand_in(case)?;
        let mut before = self.slot(command.entity, &command.entity_type)?;
        if !before.named && command.op != Op::Create {
            before.row.orphan |= self.session.is_orphan(self.studio, command.entity)?;
        }
        let folds = before.row.entity.must_fold_to_apply(command);
        let history = if folds || !before.undecided.is_empty() {
            let rows = self.session.history(before.row.row)?;
            self.history(rows, command.entity)?
        } else {
            Vec::new()
        };
        let outcome = match (case.ruling, &first) {
            (Ruling::Given(outcome), _) => Some(outcome.clone()),
            (Ruling::Postponed, _) => None,
            (Ruling::Open, Some(first)) if first.content != content => Some(mismatch().into()),
            (Ruling::Open, Some(first)) => first.verdict.as_ref().map(|_| repeated().into()),
            (Ruling::Open, None) => self.judge(case, (&before, &history), &stand_in),
        };
        let verdict = outcome.as_ref().map(|outcome| Verdict {
            position: case.position,
            outcome: outcome.clone(),
        });
        let mut after = self.applied(case, (before, &history), verdict.as_ref());
        if outcome.is_none() {
            after.undecided.push(case.dot);
        }
        let nothing = self.leaves_nothing(&after);
        after.named |= !nothing;
        let row = NewCommand {
            id: command.id,
            content,
            repeats: first.is_some(),
            place: (case.bundle, case.dot.counter),
            entity: after.named.then_some(after.row.row),
            verdict: verdict.as_ref(),
        };
        self.session.insert_command(self.studio, &row)?;
        self.put(command.entity, after);
        self.replaced(case, &stand_in, outcome.as_ref())?;
        Ok(outcome)
    }

    fn decide(
        &self,
        case: &Case<'_>,
        (entity, orphan, after): (&Entity, bool, &[Dot]),
        history: &[Past],
    ) -> Option<Outcome> {
        let earlier: Vec<Earlier> = history.iter().map(Past::earlier).collect();
        let situation = Situation {
            policy: &self.policy,
            role: case.role,
            entity,
            orphan,
            after,
            ctx: case.context(),
            history: &earlier,
        };
        decide(case.command, &situation)
    }

    /// The entity with the command on top, folded anew where only that is exact.
    fn applied(
        &self,
        case: &Case<'_>,
        (before, history): (Slot, &[Past]),
        verdict: Option<&Verdict>,
    ) -> Slot {
        let record = Record {
            command: case.command,
            dot: case.dot,
            ctx: case.context(),
            verdict,
        };
        let rejected = matches!(
            verdict,
            Some(Verdict {
                outcome: Outcome::Rejected { .. },
                ..
            })
        );
        let mut after = before;
        after.changed = true;
        after.row.orphan |= rejected && case.command.op == Op::Create;
        let entity = &mut after.row.entity;
        if entity.must_fold_to_apply(case.command) {
            let records = history.iter().map(|past| past.record(case.epochs));
            let records = records.chain([record]);
            *entity = fold(&entity.entity_type, entity.id, records, &self.policy);
        } else {
            entity.apply(&record, &self.policy);
        }
        after.row.orphan &= !after.row.entity.life.exists();
        after
    }

    /// Whether nothing that was taken or waits names the entity, so that it needs no row. What was rejected of an append-only
    /// entry belongs to its history: later bundles are judged by it.
    fn leaves_nothing(&self, slot: &Slot) -> bool {
        let entity = &slot.row.entity;
        let rules = self.policy.entity_type(&entity.entity_type);
        let append_only = rules.is_none_or(|rules| rules.append_only);
        !append_only && slot.undecided.is_empty() && entity.is_nothing()
    }

    /// Keeps a command that broke the server, outside of its entity's history, which it must not break again.
    pub fn settle_broken(&mut self, case: &Case<'_>) -> Result<Outcome, StoreError> {
        let outcome: Outcome = Refusal::internal().into();
        let verdict = Verdict {
            position: case.position,
            outcome: outcome.clone(),
        };
        let row = NewCommand {
            id: case.command.id,
            content: case.content.unwrap_or_else(|| content_of(case.command)),
            repeats: self
                .session
                .first_use(self.studio, case.command.id)?
                .is_some(),
            place: (case.bundle, case.dot.counter),
            entity: None,
            verdict: Some(&verdict),
        };
        self.session.insert_command(self.studio, &row)?;
        Ok(outcome)
    }

    /// An entity as it stands now; an empty one if nothing is known of it.
    pub fn entity(&mut self, id: EntityId, entity_type: &str) -> Result<Entity, StoreError> {
        self.slot(id, entity_type).map(|slot| slot.row.entity)
    }

    fn slot(&mut self, id: EntityId, entity_type: &str) -> Result<Slot, StoreError> {
        if let Some(slot) = self.slots.get(&id) {
            return Ok(Slot::clone(slot));
        }
        let (row, undecided, named) = match self.session.entity(self.studio, id)? {
            Some(row) => {
                let undecided = self.session.undecided_of(row.row)?;
                (row, undecided, true)
            }
            None => {
                self.next_row += 1;
                let row = EntityRow {
                    row: self.next_row - 1,
                    orphan: false,
                    entity: Entity::new(entity_type, id),
                };
                (row, Vec::new(), false)
            }
        };
        Ok(Slot {
            before: row.entity.state_sum(),
            row,
            changed: false,
            named,
            undecided,
        })
    }

    fn put(&mut self, id: EntityId, slot: Slot) {
        let old = self.slots.insert(id, Box::new(slot));
        if let Some(undo) = &mut self.undo {
            undo.push((id, old));
        }
    }

    /// Reads the commands of a history from their bundles.
    fn history(
        &mut self,
        rows: Vec<HistoryRow>,
        entity: EntityId,
    ) -> Result<Vec<Past>, StoreError> {
        let damaged = || StoreError::Damaged("a stored bundle");
        let mut history = Vec::with_capacity(rows.len());
        for row in rows {
            let bundle = self.bundle(row.bundle)?;
            let command = bundle.0.command(row.counter).ok_or_else(damaged)?;
            if command.entity == entity {
                history.push(Past { bundle, row });
            }
        }
        Ok(history)
    }

    /// A stored bundle with all that its author had seen of others.
    pub fn bundle(&mut self, row: i64) -> Result<Arc<(Bundle, Vector)>, StoreError> {
        if let Some(bundle) = self.bundles.get(&row) {
            return Ok(bundle.clone());
        }
        let (bytes, past) = self.session.bundle(row)?;
        let damaged = |_| StoreError::Damaged("a stored bundle");
        let bundle = Arc::new((Bundle::decode(bytes).map_err(damaged)?, past));
        self.bundles.insert(row, bundle.clone());
        Ok(bundle)
    }

    /// The shown side of a touched entity as JSON.
    pub fn latest(&self, entity: EntityId, priorities: &Priorities) -> String {
        self.slots
            .get(&entity)
            .filter(|slot| !slot.row.entity.fields.is_empty())
            .map_or_else(|| "{}".into(), |slot| shown(&slot.row.entity, priorities))
    }

    /// Stores every changed entity and takes the changes into the sum over all.
    pub fn flush(&self, sum: &mut StateSum, priorities: &Priorities) -> Result<(), StoreError> {
        let changed = self.slots.values().filter(|slot| slot.changed);
        let (mut slots, nothing): (Vec<&Slot>, Vec<&Slot>) =
            changed.map(Box::as_ref).partition(|slot| slot.named);
        for slot in nothing.into_iter().filter(|slot| slot.row.orphan) {
            self.session
                .insert_orphan(self.studio, slot.row.entity.id)?;
        }
        slots.sort_by_key(|slot| slot.row.row);
        for slot in slots {
            sum.remove(slot.before);
            sum.add(slot.row.entity.state_sum());
            let shown = shown(&slot.row.entity, priorities);
            self.session.set_entity(self.studio, &slot.row, &shown)?;
        }
        Ok(())
    }
}

fn shown(entity: &Entity, priorities: &Priorities) -> String {
    serde_json::Value::Object(entity.shown(priorities).fields).to_string()
}

/// A command of a history with the bundle that holds it.
#[derive(Clone)]
struct Past {
    bundle: Arc<(Bundle, Vector)>,
    row: HistoryRow,
}

impl Past {
    fn dot(&self) -> Dot {
        let author: Author = self.bundle.0.author();
        author.at(self.row.counter)
    }

    fn command(&self) -> &Command {
        let command = self.bundle.0.command(self.row.counter);
        command.expect("checked when the history was read")
    }

    fn earlier(&self) -> Earlier {
        let outcome = self.row.verdict.as_ref().map(|verdict| &verdict.outcome);
        Earlier {
            dot: self.dot(),
            op: self.command().op,
            confirmed: matches!(outcome, Some(Outcome::Accepted | Outcome::Merged(_))),
        }
    }

    fn record<'b>(&'b self, epochs: &'b Epochs) -> Record<'b> {
        let (command, dot) = (self.command(), self.dot());
        Record {
            command,
            dot,
            ctx: Context::new(epochs, (&self.bundle.1, dot), command.ctx.as_ref()),
            verdict: self.row.verdict.as_ref(),
        }
    }
}

/// What a command says, wherever and whenever it was said: clocks, nonces and contexts may differ between two tries.
pub fn content_of(command: &Command) -> Hash {
    let said = (
        &command.entity_type,
        command.entity,
        command.op,
        &command.writes,
    );
    Hash::of(&postcard::to_stdvec(&said).expect("the protocol's types always encode"))
}

/// Whether a command claims to have read what its bundle had not seen: it would supersede what nobody can have shown.
fn reaches_beyond(case: &Case<'_>) -> bool {
    let held = case.held();
    let claimed = case.command.ctx.as_ref().map_or(&[][..], |ctx| ctx.tips());
    claimed.iter().any(|tip| !held.covers(*tip))
}

fn mismatch() -> Refusal {
    Refusal::new(
        Code::IdempotencyMismatch,
        "this command's id was used for something else before; write it again with a new id",
    )
}

/// The same command under a second name has no second effect: the first one's verdict rules.
fn repeated() -> Refusal {
    Refusal::new(
        Code::Withdrawn,
        "the same command came before under another number, and what was decided then rules",
    )
}

fn beyond() -> Refusal {
    Refusal::new(
        Code::ValidationFailed,
        "it says that it has read what its author had not received",
    )
}
