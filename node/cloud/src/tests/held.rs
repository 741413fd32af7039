//! Commands that break the server, wait for one that does, or stand in the place of another: at most one ever counts.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::{BatchAnswer, BatchRequest, Only, Stuck};
use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::id::Dot;
use studiovault_protocol::merge::Entity;
use studiovault_protocol::value::Value;

use super::fixture::{
    NOON, Says, Scene, a_confirmed_client, a_sale, code, empty_request, entity, packed,
    three_machines,
};
use crate::studio::BatchError;

/// Says what breaks the server.
fn is_poison(command: &Command) -> bool {
    let says = |change: &Change| *change == Change::Write(Value::Text("poison".into()));
    command.writes.iter().any(|write| says(&write.change))
}

fn a_scene_that_breaks() -> Scene {
    let mut scene = three_machines();
    scene.truth.breaks_on = Some(is_poison);
    scene
}

fn ask(scene: &Scene, bundles: &[&Bundle], dots: &[Dot]) -> Result<BatchAnswer, BatchError> {
    let author = dots.first().map(|dot| dot.author);
    let request = BatchRequest {
        bundles: bundles.iter().map(|bundle| packed(bundle)).collect(),
        only: Some(Only {
            author: author.unwrap_or(scene.machines[0].log.applied().tips()[0].author),
            counters: dots.iter().map(|dot| dot.counter).collect(),
        }),
        ..empty_request()
    };
    scene.open().take(&scene.truth, &request, NOON)
}

fn outcomes(scene: &Scene, bundle: &Bundle) -> Vec<String> {
    let sum = scene.stranger().sum();
    assert_eq!(sum, scene.open().state().sum, "the feed folds to the state");
    let dots = bundle.commands().map(|(dot, _)| dot);
    dots.map(|dot| code(scene.outcome(dot))).collect()
}

fn shown(scene: &Scene, number: u64) -> Entity {
    scene.stranger().entities()[&entity(number)].clone()
}

/// Machine 0 creates a client whose name breaks the server, renames it, and sells something beside.
fn a_poisoned_bundle(scene: &mut Scene) -> Bundle {
    let machine = &mut scene.machines[0];
    let create = machine
        .command(Op::Create, "client", entity(7))
        .text("name", "poison");
    let update = machine
        .command(Op::Update, "client", entity(7))
        .text("phone", "1");
    let sale = a_sale(machine, entity(8), 500);
    machine.write(vec![create, update, sale])
}

#[test]
fn what_breaks_the_server_is_set_aside_and_only_what_depends_on_it_waits() {
    let mut scene = a_scene_that_breaks();
    let bundle = a_poisoned_bundle(&mut scene);
    let whole = BatchRequest {
        bundles: vec![packed(&bundle)],
        ..empty_request()
    };
    let broken = scene.open().take(&scene.truth, &whole, NOON);
    assert!(matches!(broken, Err(BatchError::Store(_))), "{broken:?}");
    assert_eq!(outcomes(&scene, &bundle), ["NO VERDICT"; 3]);

    let dot = |n: u64| bundle.author().at(n);
    ask(&scene, &[&bundle], &[]).expect("it is held");
    assert_eq!(outcomes(&scene, &bundle), ["NO VERDICT"; 3]);
    assert!(ask(&scene, &[], &[dot(1)]).is_err(), "alone it breaks");
    ask(&scene, &[], &[dot(2), dot(3)]).expect("the others go through");
    assert_eq!(
        outcomes(&scene, &bundle),
        ["NO VERDICT", "NO VERDICT", "ACCEPTED"]
    );

    // A server that was mended takes it, and then what depends on it.
    scene.truth.breaks_on = None;
    ask(&scene, &[], &[dot(1), dot(2)]).expect("mended");
    assert_eq!(outcomes(&scene, &bundle), ["ACCEPTED"; 3]);
    assert!(shown(&scene, 7).is_confirmed());
}

