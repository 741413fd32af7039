//! The exchange and the invite, from both sides and from a guesser's.

use super::*;
use crate::id::{DeviceId, Hash, StudioId};
use crate::keys::SecretKey;
use crate::time::MonoMs;

const STUDIO: StudioId = StudioId([7; 16]);

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn code(n: u8) -> Code {
    Code::from_random([42, n, 20, 30])
}

fn host(name: &str) -> Host {
    Host {
        studio: STUDIO,
        studio_name: "Silva".into(),
        device: DeviceId([2; 16]),
        key: key(2).public(),
        name: name.into(),
    }
}

fn joiner(code: &Code) -> (Offered, Message) {
    let own = (DeviceId([1; 16]), key(1), "laptop".to_owned());
    Offered::begin(code, own, [3; 32])
}

/// The exchange up to the proof: what the inviter makes of it.
fn proof(shown: &Code, typed: &Code) -> (Proved, Result<(Checking, Message), PairingError>) {
    let (offered, offer) = joiner(typed);
    let (answered, answer) =
        Answered::begin(shown, &offer, host("front-desk"), [4; 32]).expect("one plate");
    let Message::Answer { half, commitment } = answer else {
        unreachable!("an answer")
    };
    let (proved, proof) = offered.handle_answer(&half, commitment).expect("a half");
    let outcome = answered.handle_proof(&proof, &key(2));
    (proved, outcome)
}

fn welcome() -> Welcome {
    Welcome {
        root: key(9).public(),
        mesh_key: [5; 32],
        discovery_key: [6; 32],
        time_zone: "UTC".into(),
        currency: "EUR".into(),
        cloud: None,
        records: Vec::new(),
        port: 4000,
    }
}

#[test]
fn both_sides_come_to_the_same_words_and_the_welcome_is_theirs_alone() {
    let (proved, outcome) = proof(&code(1), &code(1));
    let (checking, reply) = outcome.expect("the code is right");
    let Message::Reply { confirm, sealed } = reply else {
        unreachable!("a reply")
    };
    let greeted = proved.handle_reply(confirm, &sealed).expect("confirmed");
    assert_eq!(greeted.check, checking.check);
    assert!(checking.says(&greeted.check.to_uppercase().replace('-', "  ")));
    assert!(!checking.says("acorn-acorn") && !checking.says(""));
    assert_eq!(greeted.host.studio, STUDIO);
    assert_eq!(checking.applicant.key, key(1).public());
    let Message::Welcome(mut sealed) = checking.welcome(&welcome()) else {
        unreachable!("a welcome")
    };
    assert!(greeted.handle_welcome(&sealed) == Ok(welcome()));
    assert!(!sealed.windows(32).any(|bytes| bytes == [5; 32]));
    sealed[3] ^= 1;
    assert!(greeted.handle_welcome(&sealed).is_err());
}

#[test]
fn a_wrong_code_is_found_out_by_the_inviter_and_tells_the_guesser_nothing() {
    let (_, outcome) = proof(&code(1), &code(2));
    assert_eq!(outcome.err(), Some(PairingError::WrongCode));
    let (_, offer) = joiner(&Code::from_random([43, 1, 20, 30]));
    let other_plate = Answered::begin(&code(1), &offer, host("front-desk"), [4; 32]);
    assert_eq!(other_plate.err(), Some(PairingError::Malformed));
}

#[test]
fn whoever_speaks_for_the_wrong_side_gets_nowhere() {
    let (offered, offer) = joiner(&code(1));
    let Message::Offer { half, .. } = &offer else {
        unreachable!("an offer")
    };
    // Its own half thrown back at it.
    let (mirrored, _) = joiner(&code(1));
    assert!(mirrored.handle_answer(half, Hash::of(b"")).is_err());
    assert!(offered.handle_answer(b"", Hash::of(b"")).is_err());
    let (answered, _) =
        Answered::begin(&code(1), &offer, host("front-desk"), [4; 32]).expect("begins");
    let wrong = answered.handle_proof(&Message::Kept, &key(2));
    assert_eq!(wrong.err(), Some(PairingError::Malformed));
    // An inviter that does not know the code cannot pass for one that does.
    let (proved, _) = proof(&code(1), &code(1));
    let sealed = vec![0; 40];
    let forged = proved.handle_reply([0; 32], &sealed);
    assert_eq!(forged.err(), Some(PairingError::WrongCode));
}

