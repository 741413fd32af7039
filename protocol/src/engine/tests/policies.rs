//! Policies between machines: they spread as records do, and everyone ends with the same one in force.

use super::*;
use crate::bundle::Header;
use crate::cloud::{BatchAnswer, Changes, GatewayStatus};
use crate::event::{Order, UplinkEvent};
use crate::membership::{Authority, SignedRecord};
use crate::policy::{Policy, SignedPolicy};

/// A policy of that version with a type of its own, signed on a machine.
fn a_policy(version: u32, type_name: &str) -> SignedPolicy {
    let head = format!("version = {version}");
    let text = Policy::default().text().replacen("version = 1", &head, 1);
    let text = format!("{text}\n[type.{type_name}.field]\nname = {{ kind = \"text\" }}\n");
    let policy = Policy::parse(&text).expect("a policy");
    SignedPolicy::seal(
        (STUDIO, &Authority::root(root())),
        &policy,
        (device(1), WallMs(5)),
    )
}

fn in_force(room: &Room, at: usize) -> Hash {
    room.engines[at].policies().in_force().hash()
}

fn set(room: &mut Room, at: usize, policy: &SignedPolicy) {
    room.give(at, Input::Policy(Box::new(policy.clone())));
    room.settle();
}

#[test]
fn a_policy_reaches_machines_that_its_signer_never_meets_and_those_that_come_later() {
    let mut room = Room::new(4);
    room.link(0, 1);
    room.link(1, 2);
    room.settle();
    let policy = a_policy(2, "prop");
    set(&mut room, 0, &policy);
    assert_eq!(in_force(&room, 2), policy.hash());
    assert_ne!(in_force(&room, 3), policy.hash());
    room.link(2, 3);
    room.settle();
    assert_eq!(in_force(&room, 3), policy.hash());
    room.pass(1_000);
    let differs = |at: usize| {
        let ours = room.engines[at].policies().in_force().hash().prefix();
        room.engines[at].sessions().any(|(_, s)| s.policy != ours)
    };
    assert!(!(0..4).any(differs), "beats say what is in force now");
}

#[test]
fn of_policies_set_on_both_sides_of_a_split_the_same_holds_everywhere() {
    let mut room = Room::new(4);
    room.link(0, 1);
    room.link(2, 3);
    room.settle();
    let (left, right) = (a_policy(2, "prop"), a_policy(2, "lens"));
    set(&mut room, 0, &left);
    set(&mut room, 3, &right);
    assert_ne!(in_force(&room, 1), in_force(&room, 2));
    room.link(1, 2);
    room.settle();
    let high = left.hash().max(right.hash());
    for at in 0..4 {
        assert_eq!(in_force(&room, at), high, "machine {at}");
        assert_eq!(room.engines[at].policies().documents().count(), 2);
    }
}

#[test]
fn a_policy_travels_ahead_of_the_bundles_that_rest_on_it() {
    let mut room = Room::new(2);
    let policy = a_policy(2, "prop");
    room.give(0, Input::Policy(Box::new(policy)));
    room.give(0, a_write(1));
    room.link(0, 1);
    room.settle();
    let first = |is_meant: fn(&Frame) -> bool| {
        let mut sent = room.sent.iter();
        sent.position(|(by, frame)| *by == 0 && is_meant(frame))
    };
    let policy = first(|frame| matches!(frame, Frame::Policy(_))).expect("sent");
    let bundles = first(|frame| matches!(frame, Frame::Push(_) | Frame::Block { .. }));
    assert!(bundles.is_none_or(|at| at > policy));
    assert_eq!(room.held(1, 1), 1);
}

