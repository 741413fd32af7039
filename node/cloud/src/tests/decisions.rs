//! What the truth decides, seen from outside: the server wins, and says so.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::Code;
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::Vector;

use super::fixture::{Says, Scene, a_confirmed_client, a_sale, code, entity, three_machines};
use crate::store::damage;

/// Lets machines write one command each without seeing each other, sends them in order, and tells the outcomes.
fn concurrently(scene: &mut Scene, commands: Vec<(usize, Command)>) -> Vec<String> {
    let mut tips = Vec::new();
    for (machine, command) in commands {
        let bundle = scene.machines[machine].write(vec![command]);
        scene.send(&[&bundle]);
        tips.push(bundle.tip());
    }
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
    tips.iter().map(|tip| code(scene.outcome(*tip))).collect()
}

fn update(scene: &mut Scene, machine: usize, id: EntityId) -> Command {
    scene.machines[machine].command(Op::Update, "client", id)
}

#[test]
fn of_concurrent_edits_of_one_field_the_first_wins_and_the_answer_holds_the_latest_state() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let one = update(&mut scene, 0, id).text("name", "Sousa");
    let two = update(&mut scene, 1, id).text("name", "Costa").tag("vip");
    let one = scene.machines[0].write(vec![one]);
    let two = scene.machines[1].write(vec![two]);
    scene.send(&[&one]);
    let answer = scene.send(&[&two]);
    let [rejection] = &answer.rejections[..] else {
        panic!("one loss: {:?}", answer.rejections)
    };
    assert_eq!(rejection.code, Code::ConflictUpdateUpdate);
    assert_eq!(rejection.dot, two.tip());
    assert_eq!(rejection.fields, vec!["name".to_owned()]);
    let latest: serde_json::Value = serde_json::from_str(&rejection.latest).expect("JSON");
    assert_eq!(latest["name"], "Sousa");
    assert_eq!(
        latest["tags"],
        serde_json::json!(["vip"]),
        "the rest stands"
    );
    assert_eq!(
        code(scene.outcome(two.tip())),
        "MERGED name CONFLICT_UPDATE_UPDATE"
    );
    let shown = &scene.stranger().entities()[&id];
    assert_eq!(shown.conflicts(&Default::default()).len(), 1);
}

#[test]
fn concurrent_edits_of_different_fields_and_of_equal_values_are_no_conflict() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let commands = vec![
        (0, update(&mut scene, 0, id).text("name", "Sousa")),
        (1, update(&mut scene, 1, id).text("phone", "123")),
        (2, update(&mut scene, 2, id).text("name", "Sousa")),
    ];
    assert_eq!(concurrently(&mut scene, commands), vec!["ACCEPTED"; 3]);
}

#[test]
fn an_edit_that_had_not_seen_a_confirmed_delete_is_rejected_and_the_other_way_round() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let commands = vec![
        (0, scene.machines[0].command(Op::Delete, "client", id)),
        (1, update(&mut scene, 1, id).text("name", "Costa")),
        (2, scene.machines[2].command(Op::Delete, "client", id)),
    ];
    let outcomes = concurrently(&mut scene, commands);
    assert_eq!(outcomes, ["ACCEPTED", "CONFLICT_DELETE_UPDATE", "ACCEPTED"]);

    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let commands = vec![
        (0, update(&mut scene, 0, id).tag("vip")),
        (1, scene.machines[1].command(Op::Delete, "client", id)),
    ];
    let outcomes = concurrently(&mut scene, commands);
    assert_eq!(outcomes, ["ACCEPTED", "CONFLICT_UPDATE_DELETE"]);
    assert!(!scene.stranger().entities()[&id].life.is_deleted());
}

#[test]
fn a_delete_that_saw_every_edit_holds_and_a_restore_that_saw_the_delete_brings_it_back() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let delete = scene.machines[0].command(Op::Delete, "client", id);
    let restore = scene.machines[0]
        .command(Op::Restore, "client", id)
        .text("name", "Silva");
    let again = update(&mut scene, 0, id).text("name", "Sousa");
    let commands = vec![(0, delete), (0, restore), (0, again)];
    assert_eq!(concurrently(&mut scene, commands), vec!["ACCEPTED"; 3]);
    assert!(!scene.stranger().entities()[&id].life.is_deleted());
}

#[test]
fn nothing_brings_a_deleted_entity_back_but_a_restore() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let delete = scene.machines[0].command(Op::Delete, "client", id);
    let create = scene.machines[0]
        .command(Op::Create, "client", id)
        .text("name", "Silva");
    let outcomes = concurrently(&mut scene, vec![(0, delete), (0, create)]);
    assert_eq!(outcomes, ["ACCEPTED", "CONFLICT_DELETE_UPDATE"]);
}

