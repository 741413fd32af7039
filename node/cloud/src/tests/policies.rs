//! Policies at the truth: what no policy knew waits without a verdict and is decided once one does.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::BatchRequest;
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::Authority;
use studiovault_protocol::policy::{Policy, SignedPolicy};
use studiovault_protocol::value::Value;

use super::fixture::{
    Machine, NOON, Says, Scene, a_confirmed_client, a_sale, code, empty_request, entity,
    three_machines,
};

/// The next policy: drones fly, clients have shoes.
fn with_drones() -> Policy {
    let text = Policy::default()
        .text()
        .replacen("version = 1", "version = 2", 1);
    let shoes = "[type.client.field]\nshoe_size = { kind = \"int\", max = 60 }";
    let text = text.replacen("[type.client.field]", shoes, 1);
    let drones = "[type.drone_flight.field]\npilot = { kind = \"text\", required = true }\n";
    Policy::parse(&format!("{text}\n{drones}")).expect("a policy")
}

fn tell(scene: &Scene, policy: &Policy) {
    let signer = (DeviceId([1; 16]), NOON);
    let record = SignedPolicy::seal(
        (scene.studio, &Authority::root(scene.root.clone())),
        policy,
        signer,
    );
    let request = BatchRequest {
        policies: vec![record],
        ..empty_request()
    };
    let taken = scene.open().take(&scene.truth, &request, NOON);
    taken.expect("an empty batch is taken");
}

/// A machine that holds nothing but the feed, under that policy; its state is the truth's.
fn stranger(scene: &Scene, policy: Policy) -> Machine {
    let mut stranger = Machine::new(9, scene.studio);
    stranger.policy = policy;
    stranger.take_in_late(&scene.whole_feed(), &scene.cloud);
    assert_eq!(stranger.sum(), scene.open().state().sum);
    stranger
}

fn outcomes(stranger: &Machine, bundle: &Bundle) -> Vec<String> {
    let verdict = |dot| stranger.verdicts.get(&dot).map(|v| v.outcome.clone());
    bundle
        .commands()
        .map(|(dot, _)| code(verdict(dot)))
        .collect()
}

#[test]
fn what_waited_for_a_policy_is_decided_when_it_comes() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let machine = &mut scene.machines[0];
    let commands = vec![
        machine
            .command(Op::Create, "drone_flight", entity(60))
            .text("pilot", "Ines"),
        machine
            .command(Op::Create, "drone_flight", entity(61))
            .text("colour", "red"),
        machine.command(Op::Create, "drone_flight", entity(62)),
        machine
            .command(Op::Update, "client", id)
            .int("shoe_size", 42),
        machine
            .command(Op::Update, "client", id)
            .int("shoe_size", 99),
        machine
            .command(Op::Update, "client", id)
            .text("phone", "123"),
    ];
    let bundle = machine.write(commands);
    scene.send(&[&bundle]);
    let none = "NO VERDICT";
    let before = stranger(&scene, Policy::default());
    assert_eq!(
        outcomes(&before, &bundle),
        [none, none, none, none, none, "ACCEPTED"]
    );

    tell(&scene, &with_drones());
    let after = stranger(&scene, with_drones());
    let refused = "VALIDATION_FAILED";
    let expected = ["ACCEPTED", none, refused, "ACCEPTED", refused, "ACCEPTED"];
    assert_eq!(outcomes(&after, &bundle), expected);
    assert!(after.entities()[&entity(60)].life.exists());

    let head = scene.open().state().head;
    tell(&scene, &with_drones());
    assert_eq!(
        scene.open().state().head,
        head,
        "told again, nothing follows"
    );
    scene.truth.forget();
    tell(&scene, &with_drones());
    assert_eq!(
        scene.open().state().head,
        head,
        "and after a restart neither"
    );
    let fresh = scene.machines[1].command(Op::Create, "drone_flight", entity(63));
    let fresh = scene.machines[1].write(vec![fresh.text("pilot", "Rui")]);
    scene.send(&[&fresh]);
    let after = stranger(&scene, with_drones());
    assert_eq!(outcomes(&after, &fresh), ["ACCEPTED"]);
}

