//! One entity: its life, its fields, and the fold that defines both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::first_create;
use super::{Code, Context, Field, Life, LifeKind, LifeWrite, LostLife, LostSide, Outcome};
use super::{Register, Sibling, Survivor, Top, Verdict};
use crate::command::{Change, Command, Op};
use crate::id::{Dot, EntityId};
use crate::policy::{FieldRule, Policy, Rule, TypeRule};
use crate::value::Value;

/// The state of one entity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entity {
    /// Its type's name.
    pub entity_type: String,
    /// Its id.
    pub id: EntityId,
    /// Whether it lives.
    pub life: Life,
    /// Its fields by name.
    pub fields: BTreeMap<String, Field>,
    /// It holds something that this version cannot read: read-only here.
    pub opaque: bool,
}

/// One command of an entity's history with all that the fold needs.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The command.
    pub command: &'a Command,
    /// Its name.
    pub dot: Dot,
    /// What it supersedes.
    pub ctx: Context<'a>,
    /// The cloud's word, if there is one.
    pub verdict: Option<&'a Verdict>,
}

/// The state of an entity from its whole history, in a causal order. This defines the merge. Where authors disagree about the
/// type, the first create names it (the module `entry` says how), else the lowest dot that stands; `entity_type` if there is no record.
pub fn fold<'a>(
    entity_type: &str,
    id: EntityId,
    records: impl IntoIterator<Item = Record<'a>>,
    policy: &Policy,
) -> Entity {
    let records: Vec<Record> = records.into_iter().collect();
    let first = first_create(&records, policy);
    // Without a create the lowest dot names it, not what happened to come first.
    let lowest = || records.iter().min_by_key(|r| (!r.stands(), r.dot));
    let named = first.or_else(lowest);
    let entity_type = named.map_or(entity_type, |named| &named.command.entity_type);
    let mut entity = Entity::new(entity_type, id);
    let rules = policy.entity_type(entity_type);
    let entry = first.filter(|_| rules.is_some_and(|rules| rules.append_only));
    for record in &records {
        // An entry is what its first create says; whatever else stands beside it makes nothing of it.
        if entry.is_none_or(|entry| entry.dot == record.dot || !record.stands()) {
            entity.step(record, policy);
        }
    }
    entity.settle_leaders(&records);
    if entity.life.has_delete() {
        let standing: Vec<&Record> = records.iter().filter(|record| record.stands()).collect();
        for write in &mut entity.life.writes {
            if write.kind == LifeKind::Deleted {
                write.survivors = survivors_of(write.dot, &standing);
            }
        }
    }
    entity
}

impl Record<'_> {
    /// Whether the cloud has not taken it out.
    pub(super) fn stands(&self) -> bool {
        !matches!(
            self.verdict,
            Some(Verdict {
                outcome: Outcome::Rejected { .. },
                ..
            })
        )
    }
}

/// The newest standing writes concurrent with a delete, by dot.
fn survivors_of(delete: Dot, standing: &[&Record]) -> Vec<Survivor> {
    let Some(delete) = standing.iter().find(|record| record.dot == delete) else {
        return Vec::new();
    };
    let concurrent: Vec<&Record> = standing
        .iter()
        .copied()
        .filter(|r| !matches!(r.command.op, Op::Delete | Op::Discard))
        .filter(|r| !delete.ctx.covers(r.dot) && !r.ctx.covers(delete.dot) && r.dot != delete.dot)
        .collect();
    let mut survivors: Vec<Survivor> = concurrent
        .iter()
        .filter(|r| !concurrent.iter().any(|other| other.ctx.covers(r.dot)))
        .map(|r| Survivor {
            dot: r.dot,
            ts: r.command.ts,
            accepted: concurrent
                .iter()
                .any(|a| a.verdict.is_some() && (a.dot == r.dot || r.ctx.covers(a.dot))),
        })
        .collect();
    survivors.sort_by_key(|survivor| survivor.dot);
    survivors
}

/// Whether a field takes a change of that kind with values of that kind. Limits are the author's and the cloud's to ask: they
/// may change with the policy, and this may not.
fn fits(field: &FieldRule, change: &Change) -> bool {
    let admits = |value: &Value| field.kind.admits(value);
    match (field.rule, change) {
        (Rule::Lww | Rule::Immutable, Change::Write(value)) => admits(value),
        (Rule::Set, Change::Add(elements)) => elements.iter().all(admits),
        (Rule::Set, Change::Remove(_)) | (Rule::Counter, Change::Increment(_)) => true,
        _ => false,
    }
}

