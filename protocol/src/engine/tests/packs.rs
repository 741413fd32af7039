//! Parts of packs: taken in as what peers bring, and told one by one.

use super::*;
use crate::pack::{Part, Taken};
use crate::wire::Packed;

fn bundles_of(disk: &[Bundle]) -> Part {
    let packed = disk.iter().map(|bundle| Packed(bundle.bytes().to_vec()));
    Part::Bundles(packed.collect())
}

/// What a machine says of a part.
fn offer(room: &mut Room, to: usize, part: Part) -> Taken {
    let part = Box::new(part);
    let mut effects = room.engines[to].handle(at(room.now), Input::Part { ticket: 9, part });
    let told = effects
        .notices
        .iter()
        .rev()
        .find_map(|notice| match notice {
            Notice::TookPart { ticket: 9, taken } => Some(taken.clone()),
            _ => None,
        });
    let faults = effects.notices.iter();
    let mut faults = faults.filter(|notice| matches!(notice, Notice::Fault(_)));
    assert!(faults.next().is_none(), "told to whoever brought it");
    effects.notices.clear();
    room.carry_out(to, effects);
    told.expect("it is answered")
}

/// Two machines that never met, the first of which has written three times.
fn two_strangers() -> Room {
    let mut room = Room::new(2);
    (1..=3).for_each(|id| room.give(0, a_write(id)));
    room
}

#[test]
fn what_a_pack_brings_is_applied_once_and_told_as_new_or_held() {
    let mut room = two_strangers();
    let part = bundles_of(&room.disks[0].clone());
    let taken = offer(&mut room, 1, part.clone());
    assert_eq!((taken.bundles.new, taken.bundles.held), (3, 0));
    assert_eq!(room.engines[0].digest(), room.engines[1].digest());
    let again = offer(&mut room, 1, part);
    assert_eq!((again.bundles.new, again.bundles.held), (0, 3));
    assert!(again.refused.is_empty(), "{again:?}");
}

#[test]
fn what_lacks_something_before_it_is_not_kept_and_comes_in_once_that_is_there() {
    let mut room = two_strangers();
    let disk = room.disks[0].clone();
    let taken = offer(&mut room, 1, bundles_of(&disk[1..]));
    assert_eq!((taken.bundles.new, taken.bundles.waiting), (0, 2));
    let taken = offer(&mut room, 1, bundles_of(&disk));
    assert_eq!((taken.bundles.new, taken.bundles.waiting), (3, 0));
}

#[test]
fn what_is_bent_or_of_another_studio_is_refused_and_the_rest_taken() {
    let mut room = two_strangers();
    let disk = room.disks[0].clone();
    let mut bent = disk[1].bytes().to_vec();
    let last = bent.len() - 1;
    bent[last] ^= 1;
    let part = Part::Bundles(vec![
        Packed(disk[0].bytes().to_vec()),
        Packed(bent),
        Packed(b"nonsense".to_vec()),
        Packed(disk[1].bytes().to_vec()),
    ]);
    let taken = offer(&mut room, 1, part);
    assert_eq!(taken.bundles.new, 2, "{taken:?}");
    assert_eq!(taken.refused.values().sum::<u64>(), 2, "{taken:?}");
    assert_eq!(room.held(1, 1), 2);
}

#[test]
fn a_record_in_a_pack_admits_whose_bundles_come_with_it() {
    let all = [1, 2];
    let engines = vec![
        machine(1, 101, LogIndex::default(), &all),
        machine(2, 102, LogIndex::default(), &[2]),
    ];
    let mut room = Room::of(engines);
    room.give(0, a_write(1));
    let bundles = bundles_of(&room.disks[0].clone());
    let unknown = offer(&mut room, 1, bundles.clone());
    assert_eq!((unknown.bundles.new, unknown.bundles.waiting), (0, 1));
    let signed = Part::Signed {
        records: vec![
            grant_of(1, STUDIO, &root()),
            grant_of(7, STUDIO, &secret(3)),
        ],
        policies: Vec::new(),
    };
    let taken = offer(&mut room, 1, signed);
    assert_eq!(
        taken.records, 1,
        "nobody who may signed the other: {taken:?}"
    );
    assert_eq!(offer(&mut room, 1, bundles).bundles.new, 1);
}

#[test]
fn what_came_in_a_pack_goes_on_to_linked_machines() {
    let mut room = Room::new(3);
    room.give(0, a_write(1));
    room.link(1, 2);
    room.settle();
    let part = bundles_of(&room.disks[0].clone());
    offer(&mut room, 1, part);
    room.give(1, Input::Tick);
    room.settle();
    assert_eq!(room.held(2, 1), 1);
}
