//! Random histories of machines that restart, are cloned, come back from backups, read too early and lie about what they read,
//! told twice: to the product's merge and to the naive one. In some the cloud came late, so that much was accepted at once.
//!
//! What a command had seen is known here as a set, from how it came about; the product is told by vectors and has to work it out.

use std::collections::BTreeMap;

use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{
    Conflict, Context, Entity, KeyClaim, KeyHash, Outcome, Priorities, Record, Verdict, arrange,
    base, fold, key_conflict, key_hash, life_base, proposals,
};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::{Epochs, Vector};

pub mod clock;
mod making;

use making::Making;

use crate::sim::dice::Dice;
use crate::sim::reference::{self, Bits, Deed};

/// Commands of one history at least.
pub const COMMANDS: u64 = 50;

/// What a run has seen.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Histories.
    pub histories: u64,
    /// Commands in them.
    pub commands: u64,
    /// Of these, concurrent with another one of the same entity.
    pub concurrent: u64,
    /// Open conflicts that both agreed on.
    pub conflicts: u64,
    /// Groups of entities with one name.
    pub twins: u64,
    /// Operations and verdicts by word.
    pub words: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Takes another run's figures in.
    pub fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.commands += other.commands;
        self.concurrent += other.concurrent;
        self.conflicts += other.conflicts;
        self.twins += other.twins;
        for (word, count) in other.words {
            *self.words.entry(word).or_default() += count;
        }
    }
}

/// A command as it came about.
struct Told {
    dot: Dot,
    command: Command,
    past: Vector,
    /// Its author's own commands up to it.
    path: Bits,
    saw: Bits,
    known: Bits,
    verdict: Option<Verdict>,
}

/// One made-up history.
pub struct History {
    epochs: Epochs,
    told: Vec<Told>,
    priorities: Priorities,
    policy: Policy,
}

