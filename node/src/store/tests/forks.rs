//! A chain that splits: what lies beyond leaves the log, and the rows are as if it had never come.

use studiovault_protocol::event::{BlockRead, LinkId};
use studiovault_protocol::frontier::Range;
use studiovault_protocol::membership::{Act, Authority, Double, Grant, Role, Roster};

use super::*;

/// A roster that says of a machine's chain that it splits there.
fn roster_of(double: Double) -> Roster {
    let grant = Grant {
        device: double.author().device,
        key: key(2).public(),
        name: "twice".into(),
        role: Role::Member,
        priority: 0,
        gateway_preference: 0,
        version: 1,
    };
    let grant = SignedRecord::by_root(STUDIO, grant, &key(99));
    let teller = Authority::holder(grant.hash(), key(2));
    let proof = SignedRecord::seal(STUDIO, Act::Double(Box::new(double)), &teller);
    let mut roster = Roster::new(STUDIO, key(99).public()).expect("a root key");
    roster.extend([grant, proof]);
    assert_eq!(roster.forks().len(), 1, "the proof holds");
    roster
}

#[test]
fn what_lies_beyond_a_split_leaves_no_trace_but_the_evidence() {
    let (mut own, mut twice, mut other) = (Machine::new(1), Machine::new(2), Machine::new(2));
    let (mut store, mut plain) = (a_store(), a_store());
    let mut dice = Dice(4);
    let mut made = |n| a_client(entity(n), &mut dice);
    let (common, _) = twice.author(vec![made(1)]);
    other.adopt(&common);
    let (branch, _) = twice.author(vec![made(2)]);
    let (rival, _) = other.author(vec![made(3)]);
    let writes = own.take(&common);
    commit(&mut plain, &writes, &own.rules()).expect("commits");
    commit(&mut store, &writes, &own.rules()).expect("commits");
    let writes = own.take(&branch);
    commit(&mut store, &writes, &own.rules()).expect("commits");
    assert_ne!(store.state_hash(), plain.state_hash());
    let roster = roster_of(Double::of(&branch, &rival).expect("they part there"));
    let rules = (&own.policy, &own.priorities);
    assert!(store.set_forks_aside(&roster, rules).expect("is done"));
    assert_eq!(store.state_hash(), plain.state_hash());
    assert_eq!(store.evidence().expect("reads"), 1);
    let ends = |store: &Store| {
        let chains = store.restore().expect("reads").chains;
        chains.iter().map(|row| row.chain.held).collect::<Vec<_>>()
    };
    assert_eq!(ends(&store), ends(&plain));
    assert!(!store.set_forks_aside(&roster, rules).expect("once"));
}

/// The other machine holds one command of it under another bundle, and says that it holds everything up to there.
#[test]
fn a_bundle_that_begins_within_what_another_holds_is_sent() {
    let (mut twice, mut store, mut dice) = (Machine::new(2), a_store(), Dice(4));
    let two = vec![
        a_client(entity(1), &mut dice),
        a_client(entity(2), &mut dice),
    ];
    let (bundle, writes) = twice.author(two);
    commit(&mut store, &writes, &twice.rules()).expect("commits");
    let read = BlockRead {
        link: LinkId(1),
        id: 1,
        ranges: vec![Range {
            author: bundle.author(),
            after: 1,
            upto: 2,
        }],
        devices: vec![bundle.author().device],
        cursor: None,
        max_bytes: 1 << 20,
    };
    let sent = store.block(&read).expect("reads").bundles;
    assert_eq!(sent, [bundle.bytes().clone()]);
}

