//! What was deleted long ago loses its content and never comes back by itself, whoever still writes to it.

use studiovault_protocol::limits::TOMBSTONE_MS;
use studiovault_protocol::time::WallMs;

use super::sound::a_roster;
use super::*;

const START: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;

fn titled(op: Op, title: &str, dice: &mut Dice) -> Command {
    Command {
        writes: vec![text("title", title)],
        ..command(op, entity(1), dice)
    }
}

fn collect(store: &mut Store, day: i64) -> Collected {
    let mut batch = store.begin().expect("begins");
    let collected = batch.collect(WallMs(START + day * DAY)).expect("collects");
    batch.commit().expect("commits");
    collected
}

fn row(store: &Store) -> EntityRow {
    let row = store.view().entity(entity(1)).expect("reads");
    row.expect("its id stays")
}

/// What anybody who reads the store could find of a word, but in the log itself.
fn finds(store: &Store, word: &str) -> bool {
    let row = row(store);
    let history = store.view().history(entity(1)).expect("reads");
    let state: Vec<u8> = store
        .connection
        .query_row("SELECT state FROM entity WHERE id = 1", [], |row| {
            row.get(0)
        })
        .expect("reads");
    format!("{:?}", (row.fields, history)).contains(word)
        || state
            .windows(word.len())
            .any(|part| part == word.as_bytes())
}

/// A deleted project that a second machine never heard to be deleted, and what it wrote 400 days later.
fn deleted_and_edited_late() -> (Machine, Store, Bundle) {
    let mut dice = Dice(4);
    let (mut here, mut away, mut store) = (Machine::new(1), Machine::new(2), a_store());
    let (made, mut writes) = here.author(vec![titled(Op::Create, "Harbour", &mut dice)]);
    let _ = away.take(&made);
    let mut late = titled(Op::Update, "Lighthouse", &mut dice);
    late.ts = WallMs(START + 400 * DAY);
    let (late, _) = away.author(vec![late]);
    let (_, deleted) = here.author(vec![command(Op::Delete, entity(1), &mut dice)]);
    writes.extend(deleted);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    (here, store, late)
}

#[test]
fn content_stays_90_days_after_a_machine_saw_the_delete_and_the_bare_id_for_ever() {
    let (here, mut store, _) = deleted_and_edited_late();
    let hash = store.state_hash();
    assert_eq!(TOMBSTONE_MS, 90 * DAY);
    // However long ago its author's clock says that it was: this machine knows of it since today.
    for day in [500, 501, 589] {
        assert_eq!(collect(&mut store, day).entities, 0, "day {day}");
        assert!(finds(&store, "Harbour"), "day {day}");
    }
    assert_eq!(collect(&mut store, 590).entities, 1);
    assert!(!finds(&store, "Harbour"));
    let (dot, collected) = row(&store).tombstone.expect("a tombstone");
    assert!(row(&store).deleted && collected && dot.counter == 2);
    assert_eq!(store.state_hash(), hash, "machines collect when they like");
    assert_eq!(collect(&mut store, 900).entities, 0, "once");
    let found = store.verify(&a_roster(), &here.policy).expect("reads");
    assert!(found.is_sound(), "{:?}", found.faults);
}

#[test]
fn a_machine_that_returns_after_400_days_resurrects_nothing_of_what_was_collected() {
    let (mut here, mut store, late) = deleted_and_edited_late();
    let (_, mut keeps_all, _) = deleted_and_edited_late();
    collect(&mut store, 0);
    assert_eq!(collect(&mut store, 400).entities, 1);
    let writes = here.take(&late);
    for store in [&mut store, &mut keeps_all] {
        commit(store, &writes, &here.rules()).expect("commits");
        assert!(row(store).deleted, "it was deleted, and stays so");
        let open = store.view().conflicts(10).expect("reads");
        assert_eq!(open.len(), 1, "the one question is whether to restore it");
        assert_eq!(open[0].kind, "delete_update");
    }
    assert_eq!(store.state_hash(), keeps_all.state_hash());
    // The question shows the edits for as long as it is open.
    assert_eq!(collect(&mut store, 900).entities, 0);
    assert!(finds(&store, "Lighthouse"));
    let (_, writes) = here.author(vec![command(Op::Delete, entity(1), &mut Dice(5))]);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    assert_eq!(
        collect(&mut store, 901).entities,
        0,
        "another delete, another 90 days"
    );
    assert_eq!(collect(&mut store, 991).entities, 1);
    assert!(!finds(&store, "Lighthouse") && !finds(&store, "Harbour"));
    let found = store.verify(&a_roster(), &here.policy).expect("reads");
    assert!(found.is_sound(), "{:?}", found.faults);
}
