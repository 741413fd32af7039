//! The merge as an operation on replicas: commutative, associative, idempotent, whatever comes twice and in whatever order.

use proptest::prelude::*;

use super::machine::{Deed, IT, Machine, deed, title, write};
use crate::bundle::Bundle;
use crate::command::{Change, Op};
use crate::merge::{Code, Outcome};
use crate::value::Value;

const MACHINES: usize = 4;

/// What somebody does.
#[derive(Clone, Debug)]
struct Move {
    by: usize,
    what: u8,
    value: u8,
    learns_from: Option<usize>,
    is_stale: bool,
}

fn moves(most: usize) -> impl Strategy<Value = Vec<Move>> {
    let one = (
        0..MACHINES,
        0..14u8,
        0..3u8,
        proptest::option::weighted(0.4, 0..MACHINES),
        proptest::bool::weighted(0.2),
    );
    let one = one.prop_map(|(by, what, value, learns_from, is_stale)| Move {
        by,
        what,
        value,
        learns_from,
        is_stale,
    });
    proptest::collection::vec(one, 1..=most)
}

fn wanted(by: &Machine, one: &Move, seconds: i64) -> Deed {
    let name = format!("name {}", one.value);
    let tag = Value::Text(format!("tag {}", one.value));
    let update = |field: &str, change| deed(Op::Update, vec![write(field, change)], seconds);
    match one.what {
        0 | 1 => deed(Op::Create, vec![title(&name)], seconds),
        2..=5 => deed(Op::Update, vec![title(&name)], seconds),
        6 => deed(Op::Delete, vec![], seconds),
        7 => deed(Op::Restore, vec![title(&name)], seconds),
        8 => deed(Op::Resolve, vec![title(&name)], seconds),
        9 | 10 => update("tags", Change::Add(vec![tag])),
        11 => {
            let it = by.it();
            let dots = match it.fields.get("tags") {
                Some(crate::merge::Field::Set(set)) => set.dots_of(&tag).to_vec(),
                _ => Vec::new(),
            };
            update("tags", Change::Remove(vec![(tag, dots)]))
        }
        _ => update("print_credits", Change::Increment(i64::from(one.value) - 1)),
    }
}

/// The machines after their moves; now and then one starts anew. All share the cloud's words.
fn played(moves: &[Move]) -> Vec<Machine> {
    let mut machines: Vec<Machine> = (1..=MACHINES as u8).map(Machine::new).collect();
    let mut read = vec![crate::vector::Vector::EMPTY; MACHINES];
    let mut said = Vec::new();
    for (at, one) in moves.iter().enumerate() {
        if let Some(from) = one.learns_from {
            let from = machines[from].clone();
            machines[one.by].learn(&from);
        }
        if at % 7 == 6 {
            machines[one.by].restart(1000 - at as u64);
        }
        let mut wanted = wanted(&machines[one.by], one, at as i64 * 50);
        if one.is_stale {
            wanted.ctx = Some(read[one.by].clone());
        } else {
            read[one.by] = machines[one.by].log.applied().clone();
        }
        said.push(machines[one.by].write(wanted).tip());
    }
    for (dot, one) in said.into_iter().zip(moves) {
        let detail = String::new();
        let outcome = match (one.what + one.value) % 5 {
            0 => Outcome::Rejected {
                code: Code::ConflictUpdateUpdate,
                detail,
            },
            1 => Outcome::Merged(vec![("title".into(), Code::ConflictUpdateUpdate)]),
            2 | 3 => Outcome::Accepted,
            _ => continue,
        };
        machines
            .iter_mut()
            .for_each(|machine| machine.decide(dot, outcome.clone()));
    }
    machines
}

fn joined(one: &Machine, other: &Machine) -> Machine {
    let mut joined = one.clone();
    joined.learn(other);
    joined
}

fn all(machines: &[Machine]) -> Vec<Bundle> {
    let mut whole = machines[0].clone();
    machines.iter().for_each(|machine| whole.learn(machine));
    whole.held().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_commutative(moves in moves(24)) {
        let machines = played(&moves);
        let (a, b) = (&machines[0], &machines[1]);
        let (ab, ba) = (joined(a, b), joined(b, a));
        prop_assert_eq!(ab.it(), ba.it());
        prop_assert_eq!(ab.log.applied(), ba.log.applied());
    }

    #[test]
    fn merging_is_associative(moves in moves(24)) {
        let machines = played(&moves);
        let (a, b, c) = (&machines[0], &machines[1], &machines[2]);
        let (left, right) = (joined(&joined(a, b), c), joined(a, &joined(b, c)));
        prop_assert_eq!(left.it(), right.it());
        prop_assert_eq!(left.it().state_sum(), right.it().state_sum());
    }

    #[test]
    fn merging_is_idempotent(moves in moves(24)) {
        let machines = played(&moves);
        let (a, b) = (&machines[0], &machines[1]);
        prop_assert_eq!(joined(a, a).it(), a.it());
        let once = joined(a, b);
        prop_assert_eq!(joined(&once, b).it(), once.it());
        let again = joined(&once, &once);
        prop_assert_eq!(again.log.applied(), once.log.applied());
    }

    #[test]
    fn bundles_that_come_again_in_any_order_change_nothing(
        moves in moves(16),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let machines = played(&moves);
        let bundles = all(&machines);
        let expected = machines.iter().fold(machines[0].clone(), |one, other| joined(&one, other));
        let mut here = Machine::new(9);
        here.verdicts.clone_from(&expected.verdicts);
        for pick in &picks {
            here.take(&bundles[pick.index(bundles.len())]);
        }
        // Whatever the dice left out, from the back: most of it comes before what it rests on.
        while bundles.iter().rev().filter(|bundle| here.take(bundle)).count() > 0 {}
        prop_assert_eq!(here.log.applied(), expected.log.applied());
        prop_assert_eq!(here.entity(IT), expected.it());
        prop_assert_eq!(here.log.parked_count(), 0);
    }
}
