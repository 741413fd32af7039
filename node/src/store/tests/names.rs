//! Natural keys: one question on every device, whatever came first there, and nothing written by itself.

use serde_json::json;

use super::*;

fn a_project(n: u8, title: &str, dice: &mut Dice) -> Command {
    Command {
        writes: vec![text("title", title)],
        ..command(Op::Create, entity(n), dice)
    }
}

/// Two machines that each made a project of one name; the bundles.
fn two_projects_of_one_name() -> (Bundle, Bundle) {
    let mut dice = Dice(3);
    let (mut one, mut two) = (Machine::new(1), Machine::new(2));
    let (left, _) = one.author(vec![a_project(1, "Weddings", &mut dice)]);
    let (right, _) = two.author(vec![a_project(2, " WEDDINGS", &mut dice)]);
    (left, right)
}

fn take(machine: &mut Machine, store: &mut Store, bundles: &[&Bundle]) {
    for bundle in bundles {
        let writes = machine.take(bundle);
        commit(store, &writes, &machine.rules()).expect("commits");
    }
}

fn proposed(store: &Store, n: u8) -> Option<String> {
    let row = store.view().entity(entity(n)).expect("reads");
    row.expect("is there").proposed
}

fn is_sound(machine: &Machine, store: &Store) {
    let found = store
        .verify(&sound::a_roster(), &machine.policy)
        .expect("reads");
    assert!(found.is_sound(), "{:?}", found.faults);
}

