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
    own.rights.cuts = cuts;
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
    let to_look_at = |store: &Store| store.counts().expect("reads").quarantined;
    assert_eq!(to_look_at(&store), 1);
    // Whoever looks at it writes it anew, in its place.
    let mut anew = command(Op::Create, entity(2), &mut Dice(9));
    anew.replaces = Some(late);
    let (_, writes) = own.author(vec![anew]);
    commit(&mut store, &writes, &own.rules()).expect("commits");
    assert!(exists(&mut store, 2));
    assert_eq!(open_letters(&store), []);
    assert_eq!(to_look_at(&store), 0);
    let listed = store.view().quarantine(10).expect("reads");
    assert_eq!(listed.len(), 1, "what was set aside stays on the list");
}

#[test]
fn a_revocation_that_the_root_key_lifts_gives_everything_back() {
    let (mut own, mut store, _) = with_one_beyond();
    own.rights.cuts = Cuts::default();
    let (_, record) = cuts_of(&[(3, Vec::new())]);
    commit(&mut store, &[Write::Record(record)], &own.rules()).expect("commits");
    let held = store.begin().expect("begins").entity(entity(2));
    assert!(held.expect("reads").expect("is there").life.exists());
    assert_eq!(open_letters(&store), []);
}

/// A sale with one total, as it is made at a till.
fn sale(total: i64, dice: &mut Dice) -> Command {
    let mut made = command(Op::Create, entity(7), dice);
    made.entity_type = "pos_order".into();
    made.writes.push(FieldWrite {
        field: "gross_cents".into(),
        change: Change::Write(Value::Int(total)),
    });
    made
}

#[test]
fn an_entry_made_anew_by_somebody_who_saw_it_is_judged_alike_whenever_the_cut_was_heard_of() {
    let (mut gone, mut other, mut dice) = (Machine::new(2), Machine::new(3), Dice(5));
    let (first, _) = gone.author(vec![sale(100, &mut dice)]);
    other.take(&first);
    let (again, _) = other.author(vec![sale(200, &mut dice)]);
    let (cuts, record) = cuts_of(&[(2, Vec::new())]);
    let judged = |steps: &[&str]| {
        let (mut here, mut store) = (Machine::new(1), a_store());
        for step in steps {
            let writes = match *step {
                "first" => here.take(&first),
                "again" => here.take(&again),
                _ => {
                    here.rights.cuts = cuts.clone();
                    vec![Write::Record(record.clone())]
                }
            };
            commit(&mut store, &writes, &here.rules()).expect("commits");
        }
        let aside = store.view().quarantine(10).expect("reads");
        let aside = aside.into_iter().map(|row| (row.dot, row.whole));
        let sum = store.state_sum();
        (aside.collect::<Vec<_>>(), sum)
    };
    let late = judged(&["first", "again", "cut"]);
    assert_eq!(late, judged(&["first", "cut", "again"]));
    assert_eq!(late, judged(&["cut", "first", "again"]));
    assert!(late.0.contains(&(again.tip(), true)), "{:?}", late.0);
}