#[test]
fn a_transaction_that_belongs_together_is_decided_together_also_when_it_was_held() {
    let mut scene = a_scene_that_breaks();
    let machine = &mut scene.machines[0];
    let one = machine
        .command(Op::Create, "client", entity(1))
        .text("name", "poison");
    let two = machine
        .command(Op::Create, "client", entity(2))
        .text("name", "Costa");
    let bundle = machine.write_together(vec![one, two]);
    ask(&scene, &[&bundle], &[]).expect("held");
    assert!(ask(&scene, &[], &[bundle.author().at(2)]).is_err());
    assert_eq!(outcomes(&scene, &bundle), ["NO VERDICT"; 2]);
    scene.truth.breaks_on = None;
    ask(&scene, &[], &[bundle.author().at(2)]).expect("mended");
    assert_eq!(outcomes(&scene, &bundle), ["ACCEPTED"; 2]);
}

#[test]
fn what_stands_in_the_place_of_an_undecided_command_withdraws_it() {
    let mut scene = a_scene_that_breaks();
    let bundle = a_poisoned_bundle(&mut scene);
    ask(&scene, &[&bundle], &[]).expect("held");
    let again = scene.machines[0]
        .command(Op::Create, "client", entity(7))
        .text("name", "Silva");
    let again = Command {
        replaces: Some(bundle.author().at(1)),
        ..again
    };
    let fix = scene.machines[0].write(vec![again]);
    scene.send(&[&fix]);
    assert_eq!(outcomes(&scene, &fix), ["ACCEPTED"]);
    assert_eq!(
        outcomes(&scene, &bundle),
        ["WITHDRAWN", "NO VERDICT", "NO VERDICT"]
    );
    ask(&scene, &[], &[bundle.author().at(2), bundle.author().at(3)]).expect("the rest");
    assert_eq!(
        outcomes(&scene, &bundle),
        ["WITHDRAWN", "ACCEPTED", "ACCEPTED"]
    );
    scene.truth.breaks_on = None;
    ask(&scene, &[], &[bundle.author().at(1)]).expect("an answer");
    assert_eq!(
        outcomes(&scene, &bundle)[0],
        "WITHDRAWN",
        "it never comes back"
    );
}

#[test]
fn what_stands_in_the_place_of_an_accepted_command_is_rejected() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let accepted = scene.machines[0].log.applied().tips()[0];
    let again = scene.machines[1].command(Op::Update, "client", id);
    let again = Command {
        replaces: Some(accepted),
        ..again.text("name", "Sousa")
    };
    let fix = scene.machines[1].write(vec![again]);
    scene.send(&[&fix]);
    assert_eq!(outcomes(&scene, &fix), ["IDEMPOTENCY_MISMATCH"]);
}

#[test]
fn of_all_that_stand_in_the_place_of_one_command_only_one_is_ever_confirmed() {
    let mut scene = three_machines();
    let bad = scene.machines[0]
        .command(Op::Create, "client", entity(3))
        .tag("no name");
    let bad = scene.machines[0].write(vec![bad]);
    scene.send(&[&bad]);
    assert_eq!(outcomes(&scene, &bad), ["VALIDATION_FAILED"]);
    for at in 1..3 {
        scene.machines[at].receive(&bad);
    }
    let mut stand_in = |at: usize, target: Dot, id: u64, name: &str| {
        let again = scene.machines[at].command(Op::Create, "client", entity(id));
        let again = Command {
            replaces: Some(target),
            ..again.text("name", name)
        };
        scene.machines[at].write(vec![again])
    };
    // Two machines mend the letter without knowing of each other, one of them badly at first and under a new id.
    let long = "x".repeat(2_000);
    let one = stand_in(1, bad.tip(), 4, &long);
    let two = stand_in(2, bad.tip(), 5, "Costa");
    let three = stand_in(1, one.tip(), 6, "Sousa");
    for bundle in [&one, &two, &three] {
        scene.send(&[bundle]);
    }
    assert_eq!(outcomes(&scene, &one), ["VALIDATION_FAILED"]);
    assert_eq!(outcomes(&scene, &two), ["ACCEPTED"]);
    assert_eq!(outcomes(&scene, &three), ["IDEMPOTENCY_MISMATCH"]);
}