impl Entity {
    /// An entity of which nothing is known yet.
    pub fn new(entity_type: &str, id: EntityId) -> Self {
        Self {
            entity_type: entity_type.to_owned(),
            id,
            life: Life::default(),
            fields: BTreeMap::new(),
            opaque: false,
        }
    }

    /// Whether nothing that was ever said of it is left: it never stood, and no side of a conflict is kept.
    pub fn is_nothing(&self) -> bool {
        !self.life.exists() && self.life.lost.is_empty() && self.fields.is_empty() && !self.opaque
    }

    /// Applies one command on top of everything that came before it in a causal order. Not where
    /// [`Self::must_fold_to_apply`] says that the history is needed.
    pub fn apply(&mut self, record: &Record, policy: &Policy) {
        assert!(
            !self.must_fold_to_apply(record.command),
            "a delete, a second create or a second type is folded, never stepped"
        );
        self.step(record, policy);
    }

    /// Whether a command can only be applied by folding the entity with its whole history.
    pub fn must_fold_to_apply(&self, command: &Command) -> bool {
        (command.op == Op::Create && self.life.exists()) || self.needs_history(command)
    }

    fn needs_history(&self, command: &Command) -> bool {
        command.op == Op::Delete
            || self.life.has_delete()
            || self.opaque
            || command.entity_type != self.entity_type
    }

    fn step(&mut self, record: &Record, policy: &Policy) {
        let command = record.command;
        if command.op == Op::Discard {
            return;
        }
        let rules = policy.entity_type(&command.entity_type);
        let Some(rules) = rules.filter(|_| !matches!(command.op, Op::Newer(_))) else {
            // What was rejected leaves no trace, whatever this version cannot read of it.
            self.opaque |= record.stands();
            return;
        };
        if command.entity_type != self.entity_type {
            // Of another type than the entity: held, and does not stand.
            return;
        }
        if rules.append_only && command.op != Op::Create {
            // No update and no delete exist for it; a liar's is held and does not stand.
            return;
        }
        let (accepted, lost) = match record.verdict {
            None => (None, &[][..]),
            Some(Verdict {
                position,
                outcome: Outcome::Accepted,
            }) => (Some(*position), &[][..]),
            Some(Verdict {
                position,
                outcome: Outcome::Merged(lost),
            }) => (Some(*position), &lost[..]),
            Some(Verdict {
                outcome: Outcome::Rejected { code, .. },
                ..
            }) => {
                self.reject(record, (rules, *code));
                return;
            }
        };
        self.live(record, accepted);
        for write in &command.writes {
            let Some(rule) = rules.field(&write.field) else {
                self.opaque = true;
                continue;
            };
            let rewrites =
                rule.rule == Rule::Immutable && matches!(command.op, Op::Update | Op::Delete);
            if rewrites || !fits(rule, &write.change) {
                // What the policy forbids is held and does not stand.
                continue;
            }
            match lost.iter().find(|(field, _)| *field == write.field) {
                Some((_, code)) => self.lose(record, &write.field, (*code, false)),
                None => self.write(record, (&write.field, &write.change), accepted),
            }
        }
    }

    /// Takes up an accepting verdict on a command that was applied before, where [`Self::must_fold`] says no.
    pub fn accept(&mut self, command: &Command, (dot, position): (Dot, u64), policy: &Policy) {
        if command.op == Op::Discard {
            return;
        }
        let Some(rules) = policy.entity_type(&self.entity_type) else {
            return;
        };
        if rules.append_only && command.op != Op::Create {
            // It was applied to nothing, so nothing of it is confirmed either.
            return;
        }
        self.life.accept(position, dot);
        for write in &command.writes {
            let stood = rules.field(&write.field).is_some_and(|rule| {
                let rewrites =
                    rule.rule == Rule::Immutable && matches!(command.op, Op::Update | Op::Delete);
                !rewrites && fits(rule, &write.change)
            });
            if !stood {
                continue;
            }
            if let Some(Field::Register(register)) = self.fields.get_mut(&write.field) {
                register.accept(position, dot);
            }
        }
    }

    /// Whether a verdict on an already applied command can only be taken up by folding the entity anew. So it is as well for an
    /// accepted create that [`Life::names`] does not know.
    pub fn must_fold(&self, (dot, command): (Dot, &Command), verdict: &Verdict) -> bool {
        if self.needs_history(command) {
            return true;
        }
        match verdict.outcome {
            Outcome::Merged(_) | Outcome::Rejected { .. } => true,
            Outcome::Accepted => command.writes.iter().any(|write| {
                matches!(self.fields.get(&write.field),
                    Some(Field::Register(register)) if !register.stands_alone(verdict.position, dot))
            }),
        }
    }

