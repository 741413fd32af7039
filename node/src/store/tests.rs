//! The store's contract: durable or not at all, and always what the fold over the history gives.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use studiovault_protocol::api::SetAside;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::event::Write;
use studiovault_protocol::feed::Entry;
use studiovault_protocol::id::{Dot, EntityId, Epoch};
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::membership::{Bar, Cuts, Rights, SignedRecord};
use studiovault_protocol::merge::{
    Code, Context, Entity, Outcome, Record, StateSum, Verdict, fold,
};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::Vector;

use super::fixtures::*;
use super::*;

const ENTITIES: u8 = 4;

/// A random command on what a machine has applied.
fn a_random_command(machine: &Machine, older: &[Vector], dice: &mut Dice) -> Command {
    let id = entity(1 + dice.below(u64::from(ENTITIES)) as u8);
    let op = *dice.pick(&[
        Op::Create,
        Op::Update,
        Op::Update,
        Op::Update,
        Op::Update,
        Op::Resolve,
        Op::Delete,
        Op::Restore,
    ]);
    let mut made = command(op, id, dice);
    if op != Op::Delete {
        for _ in 0..=dice.below(3) {
            let write = a_random_write(machine, dice);
            let again = |other: &FieldWrite| {
                other.field == write.field
                    && std::mem::discriminant(&other.change)
                        == std::mem::discriminant(&write.change)
            };
            if !made.writes.iter().any(again) {
                made.writes.push(write);
            }
        }
    }
    if dice.one_in(3) && !older.is_empty() {
        made.ctx = Some(dice.pick(older).clone());
    }
    made
}

fn a_random_write(machine: &Machine, dice: &mut Dice) -> FieldWrite {
    let word = Value::Text(format!("w{}", dice.below(5)));
    let some_dot = || machine.index.applied().tips().first().copied();
    let (field, change) = match dice.below(6) {
        0 => ("title", Change::Write(word)),
        1 => ("status", Change::Write(word)),
        2 => ("notes", Change::Write(word)),
        3 => (
            "print_credits",
            Change::Increment(dice.below(20).cast_signed() - 10),
        ),
        4 => ("tags", Change::Add(vec![word])),
        _ => (
            "tags",
            Change::Remove(vec![(word, some_dot().into_iter().collect())]),
        ),
    };
    FieldWrite {
        field: field.into(),
        change,
    }
}

fn random_exceptions(bundle: &Bundle, dice: &mut Dice) -> Vec<(u64, Outcome)> {
    let codes = [
        Code::ConflictUpdateUpdate,
        Code::ValidationFailed,
        Code::DuplicateKey,
        Code::ConflictDeleteUpdate,
        Code::Forbidden,
        Code::DeviceRevoked,
    ];
    let mut exceptions = Vec::new();
    for (dot, command) in bundle.commands() {
        if !dice.one_in(3) {
            continue;
        }
        let code = *dice.pick(&codes);
        let outcome = match command.writes.first() {
            Some(write) if dice.one_in(2) => Outcome::Merged(vec![(write.field.clone(), code)]),
            _ => Outcome::Rejected {
                code,
                detail: "no".into(),
            },
        };
        exceptions.push((dot.counter, outcome));
    }
    exceptions
}

/// Some devices shut out, each somewhere in its log.
fn random_cuts(all: &[Bundle], dice: &mut Dice) -> (Cuts, SignedRecord) {
    let mut stands: BTreeMap<u8, BTreeMap<Epoch, u64>> = BTreeMap::new();
    let first = 1 + dice.below(3) as u8;
    stands.insert(first, BTreeMap::new());
    for bundle in all {
        let n = bundle.author().device.0[0];
        if n == first || dice.one_in(9) {
            let upto = bundle.first() + dice.below(3);
            if dice.one_in(2) {
                stands
                    .entry(n)
                    .or_default()
                    .insert(bundle.author().epoch, upto);
            }
        }
    }
    let stands: Vec<_> = stands
        .into_iter()
        .map(|(n, stands)| (n, stands.into_iter().collect()))
        .collect();
    cuts_of(&stands)
}

