//! Snapshots from machine to machine: who is told of one, who is asked, and what of what comes is believed.

use super::*;
use crate::event::Wanted;
use crate::wire::{Offer, SNAPSHOTS};

const OFFER: Offer = Offer {
    id: Hash([3; 32]),
    position: 300,
    manifest: 100,
};

/// A chunk of three pieces.
fn a_chunk() -> Vec<u8> {
    (0..limits::PIECE_BYTES * 2 + 5)
        .map(|at| (at % 251) as u8)
        .collect()
}

fn wanted(chunk: &[u8]) -> Wanted {
    Wanted {
        ticket: 0,
        object: Hash::of(chunk),
        most: chunk.len() as u32,
    }
}

/// So many machines that hold a snapshot, and one more, the last, that is linked with all of them.
fn holders(count: u8) -> Room {
    let mut room = Room::new(count + 1);
    let asker = usize::from(count);
    for at in 0..asker {
        room.give(at, Input::Offer(Some(OFFER)));
        room.link(at, asker);
    }
    room.settle();
    room
}

/// What became of an object: what the asker said of it, once everybody gave `chunk` by pieces.
struct Told {
    bytes: Option<Arc<[u8]>>,
    faults: usize,
    questions: Vec<usize>,
}

/// Asks for an object; `gives` says what a machine has of it.
fn obtain<'a>(room: &mut Room, wanted: Wanted, gives: impl Fn(usize) -> &'a [u8]) -> Told {
    let asker = room.engines.len() - 1;
    let mut told = Told {
        bytes: None,
        faults: 0,
        questions: Vec::new(),
    };
    let mut effects = vec![room.engines[asker].handle(at(room.now), Input::Obtain(wanted))];
    while let Some(mut fx) = effects.pop() {
        for notice in std::mem::take(&mut fx.notices) {
            match notice {
                Notice::Obtained { bytes, .. } => {
                    told.bytes = bytes;
                    return told;
                }
                Notice::Fault(_) => told.faults += 1,
                _ => {}
            }
        }
        for (link, frame) in std::mem::take(&mut fx.sends) {
            let Frame::WantPiece { object, from } = frame else {
                continue;
            };
            let (to, their) = room.ends[&link];
            let asked = Input::Frame {
                link: their,
                frame: Box::new(Frame::WantPiece { object, from }),
            };
            let read = room.engines[to].handle(at(room.now), asked).pieces;
            assert_eq!((read[0].object, read[0].from), (object, from));
            told.questions.push(to);
            let bytes = gives(to);
            let end = bytes.len().min(from as usize + limits::PIECE_BYTES);
            let piece = Frame::Piece {
                object,
                length: bytes.len() as u32,
                from,
                bytes: Packed(bytes[from as usize..end].to_vec()),
            };
            let frame = Box::new(piece);
            effects.push(room.engines[asker].handle(at(room.now), Input::Frame { link, frame }));
        }
    }
    told
}

#[test]
fn a_chunk_comes_in_pieces_and_each_from_another_peer() {
    let (mut room, chunk) = (holders(2), a_chunk());
    let told = obtain(&mut room, wanted(&chunk), |_| &chunk);
    assert_eq!(told.bytes.as_deref(), Some(&chunk[..]));
    assert_eq!(told.questions.len(), 3);
    let next = Wanted {
        ticket: 1,
        ..wanted(&chunk)
    };
    let other = obtain(&mut room, next, |_| &chunk);
    assert_ne!(other.questions[0], told.questions[0]);
}

#[test]
fn what_is_not_what_it_was_asked_for_by_is_a_fault_and_asked_of_the_next_peer() {
    let (mut room, chunk) = (holders(2), a_chunk());
    let mut bent = chunk.clone();
    bent[7] ^= 1;
    let liar = obtain(&mut room, wanted(&chunk), |_| &chunk).questions[0];
    let told = obtain(&mut room, wanted(&chunk), |at| {
        if at == liar { &bent } else { &chunk }
    });
    assert_eq!((told.bytes.as_deref(), told.faults), (Some(&chunk[..]), 1));
    let told = obtain(&mut room, wanted(&chunk), |_| &bent);
    assert_eq!((told.bytes, told.faults), (None, 2));
    let long = [&chunk[..], &[0]].concat();
    let told = obtain(&mut room, wanted(&chunk), |_| &long);
    assert_eq!(
        (told.bytes, told.questions.len()),
        (None, 2),
        "no byte beyond what was asked for"
    );
    let told = obtain(&mut room, wanted(&chunk), |_| &[]);
    assert_eq!(
        (told.bytes, told.faults),
        (None, 0),
        "who lacks it is no liar"
    );
}

#[test]
fn a_peer_that_gives_nothing_more_is_left_for_the_next_one() {
    let (mut room, chunk) = (holders(2), a_chunk());
    let fx = room.engines[2].handle(at(room.now), Input::Obtain(wanted(&chunk)));
    let first = fx.sends[0].0;
    // The others are heard meanwhile, so only the transfer stalls.
    room.pass(limits::TRANSFER_STALL_MS - 200);
    let asked = |room: &Room| room.count(|frame| matches!(frame, Frame::WantPiece { .. }));
    assert_eq!(asked(&room), 0);
    room.pass(400);
    assert_eq!(asked(&room), 1);
    assert!(room.ends.contains_key(&first), "its link stays");
}

#[test]
fn who_speaks_the_protocol_before_snapshots_meshes_and_is_told_nothing_of_them() {
    let mut room = Room::new(2);
    room.give(0, Input::Offer(Some(OFFER)));
    room.link(0, 1);
    for (to, _, frame) in &mut room.mail {
        if let (0, Frame::Hello(hello)) = (*to, frame) {
            hello.protocol = (1, SNAPSHOTS - 1);
        }
    }
    room.settle();
    room.pass(2_000);
    assert_eq!(room.engines[0].sessions().count(), 1);
    assert_eq!(room.engines[1].sessions().count(), 1);
    assert_eq!(room.count(|frame| matches!(frame, Frame::Offer(_))), 0);
}

#[test]
fn who_waits_for_a_snapshot_asks_nobody_for_logs() {
    let mut room = Room::new(2);
    room.give(0, a_write(1));
    room.engines[1].rest();
    room.link(0, 1);
    room.settle();
    room.pass(2_000);
    assert_eq!(room.count(|frame| matches!(frame, Frame::Want { .. })), 0);
    assert_eq!(room.held(1, 1), 0);
}