    /// Who leads is known once every accepted write is.
    fn settle_leaders(&mut self, records: &[Record]) {
        for field in self.fields.values_mut() {
            let Field::Register(Register { siblings, top, .. }) = field else {
                continue;
            };
            for sibling in siblings {
                let mut wrote = records.iter().filter(|record| record.dot == sibling.dot);
                let leads = |top: &Top| wrote.any(|r| top.is_led_by(r.dot, &r.ctx));
                sibling.leads = top.as_ref().is_some_and(leads);
            }
        }
    }

    fn live(&mut self, record: &Record, accepted: Option<u64>) {
        let kind = match record.command.op {
            Op::Create => LifeKind::Created,
            Op::Delete => LifeKind::Deleted,
            Op::Restore => LifeKind::Restored,
            Op::Update | Op::Resolve | Op::Discard | Op::Newer(_) => return,
        };
        let (dot, ts) = (record.dot, record.command.ts);
        let write = LifeWrite {
            dot,
            ts,
            kind,
            accepted,
            survivors: Vec::new(),
        };
        self.life.write(write, &record.ctx);
    }

    fn write(&mut self, record: &Record, (name, change): (&str, &Change), accepted: Option<u64>) {
        let field = self
            .fields
            .entry(name.to_owned())
            .or_insert_with(|| Field::empty_for(change));
        match (field, change) {
            (Field::Register(register), Change::Write(value)) => register.write(
                Sibling {
                    dot: record.dot,
                    ts: record.command.ts,
                    value: value.clone(),
                    accepted,
                    leads: false,
                },
                &record.ctx,
            ),
            (field, change) => {
                if !field.gather(change, (record.dot, &record.ctx)) {
                    self.opaque = true;
                }
            }
        }
    }

    fn reject(&mut self, record: &Record, (rules, code): (&TypeRule, Code)) {
        let (dot, ts) = (record.dot, record.command.ts);
        if matches!(
            code,
            Code::ConflictDeleteUpdate | Code::ConflictUpdateDelete
        ) {
            self.life.lose(LostLife { dot, ts, code });
        }
        for write in &record.command.writes {
            if (rules.field(&write.field)).is_some_and(|rule| fits(rule, &write.change)) {
                self.lose(record, &write.field, (code, true));
            }
        }
    }

    /// A write that does not stand stays a side of its field's conflict, if its loss is one.
    fn lose(&mut self, record: &Record, name: &str, (code, rejected): (Code, bool)) {
        let change = record
            .command
            .writes
            .iter()
            .find(|write| write.field == name);
        let Some(Change::Write(value)) = change.map(|write| &write.change) else {
            return;
        };
        if !code.is_conflict() {
            return;
        }
        let field = self
            .fields
            .entry(name.to_owned())
            .or_insert_with(|| Field::Register(Register::default()));
        if let Field::Register(register) = field {
            register.lose(LostSide {
                dot: record.dot,
                ts: record.command.ts,
                value: value.clone(),
                code,
                rejected,
            });
        }
    }

    /// This entity's share of the state hash: life, siblings, elements, sums and lost sides; of a deleted one id and life.
    pub fn state_sum(&self) -> StateSum {
        if !self.life.exists() && self.fields.is_empty() {
            return StateSum::default();
        }
        let deleted = self.life.is_deleted();
        let fields = if deleted { None } else { Some(&self.fields) };
        StateSum::of(&(&self.entity_type, self.id, &self.life, fields))
    }
}

/// A hash over a set of entities that can be kept as they change: the lane-wise wrapping sum of their hashes. An alarm for
/// accidents between honest members, no defence against a liar.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StateSum(pub [u64; 4]);

impl StateSum {
    /// The share of one thing.
    pub(super) fn of<T: Serialize>(thing: &T) -> Self {
        // Room for most entities at once: growing step by step costs as much as the hash.
        let bytes = postcard::to_extend(thing, Vec::with_capacity(1024))
            .expect("entity states always encode");
        let mut sum = [0u64; 4];
        for (lane, chunk) in sum
            .iter_mut()
            .zip(blake3::hash(&bytes).as_bytes().chunks_exact(8))
        {
            *lane = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        }
        Self(sum)
    }
    /// Takes one entity's share in.
    pub fn add(&mut self, share: Self) {
        self.0
            .iter_mut()
            .zip(share.0)
            .for_each(|(lane, by)| *lane = lane.wrapping_add(by));
    }
    /// Takes one entity's share out.
    pub fn remove(&mut self, share: Self) {
        self.0
            .iter_mut()
            .zip(share.0)
            .for_each(|(lane, by)| *lane = lane.wrapping_sub(by));
    }
    /// As 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|lane| format!("{lane:016x}")).collect()
    }
}
