//! Another policy comes into force: what it knows appears, whatever came first, and everything else stays as it was.

use studiovault_protocol::membership::Authority;
use studiovault_protocol::policy::SignedPolicy;
use studiovault_protocol::time::WallMs;

use super::*;

/// The default policy and a bit more.
fn grown(version: u32, more: &str) -> Policy {
    let head = format!("version = {version}");
    let text = Policy::default().text().replacen("version = 1", &head, 1);
    Policy::parse(&format!("{text}\n{more}\n")).expect("a policy")
}

fn with_props() -> Policy {
    let more = "[type.prop.field]\nname = { kind = \"text\" }\n";
    let policy = grown(2, more);
    let text = policy.text().replacen(
        "[type.project.field]",
        "[type.project.field]\nmood = { kind = \"text\" }",
        1,
    );
    Policy::parse(&text).expect("a policy")
}

fn signed(policy: &Policy) -> Write {
    let signer = (device(1), WallMs(5));
    Write::Policy(SignedPolicy::seal(
        (STUDIO, &Authority::root(key(99))),
        policy,
        signer,
    ))
}

/// What a machine with a newer policy writes: a project with a field that others do not know, a type that they do not know,
/// and then a change of a field that everybody knows.
fn of_a_newer_machine(dice: &mut Dice) -> Vec<Bundle> {
    let mut author = Machine::new(1);
    let mut project = command(Op::Create, entity(1), dice);
    project.writes = vec![text("title", "Weddings"), text("mood", "golden")];
    let mut prop = command(Op::Create, entity(2), dice);
    (prop.entity_type, prop.writes) = ("prop".into(), vec![text("name", "Ladder")]);
    let mut later = command(Op::Update, entity(1), dice);
    later.writes = vec![text("title", "Weddings 2026")];
    let transactions = [vec![project, prop], vec![later]];
    transactions
        .map(|commands| author.author(commands).0)
        .into()
}

fn take(here: &mut Machine, store: &mut Store, bundles: &[Bundle]) {
    let writes: Vec<Write> = bundles.iter().flat_map(|b| here.take(b)).collect();
    commit(store, &writes, &here.rules()).expect("commits");
}

fn put_in_force(here: &mut Machine, store: &mut Store, policy: &Policy) -> Vec<Applied> {
    here.policy = policy.clone();
    commit(store, &[signed(policy)], &here.rules()).expect("commits")
}

fn names(store: &Store, sql: &str) -> Vec<String> {
    let rows = store.view().query(sql, &[]).expect("a view").rows;
    let name = |row: Vec<serde_json::Value>| row[0].as_str().map(str::to_owned);
    rows.into_iter().filter_map(name).collect()
}

#[test]
fn a_late_policy_makes_opaque_things_appear_with_the_state_of_those_who_had_it() {
    let mut dice = Dice(1);
    let bundles = of_a_newer_machine(&mut dice);
    let (mut early, mut early_store) = (Machine::new(2), a_store());
    put_in_force(&mut early, &mut early_store, &with_props());
    take(&mut early, &mut early_store, &bundles);
    let (mut late, mut late_store) = (Machine::new(3), a_store());
    take(&mut late, &mut late_store, &bundles);

    let project = late_store.entity(entity(1)).expect("reads").expect("held");
    assert!(project.opaque, "it holds a field that nobody knows here");
    assert_eq!(late_store.counts().expect("reads").opaque, 2);
    assert!(
        late_store
            .view()
            .query("SELECT name FROM app_prop", &[])
            .is_err()
    );
    let shown = "SELECT title FROM app_project WHERE _needs_newer_version";
    assert_eq!(
        names(&late_store, shown),
        ["Weddings 2026"],
        "known fields show"
    );
    assert_ne!(late_store.state_sum(), early_store.state_sum());

    let told = put_in_force(&mut late, &mut late_store, &with_props());
    let changed: Vec<EntityId> = told[0].entities.iter().map(|(id, _)| *id).collect();
    assert_eq!(changed, [entity(1), entity(2)], "who watches is told");
    assert_eq!(late_store.state_sum(), early_store.state_sum());
    assert_eq!(names(&late_store, "SELECT name FROM app_prop"), ["Ladder"]);
    assert_eq!(
        names(&late_store, "SELECT mood FROM app_project"),
        ["golden"]
    );
    assert_eq!(late_store.counts().expect("reads").opaque, 0);
}