#[test]
fn a_late_decision_yields_to_what_was_decided_meanwhile() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let waits = scene.machines[0].command(Op::Update, "client", id);
    let waits = waits.int("shoe_size", 42).text("name", "Sousa");
    let waits = scene.machines[0].write(vec![waits]);
    scene.send(&[&waits]);
    let rival = scene.machines[1].command(Op::Update, "client", id);
    let rival = scene.machines[1].write(vec![rival.text("name", "Costa")]);
    scene.send(&[&rival]);
    tell(&scene, &with_drones());
    let after = stranger(&scene, with_drones());
    assert_eq!(outcomes(&after, &rival), ["ACCEPTED"]);
    assert_eq!(
        outcomes(&after, &waits),
        ["MERGED name CONFLICT_UPDATE_UPDATE"]
    );
}

#[test]
fn a_transaction_that_waited_is_still_taken_whole_or_not_at_all() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let machine = &mut scene.machines[0];
    let mut flight = |number: u64, size: i64| {
        let commands = vec![
            machine
                .command(Op::Create, "drone_flight", entity(number))
                .text("pilot", "Ines"),
            machine
                .command(Op::Update, "client", id)
                .int("shoe_size", size),
        ];
        machine.write_together(commands)
    };
    let (good, bad) = (flight(70, 42), flight(71, 99));
    scene.send(&[&good, &bad]);
    let before = stranger(&scene, Policy::default());
    assert_eq!(outcomes(&before, &good), ["NO VERDICT", "NO VERDICT"]);
    tell(&scene, &with_drones());
    let after = stranger(&scene, with_drones());
    assert_eq!(outcomes(&after, &good), ["ACCEPTED", "ACCEPTED"]);
    assert_eq!(
        outcomes(&after, &bad),
        ["DEPENDS_ON_REJECTED", "VALIDATION_FAILED"]
    );
}

#[test]
fn a_role_that_may_not_write_a_type_is_told_so() {
    let mut scene = three_machines();
    let text = with_drones()
        .text()
        .replacen("version = 2", "version = 3", 1);
    let only_admins = "[type.drone_flight]\nwriters = [\"admin\"]\n[type.drone_flight.field]";
    let text = text.replacen("[type.drone_flight.field]", only_admins, 1);
    let policy = Policy::parse(&text).expect("a policy");
    tell(&scene, &policy);
    let flight = scene.machines[0].command(Op::Create, "drone_flight", entity(80));
    let bundle = scene.machines[0].write(vec![flight.text("pilot", "Ines")]);
    scene.send(&[&bundle]);
    assert_eq!(outcomes(&stranger(&scene, policy), &bundle), ["FORBIDDEN"]);
}

#[test]
fn under_a_limit_of_the_policys_own_the_summary_tells_sales_beyond_64_bits_to_the_cent() {
    let mut scene = three_machines();
    let most = i64::MAX;
    let sales: Vec<Command> = (40..43)
        .map(|n| a_sale(&mut scene.machines[0], entity(n), most))
        .collect();
    let refused = scene.machines[0].write(sales[..1].to_vec());
    scene.send(&[&refused]);
    assert_eq!(code(scene.outcome(refused.tip())), "VALIDATION_FAILED");

    let text = Policy::default()
        .text()
        .replacen("version = 1", "version = 2", 1);
    let amount = "\namount_cents = { kind = \"int\", required = true";
    let text = text.replace(amount, &format!("{amount}, max = {most}"));
    tell(&scene, &Policy::parse(&text).expect("a policy"));
    let machine = &mut scene.machines[0];
    let void = machine
        .command(Op::Create, "pos_void", entity(50))
        .write("order", Value::Ref(entity(41)))
        .text("reason", "typed twice");
    let bundle = machine.write(sales.into_iter().skip(1).chain([void]).collect());
    scene.send(&[&bundle]);
    let summary = scene.open().summary(&scene.truth).expect("reads");
    let most = i128::from(most);
    assert_eq!(
        (summary.pos_gross_cents, summary.pos_voided_cents),
        (2 * most, most)
    );
}
