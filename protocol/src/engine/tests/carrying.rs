//! Who carries to the cloud when the gateway does not, and whose word about the cloud is believed.

use super::*;
use crate::cloud::Changes;
use crate::event::{OrderKind, UplinkFailure};
use crate::fault::FaultKind;
use crate::feed::{Entry, Page, PageBody};
use crate::id::Author;
use crate::limits::ESCAPE_MS;
use crate::wire::Packed;

/// The cloud truth's device.
const CLOUD: u8 = 9;

fn cloud_record() -> Box<SignedRecord> {
    let record = grant_of(CLOUD, STUDIO, &root());
    let mut grant = record.grant().expect("a grant").clone();
    grant.role = Role::Cloud;
    Box::new(SignedRecord::by_root(STUDIO, grant, &root()))
}

/// The cloud's answer to what a carrier asks before it carries.
fn nothing_new() -> Input {
    Input::Uplink(UplinkEvent::Changed(Box::default()))
}

/// Two linked machines that both reach a cloud truth, one of them its gateway. Who is not comes second.
fn gateway_and_other() -> (Room, usize, usize) {
    let mut room = Room::new(2);
    for at in 0..2 {
        room.give(at, Input::Record(cloud_record()));
        room.give(at, Input::Uplink(UplinkEvent::Probed { head: None }));
    }
    room.link(0, 1);
    room.settle();
    room.pass(5_000);
    let gateways: Vec<bool> = room
        .engines
        .iter()
        .map(|engine| engine.election.is_gateway())
        .collect();
    let (gateway, other) = match gateways[..] {
        [true, false] => (0, 1),
        [false, true] => (1, 0),
        _ => panic!("one gateway, not {gateways:?}"),
    };
    room.give(gateway, nothing_new());
    (room, gateway, other)
}

impl Room {
    fn carries(&self, at: usize) -> bool {
        let batch =
            |(by, order): &(usize, Order)| *by == at && matches!(order, Order::Batch { .. });
        self.orders.iter().any(batch)
    }
}

#[test]
fn a_machine_whose_gateway_brings_nothing_to_the_cloud_carries_by_itself_after_30_s() {
    let (mut room, gateway, other) = gateway_and_other();
    room.give(other, a_write(1));
    room.settle();
    room.pass(ESCAPE_MS - 1_000);
    assert!(room.carries(gateway), "its batch is never answered");
    assert!(!room.carries(other), "the gateway has time until then");
    room.pass(1_500);
    room.give(other, nothing_new());
    room.pass(500);
    assert!(room.carries(other));
}

#[test]
fn a_page_of_the_feed_is_believed_with_the_clouds_signature_and_no_other() {
    let body = PageBody {
        studio: STUDIO,
        author: Author {
            device: device(CLOUD),
            epoch: Epoch(1),
        },
        first: 1,
        prev: Hash([0; 32]),
        at: WallMs(1_000_000),
        entries: vec![Entry::Genesis(Vec::new())],
    };
    let mut engine = machine(1, 101, LogIndex::default(), &[1]);
    let effects = engine.handle(at(0), Input::Record(cloud_record()));
    assert!(effects.closes.is_empty());
    let mut told = |key: &SecretKey| {
        let changes = Changes {
            pages: vec![Packed(Page::seal(body.clone(), key).bytes().to_vec())],
            head: 1,
            ..Changes::default()
        };
        let event = UplinkEvent::Changed(Box::new(changes));
        let _effects = engine.handle(at(10), Input::Uplink(event));
        engine.feed().held()
    };
    assert_eq!(told(&secret(1)), 0, "a machine of the studio signed it");
    assert_eq!(told(&secret(CLOUD)), 1);
}

#[test]
fn a_refused_sign_in_is_the_problem_until_a_token_is_taken_and_no_longer() {
    let (mut room, gateway, other) = gateway_and_other();
    let failed = |failure: UplinkFailure| {
        Input::Uplink(UplinkEvent::Failed {
            order: OrderKind::Probe,
            failure,
        })
    };
    let probed = || Input::Uplink(UplinkEvent::Probed { head: None });
    let kind = |room: &Room, at: usize| {
        let problem = room.engines[at].uplink_problem();
        problem.map(|fault| fault.kind)
    };
    let cases = [
        (UplinkFailure::Unauthorised("no".into()), FaultKind::SignIn),
        (UplinkFailure::ShutOut("gone".into()), FaultKind::ShutOut),
        (UplinkFailure::Portal("page".into()), FaultKind::Portal),
        (
            UplinkFailure::Unreachable("-".into()),
            FaultKind::Unreachable,
        ),
    ];
    for at in [gateway, other] {
        for (failure, expected) in cases.clone() {
            room.give(at, failed(failure));
            assert_eq!(kind(&room, at), Some(expected));
            room.give(at, probed());
            assert_eq!(kind(&room, at), None, "{expected:?} is over");
        }
    }
    // What the cloud did to a batch is not over by a probe, for whoever carries.
    let broken = || {
        Input::Uplink(UplinkEvent::Failed {
            order: OrderKind::Changes,
            failure: UplinkFailure::Nonsense("what".into()),
        })
    };
    room.give(gateway, broken());
    room.give(gateway, probed());
    let carries = room.engines[gateway].election.is_gateway();
    assert_eq!(kind(&room, gateway), carries.then_some(FaultKind::Cloud));
    room.give(other, broken());
    room.give(other, probed());
    assert_eq!(kind(&room, other), None);
}