#[test]
fn sales_are_never_changed_and_never_rejected_for_what_they_name() {
    let mut scene = three_machines();
    let id = entity(40);
    let sale = a_sale(&mut scene.machines[0], id, 500).write("client", Value::Ref(entity(999)));
    let machine = &mut scene.machines[0];
    let change = machine
        .command(Op::Update, "pos_order", id)
        .int("amount_cents", 1);
    let delete = machine.command(Op::Delete, "pos_order", id);
    let void = machine
        .command(Op::Create, "pos_void", entity(41))
        .write("order", Value::Ref(entity(1234)))
        .text("reason", "typed twice");
    let rewrite = a_sale(machine, id, 700);
    let commands = [sale, change, delete, void, rewrite].map(|command| (0, command));
    assert_eq!(
        concurrently(&mut scene, commands.into()),
        [
            "ACCEPTED",
            "APPEND_ONLY",
            "APPEND_ONLY",
            "ACCEPTED",
            "APPEND_ONLY"
        ]
    );
}

#[test]
fn a_bundle_that_rewrites_a_known_sale_is_not_taken_in_any_part() {
    let mut scene = three_machines();
    let id = entity(40);
    let sale = a_sale(&mut scene.machines[0], id, 500);
    assert_eq!(concurrently(&mut scene, vec![(0, sale)]), ["ACCEPTED"]);
    let before = scene.stranger().entities()[&id].clone();
    for (at, op) in [Op::Update, Op::Delete, Op::Restore, Op::Resolve, Op::Create]
        .into_iter()
        .enumerate()
    {
        for entity_type in ["pos_order", "client"] {
            let other = entity(60 + at as u64);
            let machine = &mut scene.machines[0];
            let innocent = machine
                .command(Op::Create, "client", other)
                .text("name", "Costa");
            let rewrite = machine.command(op, entity_type, id);
            let rewrite = match entity_type {
                "client" => rewrite.text("name", "x"),
                _ => rewrite.int("amount_cents", 1),
            };
            let bundle = scene.machines[0].write(vec![innocent, rewrite]);
            scene.send(&[&bundle]);
            for counter in bundle.first()..=bundle.last() {
                let outcome = scene.outcome(bundle.author().at(counter));
                assert_eq!(code(outcome), "APPEND_ONLY", "{op:?} as {entity_type}");
            }
            let entities = scene.stranger().entities();
            assert_eq!(entities[&id], before);
            assert!(!entities.get(&other).is_some_and(|e| e.life.exists()));
        }
    }
}

#[test]
fn commands_that_break_the_policy_are_rejected_alone() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let machine = &mut scene.machines[0];
    let commands = vec![
        machine
            .command(Op::Create, "client", entity(50))
            .text("email", "x"),
        machine.command(Op::Update, "client", id).int("name", 4),
        machine
            .command(Op::Update, "client", id)
            .text("name", &"x".repeat(600)),
        machine
            .command(Op::Update, "client", id)
            .text("customer_number", "7"),
        machine
            .command(Op::Update, "client", entity(51))
            .text("name", "Nobody"),
        machine
            .command(Op::Update, "client", id)
            .text("tags", "vip"),
        machine
            .command(Op::Update, "client", id)
            .text("name", "Sousa"),
    ];
    let outcomes = at_once(&mut scene, commands);
    assert_eq!(
        outcomes,
        [
            "VALIDATION_FAILED",
            "VALIDATION_FAILED",
            "VALIDATION_FAILED",
            "IMMUTABLE_FIELD",
            "ENTITY_NOT_FOUND",
            "VALIDATION_FAILED",
            "ACCEPTED"
        ]
    );
}

/// Lets machine 0 write all commands in one bundle and tells the outcomes.
fn at_once(scene: &mut Scene, commands: Vec<Command>) -> Vec<String> {
    let bundle = scene.machines[0].write(commands);
    told(scene, &bundle)
}

/// Sends a bundle and tells the outcomes.
fn told(scene: &Scene, bundle: &Bundle) -> Vec<String> {
    let answer = scene.send(&[bundle]);
    assert!(answer.refused.is_empty(), "{:?}", answer.refused);
    let stranger = scene.stranger();
    assert_eq!(stranger.sum(), scene.open().state().sum);
    let outcome = |(dot, _)| code(stranger.verdicts.get(&dot).map(|v| v.outcome.clone()));
    bundle.commands().map(outcome).collect()
}