/// The same, and some to whom what they write was never open.
fn random_rights(all: &[Bundle], dice: &mut Dice) -> (Rights, SignedRecord) {
    let (cuts, record) = random_cuts(all, dice);
    let closed = (1..=3)
        .filter(|_| dice.one_in(4))
        .map(|n| (device(n), BTreeSet::from(["project".to_owned()])))
        .collect();
    let cuts = if dice.one_in(3) { Cuts::NONE } else { cuts };
    (
        Rights {
            cuts,
            closed,
            ..Rights::default()
        },
        record,
    )
}

/// The roster's last word.
fn judged_at_last((machine, store): (&mut Machine, &mut Store), all: &[Bundle], dice: &mut Dice) {
    let (rights, record) = random_rights(all, dice);
    if dice.one_in(2) {
        machine.rights = rights;
    }
    let writes = [Write::Record(record)];
    commit(store, &writes, &machine.rules()).expect("commits");
}

/// Every bundle in the order the cloud takes it, each with the past it was written in.
fn causal_order(all: &[Bundle], index: &mut LogIndex) -> Vec<(Bundle, Vector)> {
    let mut order: Vec<(Bundle, Vector)> = Vec::new();
    let mut held: BTreeSet<usize> = BTreeSet::new();
    while held.len() < all.len() {
        let fresh = (0..all.len()).find(|at| {
            !held.contains(at)
                && index.judge(&all[*at]) == studiovault_protocol::log::Admission::Fresh
        });
        let at = fresh.expect("some bundle continues its chain");
        held.insert(at);
        index.hold(&all[at]);
        while let Some((author, first)) = index.next_ready() {
            let bundle = all
                .iter()
                .find(|b| b.author() == author && b.first() == first);
            let bundle = bundle.expect("held").clone();
            let past = index.apply(&bundle).clone();
            order.push((bundle, past));
        }
    }
    order
}

/// Whether a command counts: nothing bars it, or the cloud decided on the command itself. A verdict given because of a cut only
/// repeats the cut.
fn counts(bar: Option<Bar>, verdict: Option<&Verdict>) -> bool {
    match (bar, verdict.map(|verdict| &verdict.outcome)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(Bar::Role), Some(_)) => true,
        (Some(_), Some(Outcome::Rejected { code, .. })) => *code != Code::DeviceRevoked,
        (Some(_), Some(_)) => true,
    }
}

/// What the definition says: every entity folded from its whole history in the cloud's causal order.
fn defined(
    all: &[Bundle],
    verdicts: &BTreeMap<Dot, Verdict>,
    (policy, rights): (&Policy, &Rights),
) -> BTreeMap<EntityId, Entity> {
    let mut index = LogIndex::default();
    let order = causal_order(all, &mut index);
    let mut entities = BTreeMap::new();
    for id in (1..=ENTITIES).map(entity) {
        let records: Vec<Record> = order
            .iter()
            .flat_map(|(bundle, past)| {
                bundle
                    .commands()
                    .map(move |(dot, command)| (dot, command, past))
            })
            .filter(|(_, command, _)| command.entity == id)
            .filter(|(dot, command, _)| counts(rights.bar(*dot, command), verdicts.get(dot)))
            .map(|(dot, command, past)| {
                let ctx = Context::new(index.epochs(), (past, dot), command.ctx.as_ref());
                Record {
                    command,
                    dot,
                    ctx,
                    verdict: verdicts.get(&dot),
                }
            })
            .collect();
        let named = |bundle: &&Bundle| bundle.commands().any(|(_, c)| c.entity == id);
        if all.iter().any(|bundle| named(&bundle)) {
            entities.insert(id, fold("project", id, records, policy));
        }
    }
    entities
}

