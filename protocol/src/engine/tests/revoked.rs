//! Who no longer belongs gets no further than the hello, on every link and at once; what it wrote is still held and passed on.

use super::*;
use crate::membership::{Act, Cut, SignedRecord};

fn revoked(n: u8) -> Input {
    let cut = Cut {
        device: device(n),
        stands: Vec::new(),
        keeps: Vec::new(),
        at: WallMs(0),
    };
    Input::Record(Box::new(SignedRecord::by_root(
        STUDIO,
        Act::Revoke(cut),
        &root(),
    )))
}

#[test]
fn a_revoked_machine_is_told_so_and_cut_on_open_links_and_new_ones() {
    let mut room = Room::new(3);
    room.link(0, 1);
    room.link(1, 2);
    room.settle();
    // The revocation is signed two links away from the machine that it shuts out.
    room.give(0, revoked(3));
    room.settle();
    assert_eq!(room.engines[2].sessions().count(), 0, "{:?}", room.closed);
    let told = |room: &Room| room.closed.iter().any(|why| why.contains("shut out"));
    assert!(told(&room), "{:?}", room.closed);
    room.closed.clear();
    room.link(2, 0);
    room.settle();
    assert_eq!(room.engines[2].sessions().count(), 0);
    assert!(told(&room), "{:?}", room.closed);
    assert_eq!(room.engines[0].sessions().count(), 1, "the others stay");
}

#[test]
fn rosters_that_grew_apart_come_together_on_an_open_link() {
    let mut room = Room::new(2);
    room.link(0, 1);
    room.settle();
    // As if the frame that told of it was lost.
    let Input::Record(record) = revoked(9) else {
        unreachable!("a record")
    };
    let _ = room.engines[0].handle(at(room.now), Input::Record(record));
    room.pass(5_000);
    let digests = [0, 1].map(|at| room.engines[at].roster().digest());
    assert_eq!(digests[0], digests[1]);
}
