//! A second, naive merge written from the model alone: sets of commands and "who saw whom", no order, no steps, no caches.
//!
//! It answers with the same structures as the product, so that any difference is an inequality and not an interpretation.

use std::collections::{BTreeMap, BTreeSet};

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{
    Code, ElementSet, Entity, Field, Life, LifeKind, LifeWrite, LostLife, LostSide, Outcome,
    Register, Sibling, Survivor, Top, Verdict,
};
use studiovault_protocol::policy::{Policy, Rule, TypeRule};
use studiovault_protocol::value::{Value, ValueKind};

mod order;
mod question;

pub use order::Rulings;
pub use question::{Twins, base, life_base, questions, twins};

/// A set of commands by number.
#[derive(Clone, Default, Debug)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// Puts a command in.
    pub fn insert(&mut self, at: usize) {
        if self.0.len() <= at / 64 {
            self.0.resize(at / 64 + 1, 0);
        }
        self.0[at / 64] |= 1 << (at % 64);
    }
    /// Puts all of another set in.
    pub fn unite(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(mine, theirs)| *mine |= theirs);
    }
    /// The same with all of another set.
    pub fn with(mut self, other: &Self) -> Self {
        self.unite(other);
        self
    }
    /// Whether all of another set is in.
    pub fn holds(&self, other: &Self) -> bool {
        let mine = self.0.iter().copied().chain(std::iter::repeat(0));
        mine.zip(&other.0).all(|(mine, theirs)| theirs & !mine == 0)
    }
    /// Whether a command is in.
    pub fn contains(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// One command with whom it supersedes.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// Its place in some causal order.
    pub number: usize,
    /// Its name.
    pub dot: Dot,
    /// What it says.
    pub command: &'a Command,
    /// The commands that its author had read.
    pub saw: Bits,
    /// The cloud's word.
    pub verdict: Option<&'a Verdict>,
    /// Beyond the cut of a device that does not belong any more.
    pub is_cut: bool,
}

impl Deed<'_> {
    fn sees(&self, other: &Deed) -> bool {
        self.saw.contains(other.number)
    }
    fn rejected(&self) -> Option<Code> {
        match self.verdict.map(|verdict| &verdict.outcome) {
            Some(Outcome::Rejected { code, .. }) => Some(*code),
            _ => None,
        }
    }
    fn lost(&self, field: &str) -> Option<Code> {
        match self.verdict.map(|verdict| &verdict.outcome) {
            Some(Outcome::Rejected { code, .. }) => Some(*code),
            Some(Outcome::Merged(fields)) => fields
                .iter()
                .find(|(name, _)| name == field)
                .map(|(_, code)| *code),
            _ => None,
        }
    }
    fn accepted(&self) -> Option<u64> {
        self.verdict
            .filter(|_| self.rejected().is_none())
            .map(|verdict| verdict.position)
    }
    fn value(&self, field: &str) -> Option<&Value> {
        self.command
            .writes
            .iter()
            .find_map(|write| match &write.change {
                Change::Write(value) if write.field == field => Some(value),
                _ => None,
            })
    }
}

/// The state of every entity that these bundles touch.
pub fn merge(bundles: &[Bundle], rulings: &Rulings, policy: &Policy) -> BTreeMap<EntityId, Entity> {
    entities(order::deeds(bundles, rulings), policy)
}

/// The state of every entity that these commands touch.
pub fn entities(deeds: Vec<Deed>, policy: &Policy) -> BTreeMap<EntityId, Entity> {
    let mut by_entity: BTreeMap<EntityId, Vec<Deed>> = BTreeMap::new();
    for deed in deeds {
        by_entity.entry(deed.command.entity).or_default().push(deed);
    }
    by_entity
        .into_iter()
        .map(|(id, deeds)| (id, entity(id, &deeds, policy)))
        .collect()
}