#[test]
fn what_builds_on_a_rejected_create_is_rejected_for_that() {
    let mut scene = three_machines();
    let machine = &mut scene.machines[0];
    let commands = vec![
        machine
            .command(Op::Create, "client", entity(50))
            .text("email", "x"),
        machine
            .command(Op::Update, "client", entity(50))
            .text("name", "Silva"),
    ];
    assert_eq!(
        at_once(&mut scene, commands),
        ["VALIDATION_FAILED", "DEPENDS_ON_REJECTED"]
    );
    let second = scene.machines[0]
        .command(Op::Create, "client", entity(50))
        .text("name", "Silva");
    assert_eq!(at_once(&mut scene, vec![second]), ["ACCEPTED"]);
}

#[test]
fn what_no_author_lets_into_its_log_the_cloud_refuses_as_well() {
    let mut scene = three_machines();
    let machine = &mut scene.machines[0];
    let blank = machine.command(Op::Create, "client", entity(50));
    let mut commands = vec![blank.text("name", " \u{200b}")];
    let sales = [(0, 5, "EUR"), (1, -5, "EUR"), (1, 5, "eur"), (1, 5, "USD")];
    for (n, (items, cents, currency)) in (51..).zip(sales) {
        let sale = machine.command(Op::Create, "pos_order", entity(n));
        let sale = sale.text("sold_on", "2026-11-20").int("items", items);
        commands.push(sale.int("amount_cents", cents).text("currency", currency));
    }
    let refused = "VALIDATION_FAILED";
    assert_eq!(
        at_once(&mut scene, commands),
        [refused, refused, refused, refused, "ACCEPTED"]
    );
}

#[test]
fn of_a_rejected_create_nothing_is_kept_but_that_it_was_one() {
    let mut scene = three_machines();
    let machine = &mut scene.machines[0];
    let create = machine
        .command(Op::Create, "client", entity(50))
        .text("email", "x");
    let stranger = machine
        .command(Op::Update, "client", entity(51))
        .text("name", "Silva");
    assert_eq!(
        at_once(&mut scene, vec![create, stranger]),
        ["VALIDATION_FAILED", "ENTITY_NOT_FOUND"]
    );
    let known = |scene: &Scene| {
        let (studio, store) = (scene.open().row, &scene.truth.store);
        let ids = store.read(|session| session.entity_ids(studio));
        ids.expect("reads")
    };
    assert_eq!(known(&scene), []);

    // In a request of their own, by a server that was started again.
    scene.truth = scene.another();
    let machine = &mut scene.machines[0];
    let updates = [50, 51].map(|id| {
        machine
            .command(Op::Update, "client", entity(id))
            .text("name", "Silva")
    });
    assert_eq!(
        at_once(&mut scene, updates.into()),
        ["DEPENDS_ON_REJECTED", "ENTITY_NOT_FOUND"]
    );
    let machine = &mut scene.machines[0];
    let again = [50, 52].map(|id| {
        machine
            .command(Op::Create, "client", entity(id))
            .text("name", "Silva")
    });
    assert_eq!(at_once(&mut scene, again.into()), ["ACCEPTED"; 2]);
    assert_eq!(known(&scene), [entity(50), entity(52)]);
    let update = scene.machines[0]
        .command(Op::Update, "client", entity(50))
        .text("phone", "1");
    assert_eq!(at_once(&mut scene, vec![update]), ["ACCEPTED"]);
}

#[test]
fn what_the_policy_does_not_know_gets_no_verdict_and_travels_on() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let machine = &mut scene.machines[0];
    let commands = vec![
        machine.command(Op::Update, "client", id).text("name", "a"),
        machine
            .command(Op::Create, "drone_flight", entity(60))
            .text("pilot", "Ines"),
        machine
            .command(Op::Update, "client", id)
            .text("shoe_size", "42"),
        machine
            .command(Op::Update, "client", id)
            .text("phone", "123"),
    ];
    let outcomes = at_once(&mut scene, commands);
    assert_eq!(
        outcomes,
        ["ACCEPTED", "NO VERDICT", "NO VERDICT", "ACCEPTED"]
    );
}

#[test]
fn a_transaction_that_belongs_together_is_taken_whole_or_not_at_all() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let rival = update(&mut scene, 1, id).text("name", "Costa");
    let rival = scene.machines[1].write(vec![rival]);
    scene.send(&[&rival]);
    let machine = &mut scene.machines[0];
    let commands = vec![
        machine
            .command(Op::Create, "client", entity(70))
            .text("name", "New"),
        machine
            .command(Op::Update, "client", id)
            .text("name", "Sousa"),
    ];
    let bundle = machine.write_together(commands);
    assert_eq!(
        told(&scene, &bundle),
        ["DEPENDS_ON_REJECTED", "CONFLICT_UPDATE_UPDATE"]
    );
    let machine = &mut scene.machines[0];
    let commands = vec![
        machine
            .command(Op::Create, "client", entity(71))
            .text("name", "New"),
        machine.command(Op::Update, "client", id).text("phone", "1"),
    ];
    let bundle = machine.write_together(commands);
    assert_eq!(told(&scene, &bundle), ["ACCEPTED", "ACCEPTED"]);
}

