//! What people and applications read is what stands in the state, through every door.

use serde_json::json;

use super::*;

/// Two machines that gave one project two titles at once, on a third one's store; the bundles in order.
fn two_devices_in_conflict() -> (Machine, Store, Vec<Bundle>) {
    let (mut one, mut two) = (Machine::new(1), Machine::new(2));
    let mut dice = Dice(5);
    let create = Command {
        writes: vec![text("title", "Wedding")],
        ..command(Op::Create, entity(1), &mut dice)
    };
    let (first, _) = one.author(vec![create]);
    let _ = two.take(&first);
    let title = |text_: &str, dice: &mut Dice| Command {
        writes: vec![text("title", text_)],
        ..command(Op::Update, entity(1), dice)
    };
    let (left, _) = one.author(vec![title("Wedding Silva", &mut dice)]);
    let (right, _) = two.author(vec![title("Wedding Costa", &mut dice)]);
    let (mut here, mut store) = (Machine::new(3), a_store());
    for bundle in [&first, &left, &right] {
        let writes = here.take(bundle);
        commit(&mut store, &writes, &here.rules()).expect("commits");
    }
    (here, store, vec![first, left, right])
}

#[test]
fn a_conflict_is_a_row_until_a_resolve_that_saw_both_sides_closes_it() {
    let (mut here, mut store, bundles) = two_devices_in_conflict();
    let open = store.view().conflicts(10).expect("reads");
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].field.as_deref(), open[0].kind.as_str()),
        (Some("title"), "update_update")
    );
    assert_eq!(
        open[0].suggested,
        bundles[1].tip(),
        "the higher priority within the tolerance"
    );
    assert_eq!(open[0].sides.len(), 2);
    let row = store
        .view()
        .entity(entity(1))
        .expect("reads")
        .expect("is there");
    assert_eq!(
        (row.fields["title"].clone(), row.conflict),
        (json!("Wedding Silva"), true)
    );
    assert_eq!(
        store.view().conflict(&open[0].id).expect("reads").as_ref(),
        Some(&open[0])
    );

    let mut dice = Dice(6);
    let resolve = Command {
        writes: vec![text("title", "Wedding Costa")],
        ..command(Op::Resolve, entity(1), &mut dice)
    };
    let (_, writes) = here.author(vec![resolve]);
    let applied = commit(&mut store, &writes, &here.rules()).expect("commits");
    assert_eq!(applied[1].closed, vec![open[0].id.clone()]);
    assert!(store.view().conflicts(10).expect("reads").is_empty());
    let ledger = store.view().ledger(&open[0].id).expect("reads");
    let events: Vec<&str> = ledger.iter().map(|row| row.event.as_str()).collect();
    assert_eq!(events, ["opened", "closed"]);
    assert_eq!(ledger[1].winner, Some(json!("Wedding Costa")));
}

#[test]
fn new_priorities_show_another_side_at_once() {
    let (mut here, mut store, bundles) = two_devices_in_conflict();
    here.priorities.0.insert(device(2), 9);
    commit(
        &mut store,
        &[Write::Page(
            Cloud::default().page(vec![Entry::Genesis(Vec::new())]),
        )],
        &here.rules(),
    )
    .expect("commits");
    let row = store
        .view()
        .entity(entity(1))
        .expect("reads")
        .expect("is there");
    assert_eq!(row.fields["title"], json!("Wedding Costa"));
    assert_eq!(
        store.view().conflicts(1).expect("reads")[0].suggested,
        bundles[2].tip()
    );
}

#[test]
fn the_view_of_a_type_shows_what_the_entity_shows() {
    let (_, store, _) = two_devices_in_conflict();
    let answer = store
        .view()
        .query(
            "SELECT id, title, _sync_state, _conflict, _vv FROM app_project WHERE title = ?1",
            &[json!("Wedding Silva")],
        )
        .expect("answers");
    let row = store
        .view()
        .entity(entity(1))
        .expect("reads")
        .expect("is there");
    let vv = studiovault_protocol::api::vv_text(&row.vv);
    assert_eq!(row.vv.tips().len(), 2);
    assert_eq!(
        answer.rows,
        vec![vec![
            json!(entity(1).to_string()),
            json!("Wedding Silva"),
            json!("needs fixing"),
            json!(1),
            json!(vv)
        ]]
    );
}