#[test]
fn an_envelope_that_nobody_here_reads_is_passed_on_and_what_follows_it_applies() {
    let mut room = Room::new(3);
    room.link(0, 1);
    room.link(1, 2);
    room.settle();
    let author = Author {
        device: device(1),
        epoch: Epoch(101),
    };
    let header = Header {
        studio: STUDIO,
        author,
        first_counter: 1,
        prev: None,
        written_at: WallMs(7),
        actor: "ines".into(),
        saw: Vec::new(),
        together: false,
    };
    let newer = Bundle::seal_newer((2, header.clone()), (2, b"later"), &secret(1));
    let held = Bundle::decode(newer.clone()).expect("its place can be read");
    let mut next = header;
    (next.first_counter, next.prev) = (3, Some(held.hash()));
    let Input::Write(known) = a_write(9) else {
        unreachable!("a write")
    };
    let next = Bundle::seal(next, known.commands, &secret(1)).expect("small");
    let bundles = vec![Arc::from(newer), next.bytes().clone()];
    room.give(1, Input::Gossip(bundles));
    room.settle();
    room.pass(2_500);
    for at in [0, 1, 2] {
        assert_eq!(room.held(at, 1), 3, "machine {at}");
        assert!(room.engines[at].log().is_applied(author.at(3)));
    }
    assert!(room.closed.is_empty(), "{:?}", room.closed);
}

/// A gateway whose uplink works, and the orders that it has given so far.
fn a_gateway() -> (Engine, u64, Vec<Order>) {
    let mut grant = grant_of(1, STUDIO, &root())
        .grant()
        .expect("a grant")
        .clone();
    (grant.device, grant.role) = (device(50), Role::Cloud);
    let cloud = SignedRecord::by_root(STUDIO, grant, &root());
    let mut engine = machine(1, 101, LogIndex::default(), &[1]);
    let mut orders = Vec::new();
    for input in [
        Input::Record(Box::new(cloud)),
        Input::Uplink(UplinkEvent::Probed { head: None }),
    ] {
        orders.extend(engine.handle(at(0), input).orders);
    }
    let mut now = 0;
    while !engine.election().is_gateway() {
        now += 500;
        assert!(now < 20_000, "nobody else is there");
        orders.extend(engine.handle(at(now), Input::Tick).orders);
    }
    (engine, now, orders)
}

#[test]
fn the_gateway_tells_the_cloud_of_a_policy_once_also_if_nothing_else_waits() {
    let (mut engine, mut now, mut orders) = a_gateway();
    let mut batches = Vec::new();
    for round in 0..40 {
        if round == 10 {
            let policy = Input::Policy(Box::new(a_policy(2, "prop")));
            let _ = engine.handle(at(now), policy);
        }
        now += 500;
        orders.extend(engine.handle(at(now), Input::Tick).orders);
        for order in std::mem::take(&mut orders) {
            let changes = Changes::default();
            let event = match order {
                Order::Probe | Order::Tail { .. } => UplinkEvent::Probed { head: None },
                Order::Changes { .. } => UplinkEvent::Changed(Box::new(changes)),
                Order::Batch { ranges, .. } => {
                    assert!(ranges.is_empty());
                    batches.push(round);
                    UplinkEvent::Answered(Box::new(BatchAnswer {
                        changes,
                        gaps: Vec::new(),
                        refused: Vec::new(),
                        rejections: Vec::new(),
                        gateway: GatewayStatus::Only,
                    }))
                }
            };
            let _ = engine.handle(at(now), Input::Uplink(event));
        }
    }
    // The cloud held the same records at first: it answered without any.
    assert!(matches!(batches[..], [round] if round >= 10), "{batches:?}");
}

/// What is closed to the machine that joins as a guest, where it is heard of.
fn closed_to_guest(room: &Room, at: usize) -> Vec<String> {
    let closed = room.engines[at].rights().closed.get(&device(60));
    closed.into_iter().flatten().cloned().collect()
}

#[test]
fn what_is_closed_to_a_guest_follows_the_records_and_the_policies() {
    let mut room = Room::new(2);
    room.link(0, 1);
    room.settle();
    assert_eq!(closed_to_guest(&room, 1), [""; 0]);
    let mut guest = grant_of(60, STUDIO, &root())
        .grant()
        .expect("a grant")
        .clone();
    guest.role = Role::Guest;
    let record = SignedRecord::by_root(STUDIO, guest, &root());
    room.give(0, Input::Record(Box::new(record)));
    room.settle();
    assert!(closed_to_guest(&room, 1).contains(&"client".to_owned()));
    assert!(!closed_to_guest(&room, 1).contains(&"prop".to_owned()));
    set(&mut room, 0, &a_policy(2, "prop"));
    assert!(closed_to_guest(&room, 1).contains(&"prop".to_owned()));
}