#[test]
fn somebody_in_the_middle_gives_the_two_sides_different_words() {
    // Even one who knows the code: two exchanges, two transcripts.
    let words = |seed: u8| {
        let own = (DeviceId([1; 16]), key(1), "laptop".to_owned());
        let (_, offer) = Offered::begin(&code(1), own, [seed; 32]);
        let (offered, _) = Offered::begin(
            &code(1),
            (DeviceId([1; 16]), key(1), "laptop".to_owned()),
            [seed; 32],
        );
        let (answered, answer) =
            Answered::begin(&code(1), &offer, host("front-desk"), [seed; 32]).expect("begins");
        let Message::Answer { half, commitment } = answer else {
            unreachable!("an answer")
        };
        let (_, proof) = offered.handle_answer(&half, commitment).expect("a half");
        let checking = answered.handle_proof(&proof, &key(2));
        checking.expect("the code is right").0.check
    };
    assert_ne!(words(3), words(4));
}

fn an_invite() -> Invite {
    Invite::open(code(1), MonoMs(0))
}

#[test]
fn every_miss_mints_new_words_and_three_close_the_invite() {
    let mut invite = an_invite();
    for miss in 1..=MISSES {
        let (before, round) = invite.offered(MonoMs(1)).expect("open");
        assert_eq!(invite.hears(round, MonoMs(1)), Ok(()));
        invite.missed([miss, 0, 0]);
        assert_eq!(invite.misses_left(), MISSES - miss);
        match invite.code() {
            Some(code) => {
                assert_ne!(*code, before);
                assert_eq!(code.plate(), before.plate());
                // What was answered under the old words tells nobody anything more.
                assert_eq!(invite.hears(round, MonoMs(1)), Err(TurnedAway::Stale));
            }
            None => assert_eq!(miss, MISSES),
        }
    }
    assert_eq!(invite.closed(), Some(Closed::Missed));
    assert_eq!(invite.offered(MonoMs(1)).err(), Some(TurnedAway::Closed));
}

#[test]
fn however_many_guess_at_once_an_invite_hears_three() {
    let mut invite = an_invite();
    let rounds: Vec<u32> = (0..OFFERS)
        .map(|_| invite.offered(MonoMs(1)).expect("open").1)
        .collect();
    let heard = rounds.into_iter().filter(|round| {
        let heard = invite.hears(*round, MonoMs(1)).is_ok();
        if heard {
            invite.missed([9, 9, 9]);
        }
        heard
    });
    assert_eq!(heard.count(), 1);
    let mut flooded = an_invite();
    for _ in 0..OFFERS {
        assert!(flooded.offered(MonoMs(1)).is_ok());
    }
    assert!(flooded.offered(MonoMs(1)).is_err());
    assert_eq!(flooded.closed(), Some(Closed::Missed));
}

#[test]
fn an_invite_expires_and_is_taken_back_and_both_are_final() {
    let mut invite = an_invite();
    let (_, round) = invite.offered(MonoMs(1)).expect("open");
    invite.proved();
    assert_eq!(invite.offered(MonoMs(2)).err(), Some(TurnedAway::Busy));
    invite.tick(MonoMs(INVITE_MS));
    assert_eq!(invite.closed(), Some(Closed::Expired));
    assert!(invite.hears(round, MonoMs(INVITE_MS)).is_err());
    invite.admitted();
    assert_eq!(invite.closed(), Some(Closed::Expired));
    let mut other = an_invite();
    other.withdraw();
    other.missed([0; 3]);
    assert_eq!(other.closed(), Some(Closed::Withdrawn));
}

#[test]
fn who_leaves_while_words_are_compared_costs_no_miss_and_wrong_words_cost_one() {
    let mut invite = an_invite();
    invite.proved();
    invite.left([1, 1, 1]);
    assert_eq!(
        (invite.misses_left(), invite.is_checking()),
        (MISSES, false)
    );
    invite.proved();
    invite.missed([2, 2, 2]);
    assert_eq!(
        (invite.misses_left(), invite.is_checking()),
        (MISSES - 1, false)
    );
    invite.proved();
    invite.admitted();
    assert_eq!(invite.closed(), Some(Closed::Admitted));
}
