//! Changing the key under the mesh: who may, who is told, and what a link under an earlier key serves.

use super::*;
use crate::keys::Purpose;
use crate::membership::{
    Act, Authority, Cut, Grant, KeyState, Keyring, MeshKey, Moved, Rekey, Role, Signer,
};

fn roster_of(known: &[u8]) -> Roster {
    let mut roster = Roster::new(STUDIO, root().public()).expect("a key");
    roster.extend(known.iter().map(|n| grant_of(*n, STUDIO, &root())));
    roster
}

/// The `number`th change, signed by the root key.
fn change(number: u64) -> Rekey {
    change_after(number, Vec::new())
}

/// The same, by somebody who knew of these endings.
fn change_after(number: u64, endings: Vec<Hash>) -> Rekey {
    let authority = Authority::root(root());
    let roster = roster_of(&[1, 2, 3]);
    let mut rekey = Rekey::seal((&roster, &authority), None, MeshKey([number as u8; 32]));
    (rekey.number, rekey.endings) = (number, endings);
    rekey.signature = root().sign(Purpose::Rekey, &rekey.hash());
    rekey
}

fn give(rekey: Rekey) -> Input {
    Input::Rekey(Box::new(rekey))
}

#[test]
fn the_highest_signed_change_holds_and_one_that_nobody_may_sign_does_not() {
    let mut engine = machine(1, 11, LogIndex::default(), &[1, 2, 3]);
    let high = change(3);
    for (rekey, held) in [(change(1), 1), (high.clone(), 3), (change(2), 3)] {
        let _ = engine.handle(at(1), give(rekey));
        let number = engine.keyring().rekey.as_ref().map(|held| held.number);
        assert_eq!(number, Some(held));
    }
    let mut forged = change(9);
    forged.key = MeshKey([66; 32]);
    let _ = engine.handle(at(1), give(forged));
    assert_eq!(engine.keyring().rekey, Some(high));
    assert!(
        engine.word_rekey(MeshKey([1; 32])).is_err(),
        "it is no admin"
    );
}

#[test]
fn a_change_reaches_whoever_belongs_along_a_chain_and_nobody_from_those_that_know_less() {
    let mut room = Room::new(4);
    room.link(0, 1);
    room.link(1, 2);
    room.link(1, 3);
    room.settle();
    let cut = Cut {
        device: device(4),
        stands: Vec::new(),
        keeps: Vec::new(),
        at: WallMs(0),
    };
    let shut_out = SignedRecord::by_root(STUDIO, Act::Revoke(cut), &root());
    let rekey = change_after(1, vec![shut_out.hash()]);
    let held = |room: &Room, at: usize| room.engines[at].keyring().rekey.is_some();
    // Whoever does not know that the fourth was shut out would tell it.
    room.give(0, give(rekey.clone()));
    room.settle();
    assert!((0..4).all(|at| !held(&room, at)));
    room.give(0, Input::Record(Box::new(shut_out)));
    room.give(0, give(rekey));
    room.settle();
    assert!(held(&room, 1) && held(&room, 2), "{:?}", room.closed);
    assert!(!held(&room, 3), "it does not belong");
    let moved = |room: &Room, at: usize| room.engines[at].keyring().moved.len();
    assert_eq!([0, 1, 2].map(|at| moved(&room, at)), [3, 3, 3]);
    // Whoever comes later is told at the hello.
    room.link(0, 3);
    room.settle();
    assert!(!held(&room, 3));
}