/// A random history of three machines, decided by a cloud, then brought to a fourth in a random order and batching.
fn incremental_is_fold(seed: u64) {
    let mut dice = Dice(seed);
    let mut authors: Vec<Machine> = (1..=3).map(Machine::new).collect();
    let mut older = vec![Vec::new(); 3];
    let mut all: Vec<Bundle> = Vec::new();
    for step in 0..20 + dice.below(30) {
        let at = dice.below(3) as usize;
        match dice.below(10) {
            0 => authors[at].restart(1000 + step),
            1..=4 => {
                for bundle in &all {
                    if !dice.one_in(3) {
                        let _ = authors[at].take(bundle);
                    }
                }
                older[at].push(authors[at].index.applied().clone());
            }
            _ => {
                let count = 1 + dice.below(3);
                let commands = (0..count)
                    .map(|_| a_random_command(&authors[at], &older[at], &mut dice))
                    .collect();
                let (bundle, _) = authors[at].author(commands);
                all.push(bundle);
            }
        }
    }
    let (mut cloud, mut verdicts, mut pages) = (Cloud::default(), BTreeMap::new(), Vec::new());
    let decided = dice.below(all.len() as u64 + 1) as usize;
    for bundle in &all[..decided] {
        let exceptions = random_exceptions(bundle, &mut dice);
        let entries = Cloud::decide(bundle, exceptions);
        for (at, entry) in entries.iter().enumerate() {
            for (dot, _) in bundle.commands() {
                if let Some(verdict) = entry.verdict(cloud.position + 1 + at as u64, dot.counter)
                    && matches!(entry, Entry::Verdicts { .. })
                {
                    verdicts.insert(dot, verdict);
                }
            }
        }
        pages.push(cloud.page(entries));
    }
    let (mut machine, mut store) = (Machine::new(4), a_store());
    bring(&mut machine, &mut store, (&all, &pages), &mut dice);
    judged_at_last((&mut machine, &mut store), &all, &mut dice);
    let defined = defined(&all, &verdicts, (&machine.policy, &machine.rights));
    let mut sum = StateSum::default();
    for (id, wanted) in &defined {
        let held = store
            .begin()
            .expect("begins")
            .entity(*id)
            .expect("reads")
            .expect("is there");
        assert_eq!(&held, wanted, "seed {seed}, entity {id}");
        sum.add(wanted.state_sum());
    }
    assert_eq!(store.state_sum(), sum, "seed {seed}");
    let mut claims: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entity in defined.values() {
        let claim = entity.key_claim(&["title".to_owned()], &machine.priorities);
        claim
            .into_iter()
            .for_each(|(key, claim)| claims.entry(key).or_default().push(claim));
    }
    let fault = store.verify_keys(claims).expect("reads");
    assert_eq!(fault, None, "seed {seed}");
}

/// Hands bundles and pages over in a random order until everything is there, sometimes crashing an open transaction.
fn bring(
    machine: &mut Machine,
    store: &mut Store,
    (all, pages): (&[Bundle], &[studiovault_protocol::feed::Page]),
    dice: &mut Dice,
) {
    while machine.bundles.len() < all.len()
        || machine.feed.folded() < pages.last().map_or(0, |page| page.last())
    {
        let mut writes = Vec::new();
        for _ in 0..=dice.below(8) {
            if dice.one_in(3) && !pages.is_empty() {
                let next = pages
                    .iter()
                    .find(|page| page.body().first == machine.feed.held() + 1);
                writes.extend(next.map(|page| machine.take_page(page)).unwrap_or_default());
            } else {
                writes.extend(machine.take(dice.pick(all)));
            }
        }
        if dice.one_in(6) && !machine.bundles.is_empty() {
            machine.rights = random_rights(all, dice).0;
        }
        if dice.one_in(4) {
            let mut batch = store.begin().expect("begins");
            for write in writes
                .iter()
                .take(dice.below(writes.len() as u64 + 1) as usize)
            {
                batch.write(write, &machine.rules()).expect("writes");
            }
        }
        commit(store, &writes, &machine.rules()).expect("commits");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_stored_state_is_the_fold_of_the_history_in_any_order_and_batching(seed: u64) {
        incremental_is_fold(seed);
    }
}

mod auditing;
mod collecting;
mod cut;
mod durable;
mod forks;
mod letters;
mod names;
mod policies;
mod reading;
mod role;
mod sound;
mod streaming;