fn entity(id: EntityId, all: &[Deed], policy: &Policy) -> Entity {
    let decided = |d: &Deed| d.verdict.is_some() && d.rejected() != Some(Code::DeviceRevoked);
    let counted = |d: &&Deed| !d.is_cut || decided(d);
    let deeds: &[Deed] = &all.iter().filter(counted).cloned().collect::<Vec<Deed>>();
    let append_only = |d: &Deed| {
        let rules = policy.entity_type(&d.command.entity_type);
        rules.is_some_and(|rules| rules.append_only)
    };
    let creates: Vec<&Deed> = deeds
        .iter()
        .filter(|d| d.command.op == Op::Create && d.rejected().is_none())
        .collect();
    let namer = creates.iter().copied().min_by_key(|d| {
        let knew_another = creates.iter().any(|other| d.sees(other));
        let position = d.accepted().unwrap_or(u64::MAX);
        (position, !append_only(d), knew_another, d.dot)
    });
    let first = deeds.iter().min_by_key(|d| (d.rejected().is_some(), d.dot));
    let first = first.or(all.iter().min_by_key(|d| d.dot));
    let first = first.expect("an entity has commands");
    let entity_type = &namer.unwrap_or(first).command.entity_type;
    let mut entity = Entity::new(entity_type, id);
    let Some(rules) = policy.entity_type(entity_type) else {
        entity.opaque = true;
        return entity;
    };
    // An entry is what its first create says; nothing else that stands makes anything of it.
    let entry = namer.filter(|d| append_only(d));
    let heard = deeds
        .iter()
        .filter(|d| entry.is_none_or(|entry| entry.dot == d.dot || d.rejected().is_some()));
    // What only a newer program can do does nothing here, and is said so.
    let (newer, heard): (Vec<&Deed>, Vec<&Deed>) =
        heard.partition(|d| matches!(d.command.op, Op::Newer(_)));
    let heard = heard.into_iter();
    let (same, other): (Vec<&Deed>, Vec<&Deed>) =
        heard.partition(|d| d.command.entity_type == *entity_type);
    let unknown = |d: &&Deed| {
        let mut writes = d.command.writes.iter();
        d.rejected().is_none() && writes.any(|w| rules.field(&w.field).is_none())
    };
    let strange =
        |d: &&Deed| d.rejected().is_none() && policy.entity_type(&d.command.entity_type).is_none();
    let allowed: Vec<&Deed> = same
        .iter()
        .copied()
        .filter(|d| !rules.append_only || d.command.op == Op::Create)
        .collect();
    let stands = newer.iter().any(|d| d.rejected().is_none());
    entity.opaque = stands || other.iter().any(strange) || allowed.iter().any(unknown);
    entity.life = life(&allowed, deeds);
    let names: BTreeSet<&str> = allowed
        .iter()
        .flat_map(|d| d.command.writes.iter().map(|write| write.field.as_str()))
        .collect();
    for name in names {
        if let Some(field) = field(name, rules, &allowed) {
            entity.fields.insert(name.to_owned(), field);
        }
    }
    entity
}

fn kind(op: Op) -> Option<LifeKind> {
    match op {
        Op::Create => Some(LifeKind::Created),
        Op::Delete => Some(LifeKind::Deleted),
        Op::Restore => Some(LifeKind::Restored),
        Op::Update | Op::Resolve | Op::Discard | Op::Newer(_) => None,
    }
}

fn life(allowed: &[&Deed], all: &[Deed]) -> Life {
    let standing: Vec<(&Deed, LifeKind)> = allowed
        .iter()
        .filter(|d| d.rejected().is_none())
        .filter_map(|d| Some((*d, kind(d.command.op)?)))
        .collect();
    let uncovered = |d: &Deed| !standing.iter().any(|(other, _)| other.sees(d));
    let mut life = Life::default();
    for (deed, kind) in standing.iter().filter(|(deed, _)| uncovered(deed)) {
        let survivors = match kind {
            LifeKind::Deleted => survivors(deed, all),
            _ => Vec::new(),
        };
        life.writes.push(LifeWrite {
            dot: deed.dot,
            ts: deed.command.ts,
            kind: *kind,
            accepted: deed.accepted(),
            survivors,
        });
    }
    for deed in allowed.iter().filter(|deed| uncovered(deed)) {
        let code = deed.rejected();
        if let Some(code @ (Code::ConflictDeleteUpdate | Code::ConflictUpdateDelete)) = code {
            life.lost.push(LostLife {
                dot: deed.dot,
                ts: deed.command.ts,
                code,
            });
        }
    }
    life.writes.sort_by_key(|write| write.dot);
    life.lost.sort_by_key(|side| side.dot);
    life
}

/// The newest standing writes that are concurrent with a delete.
fn survivors(delete: &Deed, all: &[Deed]) -> Vec<Survivor> {
    let concurrent: Vec<&Deed> = all
        .iter()
        .filter(|d| d.rejected().is_none() && d.command.op != Op::Delete)
        .filter(|d| !delete.sees(d) && !d.sees(delete))
        .collect();
    let newest = concurrent
        .iter()
        .filter(|d| !concurrent.iter().any(|other| other.sees(d)));
    let mut survivors: Vec<Survivor> = newest
        .map(|d| Survivor {
            dot: d.dot,
            ts: d.command.ts,
            accepted: concurrent
                .iter()
                .any(|a| a.accepted().is_some() && (a.dot == d.dot || d.sees(a))),
        })
        .collect();
    survivors.sort_by_key(|survivor| survivor.dot);
    survivors
}

fn field(name: &str, rules: &TypeRule, allowed: &[&Deed]) -> Option<Field> {
    let field = rules.field(name)?;
    match field.rule {
        Rule::Lww | Rule::Immutable => register(name, (field.rule, field.kind), allowed),
        Rule::Set => set(name, allowed),
        Rule::Counter => counter(name, allowed),
    }
}

