//! What a machine does among many while nothing happens, and that it still notices a link that died.

use super::*;

const MACHINES: u8 = 20;

/// One machine, the first, linked with nineteen others.
fn one_of_twenty() -> Room {
    let mut room = Room::new(MACHINES);
    for other in 1..usize::from(MACHINES) {
        room.link(0, other);
    }
    room.settle();
    room.pass(3_000);
    room
}

#[test]
fn a_machine_among_many_beats_for_all_of_them_at_once_and_less_often() {
    let mut room = one_of_twenty();
    let peers = usize::from(MACHINES) - 1;
    let mut bursts = 0;
    for _ in 0..120 {
        room.sent.clear();
        room.pass(100);
        let beats = room.sent.iter();
        let beats = beats.filter(|(by, frame)| *by == 0 && matches!(frame, Frame::Beat(_)));
        match beats.count() {
            0 => {}
            count => {
                assert_eq!(count, peers, "some of them apart");
                bursts += 1;
            }
        }
    }
    assert!((9..=11).contains(&bursts), "{bursts} bursts in 12 s");
    room.sent.clear();
    room.pass(12_000);
    let alone = room.sent.iter();
    let alone = alone.filter(|(by, frame)| *by == 1 && matches!(frame, Frame::Beat(_)));
    let alone = alone.count();
    assert!((12..=14).contains(&alone), "{alone} of one with one peer");
}

#[test]
fn a_link_that_died_among_many_is_noticed_within_three_seconds() {
    let mut room = one_of_twenty();
    let mut ends = room.ends.iter();
    let silent = ends.find(|(_, (to, _))| *to == 0);
    let silent = *silent.expect("a link to the first").0;
    room.dead.push(silent);
    room.pass(2_900);
    let linked = room.engines[0].sessions().count();
    assert_eq!(linked, usize::from(MACHINES) - 2, "{:?}", room.closed);
    room.pass(10_000);
    let linked = room.engines[0].sessions().count();
    assert_eq!(linked, usize::from(MACHINES) - 2, "no other went with it");
}

#[test]
fn moves_are_counted_when_a_peer_holds_something_else_and_not_by_beats() {
    let mut room = Room::new(2);
    room.link(0, 1);
    room.settle();
    room.give(0, a_write(1));
    room.settle();
    room.pass(3_000);
    let before = room.engines[0].moves();
    room.pass(5_000);
    assert_eq!(room.engines[0].moves(), before);
    room.give(0, a_write(2));
    room.settle();
    room.pass(3_000);
    assert!(room.engines[0].moves() > before, "the other holds it now");
}