#[test]
fn a_command_id_has_one_effect_and_means_one_thing() {
    let mut scene = three_machines();
    let sale = a_sale(&mut scene.machines[0], entity(80), 500);
    let mut other = a_sale(&mut scene.machines[0], entity(81), 500);
    other.id = sale.id;
    let (again, mut changed) = (sale.clone(), other);
    changed.ts.0 += 1;
    assert_eq!(
        at_once(&mut scene, vec![sale, again, changed]),
        ["ACCEPTED", "WITHDRAWN", "IDEMPOTENCY_MISMATCH"]
    );
}

#[test]
fn a_command_cannot_supersede_what_its_author_never_received() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let rival = update(&mut scene, 1, id).text("name", "Costa");
    let rival = scene.machines[1].write(vec![rival]);
    scene.send(&[&rival]);
    let mut liar = update(&mut scene, 0, id).text("name", "Sousa");
    liar.ctx = Vector::from_tips(vec![rival.tip()]);
    assert_eq!(at_once(&mut scene, vec![liar]), ["VALIDATION_FAILED"]);
}

#[test]
fn what_was_read_before_decides_and_not_what_was_received_since() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let read = scene.machines[0].log.applied().clone();
    let rival = update(&mut scene, 1, id).text("name", "Costa");
    let rival = scene.machines[1].write(vec![rival]);
    scene.send(&[&rival]);
    scene.machines[0].receive(&rival);
    let mut late = update(&mut scene, 0, id).text("name", "Sousa");
    late.ctx = Some(read);
    let fresh = update(&mut scene, 0, id).text("name", "Silva");
    assert_eq!(
        at_once(&mut scene, vec![late, fresh]),
        ["MERGED name CONFLICT_UPDATE_UPDATE", "ACCEPTED"]
    );
    let conflicts = scene.stranger().entities()[&id].conflicts(&Default::default());
    assert!(conflicts.is_empty(), "the last edit covered every side");
}

#[test]
fn a_command_that_breaks_the_server_is_internal_alone() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    damage::entities(&scene.truth.store);
    let machine = &mut scene.machines[0];
    let commands = vec![
        machine
            .command(Op::Create, "client", entity(90))
            .text("name", "New"),
        machine
            .command(Op::Update, "client", id)
            .text("name", "Sousa"),
        machine
            .command(Op::Create, "client", entity(91))
            .text("name", "New"),
    ];
    let bundle = machine.write(commands);
    let answer = scene.send(&[&bundle]);
    assert_eq!(answer.rejections.len(), 1);
    let stranger = scene.stranger();
    let outcomes: Vec<String> = bundle
        .commands()
        .map(|(dot, _)| code(stranger.verdicts.get(&dot).map(|v| v.outcome.clone())))
        .collect();
    assert_eq!(outcomes, ["ACCEPTED", "INTERNAL", "ACCEPTED"]);
}

#[test]
fn of_rivals_in_one_batch_the_pick_wins_whatever_their_order() {
    for order in [[0, 1], [1, 0]] {
        let mut scene = three_machines();
        let id = a_confirmed_client(&mut scene);
        let mut later = update(&mut scene, 0, id).text("name", "Sousa");
        later.ts.0 += 60_000;
        let earlier = update(&mut scene, 1, id).text("name", "Costa");
        let bundles = [
            scene.machines[0].write(vec![later]),
            scene.machines[1].write(vec![earlier]),
        ];
        let answer = scene.send(&order.map(|at| &bundles[at]));
        assert_eq!(answer.rejections.len(), 1);
        assert_eq!(code(scene.outcome(bundles[0].tip())), "ACCEPTED");
        assert_eq!(scene.stranger().sum(), scene.open().state().sum);
    }
}

#[test]
fn causal_order_holds_even_where_the_pick_would_go_first() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let rival = update(&mut scene, 1, id).text("name", "Costa");
    let rival = scene.machines[1].write(vec![rival]);
    // The pick stands in a bundle that saw its rival, but had read the entity before.
    let read = scene.machines[0].log.applied().clone();
    scene.machines[0].receive(&rival);
    let mut pick = update(&mut scene, 0, id).text("name", "Sousa");
    pick.ctx = Some(read);
    pick.ts.0 += 60_000;
    let pick = scene.machines[0].write(vec![pick]);
    let answer = scene.send(&[&rival, &pick]);
    assert!(answer.gaps.is_empty(), "{:?}", answer.gaps);
    assert_eq!(code(scene.outcome(rival.tip())), "ACCEPTED");
    assert_eq!(
        code(scene.outcome(pick.tip())),
        "MERGED name CONFLICT_UPDATE_UPDATE"
    );
}