#[test]
fn what_is_kept_as_evidence_is_shown_among_what_is_set_aside() {
    let (mut own, mut twice, mut other) = (Machine::new(1), Machine::new(2), Machine::new(2));
    let (mut store, mut dice) = (a_store(), Dice(4));
    let (branch, _) = twice.author(vec![a_client(entity(1), &mut dice)]);
    let (rival, _) = other.author(vec![a_client(entity(2), &mut dice)]);
    commit(&mut store, &own.take(&branch), &own.rules()).expect("commits");
    let roster = roster_of(Double::of(&branch, &rival).expect("they part there"));
    let rules = (&own.policy, &own.priorities);
    assert!(store.set_forks_aside(&roster, rules).expect("is done"));
    let shown = store.view().quarantine(10).expect("reads");
    let shown: Vec<_> = shown.iter().map(|row| (row.entity, row.reason)).collect();
    assert_eq!(shown, [(entity(1), SetAside::Evidence)]);
}

/// However much came after it: the index knows only where a log ends.
#[test]
fn what_a_folded_page_names_otherwise_than_it_is_held_is_said() {
    let (mut own, mut twice, mut other) = (Machine::new(1), Machine::new(2), Machine::new(2));
    let (mut store, mut dice) = (a_store(), Dice(4));
    let mut made = |n| a_client(entity(n), &mut dice);
    let (branch, _) = twice.author(vec![made(1)]);
    let (later, _) = twice.author(vec![made(2)]);
    let (rival, _) = other.author(vec![made(3)]);
    for bundle in [&branch, &later] {
        commit(&mut store, &own.take(bundle), &own.rules()).expect("commits");
    }
    let mut misnamed = |bundle: &Bundle| {
        let page = Cloud::default().page(Cloud::decide(bundle, Vec::new()));
        let mut batch = store.begin().expect("begins");
        batch.misnamed(&page).expect("reads")
    };
    assert_eq!(misnamed(&rival), [rival.author().at(1)]);
    assert_eq!(misnamed(&branch), []);
    assert_eq!(misnamed(&later), []);
}

/// It is noted with what came late, and gone with the rows that were made in another order.
#[test]
fn rows_are_made_anew_once_after_something_came_late() {
    let (mut own, mut twice, mut other) = (Machine::new(1), Machine::new(2), Machine::new(2));
    let (mut store, mut dice) = (a_store(), Dice(4));
    let (branch, _) = twice.author(vec![a_client(entity(1), &mut dice)]);
    let (rival, _) = other.author(vec![a_client(entity(2), &mut dice)]);
    let roster = roster_of(Double::of(&branch, &rival).expect("they part there"));
    let mut taken = |store: &mut Store, bundle: &Bundle| {
        let mut batch = store.begin().expect("begins");
        for write in own.take(bundle) {
            batch.write(&write, &own.rules()).expect("is written");
        }
        batch.note_late().expect("is noted");
        batch.commit().expect("commits");
    };
    taken(&mut store, &branch);
    assert!(store.came_late().expect("reads"));
    let (policy, priorities) = (own.policy.clone(), own.priorities.clone());
    store.remake(&roster, (&policy, &priorities)).expect("made");
    assert!(!store.came_late().expect("reads"));
}

/// What leaves the log with a split and comes back meets its verdict in the feed that was folded long before.
#[test]
fn what_the_folded_feed_has_decided_is_known_before_it_is_applied_again() {
    let mut own = Machine::new(1);
    let mut twice = Machine::new(2);
    let (mut store, mut dice) = (a_store(), Dice(4));
    let (first, _) = twice.author(vec![a_client(entity(1), &mut dice)]);
    let (second, _) = twice.author(vec![a_client(entity(2), &mut dice)]);
    for bundle in [&first, &second] {
        commit(&mut store, &own.take(bundle), &own.rules()).expect("commits");
    }
    let page = Cloud::default().page(Cloud::decide(&first, Vec::new()));
    commit(
        &mut store,
        &[Write::Page(page.clone()), Write::Fold(page)],
        &own.rules(),
    )
    .expect("commits");
    let mut batch = store.begin().expect("begins");
    assert!(batch.is_decided(&first).expect("reads"));
    assert!(!batch.is_decided(&second).expect("reads"));
}
