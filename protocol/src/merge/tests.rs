//! Merge laws: whatever the order in which commands and verdicts arrive, the state is one function of their set.

mod contexts;
mod counter_examples;
mod laws;
mod machine;

use proptest::prelude::*;

use super::pick::pick;
use super::*;
use crate::command::{Change, Command, FieldWrite, Op};
use crate::id::{Author, CommandId, DeviceId, EntityId, Epoch, Nonce};
use crate::policy::Policy;
use crate::time::WallMs;
use crate::value::Value;

/// One step of a made-up history: somebody learns something, then writes.
#[derive(Clone, Debug)]
struct Step {
    author: usize,
    learns_from: Option<usize>,
    what: u8,
    value: u8,
    is_stale: bool,
    skew_s: i64,
    verdict: u8,
}

/// A command with all that the fold needs, owned.
#[derive(Clone, Debug)]
struct Deed {
    dot: Dot,
    command: Command,
    past: Vector,
    before: Option<Dot>,
    verdict: Option<Verdict>,
}

/// A whole history in one causal order.
#[derive(Clone, Debug)]
struct History {
    epochs: Epochs,
    deeds: Vec<Deed>,
}

const ENTITY: EntityId = EntityId([9; 16]);
const AUTHORS: usize = 3;

fn author(n: usize) -> Author {
    Author {
        device: DeviceId([n as u8 + 1; 16]),
        epoch: Epoch(7 - n as u64),
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..AUTHORS,
        proptest::option::weighted(0.6, 0..AUTHORS),
        0..12u8,
        0..3u8,
        proptest::bool::weighted(0.3),
        -200..200i64,
        0..12u8,
    );
    let step = step.prop_map(
        |(author, learns_from, what, value, is_stale, skew_s, verdict)| Step {
            author,
            learns_from,
            what,
            value,
            is_stale,
            skew_s,
            verdict,
        },
    );
    proptest::collection::vec(step, 1..=most)
}

fn text(value: u8) -> Value {
    Value::Text(format!("value {value}"))
}

/// The operation and changes that a step makes, given which adds its author has seen.
fn changes(step: &Step, seen: &[Dot]) -> (Op, Vec<FieldWrite>) {
    let write = |field: &str, change| FieldWrite {
        field: field.into(),
        change,
    };
    let title = || write("title", Change::Write(text(step.value)));
    match step.what {
        0 | 1 => (Op::Create, vec![title()]),
        2..=4 => (Op::Update, vec![title()]),
        5 => (
            Op::Update,
            vec![title(), write("status", Change::Write(text(step.value)))],
        ),
        6 => (Op::Delete, vec![]),
        7 => (Op::Restore, vec![title()]),
        8 => (
            Op::Update,
            vec![write("tags", Change::Add(vec![text(step.value)]))],
        ),
        9 => {
            let dots = seen.to_vec();
            (
                Op::Update,
                vec![write(
                    "tags",
                    Change::Remove(vec![(text(step.value), dots)]),
                )],
            )
        }
        10 => (
            Op::Update,
            vec![write(
                "print_credits",
                Change::Increment(i64::from(step.value) - 1),
            )],
        ),
        _ => (Op::Resolve, vec![title()]),
    }
}

fn outcome(step: &Step) -> Option<Outcome> {
    let rejected = |code| Outcome::Rejected {
        code,
        detail: String::new(),
    };
    Some(match step.verdict {
        0..=3 => Outcome::Accepted,
        4 => Outcome::Merged(vec![("title".into(), Code::ConflictUpdateUpdate)]),
        5 => rejected(Code::ConflictDeleteUpdate),
        6 => rejected(Code::ValidationFailed),
        7 => rejected(Code::ConflictUpdateDelete),
        _ => return None,
    })
}

fn history(steps: &[Step]) -> History {
    let mut epochs = Epochs::default();
    (0..AUTHORS).for_each(|n| epochs.insert(author(n), None));
    let mut known = vec![Vector::default(); AUTHORS];
    let mut read = vec![Vector::default(); AUTHORS];
    let mut written = [0u64; AUTHORS];
    let mut deeds: Vec<Deed> = Vec::new();
    let mut position = 0;
    for (at, step) in steps.iter().enumerate() {
        let n = step.author;
        if !step.is_stale {
            read[n] = known[n].clone();
        }
        if let Some(from) = step.learns_from {
            let news = known[from].clone();
            known[n].join_all(&epochs, &news);
        }
        let before = (written[n] > 0).then(|| author(n).at(written[n]));
        written[n] += 1;
        let dot = author(n).at(written[n]);
        let adds = deeds.iter().filter(|deed| {
            let ctx = if step.is_stale { &read[n] } else { &known[n] };
            let adds = |write: &FieldWrite| matches!(&write.change, Change::Add(e) if e.contains(&text(step.value)));
            deed.command.writes.iter().any(adds) && ctx.covers(&epochs, deed.dot)
        });
        let seen: Vec<Dot> = adds.map(|deed| deed.dot).collect();
        let (op, writes) = changes(step, &seen);
        let command = Command {
            id: CommandId([at as u8; 16]),
            entity_type: "project".into(),
            entity: ENTITY,
            op,
            writes,
            ctx: step.is_stale.then(|| read[n].clone()),
            ts: WallMs(1_000_000 + step.skew_s * 1000),
            replaces: None,
            nonce: Nonce([0; 16]),
        };
        let verdict = outcome(step).map(|outcome| {
            position += 1;
            Verdict { position, outcome }
        });
        let past = known[n].clone();
        known[n].join(&epochs, dot);
        deeds.push(Deed {
            dot,
            command,
            past,
            before,
            verdict,
        });
    }
    History { epochs, deeds }
}

