//! A truth whose database was put back to yesterday: nothing is decided until its own signed feed has come back.

use serde_json::json;
use studiovault_protocol::cloud::{BatchRequest, Changes, TailRequest};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::DeviceId;

use super::fixture::{
    NOON, Says, Scene, a_confirmed_client, a_sale, code, empty_request, entity, three_machines,
};
use crate::studio::{BatchError, PlainBatch, PlainError, TailError};

fn tail_of(changes: &Changes) -> TailRequest {
    TailRequest {
        device: DeviceId([1; 16]),
        roster: Vec::new(),
        policies: Vec::new(),
        pages: changes.pages.clone(),
        bundles: changes.bundles.clone(),
    }
}

/// The feed after a position, with all bundles.
fn after(scene: &Scene, position: u64) -> Changes {
    let changes = scene
        .open()
        .changes(&scene.truth, position, &Default::default());
    let changes = changes.expect("reads");
    assert!(!changes.more, "it fits one answer");
    changes
}

fn plain(id: &str) -> PlainBatch {
    let command = json!({ "id": id, "entityType": "client", "operation": "create",
        "fields": { "name": "Web" } });
    serde_json::from_value(json!({ "commands": [command] })).expect("a batch")
}

/// A day of sales, a conflict, a refusal, a transaction taken whole, and a client without a log.
fn a_day(scene: &mut Scene) {
    let id = entity(1);
    for number in 0..3 {
        let machine = &mut scene.machines[number];
        let sale = a_sale(machine, entity(100 + number as u64), 250);
        let rename = machine
            .command(Op::Update, "client", id)
            .text("name", &format!("S{number}"));
        let wrong = machine
            .command(Op::Update, "client", entity(999))
            .text("name", "nobody");
        let bundles = [
            machine.write(vec![sale]),
            machine.write(vec![rename, wrong]),
        ];
        scene.send(&bundles.iter().collect::<Vec<_>>());
    }
    let machine = &mut scene.machines[1];
    let pair = (5..7).map(|n| {
        machine
            .command(Op::Create, "client", entity(n))
            .text("name", "Par")
    });
    let pair: Vec<_> = pair.collect();
    let together = machine.write_together(pair);
    scene.send(&[&together]);
    let told = scene
        .open()
        .take_plain(&scene.truth, &plain(WEB), ("web", NOON));
    assert_eq!(told.expect("an answer").acked.len(), 1);
}

const OTHER: &str = "6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d51";
const WEB: &str = "6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d50";

#[test]
fn a_truth_put_back_to_yesterday_has_every_sale_again_once_from_its_own_signed_feed() {
    let mut scene = three_machines();
    a_confirmed_client(&mut scene);
    let yesterday = scene.open().state().head.0;
    let backup = scene.back_up();
    a_day(&mut scene);
    let (whole, tail) = (scene.whole_feed(), after(&scene, yesterday));
    let summary = scene.open().summary(&scene.truth).expect("reads");
    assert_eq!((summary.pos_gross_cents, summary.rejected), (750, 3));
    scene.put_back(backup);
    assert_eq!(scene.open().state().head.0, yesterday);

    let knowing = BatchRequest {
        since: whole.head,
        ..empty_request()
    };
    // Whoever asks, knowing or not, gets no verdict.
    for request in [&knowing, &empty_request()] {
        let refused = scene.open().take(&scene.truth, request, NOON);
        assert!(matches!(refused, Err(BatchError::Behind { held, .. }) if held == yesterday));
    }
    let refused = scene
        .open()
        .take_plain(&scene.truth, &plain(OTHER), ("web", NOON));
    assert!(matches!(refused, Err(PlainError::Behind(held)) if held == yesterday));
    // Page by page, each of them twice, as a flaky line has it.
    for page in &tail.pages {
        let part = Changes {
            pages: vec![page.clone()],
            ..tail.clone()
        };
        for _ in 0..2 {
            let back = scene.open().take_back(&scene.truth, &tail_of(&part), NOON);
            back.expect("it is taken");
        }
    }
    assert_eq!(scene.whole_feed().pages, whole.pages);
    assert_eq!(scene.open().summary(&scene.truth).expect("reads"), summary);
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);

    // Everything sent again changes nothing, and life goes on.
    let again = BatchRequest {
        bundles: whole.bundles.clone(),
        ..knowing
    };
    let answer = scene
        .open()
        .take(&scene.truth, &again, NOON)
        .expect("an answer");
    assert_eq!(answer.changes.head, whole.head);
    let told = scene
        .open()
        .take_plain(&scene.truth, &plain(WEB), ("web", NOON));
    let told = told.expect("an answer");
    assert_eq!((told.acked.len(), told.rejections.len()), (1, 0));
    let machine = &mut scene.machines[0];
    let sale = a_sale(machine, entity(500), 100);
    let bundle = machine.write(vec![sale]);
    scene.send(&[&bundle]);
    assert_eq!(code(scene.outcome(bundle.tip())), "ACCEPTED");
    let after = scene.open().summary(&scene.truth).expect("reads");
    assert_eq!(after.pos_gross_cents, 850);
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}

#[test]
fn a_tail_that_is_not_word_for_word_the_truths_own_changes_nothing() {
    let mut scene = three_machines();
    a_confirmed_client(&mut scene);
    let yesterday = scene.open().state().head.0;
    let backup = scene.back_up();
    a_day(&mut scene);
    let tail = tail_of(&after(&scene, yesterday));
    scene.put_back(backup);
    let before = scene.whole_feed().pages;
    let refused = |tail: &TailRequest| {
        let taken = scene.open().take_back(&scene.truth, tail, NOON);
        assert_eq!(scene.whole_feed().pages, before);
        taken.expect_err("refused")
    };
    for at in (0..tail.pages[0].0.len()).step_by(7) {
        let mut flipped = tail.clone();
        flipped.pages[0].0[at] ^= 1;
        assert!(matches!(refused(&flipped), TailError::Foreign), "{at}");
    }
    let mut gap = tail.clone();
    gap.pages.remove(0);
    assert!(matches!(refused(&gap), TailError::Elsewhere(held) if held == yesterday));
    let mut swapped = tail.clone();
    swapped.pages.swap(0, 1);
    assert!(matches!(refused(&swapped), TailError::Elsewhere(_)));
    let mut bare = tail.clone();
    bare.bundles.clear();
    assert!(matches!(refused(&bare), TailError::Incomplete));
    let mut other = tail.clone();
    let end = other.bundles[0].0.len() - 1;
    other.bundles[0].0[end] ^= 1;
    assert!(matches!(refused(&other), TailError::Incomplete));
    scene
        .open()
        .take_back(&scene.truth, &tail, NOON)
        .expect("the true one is taken");
}
