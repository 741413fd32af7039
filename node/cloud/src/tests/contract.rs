//! What holds of every batch: order, repetition, signatures, and one state for all.

use studiovault_protocol::cloud::{BatchRequest, GatewayStatus};
use studiovault_protocol::command::Op;
use studiovault_protocol::feed::Page;
use studiovault_protocol::id::{DeviceId, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::wire::Packed;

use super::fixture::{
    Machine, NOON, Says, a_confirmed_client, a_sale, code, empty_request, enrolment, entity,
    packed, three_machines,
};
use crate::studio::{ANSWER_BYTES, BatchError};

#[test]
fn the_same_batch_again_changes_nothing() {
    let mut scene = three_machines();
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(1))
        .text("name", "Silva");
    let bundle = scene.machines[0].write(vec![create]);
    let first = scene.send(&[&bundle]);
    let state = scene.open().state();
    for _ in 0..3 {
        let again = scene.send(&[&bundle]);
        assert_eq!(again.changes.pages, first.changes.pages);
        assert_eq!((again.gaps.len(), again.refused.len()), (0, 0));
    }
    assert_eq!(scene.open().state().head, state.head);
    assert_eq!(scene.open().state().sum, state.sum);
}

#[test]
fn a_bundle_waits_for_what_it_saw_and_is_taken_once_that_came() {
    let mut scene = three_machines();
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(1))
        .text("name", "Silva");
    let first = scene.machines[0].write(vec![create]);
    scene.machines[1].receive(&first);
    let update = scene.machines[1]
        .command(Op::Update, "client", entity(1))
        .text("name", "Sousa");
    let second = scene.machines[1].write(vec![update]);

    let answer = scene.send(&[&second]);
    assert_eq!(answer.gaps.len(), 1);
    assert_eq!(answer.gaps[0].missing, vec![first.tip()]);
    assert!(answer.rejections.is_empty(), "a gap rejects nothing");
    assert_eq!(code(scene.outcome(second.tip())), "NO VERDICT");

    let answer = scene.send(&[&first, &second]);
    assert!(answer.gaps.is_empty());
    assert_eq!(code(scene.outcome(second.tip())), "ACCEPTED");
}

#[test]
fn a_hole_in_a_chain_is_named() {
    let mut scene = three_machines();
    let bundles: Vec<_> = (1..=3)
        .map(|n| {
            let create = scene.machines[0]
                .command(Op::Create, "client", entity(n))
                .text("name", "Silva");
            scene.machines[0].write(vec![create])
        })
        .collect();
    let answer = scene.send(&[&bundles[0], &bundles[2]]);
    assert_eq!(answer.gaps.len(), 1);
    assert_eq!(answer.gaps[0].first, 2);
    assert_eq!(answer.gaps[0].missing, vec![bundles[1].tip()]);
}

#[test]
fn a_stranger_folds_the_feed_to_the_same_state() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let [front, editor, laptop] = &mut scene.machines[..] else {
        unreachable!("three machines")
    };
    let one = front.command(Op::Update, "client", id).text("notes", "a");
    let one = front.write(vec![one.tag("vip")]);
    let two = editor.command(Op::Update, "client", id).text("notes", "b");
    let two = editor.write(vec![two.tag("press")]);
    let three = laptop.command(Op::Delete, "client", id);
    let three = laptop.write(vec![three]);
    let sale = a_sale(front, entity(7), 1999);
    let sale = front.write(vec![sale]);
    let answer = scene.send(&[&one, &two, &three, &sale]);
    assert_eq!(answer.rejections.len(), 2);
    let stranger = scene.stranger();
    assert_eq!(stranger.feed.folded(), scene.open().state().head.0);
    assert_eq!(stranger.sum(), scene.open().state().sum);
}

#[test]
fn a_restart_finds_the_same_state_and_goes_on() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let before = scene.open().state();
    scene.truth = scene.another();
    let after = scene.open().state();
    assert_eq!((before.head, before.sum), (after.head, after.sum));
    assert_eq!(before.roster.digest(), after.roster.digest());
    assert_eq!(before.log.applied(), after.log.applied());
    let update = scene.machines[1]
        .command(Op::Update, "client", id)
        .text("name", "Sousa");
    let bundle = scene.machines[1].write(vec![update]);
    scene.send(&[&bundle]);
    assert_eq!(code(scene.outcome(bundle.tip())), "ACCEPTED");
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}

#[test]
fn an_asker_is_spared_the_bundles_that_it_holds() {
    let mut scene = three_machines();
    a_confirmed_client(&mut scene);
    let have = scene.machines[1].log.frontier(0);
    let changes = scene.open().changes(&scene.truth, 0, &have).expect("reads");
    assert!(changes.bundles.is_empty());
    assert!(!changes.pages.is_empty());
}