impl History {
    fn record<'a>(&'a self, at: usize, verdict: Option<&'a Verdict>) -> Record<'a> {
        let deed = &self.deeds[at];
        Record {
            command: &deed.command,
            dot: deed.dot,
            ctx: Context::new(
                &self.epochs,
                (&deed.past, deed.dot),
                deed.command.ctx.as_ref(),
            ),
            verdict,
        }
    }

    fn fold(&self, order: &[usize], is_taken: impl Fn(usize) -> bool) -> Entity {
        let verdict = |at: usize| self.deeds[at].verdict.as_ref().filter(|_| is_taken(at));
        let records = order.iter().map(|at| self.record(*at, verdict(*at)));
        fold("project", ENTITY, records, &Policy::default())
    }

    /// Every order in which these commands can be applied: nothing before what its author had seen.
    fn orders(&self) -> Vec<Vec<usize>> {
        let mut orders = Vec::new();
        self.extend(&mut Vec::new(), &mut orders);
        orders
    }

    fn extend(&self, order: &mut Vec<usize>, orders: &mut Vec<Vec<usize>>) {
        if order.len() == self.deeds.len() {
            orders.push(order.clone());
            return;
        }
        for next in 0..self.deeds.len() {
            if order.contains(&next) {
                continue;
            }
            let deed = &self.deeds[next];
            let waits = (0..self.deeds.len()).any(|other| {
                let dot = self.deeds[other].dot;
                let needed = deed.past.covers(&self.epochs, dot)
                    || deed.before.is_some_and(|b| self.epochs.reaches(b, dot));
                needed && !order.contains(&other)
            });
            if !waits {
                order.push(next);
                self.extend(order, orders);
                order.pop();
            }
        }
    }

