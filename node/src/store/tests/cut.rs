//! What is beyond a cut can be looked at, taken over and given up, one by one.

use studiovault_protocol::id::Epoch;

use super::*;

/// A machine that holds a client of its own and, beyond its cut, one of a machine that was shut out.
fn with_one_beyond() -> (Machine, Store, Dot) {
    let (mut own, mut gone, mut store) = (Machine::new(1), Machine::new(2), a_store());
    let mut dice = Dice(4);
    let made = |n: u8, dice: &mut Dice| {
        let mut made = command(Op::Create, entity(n), dice);
        made.writes.push(FieldWrite {
            field: "title".into(),
            change: Change::Write(Value::Text(format!("project {n}"))),
        });
        made
    };
    let (kept, _) = gone.author(vec![made(1, &mut dice)]);
    let (late, _) = gone.author(vec![made(2, &mut dice)]);
    let mut writes = own.take(&kept);
    writes.extend(own.take(&late));
    commit(&mut store, &writes, &own.rules()).expect("commits");
    let (cuts, record) = cuts_of(&[(2, vec![(Epoch(102), kept.last())])]);
    own.cuts = cuts;
    commit(&mut store, &[Write::Record(record)], &own.rules()).expect("commits");
    (own, store, late.tip())
}

fn open_letters(store: &Store) -> Vec<(Dot, String)> {
    let sql = "SELECT epoch.name || '.' || counter, code FROM dead_letter
               JOIN epoch ON epoch.id = author WHERE settled IS NULL";
    let mut statement = store.connection.prepare(sql).expect("prepares");
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
    let rows = rows.expect("reads").map(|row| row.expect("a row"));
    rows.map(|(dot, code)| (dot.parse().expect("a dot"), code))
        .collect()
}

#[test]
fn what_is_beyond_a_cut_does_not_show_and_waits_for_somebody_to_look_at_it() {
    let (mut own, mut store, late) = with_one_beyond();
    let exists = |store: &mut Store, n: u8| {
        let held = store.begin().expect("begins").entity(entity(n));
        held.expect("reads").is_some_and(|held| held.life.exists())
    };
    assert!(exists(&mut store, 1) && !exists(&mut store, 2));
    assert_eq!(open_letters(&store), [(late, "DEVICE_REVOKED".to_owned())]);
    // Whoever looks at it writes it anew, in its place.
    let mut anew = command(Op::Create, entity(2), &mut Dice(9));
    anew.replaces = Some(late);
    let (_, writes) = own.author(vec![anew]);
    commit(&mut store, &writes, &own.rules()).expect("commits");
    assert!(exists(&mut store, 2));
    assert_eq!(open_letters(&store), []);
}

#[test]
fn a_revocation_that_the_root_key_lifts_gives_everything_back() {
    let (mut own, mut store, _) = with_one_beyond();
    own.cuts = Cuts::default();
    let (_, record) = cuts_of(&[(3, Vec::new())]);
    commit(&mut store, &[Write::Record(record)], &own.rules()).expect("commits");
    let held = store.begin().expect("begins").entity(entity(2));
    assert!(held.expect("reads").expect("is there").life.exists());
    assert_eq!(open_letters(&store), []);
}
