//! Verification finds what is wrong and nothing else; a rebuild gives the same store again.

use studiovault_protocol::membership::{Grant, Role, Roster, SignedRecord};

use super::*;

pub fn a_roster() -> Roster {
    let mut roster = Roster::new(STUDIO, key(99).public()).expect("a root key");
    for n in [1, 2, 3, 200] {
        let grant = Grant {
            device: device(n),
            key: key(n).public(),
            name: format!("machine {n}"),
            role: if n == 200 { Role::Cloud } else { Role::Member },
            priority: 0,
            gateway_preference: 0,
            version: 1,
        };
        let record = SignedRecord::by_root(STUDIO, grant, &key(99));
        roster.insert(record).expect("is taken");
    }
    roster
}

/// A store with conflicts, deletes, verdicts, several epochs and a parked bundle.
fn a_lived_in_store(seed: u64) -> (Machine, Store) {
    let mut dice = Dice(seed);
    let mut authors: Vec<Machine> = (1..=3).map(Machine::new).collect();
    let (mut here, mut store) = (Machine::new(4), a_store());
    let mut cloud = Cloud::default();
    let mut all = Vec::new();
    for step in 0..80u64 {
        let at = dice.below(3) as usize;
        if step % 20 == 19 {
            authors[at].restart(9000 + step);
        }
        for bundle in &all {
            if dice.one_in(2) {
                let _ = authors[at].take(bundle);
            }
        }
        let commands = (0..2)
            .map(|_| a_random_command(&authors[at], &[], &mut dice))
            .collect();
        let (bundle, _) = authors[at].author(commands);
        let mut writes = here.take(&bundle);
        if dice.one_in(2) {
            let page = cloud.page(Cloud::decide(
                &bundle,
                random_exceptions(&bundle, &mut dice),
            ));
            writes.extend(here.take_page(&page));
        }
        commit(&mut store, &writes, &here.rules()).expect("commits");
        all.push(bundle);
    }
    let (unseen, _) = authors[0].author(vec![command(Op::Create, entity(77), &mut dice)]);
    for bundle in all.iter().chain([&unseen]) {
        let _ = authors[1].take(bundle);
    }
    let (waiting, _) = authors[1].author(vec![command(Op::Create, entity(78), &mut dice)]);
    let writes = here.take(&waiting);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    (here, store)
}

#[test]
fn a_sound_store_has_no_faults() {
    for seed in 0..4 {
        let (here, store) = a_lived_in_store(seed);
        let found = store.verify(&a_roster(), &here.policy).expect("reads");
        assert!(found.is_sound(), "seed {seed}: {:?}", found.faults);
        assert_eq!(found.bundles, 81);
        assert_eq!(store.view().counts().expect("counts").parked, 1);
        assert!(found.pages > 20 && found.entities > 0);
    }
}

#[test]
fn every_kind_of_damage_is_found() {
    let damages = [
        (
            "UPDATE log_bundle SET bytes = zeroblob(200) WHERE position = 3",
            "log position 3",
        ),
        (
            "UPDATE log_bundle SET hash = zeroblob(32) WHERE position = 3",
            "the hash beside them",
        ),
        (
            "DELETE FROM log_bundle WHERE position = 3",
            "does not continue its chain",
        ),
        (
            "UPDATE log_bundle SET applied = 1000 WHERE position = 3",
            "does not continue its chain",
        ),
        (
            "UPDATE feed SET bytes = zeroblob(200) WHERE first = 1",
            "feed page at 1",
        ),
        (
            "DELETE FROM feed WHERE first = 3",
            "does not continue the one before",
        ),
        (
            "UPDATE entity SET state = (SELECT state FROM entity WHERE id = 2) WHERE id = 1",
            "is not what its history gives",
        ),
        (
            "UPDATE entity SET shown = '{\"name\":\"somebody else\"}' WHERE id = (SELECT min(id) FROM entity WHERE deleted = 0)",
            "what is shown of entity",
        ),
        ("DELETE FROM entity WHERE id = 1", "the state sum is"),
        ("DELETE FROM verdict", "is not what its history gives"),
    ];
    for (damage, told) in damages {
        let (here, store) = a_lived_in_store(1);
        store.connection.execute_batch(damage).expect("damages");
        let found = store.verify(&a_roster(), &here.policy).expect("reads");
        assert!(
            found.faults.iter().any(|fault| fault.contains(told)),
            "{damage}: {:?}",
            found.faults
        );
    }
}

#[test]
fn a_strangers_bundle_in_the_log_is_a_fault() {
    let (here, store) = a_lived_in_store(1);
    let nobody = Roster::new(STUDIO, key(99).public()).expect("a root key");
    let found = store.verify(&nobody, &here.policy).expect("reads");
    assert_eq!(found.bundles, 0);
    assert!(found.fault_count > 80 && found.faults[0].contains("no member"));
}

#[test]
fn a_rebuild_makes_the_same_rows_from_the_log_and_the_verdicts() {
    for seed in 0..4 {
        let (here, mut store) = a_lived_in_store(seed);
        let rows = |store: &Store| -> Vec<_> {
            let ids: Vec<EntityId> = (0..=255).map(entity).collect();
            ids.iter()
                .filter_map(|id| store.view().entity(*id).expect("reads"))
                .collect()
        };
        let before = (
            store.state_sum(),
            rows(&store),
            store.view().conflicts(1000).expect("reads"),
            store.view().counts().expect("counts"),
        );
        store
            .connection
            .execute_batch("UPDATE entity SET state = x'00', shown = '{}'")
            .expect("damages");
        store
            .rebuild(&here.policy, &here.priorities, &mut |_, _| {})
            .expect("rebuilds");
        let after = (
            store.state_sum(),
            rows(&store),
            store.view().conflicts(1000).expect("reads"),
            store.view().counts().expect("counts"),
        );
        assert_eq!(after, before, "seed {seed}");
        assert!(
            store
                .verify(&a_roster(), &here.policy)
                .expect("reads")
                .is_sound()
        );
    }
}

#[test]
fn rows_of_another_program_are_outdated_until_they_are_folded_anew() {
    assert!(!a_store().is_outdated().expect("reads"), "a new store");
    let (here, mut store) = a_lived_in_store(2);
    assert!(!store.is_outdated().expect("reads"));
    for older in [
        "UPDATE meta SET value = x'00' WHERE key = 'fold'",
        "DELETE FROM meta WHERE key = 'fold'",
    ] {
        store.connection.execute_batch(older).expect("writes");
        let mut store_again = store.crash(&here.policy).expect("restarts");
        assert!(store_again.is_outdated().expect("reads"), "{older}");
        let mut told = Vec::new();
        store_again
            .rebuild(&here.policy, &here.priorities, &mut |done, all| {
                told.push((done, all));
            })
            .expect("rebuilds");
        assert_eq!(told.last(), Some(&(81, 81)), "it says how far it is");
        assert!(told.is_sorted() && told.len() > 1, "{told:?}");
        store = store_again.crash(&here.policy).expect("restarts");
        assert!(!store.is_outdated().expect("reads"));
    }
}