/// The default policy, but that no two projects share a title.
pub fn policy() -> Policy {
    let text = Policy::default().text().to_owned();
    let text = text.replace(r#"["client", "title"]"#, r#"["title"]"#);
    Policy::parse(&text).expect("a policy")
}

impl History {
    /// The history of a seed.
    pub fn of(seed: u64, policy: &Policy) -> Self {
        let (epochs, told, priorities) = Making::new(seed).finished();
        Self {
            epochs,
            told,
            priorities,
            policy: policy.clone(),
        }
    }
}

/// Those that can come next: all that their machine knew is there.
fn ready(told: &[Told], done: impl Fn(usize) -> bool) -> Vec<usize> {
    let next = (0..told.len()).filter(|at| !done(*at));
    next.filter(|at| (0..told.len()).all(|other| !told[*at].known.contains(other) || done(other)))
        .collect()
}

/// The product's states of all entities.
type States = BTreeMap<EntityId, Entity>;

impl History {
    fn record(&self, at: usize, is_decided: bool) -> Record<'_> {
        let told = &self.told[at];
        Record {
            command: &told.command,
            dot: told.dot,
            ctx: Context::new(
                &self.epochs,
                (&told.past, told.dot),
                told.command.ctx.as_ref(),
            ),
            verdict: told.verdict.as_ref().filter(|_| is_decided),
        }
    }

    /// A causal order in which somebody else may have heard of all this.
    fn order(&self, dice: &mut Dice) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < self.told.len() {
            let next = ready(&self.told, |at| order.contains(&at));
            order.push(next[dice.place(next.len())]);
        }
        order
    }

    fn folded(&self, id: EntityId, order: &[usize], taken: impl Fn(usize) -> bool) -> Entity {
        let of_it = order
            .iter()
            .filter(|at| self.told[**at].command.entity == id);
        let records: Vec<Record> = of_it.map(|at| self.record(*at, taken(*at))).collect();
        let first = records
            .first()
            .map_or("", |record| &record.command.entity_type);
        fold(first, id, records.iter().copied(), &self.policy)
    }

    /// As a store does it: each command as it comes, each verdict as soon as the dice allow, folded anew only where it must be.
    fn stepped(&self, order: &[usize], dice: &mut Dice) -> States {
        let mut states = States::new();
        let mut feed: Vec<usize> = (0..order.len()).collect();
        feed.retain(|at| self.told[*at].verdict.is_some());
        feed.sort_by_key(|at| {
            self.told[*at]
                .verdict
                .as_ref()
                .map(|verdict| verdict.position)
        });
        let mut taken: Vec<usize> = Vec::new();
        for (end, at) in order.iter().enumerate() {
            let done = &order[..=end];
            let command = &self.told[*at].command;
            let begin = || Entity::new(&command.entity_type, command.entity);
            let state = states.entry(command.entity).or_insert_with(begin);
            if state.must_fold_to_apply(command) {
                *state = self.folded(command.entity, done, |at| taken.contains(&at));
            } else {
                state.apply(&self.record(*at, false), &self.policy);
            }
            let is_last = end + 1 == order.len();
            while let Some(next) = feed.get(taken.len()).copied() {
                if !done.contains(&next) || !is_last && dice.happens(500) {
                    break;
                }
                taken.push(next);
                let told = &self.told[next];
                let verdict = told.verdict.as_ref().expect("the feed holds verdicts");
                let id = told.command.entity;
                let state = states.get_mut(&id).expect("an applied command");
                let unnamed = told.command.op == Op::Create && !state.life.names(told.dot);
                if unnamed || state.must_fold((told.dot, &told.command), verdict) {
                    *state = self.folded(id, done, |at| taken.contains(&at));
                } else {
                    state.accept(&told.command, (told.dot, verdict.position), &self.policy);
                }
            }
        }
        states
    }

    fn deeds(&self) -> Vec<Deed<'_>> {
        let numbered = self.told.iter().enumerate();
        numbered
            .map(|(number, told)| Deed {
                number,
                dot: told.dot,
                command: &told.command,
                saw: told.saw.clone(),
                verdict: told.verdict.as_ref(),
                is_cut: false,
            })
            .collect()
    }

    /// Compares everything; the first difference in words.
    pub fn check(&self, seed: u64, tally: &mut Tally) -> Result<(), String> {
        let mut dice = Dice::new(!seed);
        let deeds = self.deeds();
        let wanted = reference::entities(deeds.clone(), &self.policy);
        let (one, other) = (self.order(&mut dice), self.order(&mut dice));
        let stepped = self.stepped(&one, &mut dice);
        for (id, wanted) in &wanted {
            let folded = self.folded(*id, &other, |_| true);
            if folded != *wanted || stepped[id] != *wanted {
                return Err(format!(
                    "seed {seed}: entity {id}\nnaive   {wanted:?}\nfolded  {folded:?}\nstepped {:?}",
                    stepped[id]
                ));
            }
            tally.conflicts += self.check_questions(seed, wanted, &deeds)?;
        }
        tally.twins += self.check_twins(seed, &wanted)?;
        self.count(tally);
        Ok(())
    }

    fn check_questions(&self, seed: u64, entity: &Entity, deeds: &[Deed]) -> Result<u64, String> {
        let mut asked = entity.conflicts(&self.priorities);
        if asked.is_empty() == entity.in_conflict() {
            return Err(format!(
                "seed {seed}: {} is in conflict or is not",
                entity.id
            ));
        }
        let all: Vec<usize> = (0..self.told.len()).collect();
        let of_it = all
            .iter()
            .filter(|at| self.told[**at].command.entity == entity.id);
        let records: Vec<Record> = of_it.map(|at| self.record(*at, true)).collect();
        for conflict in &mut asked {
            let found = base(&records, conflict, &self.priorities);
            let wanted = reference::base(deeds, conflict, &self.priorities);
            if found != wanted {
                return Err(format!(
                    "seed {seed}: base {found:?}, naive {wanted:?} of {conflict:?}"
                ));
            }
            if conflict.field.is_none() {
                self.check_life_base(seed, conflict, (&records, deeds))?;
            }
            conflict.id.clear();
        }
        let wanted = reference::questions(entity, &self.priorities);
        if asked != wanted {
            return Err(format!(
                "seed {seed}: conflicts {asked:?}\nnaive {wanted:?}"
            ));
        }
        Ok(asked.len() as u64)
    }

    fn check_life_base(
        &self,
        seed: u64,
        conflict: &Conflict,
        (records, deeds): (&[Record], &[Deed]),
    ) -> Result<(), String> {
        let known = (&self.priorities, &self.policy);
        let found = life_base(records, conflict, known);
        let wanted = reference::life_base(deeds, conflict, known);
        match found == wanted {
            true => Ok(()),
            false => Err(format!(
                "seed {seed}: base {found:?}, naive {wanted:?} of {conflict:?}"
            )),
        }
    }

    fn check_twins(&self, seed: u64, states: &States) -> Result<u64, String> {
        let mut found = 0;
        for (entity_type, rules) in self.policy.types() {
            let key = &rules.natural_key;
            let mut groups: BTreeMap<KeyHash, Vec<KeyClaim>> = BTreeMap::new();
            for entity in states.values().filter(|e| e.entity_type == *entity_type) {
                if let Some((hash, claim)) = entity.key_claim(key, &self.priorities) {
                    groups.entry(hash).or_default().push(claim);
                }
            }
            let is_taken = |values: &[Value]| {
                key_hash(entity_type, values).is_some_and(|hash| groups.contains_key(&hash))
            };
            let mut shown: Vec<reference::Twins> = Vec::new();
            for (hash, claims) in &groups {
                let field = key.last().map_or("", String::as_str);
                if key_conflict(*hash, field, claims).is_none() {
                    continue;
                }
                let (mut claims, names) = (claims.clone(), proposals(claims, is_taken));
                arrange(&mut claims);
                let name = |id| {
                    names
                        .iter()
                        .find(|p| p.entity == id)
                        .map(|p| p.name.clone())
                };
                let twin = |claim: &KeyClaim| (claim.entity, claim.dot, name(claim.entity));
                shown.push(claims.iter().map(twin).collect());
            }
            let mut wanted = reference::twins(states, (entity_type, key), &self.priorities);
            shown.sort();
            wanted.sort();
            if shown != wanted {
                return Err(format!("seed {seed}: twins {shown:?}\nnaive {wanted:?}"));
            }
            found += shown.len() as u64;
        }
        Ok(found)
    }

    fn count(&self, tally: &mut Tally) {
        tally.histories += 1;
        tally.commands += self.told.len() as u64;
        for (at, one) in self.told.iter().enumerate() {
            let mut others =
                self.told.iter().enumerate().filter(|(other, told)| {
                    *other != at && told.command.entity == one.command.entity
                });
            let concurrent =
                others.any(|(other, told)| !one.saw.contains(other) && !told.saw.contains(at));
            tally.concurrent += u64::from(concurrent);
            *tally.words.entry(one.command.op.word()).or_default() += 1;
            for write in &one.command.writes {
                let word = match write.change {
                    Change::Write(_) => continue,
                    Change::Add(_) => "add to a set",
                    Change::Remove(_) => "remove from a set",
                    Change::Increment(_) => "increment",
                };
                *tally.words.entry(word).or_default() += 1;
            }
            let word = match one.verdict.as_ref().map(|verdict| &verdict.outcome) {
                None => "undecided",
                Some(Outcome::Accepted) => "accepted",
                Some(Outcome::Merged(_)) => "merged",
                Some(Outcome::Rejected { .. }) => "rejected",
            };
            *tally.words.entry(word).or_default() += 1;
        }
    }
}

/// Compares `count` histories from seed `first` on, on two threads; the first difference ends it.
pub fn compare(first: u64, count: u64) -> Result<Tally, String> {
    let policy = policy();
    let half = |odd: u64| {
        let mut tally = Tally::default();
        for seed in (first..first + count).filter(|seed| seed % 2 == odd) {
            History::of(seed, &policy).check(seed, &mut tally)?;
        }
        Ok::<_, String>(tally)
    };
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        let mut tally = half(0)?;
        tally.add(odd.join().expect("a comparison does not panic")?);
        Ok(tally)
    })
}