    /// Applies one after the other and takes up verdicts in feed order as soon as `eager` allows, each step by the cheap way
    /// where the merge says that it is exact. Checks after each step that it was.
    fn step_through(&self, order: &[usize], eager: u64) -> Entity {
        let policy = Policy::default();
        let mut entity = Entity::new("project", ENTITY);
        let mut feed: Vec<usize> = (0..self.deeds.len())
            .filter(|at| self.deeds[*at].verdict.is_some())
            .collect();
        feed.sort_by_key(|at| self.deeds[*at].verdict.as_ref().map(|v| v.position));
        let mut taken: Vec<usize> = Vec::new();
        for end in 1..=order.len() {
            let (done, at) = (&order[..end], order[end - 1]);
            let command = &self.deeds[at].command;
            if entity.must_fold_to_apply(command) {
                entity = self.fold(done, |at| taken.contains(&at));
            } else {
                entity.apply(&self.record(at, None), &policy);
            }
            assert_eq!(
                entity,
                self.fold(done, |at| taken.contains(&at)),
                "an applied command"
            );
            let is_last = end == order.len();
            while let Some(next) = feed.get(taken.len()).copied() {
                if !done.contains(&next) || !is_last && eager >> (end % 64) & 1 == 0 {
                    break;
                }
                taken.push(next);
                let deed = &self.deeds[next];
                let verdict = deed.verdict.as_ref().expect("the feed holds verdicts");
                if entity.must_fold((deed.dot, &deed.command), verdict) {
                    entity = self.fold(done, |at| taken.contains(&at));
                } else {
                    entity.accept(&deed.command, (deed.dot, verdict.position), &policy);
                }
                assert_eq!(
                    entity,
                    self.fold(done, |at| taken.contains(&at)),
                    "a verdict taken up"
                );
            }
        }
        entity
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_arrival_order_of_commands_and_verdicts_ends_in_one_state(steps in steps(6), eager: u64) {
        let history = history(&steps);
        let orders = history.orders();
        let expected = history.fold(&orders[0], |_| true);
        for order in &orders {
            let folded = history.fold(order, |_| true);
            prop_assert_eq!(&folded, &expected);
            prop_assert_eq!(folded.state_sum(), expected.state_sum());
            let stepped = history.step_through(order, eager);
            prop_assert_eq!(&stepped, &expected);
        }
    }

    #[test]
    fn the_pick_does_not_depend_on_the_order_of_its_siblings(
        siblings in proptest::collection::vec((0..5u8, 0..4u64, 0..400i64, proptest::bool::weighted(0.3)), 1..6),
        priorities in proptest::collection::vec(0..3i32, 5),
        turn in 0..6usize,
    ) {
        let table = Priorities((0..5u8).map(|n| (DeviceId([n; 16]), priorities[usize::from(n)])).collect());
        let mut siblings: Vec<Sibling> = siblings.into_iter().map(sibling).collect();
        siblings.sort_by_key(|s| s.dot);
        siblings.dedup_by_key(|s| s.dot);
        let expected = by_the_book(&siblings, &table);
        let mut turned = siblings.clone();
        turned.rotate_left(turn % siblings.len());
        for siblings in [siblings, turned] {
            let chosen = pick(&siblings, &table).expect("not empty");
            prop_assert_eq!(chosen.sibling.dot, expected);
        }
    }
}

fn sibling((device, counter, seconds, leads): (u8, u64, i64, bool)) -> Sibling {
    let author = Author {
        device: DeviceId([device; 16]),
        epoch: Epoch(1),
    };
    Sibling {
        dot: author.at(counter + 1),
        ts: WallMs(seconds * 1000),
        value: text(device),
        accepted: None,
        leads,
    }
}

/// The formula of model.md, written down once more.
fn by_the_book(siblings: &[Sibling], priorities: &Priorities) -> Dot {
    let a: Vec<&Sibling> = siblings.iter().filter(|s| s.leads).collect();
    let s: Vec<&Sibling> = if a.is_empty() {
        siblings.iter().collect()
    } else {
        a
    };
    let t = s.iter().map(|s| s.ts.0).max().expect("not empty");
    let mut c: Vec<&Sibling> = s.into_iter().filter(|s| t - s.ts.0 <= 120_000).collect();
    let priority = |s: &Sibling| priorities.0.get(&s.dot.author.device).copied().unwrap_or(0);
    c.sort_by_key(|s| (priority(s), s.ts.0, s.dot));
    c.last().expect("the newest is always near").dot
}

#[test]
fn the_pick_is_read_over_the_whole_set_where_pairs_would_be_cyclic() {
    let table = Priorities(
        (1..=3u8)
            .map(|n| (DeviceId([n; 16]), 4 - i32::from(n)))
            .collect(),
    );
    // A at 0 s with priority 3, B at 90 s with 2, C at 180 s with 1: pairwise A beats B, B beats C, C beats A.
    let (a, b, c) = (
        sibling((1, 0, 0, false)),
        sibling((2, 0, 90, false)),
        sibling((3, 0, 180, false)),
    );
    let orders = [
        [&a, &b, &c],
        [&a, &c, &b],
        [&b, &a, &c],
        [&b, &c, &a],
        [&c, &a, &b],
        [&c, &b, &a],
    ];
    for order in orders {
        let siblings: Vec<Sibling> = order.into_iter().cloned().collect();
        let pick = pick(&siblings, &table).expect("not empty");
        assert_eq!(
            (pick.sibling.dot, pick.rule),
            (b.dot, PickRule::Priority),
            "A is over the tolerance behind C, so B wins"
        );
    }
}

#[test]
fn a_delete_that_the_cloud_did_not_take_stays_a_question_until_a_person_answers_it() {
    let step = |author, what, verdict, learns_from| Step {
        author,
        learns_from,
        what,
        value: 1,
        is_stale: false,
        skew_s: 0,
        verdict,
    };
    let (create, delete) = (step(0, 0, 0, None), step(1, 6, 7, Some(0)));
    let asked = history(&[create.clone(), delete.clone()]).fold(&[0, 1], |_| true);
    assert!(!asked.life.is_deleted() && asked.in_conflict());
    let conflicts = asked.conflicts(&Priorities::default());
    assert_eq!(conflicts.len(), 1);
    assert!(
        conflicts[0]
            .sides
            .iter()
            .any(|side| side.code == Some(Code::ConflictUpdateDelete))
    );
    let restore = step(2, 7, 8, Some(1));
    let settled = history(&[create, delete, restore]).fold(&[0, 1, 2], |_| true);
    assert!(!settled.in_conflict());
}

#[test]
fn an_edit_that_came_too_late_for_a_deleted_entity_is_not_dropped_in_silence() {
    let step = |author, what, verdict, learns_from| Step {
        author,
        learns_from,
        what,
        value: 1,
        is_stale: false,
        skew_s: 0,
        verdict,
    };
    let steps = [
        step(0, 0, 0, None),
        step(1, 6, 0, Some(0)),
        step(0, 8, 5, None),
    ];
    let entity = history(&steps).fold(&[0, 1, 2], |_| true);
    assert!(entity.life.is_deleted() && entity.in_conflict());
    let again = [&steps[..], &[step(1, 6, 8, Some(0))]].concat();
    let accepted = history(&again).fold(&[0, 1, 2, 3], |_| true);
    assert!(
        accepted.life.is_deleted() && !accepted.in_conflict(),
        "the deletion was accepted"
    );
}
