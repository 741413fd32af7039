//! A studio that gets its cloud late: what stood before the feed is accepted as it stands.

use studiovault_protocol::cloud::EnrolRequest;
use studiovault_protocol::command::Op;
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::id::StudioId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::merge::Entity;

use super::fixture::{Machine, Says, Scene, code, enrolment, entity, three_machines};

/// Machines that worked without a cloud and did not always see each other's work.
fn a_studio_with_a_past() -> (Scene, Vec<studiovault_protocol::bundle::Bundle>, Entity) {
    let mut scene = three_machines();
    let (studio, root) = (StudioId([6; 16]), SecretKey::from_seed([8; 32]));
    scene.machines = (1..=3).map(|n| Machine::new(n, studio)).collect();
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(1))
        .text("name", "Silva");
    let create = scene.machines[0].write(vec![create]);
    for at in 1..3 {
        scene.machines[at].receive(&create);
    }
    let mut rename = |at: usize, name: &str| {
        let machine = &mut scene.machines[at];
        let update = machine
            .command(Op::Update, "client", entity(1))
            .text("name", name);
        machine.write(vec![update])
    };
    let (one, two) = (rename(1, "Sousa"), rename(2, "Costa"));
    scene.machines[0].receive(&one);
    scene.machines[0].receive(&two);
    let before = scene.machines[0].entities()[&entity(1)].clone();
    let genesis = scene.machines[0].log.applied().tips().to_vec();
    let request = EnrolRequest {
        genesis,
        ..enrolment(studio, &root)
    };
    scene.cloud = scene.truth.enrol(&request).expect("enrols");
    (scene.studio, scene.root) = (studio, root);
    let records = studiovault_protocol::cloud::BatchRequest {
        roster: scene.records(),
        ..super::fixture::empty_request()
    };
    let taken = scene
        .open()
        .take(&scene.truth, &records, super::fixture::NOON);
    taken.expect("the roster is taken");
    (scene, vec![create, one, two], before)
}

#[test]
fn all_that_stood_before_the_feed_is_accepted_and_open_conflicts_stay_open() {
    let (mut scene, past, before) = a_studio_with_a_past();
    let late = scene.machines[1]
        .command(Op::Update, "client", entity(1))
        .text("phone", "1");
    let late = scene.machines[1].write(vec![late]);
    let bundles: Vec<_> = past.iter().chain([&late]).collect();
    let answer = scene.send(&bundles);
    assert!(answer.rejections.is_empty() && answer.gaps.is_empty());
    let stranger = scene.stranger();
    assert_eq!(stranger.sum(), scene.open().state().sum);
    for bundle in &past {
        let verdict = &stranger.verdicts[&bundle.tip()];
        assert_eq!(
            (verdict.position, code(scene.outcome(bundle.tip()))),
            (0, "ACCEPTED".into())
        );
    }
    assert!(stranger.verdicts[&late.tip()].position > 0);
    let after = &stranger.entities()[&entity(1)];
    let priorities = Default::default();
    assert_eq!(
        after.conflicts(&priorities).len(),
        1,
        "the question is open"
    );
    assert_eq!(
        after.value("name", &priorities),
        before.value("name", &priorities),
        "and shows what it showed"
    );
    assert!(after.is_confirmed());
}

#[test]
fn the_feed_of_a_late_cloud_begins_with_what_stood() {
    let (scene, past, _) = a_studio_with_a_past();
    let feed = scene.whole_feed();
    let first = Page::decode(&feed.pages[0].0[..]).expect("a page");
    let Entry::Genesis(upto) = &first.body().entries[0] else {
        panic!("a genesis: {:?}", first.body().entries)
    };
    let tips: Vec<_> = past
        .iter()
        .map(studiovault_protocol::bundle::Bundle::tip)
        .collect();
    assert_eq!(*upto, tips);
}