#[test]
fn a_long_feed_comes_in_parts_of_bounded_size() {
    let mut scene = three_machines();
    for n in 0..12 {
        let commands = (0..40)
            .map(|k| {
                scene.machines[0]
                    .command(Op::Create, "client", entity(1 + n * 40 + k))
                    .text("name", "Silva")
                    .text("notes", &"x".repeat(5000))
            })
            .collect();
        let bundle = scene.machines[0].write(commands);
        scene.send(&[&bundle]);
    }
    let part = scene.open().changes(&scene.truth, 0, &Default::default());
    let part = part.expect("reads");
    let bytes = |packed: &[Packed]| packed.iter().map(|p| p.0.len()).sum::<usize>();
    assert!(part.more);
    assert!(bytes(&part.pages) + bytes(&part.bundles) <= ANSWER_BYTES);
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}

#[test]
fn what_no_member_signed_is_refused_and_the_rest_is_taken() {
    let mut scene = three_machines();
    let mut stranger = Machine::new(8, scene.studio);
    let create = stranger
        .command(Op::Create, "client", entity(1))
        .text("name", "Nobody");
    let foreign = stranger.write(vec![create]);
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(2))
        .text("name", "Silva");
    let good = scene.machines[0].write(vec![create]);
    let mut forged = packed(&good);
    let end = forged.0.len() - 1;
    forged.0[end] ^= 1;
    let request = BatchRequest {
        bundles: vec![
            packed(&foreign),
            forged,
            Packed(vec![1, 2, 3]),
            packed(&good),
        ],
        ..empty_request()
    };
    let answer = scene.open().take(&scene.truth, &request, NOON);
    let answer = answer.expect("an answer");
    let refused: Vec<u32> = answer.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, vec![0, 1, 2]);
    assert_eq!(code(scene.outcome(good.tip())), "ACCEPTED");
}

#[test]
fn a_member_that_writes_two_bundles_under_one_dot_is_refused() {
    let mut scene = three_machines();
    let mut twin = Machine::new(1, scene.studio);
    let one = scene.machines[0]
        .command(Op::Create, "client", entity(1))
        .text("name", "Silva");
    let two = twin
        .command(Op::Create, "client", entity(1))
        .text("name", "Sousa");
    let (one, two) = (scene.machines[0].write(vec![one]), twin.write(vec![two]));
    scene.send(&[&one]);
    let answer = scene.send(&[&two]);
    assert_eq!(answer.refused.len(), 1);
    assert_eq!(answer.refused[0].detail, "two bundles with one dot");
}

#[test]
fn a_truth_that_is_behind_its_own_feed_decides_nothing() {
    let mut scene = three_machines();
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(1))
        .text("name", "Silva");
    let bundle = scene.machines[0].write(vec![create]);
    let request = BatchRequest {
        since: 4711,
        bundles: vec![packed(&bundle)],
        ..empty_request()
    };
    let refused = scene.open().take(&scene.truth, &request, NOON);
    assert!(matches!(
        refused,
        Err(BatchError::Behind {
            held: 1,
            asked: 4711
        })
    ));
    assert_eq!(scene.open().state().head.0, 1);
}

#[test]
fn two_studios_never_mix() {
    let mut scene = three_machines();
    let (other, root) = (StudioId([6; 16]), SecretKey::from_seed([8; 32]));
    scene.truth.enrol(&enrolment(other, &root)).expect("enrols");
    a_confirmed_client(&mut scene);
    let theirs = scene.truth.studio(other).expect("reads").expect("enrolled");
    assert_eq!(theirs.state().head.0, 1, "only its genesis");
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(3))
        .text("name", "Silva");
    let request = BatchRequest {
        bundles: vec![packed(&scene.machines[0].write(vec![create]))],
        roster: scene.records(),
        policies: Vec::new(),
        ..empty_request()
    };
    let answer = theirs
        .take(&scene.truth, &request, NOON)
        .expect("an answer");
    assert_eq!(answer.refused.len(), 1);
    assert_eq!(theirs.state().head.0, 1);
    assert_eq!(theirs.state().roster.members().count(), 0);
}

#[test]
fn gateways_hear_of_each_other() {
    let scene = three_machines();
    let status = |device: u8, term: u64, at: i64| {
        let request = BatchRequest {
            device: DeviceId([device; 16]),
            term: Some(term),
            ..empty_request()
        };
        let at = studiovault_protocol::time::WallMs(NOON.0 + at);
        let answer = scene.open().take(&scene.truth, &request, at);
        answer.expect("an answer").gateway
    };
    assert_eq!(status(1, 1, 100_000), GatewayStatus::Only);
    assert_eq!(status(2, 2, 110_000), GatewayStatus::Shared);
    assert_eq!(status(1, 1, 120_000), GatewayStatus::Stale);
    assert_eq!(status(2, 2, 400_000), GatewayStatus::Only);
}

#[test]
fn the_feed_begins_with_its_genesis() {
    let scene = three_machines();
    let changes = scene.whole_feed();
    let page = Page::decode(&changes.pages[0].0[..]).expect("a page");
    assert_eq!(
        page.body().entries,
        vec![studiovault_protocol::feed::Entry::Genesis(Vec::new())]
    );
    assert_eq!(page.body().first, 1);
}