/// A value of another kind than the field's is as if it had not been written.
fn register(name: &str, (rule, kind): (Rule, ValueKind), allowed: &[&Deed]) -> Option<Field> {
    let frozen = |d: &Deed| {
        rule == Rule::Immutable
            && matches!(d.command.op, Op::Update | Op::Delete)
            && d.rejected().is_none()
    };
    let writes: Vec<&Deed> = allowed
        .iter()
        .copied()
        .filter(|d| d.value(name).is_some_and(|value| kind.admits(value)) && !frozen(d))
        .collect();
    let standing: Vec<&Deed> = writes
        .iter()
        .copied()
        .filter(|d| d.lost(name).is_none())
        .collect();
    let is_side = |d: &Deed| d.lost(name).is_some_and(|code| code.is_conflict());
    if standing.is_empty() && !writes.iter().any(|d| is_side(d)) {
        return None;
    }
    let uncovered = |d: &Deed| !standing.iter().any(|other| other.sees(d));
    let leaders = leaders(&standing);
    let top = leaders.first().and_then(|first| first.accepted());
    let mut register = Register {
        top: top.and_then(|position| Top::of(position, leaders.iter().map(|d| d.dot))),
        ..Register::default()
    };
    for d in standing.iter().filter(|d| uncovered(d)) {
        register.siblings.push(Sibling {
            dot: d.dot,
            ts: d.command.ts,
            value: d.value(name)?.clone(),
            accepted: d.accepted(),
            leads: leaders.iter().any(|top| top.dot == d.dot || d.sees(top)),
        });
    }
    for d in writes.iter().filter(|d| is_side(d) && uncovered(d)) {
        let (value, code) = (d.value(name)?.clone(), d.lost(name)?);
        register.lost.push(LostSide {
            dot: d.dot,
            ts: d.command.ts,
            value,
            code,
            rejected: d.rejected().is_some(),
        });
    }
    register.siblings.sort_by_key(|sibling| sibling.dot);
    register.lost.sort_by_key(|side| side.dot);
    Some(Field::Register(register))
}

/// The writes accepted last. What stood when the feed began was accepted together, but for what another of it supersedes.
fn leaders<'d, 'a>(standing: &[&'d Deed<'a>]) -> Vec<&'d Deed<'a>> {
    let accepted = || standing.iter().copied().filter(|d| d.accepted().is_some());
    let Some(last) = accepted().max_by_key(|d| (d.accepted(), d.dot)) else {
        return Vec::new();
    };
    if last.accepted() != Some(0) {
        return vec![last];
    }
    let mut newest: Vec<&Deed> = accepted()
        .filter(|d| !accepted().any(|other| other.sees(d)))
        .collect();
    newest.sort_by_key(|d| d.dot);
    newest
}

/// Standing changes of one field that are not writes.
fn changes<'a>(
    name: &'a str,
    allowed: &'a [&'a Deed<'a>],
) -> impl Iterator<Item = (&'a Deed<'a>, &'a Change)> {
    let standing = allowed.iter().filter(move |d| d.lost(name).is_none());
    standing.flat_map(move |d| {
        let writes = d
            .command
            .writes
            .iter()
            .filter(move |write| write.field == name);
        writes.map(|write| (*d, &write.change))
    })
}

/// An element is in if somebody added it and nobody who had seen that took it out.
fn set(name: &str, allowed: &[&Deed]) -> Option<Field> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for (d, change) in changes(name, allowed) {
        match change {
            Change::Add(elements) => added.extend(elements.iter().map(|e| (e, d.dot, d))),
            Change::Remove(elements) => removed.push((d, elements)),
            _ => {}
        }
    }
    let any = !(added.is_empty() && removed.is_empty());
    let taken_out = |element: &Value, add: &Deed| {
        removed.iter().filter(|(d, _)| d.sees(add)).any(|(_, all)| {
            all.iter()
                .any(|(e, dots)| e == element && dots.contains(&add.dot))
        })
    };
    added.sort_by_key(|(element, dot, _)| (*element, *dot));
    added.dedup_by_key(|(element, dot, _)| (*element, *dot));
    let mut set = ElementSet::default();
    for (element, dot, _) in added.into_iter().filter(|(e, _, d)| !taken_out(e, d)) {
        match set.elements.last_mut() {
            Some((last, dots)) if last == element => dots.push(dot),
            _ => set.elements.push((element.clone(), vec![dot])),
        }
    }
    any.then_some(Field::Set(set))
}

fn counter(name: &str, allowed: &[&Deed]) -> Option<Field> {
    let by = |(_, change): (&Deed, &Change)| match change {
        Change::Increment(by) => Some(*by),
        _ => None,
    };
    changes(name, allowed)
        .filter_map(by)
        .reduce(i64::wrapping_add)
        .map(Field::Counter)
}