#[test]
fn two_projects_of_one_name_are_one_question_and_the_later_dot_shows_a_proposed_name() {
    let (left, right) = two_projects_of_one_name();
    let mut hashes = Vec::new();
    for order in [[&left, &right], [&right, &left]] {
        let (mut here, mut store) = (Machine::new(3), a_store());
        take(&mut here, &mut store, &order);
        let open = store.view().conflicts(10).expect("reads");
        assert_eq!(open.len(), 1);
        assert_eq!(
            (open[0].kind.as_str(), open[0].entity),
            ("create_create", entity(1))
        );
        let names: Vec<_> = open[0]
            .sides
            .iter()
            .map(|s| s["proposed"].clone())
            .collect();
        assert_eq!(names, [json!(null), json!("WEDDINGS (2)")]);
        assert_eq!(
            (proposed(&store, 1), proposed(&store, 2).as_deref()),
            (None, Some("WEDDINGS (2)"))
        );
        let shown = store
            .view()
            .entity(entity(2))
            .expect("reads")
            .expect("is there");
        assert_eq!(
            (shown.fields["title"].clone(), shown.conflict),
            (json!(" WEDDINGS"), true)
        );
        let found = store.view().conflict(&open[0].id).expect("reads");
        assert_eq!(found.as_ref(), Some(&open[0]));
        assert_eq!(store.view().counts().expect("counts").conflicts, 1);
        assert_eq!(
            here.bundles.len(),
            2,
            "a proposed name is written by nobody"
        );
        is_sound(&here, &store);
        hashes.push((store.state_hash(), open));
    }
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn a_conflict_over_a_name_counts_in_the_state_hash() {
    let (left, right) = two_projects_of_one_name();
    let (mut here, mut store) = (Machine::new(3), a_store());
    take(&mut here, &mut store, &[&left]);
    assert_eq!(store.state_hash(), store.state_sum());
    take(&mut here, &mut store, &[&right]);
    assert_ne!(store.state_hash(), store.state_sum());
}

#[test]
fn the_first_name_that_the_cloud_accepts_is_kept() {
    let (left, right) = two_projects_of_one_name();
    let (mut here, mut store) = (Machine::new(3), a_store());
    take(&mut here, &mut store, &[&left, &right]);
    let page = Cloud::default().page(Cloud::decide(&right, Vec::new()));
    let writes = here.take_page(&page);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    assert_eq!(
        (proposed(&store, 1).as_deref(), proposed(&store, 2)),
        (Some("Weddings (2)"), None)
    );
    is_sound(&here, &store);
}

#[test]
fn a_name_that_the_cloud_did_not_take_is_shown_with_a_free_one_until_somebody_renames_it() {
    let (left, right) = two_projects_of_one_name();
    let (mut here, mut store) = (Machine::new(3), a_store());
    take(&mut here, &mut store, &[&left, &right]);
    let (third, writes) = here.author(vec![a_project(3, "Weddings (2)", &mut Dice(9))]);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    let mut cloud = Cloud::default();
    let lost = Outcome::Merged(vec![("title".into(), Code::DuplicateKey)]);
    for (bundle, exceptions) in [(&left, vec![]), (&third, vec![]), (&right, vec![(1, lost)])] {
        let writes = here.take_page(&cloud.page(Cloud::decide(bundle, exceptions)));
        commit(&mut store, &writes, &here.rules()).expect("commits");
    }
    let open = store.view().conflicts(10).expect("reads");
    assert_eq!(open.len(), 1);
    let side = &open[0].sides[0];
    assert_eq!(
        (open[0].kind.as_str(), open[0].entity),
        ("lost_at_cloud", entity(2))
    );
    assert_eq!(
        (side["state"].clone(), side["code"].clone()),
        (json!("lost"), json!("DUPLICATE_KEY"))
    );
    let shown = store
        .view()
        .entity(entity(2))
        .expect("reads")
        .expect("is there");
    assert_eq!(
        shown.fields["title"],
        json!(" WEDDINGS"),
        "people must find it"
    );
    assert_eq!(
        shown.proposed.as_deref(),
        Some("WEDDINGS (3)"),
        "the second is taken"
    );
    let rename = Command {
        writes: vec![text("title", "WEDDINGS (3)")],
        ..command(Op::Resolve, entity(2), &mut Dice(10))
    };
    let (_, writes) = here.author(vec![rename]);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    assert!(store.view().conflicts(10).expect("reads").is_empty());
    is_sound(&here, &store);
}

#[test]
fn a_rename_or_a_deletion_of_one_ends_the_question_and_the_ledger_keeps_it() {
    let (left, right) = two_projects_of_one_name();
    for answer in [Op::Resolve, Op::Delete] {
        let (mut here, mut store) = (Machine::new(3), a_store());
        take(&mut here, &mut store, &[&left, &right]);
        let id = store.view().conflicts(1).expect("reads")[0].id.clone();
        let mut decided = command(answer, entity(2), &mut Dice(7));
        if answer == Op::Resolve {
            decided.writes = vec![text("title", "Weddings Porto")];
        }
        let (_, writes) = here.author(vec![decided]);
        commit(&mut store, &writes, &here.rules()).expect("commits");
        assert!(
            store.view().conflicts(10).expect("reads").is_empty(),
            "{answer:?}"
        );
        assert_eq!(proposed(&store, 2), None);
        let lines = store.view().ledger(&id).expect("reads");
        let events: Vec<_> = lines.iter().map(|line| line.event.as_str()).collect();
        assert_eq!(events, ["opened", "closed"], "{answer:?}");
        for n in [1, 2] {
            let of_one = store.view().ledger_of(entity(n)).expect("reads");
            assert_eq!(of_one, lines, "in the history of both, {answer:?}");
        }
        is_sound(&here, &store);
    }
}

#[test]
fn another_naming_in_the_policy_makes_the_index_anew() {
    let (left, right) = two_projects_of_one_name();
    let (mut here, mut store) = (Machine::new(3), a_store());
    let nameless = Policy::default()
        .text()
        .replace("natural_key", "# natural_key");
    let nameless = Policy::parse(&nameless).expect("a policy");
    here.policy = nameless.clone();
    take(&mut here, &mut store, &[&left, &right]);
    assert_eq!(store.view().counts().expect("counts").conflicts, 0);
    here.policy = policy();
    let (_, writes) = here.author(vec![a_project(4, "Baptism", &mut Dice(1))]);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    assert_eq!(store.view().counts().expect("counts").conflicts, 1);
    is_sound(&here, &store);
    here.policy = nameless;
    let (_, writes) = here.author(vec![a_project(5, "Communion", &mut Dice(2))]);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    assert_eq!(store.state_hash(), store.state_sum());
}

#[test]
fn the_ledger_keeps_what_the_sides_of_a_conflict_grew_from() {
    let mut dice = Dice(5);
    let (mut one, mut two) = (Machine::new(1), Machine::new(2));
    let (first, _) = one.author(vec![a_project(1, "Wedding", &mut dice)]);
    let _ = two.take(&first);
    let mut title = |name: &str| Command {
        writes: vec![text("title", name)],
        ..command(Op::Update, entity(1), &mut dice)
    };
    let (left, right) = (title("Wedding Silva"), title("Wedding Costa"));
    let ((left, _), (right, _)) = (one.author(vec![left]), two.author(vec![right]));
    for order in [[&left, &right], [&right, &left]] {
        let (mut here, mut store) = (Machine::new(3), a_store());
        take(&mut here, &mut store, &[&first]);
        take(&mut here, &mut store, &order);
        let open = store.view().conflicts(10).expect("reads");
        assert_eq!(
            open[0].base,
            Some(json!("Wedding")),
            "whatever came first here"
        );
        let lines = store.view().ledger_of(entity(1)).expect("reads");
        assert_eq!(lines[0].base, Some(json!("Wedding")));
        assert_eq!(
            (lines[0].sides.len(), lines[0].rule.as_deref()),
            (2, Some("priority"))
        );
    }
}

#[test]
fn a_deletion_beside_an_edit_names_what_both_sides_knew_of_it() {
    let mut dice = Dice(6);
    let (mut one, mut two) = (Machine::new(1), Machine::new(2));
    let (first, _) = one.author(vec![a_project(1, "Wedding", &mut dice)]);
    let update = |field, value, dice: &mut Dice| Command {
        writes: vec![text(field, value)],
        ..command(Op::Update, entity(1), dice)
    };
    let (second, _) = one.author(vec![update("notes", "2 albums", &mut dice)]);
    let _ = (two.take(&first), two.take(&second));
    let delete = command(Op::Delete, entity(1), &mut dice);
    let edits = ["Wedding Silva", "Wedding Costa"].map(|name| update("title", name, &mut dice));
    let (delete, _) = one.author(vec![delete]);
    let edits = edits.map(|edit| two.author(vec![edit]).0);
    for order in [
        [&delete, &edits[0], &edits[1]],
        [&edits[0], &edits[1], &delete],
    ] {
        let (mut here, mut store) = (Machine::new(3), a_store());
        take(&mut here, &mut store, &[&first, &second]);
        take(&mut here, &mut store, &order);
        let open = store.view().conflicts(10).expect("reads");
        assert_eq!((open.len(), &open[0].field), (1, &None));
        let base = Some(json!({"title": "Wedding"}));
        assert_eq!(
            open[0].base, base,
            "and not the notes, which nobody changed"
        );
        let lines = store.view().ledger_of(entity(1)).expect("reads");
        assert_eq!(lines.last().map(|line| &line.base), Some(&base));
    }
}

#[test]
fn a_name_that_is_empty_or_anothers_is_no_name_and_ones_own_is() {
    let (left, right) = two_projects_of_one_name();
    let (mut here, mut store) = (Machine::new(3), a_store());
    take(&mut here, &mut store, &[&left, &right]);
    let fault = |n, value| {
        let place = (entity(n), "title");
        let fault = store.view().name_fault("project", place, &value);
        fault.expect("reads")
    };
    assert_eq!(fault(2, json!(" ")), Some(NameFault::Empty));
    assert_eq!(fault(2, json!(null)), Some(NameFault::Empty));
    assert_eq!(fault(2, json!("weddings")), Some(NameFault::Taken));
    assert_eq!(fault(2, json!("Weddings Porto")), None);
    let place = (entity(2), "notes");
    let other = store
        .view()
        .name_fault("project", place, &json!("Weddings"));
    assert_eq!(other.expect("reads"), None, "no part of a name");
    // Once the other one is called otherwise the name is its own.
    let rename = Command {
        writes: vec![text("title", "Portraits")],
        ..command(Op::Resolve, entity(1), &mut Dice(11))
    };
    let (_, writes) = here.author(vec![rename]);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    let place = (entity(2), "title");
    let own = store
        .view()
        .name_fault("project", place, &json!("Weddings"));
    assert_eq!(own.expect("reads"), None);
}