#[test]
fn a_client_is_discarded_with_a_reason_and_a_sale_never() {
    let mut scene = a_scene_that_breaks();
    let bundle = a_poisoned_bundle(&mut scene);
    ask(&scene, &[&bundle], &[]).expect("held");
    let mut discard = |entity_type: &str, id: u64, counter: u64| {
        let command = scene.machines[0].command(Op::Discard, entity_type, entity(id));
        let command = Command {
            replaces: Some(bundle.author().at(counter)),
            ..command.text("reason", "written twice")
        };
        scene.machines[0].write(vec![command])
    };
    let (client, sale) = (discard("client", 7, 1), discard("pos_order", 8, 3));
    scene.send(&[&client, &sale]);
    assert_eq!(outcomes(&scene, &client), ["ACCEPTED"]);
    assert_eq!(outcomes(&scene, &sale), ["APPEND_ONLY"]);
    assert_eq!(outcomes(&scene, &bundle)[0], "WITHDRAWN");
    let rest = [bundle.author().at(2), bundle.author().at(3)];
    ask(&scene, &[], &rest).expect("the rest");
    // What was built on a client that is given up cannot stand, the sale does.
    assert_eq!(
        outcomes(&scene, &bundle),
        ["WITHDRAWN", "DEPENDS_ON_REJECTED", "ACCEPTED"]
    );
    assert!(!shown(&scene, 7).life.exists());
}

#[test]
fn a_stuck_command_is_told_once_and_only_while_it_is_undecided() {
    let mut scene = a_scene_that_breaks();
    let bundle = a_poisoned_bundle(&mut scene);
    ask(&scene, &[&bundle], &[]).expect("held");
    ask(&scene, &[], &[bundle.author().at(3)]).expect("the sale");
    let stuck = |counter| Stuck {
        dot: bundle.author().at(counter),
        detail: "it broke".into(),
    };
    for _ in 0..2 {
        let request = BatchRequest {
            stuck: vec![stuck(1), stuck(3), stuck(9)],
            ..empty_request()
        };
        let told = scene.open().take(&scene.truth, &request, NOON);
        told.expect("an answer");
    }
    let told: Vec<Dot> = scene
        .whole_feed()
        .pages
        .iter()
        .flat_map(|page| {
            Page::decode(&page.0[..])
                .expect("a page")
                .body()
                .entries
                .clone()
        })
        .filter_map(|entry| match entry {
            Entry::Stuck { dot, .. } => Some(dot),
            _ => None,
        })
        .collect();
    assert_eq!(told, [bundle.author().at(1)]);
}

#[test]
fn a_rejected_resolution_brings_the_conflict_back() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let mut rename = |at: usize, name: &str| {
        let update = scene.machines[at].command(Op::Update, "client", id);
        scene.machines[at].write(vec![update.text("name", name)])
    };
    let (one, two) = (rename(0, "Sousa"), rename(1, "Costa"));
    scene.send(&[&one, &two]);
    scene.machines[2].receive(&one);
    scene.machines[2].receive(&two);
    let open = |machine: &super::fixture::Machine| {
        let entity = machine.entities()[&id].clone();
        entity.conflicts(&Default::default()).len()
    };
    assert_eq!(open(&scene.machines[2]), 1);
    let settle = scene.machines[2].command(Op::Resolve, "client", id);
    let settle = scene.machines[2].write(vec![settle.text("name", &"x".repeat(2_000))]);
    assert_eq!(
        open(&scene.machines[2]),
        0,
        "settled as far as the machine knows"
    );
    scene.send(&[&settle]);
    assert_eq!(outcomes(&scene, &settle), ["VALIDATION_FAILED"]);
    assert_eq!(open(&scene.stranger()), 1);
}