#[test]
fn halves_that_each_changed_the_key_agree_once_they_meet() {
    let mut room = Room::new(2);
    for (at, rekey) in [(0, change(1)), (1, change(2))] {
        room.give(at, give(rekey));
    }
    room.link(0, 1);
    room.settle();
    let keys = [0, 1].map(|at| room.engines[at].keyring().rekey.clone());
    assert_eq!(keys[0], Some(change(2)));
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn a_link_under_an_earlier_key_serves_roster_and_key_alone_and_ends() {
    let mut engine = machine(1, 11, LogIndex::default(), &[1, 2, 3]);
    let mut other = machine(2, 12, LogIndex::default(), &[1, 2, 3]);
    let link = LinkId(9);
    let greets = other.handle(
        at(2),
        Input::Opened {
            link,
            key: secret(1).public(),
        },
    );
    let (_, hello) = greets.sends.into_iter().next().expect("a hello");
    let _ = engine.handle(at(1), give(change(1)));
    let _ = engine.handle(
        at(2),
        Input::Opened {
            link,
            key: secret(2).public(),
        },
    );
    let _ = engine.handle(at(2), Input::Restrict(link));
    let say = |frame| Input::Frame {
        link,
        frame: Box::new(frame),
    };
    let fx = engine.handle(at(2), say(hello));
    let served =
        |frame: &Frame| matches!(frame, Frame::Roster(_) | Frame::Rekey(_) | Frame::Moved(_));
    assert!(
        fx.sends.iter().all(|(_, frame)| served(frame)),
        "{:?}",
        fx.sends
    );
    assert!(
        fx.sends
            .iter()
            .any(|(_, frame)| matches!(frame, Frame::Rekey(_)))
    );
    assert_eq!(engine.sessions().count(), 0, "it is no peer");
    let fx = engine.handle(at(3), say(Frame::WantFeed(0)));
    assert!(fx.pages.is_empty() && fx.sends.is_empty() && fx.closes.is_empty());
    let fx = engine.handle(at(2 + limits::EARLIER_KEY_MS), Input::Tick);
    assert_eq!(fx.closes.len(), 1, "{:?}", fx.closes);
}

#[test]
fn the_earlier_keys_are_needed_until_every_active_device_signed_that_it_moved() {
    let rekey = change(1);
    let roster = roster_of(&[1, 2, 3]);
    let mut keyring = Keyring {
        rekey: Some(rekey.clone()),
        ..Keyring::default()
    };
    for n in [1, 2, 3] {
        assert_eq!(keyring.state(&roster), KeyState::Moving, "before {n}");
        let word = Moved::seal(device(n), &rekey, &secret(n));
        assert!(word.holds(&roster));
        keyring.moved.push(word);
    }
    assert_eq!(keyring.state(&roster), KeyState::Settled);
    let forged = Moved::seal(device(2), &rekey, &secret(3));
    assert!(!forged.holds(&roster));
    let none = Keyring::default();
    assert_eq!(none.state(&roster), KeyState::Moving, "there was no change");
}

/// Three machines in a row; the first two are admins.
fn two_admins_and_a_member() -> Room {
    let mut room = Room::new(3);
    room.link(0, 1);
    room.settle();
    make_admins(&mut room);
    room
}

fn make_admins(room: &mut Room) {
    for n in [1, 2] {
        let grant = grant_of(n, STUDIO, &root()).grant().cloned();
        let grant = Grant {
            role: Role::Admin,
            version: 2,
            ..grant.expect("a grant")
        };
        let record = SignedRecord::by_root(STUDIO, grant, &root());
        room.give(0, Input::Record(Box::new(record)));
    }
    room.settle();
}

fn changed(room: &mut Room, at: usize, change: &RosterChange) {
    let record = room.engines[at].word(change, WallMs(0)).expect("it may");
    room.give(at, Input::Record(Box::new(record)));
    room.settle();
}

fn key_at(room: &Room, at: usize) -> Option<MeshKey> {
    let held = room.engines[at].keyring().rekey.as_ref();
    held.map(|rekey| rekey.key)
}

#[test]
fn the_key_that_an_admin_gave_before_it_left_reaches_who_was_away() {
    let mut room = two_admins_and_a_member();
    let key = MeshKey([5; 32]);
    let rekey = room.engines[1].word_rekey(key).expect("it is an admin");
    room.give(1, give(rekey));
    room.settle();
    changed(&mut room, 1, &RosterChange::Retire);
    room.link(0, 2);
    room.settle();
    assert_eq!(key_at(&room, 2), Some(key));
}

#[test]
fn an_admin_that_was_shut_out_cannot_keep_its_key_by_the_highest_number() {
    let mut room = two_admins_and_a_member();
    room.link(0, 2);
    room.settle();
    let last = change(limits::REKEYS - 1);
    let Some(Signer::Holder(grant)) = room.engines[1].roster().signer(device(2)) else {
        unreachable!("it is an admin")
    };
    let liar = Authority::holder(grant, secret(2));
    let roster = room.engines[1].roster().clone();
    let rekey = Rekey::seal((&roster, &liar), Some(&last), MeshKey([66; 32]));
    room.give(1, give(rekey));
    room.settle();
    assert_eq!(key_at(&room, 2), Some(MeshKey([66; 32])));
    changed(&mut room, 0, &RosterChange::Revoke(device(2)));
    let key = MeshKey([6; 32]);
    let rekey = room.engines[0].word_rekey(key).expect("it is an admin");
    room.give(0, give(rekey));
    room.settle();
    assert_eq!([0, 2].map(|at| key_at(&room, at)), [Some(key); 2]);
}

#[test]
fn whom_the_root_key_takes_back_is_told_the_key_that_was_made_without_it() {
    let mut room = two_admins_and_a_member();
    room.link(0, 2);
    room.settle();
    let gone = device(3);
    changed(&mut room, 0, &RosterChange::Revoke(gone));
    let key = MeshKey([7; 32]);
    let rekey = room.engines[0].word_rekey(key).expect("it is an admin");
    room.give(0, give(rekey));
    room.settle();
    let state = |room: &Room| room.engines[0].keyring().state(room.engines[0].roster());
    assert_eq!((state(&room), key_at(&room, 2)), (KeyState::Settled, None));
    let act = room.engines[0].roster().readmission(gone);
    let back = SignedRecord::by_root(STUDIO, act.expect("it is out"), &root());
    changed(&mut room, 0, &RosterChange::Signed(Box::new(back)));
    assert_eq!(
        state(&room),
        KeyState::Moving,
        "the key before is needed again"
    );
    room.link(0, 2);
    room.settle();
    assert_eq!(key_at(&room, 2), Some(key));
    assert_eq!(state(&room), KeyState::Settled);
}

#[test]
fn a_key_of_an_admin_that_had_been_shut_out_falls_with_its_right() {
    let mut room = two_admins_and_a_member();
    let engine = &room.engines[0];
    let cut = engine.word(&RosterChange::Revoke(device(2)), WallMs(0));
    let cut = cut.expect("it is an admin");
    // It has not heard of it, and changes the key.
    let rekey = room.engines[1].word_rekey(MeshKey([8; 32]));
    room.give(1, give(rekey.expect("it believes that it may")));
    room.settle();
    assert_eq!(key_at(&room, 0), Some(MeshKey([8; 32])));
    room.give(0, Input::Record(Box::new(cut)));
    room.settle();
    let engine = &room.engines[0];
    assert_eq!(engine.keyring().state(engine.roster()), KeyState::Unfounded);
    assert_eq!(engine.keyring().in_force(engine.roster()), None);
    assert_eq!(engine.keyring().fallen(engine.roster()), [MeshKey([8; 32])]);
}

#[test]
fn a_key_made_while_an_admission_had_fallen_reaches_the_newcomer_once_it_stands_again() {
    let known = [1, 2];
    let machines = [1, 2, 3].map(|n| machine(n, 100 + u64::from(n), LogIndex::default(), &known));
    let mut room = Room::of(machines.into());
    room.link(0, 1);
    room.settle();
    make_admins(&mut room);
    let Some(signer) = room.engines[1].authority() else {
        unreachable!("it is an admin")
    };
    let newcomer = grant_of(3, STUDIO, &root()).grant().cloned();
    let admitted = SignedRecord::seal(STUDIO, newcomer.expect("a grant"), &signer);
    // What shuts the second machine out had not heard of whom it admitted.
    let cut = room.engines[0].word(&RosterChange::Revoke(device(2)), WallMs(0));
    room.give(1, Input::Record(Box::new(admitted)));
    room.settle();
    let records: Vec<SignedRecord> = room.engines[0].roster().records().cloned().collect();
    for record in records {
        room.give(2, Input::Record(Box::new(record)));
    }
    room.give(0, Input::Record(Box::new(cut.expect("it is an admin"))));
    let key = MeshKey([9; 32]);
    let rekey = room.engines[0].word_rekey(key).expect("it is an admin");
    room.give(0, give(rekey));
    room.link(0, 2);
    room.settle();
    assert_eq!((key_at(&room, 0), key_at(&room, 2)), (Some(key), None));
    let act = room.engines[0].roster().readmission(device(2));
    let back = SignedRecord::by_root(STUDIO, act.expect("it is out"), &root());
    changed(&mut room, 0, &RosterChange::Signed(Box::new(back)));
    room.link(0, 2);
    room.settle();
    assert_eq!(key_at(&room, 2), Some(key));
}

#[test]
fn a_key_whose_endings_nobody_knows_any_more_is_not_in_force() {
    let roster = roster_of(&[1, 2, 3]);
    let keyring = Keyring {
        rekey: Some(change_after(2, vec![Hash([7; 32])])),
        before: vec![change(1)],
        ..Keyring::default()
    };
    assert_eq!(keyring.state(&roster), KeyState::Unfounded);
    assert_eq!(keyring.in_force(&roster), Some(&change(1)));
}