#[test]
fn a_query_sees_the_views_and_nothing_behind_them() {
    let (_, store, _) = two_devices_in_conflict();
    for refused in [
        "SELECT * FROM entity",
        "SELECT * FROM meta",
        "SELECT * FROM sqlite_schema",
        "DELETE FROM app_project",
        "INSERT INTO meta VALUES ('a', 'b')",
        "PRAGMA user_version",
        "ATTACH 'x' AS y",
        "SELECT title FROM app_project; DELETE FROM entity",
        "SELECT load_extension('x')",
        "CREATE TABLE x (y)",
    ] {
        let error = store.view().query(refused, &[]).expect_err(refused);
        assert!(matches!(error, StoreError::Query(_)), "{refused}: {error}");
    }
    for huge in [
        "SELECT randomblob(900000000)",
        "SELECT group_concat(hex(zeroblob(1000000))) FROM json_each('[1,2,3]')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) SELECT zeroblob(1000000) FROM n",
    ] {
        let error = store.view().query(huge, &[]).expect_err(huge);
        assert!(matches!(error, StoreError::Query(_)), "{huge}: {error}");
    }
    let joined =
        "WITH open AS (SELECT title FROM app_project) SELECT count(*), max(title) FROM open";
    assert_eq!(
        store.view().query(joined, &[]).expect("answers").rows[0][0],
        json!(1)
    );
    assert_eq!(
        store
            .view()
            .conflicts(10)
            .expect("the store itself reads on")
            .len(),
        1
    );
}

#[test]
fn listings_filter_and_page() {
    let (mut machine, mut store) = (Machine::new(1), a_store());
    let mut dice = Dice(7);
    let commands = (1..=9).map(|n| {
        let tag = Value::Text(if n % 2 == 0 { "vip" } else { "new" }.into());
        let tags = FieldWrite {
            field: "tags".into(),
            change: Change::Add(vec![tag]),
        };
        Command {
            writes: vec![text("title", &format!("P{n}")), tags],
            ..command(Op::Create, entity(n), &mut dice)
        }
    });
    let (_, writes) = machine.author(commands.collect());
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    let mut listing = Listing {
        entity_type: "project".into(),
        filter: vec![("tags".into(), json!("vip"))],
        limit: 3,
        ..Listing::default()
    };
    let first = store.view().entities(&listing).expect("lists");
    assert_eq!(
        first.iter().map(|row| row.id).collect::<Vec<_>>(),
        [2, 4, 6].map(entity)
    );
    listing.after = Some(entity(6));
    let rest = store.view().entities(&listing).expect("lists");
    assert_eq!(
        rest.iter().map(|row| row.id).collect::<Vec<_>>(),
        [8].map(entity)
    );
    listing.filter = vec![("title\"".into(), json!(1))];
    assert!(matches!(
        store.view().entities(&listing),
        Err(StoreError::Query(_))
    ));
}

#[test]
fn own_commands_wait_in_the_queue_until_the_feed_decides_them() {
    let (mut machine, mut store) = (Machine::new(1), a_store());
    let mut dice = Dice(8);
    let (bundle, writes) =
        machine.author((1..=3).map(|n| a_client(entity(n), &mut dice)).collect());
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    let states = |store: &Store| -> Vec<String> {
        let rows = store.view().queue(None, 10).expect("reads");
        rows.into_iter().rev().map(|row| row.sync_status).collect()
    };
    assert_eq!(states(&store), ["pending", "pending", "pending"]);
    let rejected = |code| Outcome::Rejected {
        code,
        detail: "a name is needed".into(),
    };
    let exceptions = vec![
        (2, rejected(Code::ValidationFailed)),
        (
            3,
            Outcome::Merged(vec![("name".into(), Code::DuplicateKey)]),
        ),
    ];
    let page = Cloud::default().page(Cloud::decide(&bundle, exceptions));
    let writes = machine.take_page(&page);
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    assert_eq!(states(&store), ["confirmed", "rejected", "confirmed"]);
    let queue = store.view().queue(None, 10).expect("reads");
    let said = queue.iter().rev().map(|row| row.last_error.as_deref());
    let words = "VALIDATION_FAILED: a name is needed";
    assert_eq!(
        said.collect::<Vec<_>>(),
        [None, Some(words), Some("name: DUPLICATE_KEY")]
    );
    let letters = store.view().dead_letters(10).expect("reads");
    assert_eq!(
        (letters.len(), letters[0].code.as_str()),
        (1, "VALIDATION_FAILED")
    );
    assert_eq!(letters[0].dot, bundle.author().at(2));
    let counts = store.view().counts().expect("counts");
    assert_eq!(
        (
            counts.confirmed,
            counts.rejected,
            counts.pending,
            counts.dead_letters
        ),
        (2, 1, 0, 1)
    );
    let history = store.view().history(entity(3)).expect("reads");
    let ruling = history[0].ruling.as_ref().expect("was decided");
    assert_eq!(
        (ruling.word, ruling.code),
        ("merged", Some(Code::DuplicateKey))
    );
    assert_eq!(history[0].actor, "ines");
}