#[test]
fn a_policy_outlives_the_process_and_is_taken_up_again_at_the_next_write() {
    let mut dice = Dice(2);
    let bundles = of_a_newer_machine(&mut dice);
    let (mut here, mut store) = (Machine::new(2), a_store());
    take(&mut here, &mut store, &bundles);
    put_in_force(&mut here, &mut store, &with_props());
    let sum = store.state_sum();
    let mut store = store.crash(&Policy::default()).expect("restarts");
    assert_eq!(store.adopted(), Some(&with_props()));
    assert_eq!(store.restore().expect("reads").policies.len(), 1);
    assert_eq!(names(&store, "SELECT name FROM app_prop"), ["Ladder"]);
    take(&mut here, &mut store, &bundles);
    assert_eq!(store.state_sum(), sum);
}

#[test]
fn a_policy_that_knows_less_folds_everything_anew() {
    let mut dice = Dice(3);
    let bundles = of_a_newer_machine(&mut dice);
    let (mut here, mut store) = (Machine::new(2), a_store());
    put_in_force(&mut here, &mut store, &with_props());
    take(&mut here, &mut store, &bundles);
    // Of two concurrent ones another holds after all.
    put_in_force(&mut here, &mut store, &grown(2, "# another"));
    let (mut plain, mut plain_store) = (Machine::new(3), a_store());
    take(&mut plain, &mut plain_store, &bundles);
    assert_eq!(store.state_sum(), plain_store.state_sum());
    assert_eq!(store.counts().expect("reads").opaque, 2);
}

#[test]
fn a_transaction_that_fails_leaves_the_policy_as_it_was() {
    let mut dice = Dice(4);
    let (mut here, mut store) = (Machine::new(2), a_store());
    take(&mut here, &mut store, &of_a_newer_machine(&mut dice));
    let (sum, before) = (store.state_sum(), here.policy.clone());
    here.policy = with_props();
    let mut batch = store.begin().expect("begins");
    batch
        .write(&signed(&with_props()), &here.rules())
        .expect("writes");
    drop(batch);
    assert_eq!(store.adopted(), Some(&before));
    assert_eq!(store.state_sum(), sum);
    assert!(
        store
            .view()
            .query("SELECT name FROM app_prop", &[])
            .is_err()
    );
}

#[test]
fn an_operation_and_an_envelope_of_a_newer_program_are_kept_and_said_so() {
    let mut dice = Dice(5);
    let (mut author, mut here, mut store) = (Machine::new(1), Machine::new(2), a_store());
    let mut create = command(Op::Create, entity(1), &mut dice);
    create.writes = vec![text("title", "Weddings")];
    let mut strange = command(Op::Newer(77), entity(1), &mut dice);
    strange.writes = vec![text("title", "never shown")];
    let (known, _) = author.author(vec![create, strange]);
    take(&mut here, &mut store, &[known]);
    let held = store.entity(entity(1)).expect("reads").expect("held");
    assert!(held.opaque && held.life.exists());
    assert_eq!(names(&store, "SELECT title FROM app_project"), ["Weddings"]);

    let header = author.seal(vec![command(Op::Create, entity(2), &mut dice)]);
    let newer = Bundle::seal_newer((2, header.header().clone()), (1, b"later"), &key(1));
    take(
        &mut here,
        &mut store,
        &[Bundle::decode(newer).expect("its place can be read")],
    );
    let counts = store.counts().expect("reads");
    assert_eq!(
        (counts.newer_bundles, counts.parked, counts.opaque),
        (1, 0, 1)
    );
    assert_eq!(counts.commands, 3);
    let restored = store.restore().expect("reads");
    assert_eq!(restored.chains.len(), 1);
    let store = store.crash(&Policy::default()).expect("restarts");
    assert_eq!(store.counts().expect("reads").newer_bundles, 1);
}

#[test]
fn what_the_policy_forbids_is_held_and_does_not_stand() {
    let mut dice = Dice(6);
    let (mut liar, mut here, mut store) = (Machine::new(1), Machine::new(2), a_store());
    let mut create = command(Op::Create, entity(1), &mut dice);
    create.writes = vec![text("title", "Weddings"), text("print_credits", "many")];
    let mut wrong = command(Op::Update, entity(1), &mut dice);
    let number = |field: &str| FieldWrite {
        field: field.into(),
        change: Change::Write(Value::Int(7)),
    };
    wrong.writes = vec![
        number("title"),
        text("shoot_date", "tomorrow"),
        text("notes", "good"),
    ];
    let mut other_type = command(Op::Update, entity(1), &mut dice);
    (other_type.entity_type, other_type.writes) = ("client".into(), vec![text("name", "Silva")]);
    let (bundle, _) = liar.author(vec![create, wrong, other_type]);
    take(&mut here, &mut store, &[bundle]);
    let held = store.entity(entity(1)).expect("reads").expect("held");
    assert!(
        !held.opaque,
        "nothing of it is unknown: people may go on writing"
    );
    let shown = "SELECT title || notes || coalesce(shoot_date, '-') || coalesce(print_credits, '-') FROM app_project";
    assert_eq!(names(&store, shown), ["Weddingsgood--"]);
}
