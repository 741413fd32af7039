//! What a device never had the right to write is held, listed, and not shown, until somebody gives it the right or takes it over.

use super::*;

/// A machine that holds a project written by one to which projects were never open.
fn with_one_of_a_guest() -> (Machine, Store, Dot) {
    let (mut own, mut guest, mut store) = (Machine::new(1), Machine::new(2), a_store());
    own.rights.closed = [(device(2), BTreeSet::from(["project".to_owned()]))].into();
    let (bundle, _) = guest.author(vec![command(Op::Create, entity(1), &mut Dice(4))]);
    let writes = own.take(&bundle);
    commit(&mut store, &writes, &own.rules()).expect("commits");
    (own, store, bundle.tip())
}

fn exists(store: &mut Store) -> bool {
    let held = store.begin().expect("begins").entity(entity(1));
    held.expect("reads").is_some_and(|held| held.life.exists())
}

fn aside(store: &Store) -> Vec<(Dot, SetAside)> {
    let rows = store.view().quarantine(10).expect("reads").into_iter();
    rows.map(|row| (row.dot, row.reason)).collect()
}

#[test]
fn what_was_never_open_to_its_device_is_set_aside_and_can_be_taken_over() {
    let (mut own, mut store, dot) = with_one_of_a_guest();
    assert!(!exists(&mut store));
    assert_eq!(aside(&store), [(dot, SetAside::Role)]);
    let mut anew = command(Op::Create, entity(1), &mut Dice(9));
    anew.replaces = Some(dot);
    let (_, writes) = own.author(vec![anew]);
    commit(&mut store, &writes, &own.rules()).expect("commits");
    assert!(exists(&mut store));
}

#[test]
fn whoever_is_given_the_right_later_gets_all_that_it_wrote() {
    let (mut own, mut store, _) = with_one_of_a_guest();
    own.rights = Rights::default();
    let (_, record) = cuts_of(&[(3, Vec::new())]);
    commit(&mut store, &[Write::Record(record)], &own.rules()).expect("commits");
    assert!(exists(&mut store));
    assert_eq!(aside(&store), []);
}

#[test]
fn what_the_cloud_accepted_counts_whoever_wrote_it() {
    let (mut own, mut store, _) = with_one_of_a_guest();
    let bundle = own.bundles.values().next().expect("the guest's").clone();
    let page = Cloud::default().page(Cloud::decide(&bundle, Vec::new()));
    let writes = own.take_page(&page);
    commit(&mut store, &writes, &own.rules()).expect("commits");
    assert!(exists(&mut store));
    assert_eq!(aside(&store), []);
}

#[test]
fn the_right_of_another_machine_is_not_touched() {
    let (mut own, mut store, _) = with_one_of_a_guest();
    let mut member = Machine::new(3);
    let (bundle, _) = member.author(vec![command(Op::Create, entity(2), &mut Dice(5))]);
    let writes = own.take(&bundle);
    commit(&mut store, &writes, &own.rules()).expect("commits");
    let held = store.begin().expect("begins").entity(entity(2));
    assert!(held.expect("reads").is_some_and(|held| held.life.exists()));
}