#[test]
fn a_cloud_that_is_added_later_finds_all_earlier_commands_in_the_queue() {
    use studiovault_protocol::membership::{Grant, Role, SignedRecord};
    let (mut machine, mut store) = (Machine::new(1), a_store());
    machine.has_cloud = false;
    let mut dice = Dice(9);
    let (_, writes) = machine.author(vec![
        a_client(entity(1), &mut dice),
        a_client(entity(2), &mut dice),
    ]);
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    assert_eq!(
        store.view().counts().expect("counts").pending,
        0,
        "nothing waits for a cloud that is not there"
    );
    let grant = Grant {
        device: device(200),
        key: key(200).public(),
        name: "cloud".into(),
        role: Role::Cloud,
        priority: 0,
        gateway_preference: 0,
        version: 1,
    };
    let record = SignedRecord::by_root(STUDIO, grant, &key(99));
    machine.has_cloud = true;
    commit(
        &mut store,
        &[Write::Record(record.clone())],
        &machine.rules(),
    )
    .expect("commits");
    assert_eq!(store.view().counts().expect("counts").pending, 2);
    assert_eq!(store.restore().expect("reads").records, vec![record]);
}

#[test]
fn a_deleted_entity_leaves_the_views_and_keeps_its_tombstone() {
    let (mut machine, mut store) = (Machine::new(1), a_store());
    let mut dice = Dice(10);
    for op in [Op::Create, Op::Delete] {
        let (_, writes) = machine.author(vec![command(op, entity(1), &mut dice)]);
        commit(&mut store, &writes, &machine.rules()).expect("commits");
    }
    assert!(
        store
            .view()
            .entity(entity(1))
            .expect("reads")
            .expect("is there")
            .deleted
    );
    assert!(
        store
            .view()
            .query("SELECT id FROM app_project", &[])
            .expect("answers")
            .rows
            .is_empty()
    );
    let tombstones: i64 = store
        .connection
        .query_row("SELECT count(*) FROM tombstone", [], |row| row.get(0))
        .expect("reads");
    assert_eq!(tombstones, 1);
}

fn entered(store: &Store) -> (bool, Option<i128>) {
    let row = store.view().entity(entity(1)).expect("reads");
    let row = row.expect("is there");
    (row.voided, row.corrections_cents)
}

#[test]
fn a_void_that_the_cloud_refuses_leaves_its_sale_as_it_was() {
    let (mut machine, mut store, mut dice) = (Machine::new(1), a_store(), Dice(3));
    let bundles: Vec<Bundle> = a_voided_sale(&mut dice)
        .into_iter()
        .map(|entry| {
            let (bundle, writes) = machine.author(vec![entry]);
            commit(&mut store, &writes, &machine.rules()).expect("commits");
            bundle
        })
        .collect();
    assert_eq!(entered(&store), (true, None), "it counts nothing");
    let refused = Outcome::Rejected {
        code: Code::ValidationFailed,
        detail: "`reason` is missing".into(),
    };
    let void = bundles[2].first();
    let entries = bundles.iter().flat_map(|bundle| {
        let refused = (bundle.first() == void).then(|| (void, refused.clone()));
        Cloud::decide(bundle, refused.into_iter().collect())
    });
    let page = Cloud::default().page(entries.collect());
    let writes = machine.take_page(&page);
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    assert_eq!(entered(&store), (false, Some(-2_00)));
}
