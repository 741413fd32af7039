//! The rules of the roster, each by name, and the one over all: what a set of records comes to never depends on their order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::id::{Author, Epoch, Hash, StudioId};
use crate::keys::SecretKey;
use crate::time::WallMs;

const STUDIO: StudioId = StudioId([7; 16]);

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn device(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

fn place(n: u8, role: Role, version: u32) -> Grant {
    Grant {
        device: device(n),
        key: key(n).public(),
        name: format!("machine {n} v{version}"),
        role,
        priority: 0,
        gateway_preference: 0,
        version,
    }
}

fn by_root(act: impl Into<Act>) -> SignedRecord {
    SignedRecord::by_root(STUDIO, act, &key(200))
}

/// Signed by machine `n` under that grant of its.
fn by(n: u8, under: &SignedRecord, act: impl Into<Act>) -> SignedRecord {
    SignedRecord::seal(STUDIO, act, &Authority::holder(under.hash(), key(n)))
}

fn cut(n: u8, stands: &[(u64, u64)], keeps: &[&SignedRecord]) -> Cut {
    let mut keeps: Vec<Hash> = keeps.iter().map(|record| record.hash()).collect();
    keeps.sort_unstable();
    Cut {
        device: device(n),
        stands: stands.iter().map(|(e, c)| (Epoch(*e), *c)).collect(),
        keeps,
        at: WallMs(0),
    }
}

fn roster(records: &[&SignedRecord]) -> Roster {
    let mut roster = Roster::new(STUDIO, key(200).public()).expect("a key");
    for record in records {
        roster.insert((*record).clone()).expect("is taken");
    }
    roster
}

fn stands(roster: &Roster, n: u8) -> Option<(Role, Standing)> {
    let member = roster.member(device(n))?;
    Some((member.grant.role, member.standing))
}

fn counts(roster: &Roster, n: u8, epoch: u64, counter: u64) -> bool {
    let author = Author {
        device: device(n),
        epoch: Epoch(epoch),
    };
    roster.cuts().stands(author.at(counter))
}

#[test]
fn an_admin_admits_and_a_member_does_not() {
    let one = by_root(place(1, Role::Admin, 1));
    let two = by(1, &one, place(2, Role::Member, 1));
    let held = roster(&[&one, &two]);
    assert_eq!(stands(&held, 2), Some((Role::Member, Standing::Active)));
    let mut held = held;
    let three = by(2, &two, place(3, Role::Member, 1));
    assert_eq!(held.insert(three), Err(RecordError::NoRight));
    let forged = by(9, &one, place(3, Role::Member, 1));
    assert_eq!(held.insert(forged), Err(RecordError::BadSignature));
    let early = by(
        4,
        &by_root(place(4, Role::Admin, 1)),
        place(5, Role::Member, 1),
    );
    assert_eq!(held.insert(early), Err(RecordError::Unfounded));
    let retake = by(1, &one, Act::Readmit(place(2, Role::Admin, 2), Vec::new()));
    assert_eq!(held.insert(retake), Err(RecordError::NoRight));
    assert_eq!(held.chain_of(device(2)), vec![one, two]);
}

#[test]
fn of_concurrent_grants_the_highest_version_and_hash_holds() {
    let one = by_root(place(1, Role::Admin, 1));
    let early = by(1, &one, place(2, Role::Member, 1));
    let late = by(1, &one, place(2, Role::Guest, 2));
    let rival = by_root(place(2, Role::Member, 2));
    let high = if late.hash() > rival.hash() {
        &late
    } else {
        &rival
    };
    for order in [[&early, &late, &rival], [&rival, &late, &early]] {
        let mut held = roster(&[&one]);
        held.extend(order.into_iter().cloned());
        let member = held.member(device(2)).expect("is held");
        assert_eq!(member.record, high.hash());
    }
}

#[test]
fn a_revocation_cuts_the_log_and_what_its_device_signed() {
    let one = by_root(place(1, Role::Admin, 1));
    let two = by(1, &one, place(2, Role::Admin, 1));
    let kept = by(2, &two, place(3, Role::Member, 1));
    let revoked = by(1, &one, Act::Revoke(cut(2, &[(5, 40)], &[&kept])));
    // Signed after the fact by a thief, and dated back as far as it likes.
    let stolen = by(2, &two, place(4, Role::Admin, 1));
    let next = by(4, &stolen, place(5, Role::Member, 1));
    for order in [
        [&two, &kept, &revoked, &stolen, &next],
        [&two, &stolen, &next, &revoked, &kept],
    ] {
        let mut held = roster(&[&one]);
        held.extend(order.into_iter().cloned());
        assert_eq!(stands(&held, 2), Some((Role::Admin, Standing::Revoked)));
        assert_eq!(stands(&held, 3), Some((Role::Member, Standing::Active)));
        assert_eq!(stands(&held, 4), Some((Role::Admin, Standing::Void)));
        assert_eq!(stands(&held, 5), Some((Role::Member, Standing::Void)));
        assert!(counts(&held, 2, 5, 40) && !counts(&held, 2, 5, 41));
        assert!(
            !counts(&held, 2, 6, 1),
            "an epoch that the cut does not name"
        );
        assert!(!counts(&held, 4, 1, 1) && counts(&held, 3, 1, 1));
        assert_eq!(held.signer(device(2)), None);
    }
}

#[test]
fn however_long_a_chain_is_its_end_can_still_shut_a_machine_out() {
    let mut last = by_root(place(1, Role::Admin, 1));
    let mut held = roster(&[&last]);
    held.insert(by_root(place(2, Role::Member, 1)))
        .expect("is taken");
    let mut version = 2;
    let refused = loop {
        let next = by(1, &last, place(1, Role::Admin, version));
        match held.insert(next.clone()) {
            Ok(_) => last = next,
            Err(refused) => break refused,
        }
        version += 1;
        assert!(version < 100, "chains are bounded");
    };
    assert_eq!(refused, RecordError::NoRight);
    let revoked = by(1, &last, Act::Revoke(cut(2, &[], &[])));
    assert_eq!(held.insert(revoked), Ok(true));
    assert_eq!(stands(&held, 2), Some((Role::Member, Standing::Revoked)));
}

#[test]
fn of_concurrent_cuts_the_lowest_holds_author_by_author() {
    let (one, other) = (
        by_root(place(1, Role::Admin, 1)),
        by_root(place(3, Role::Admin, 1)),
    );
    let two = by_root(place(2, Role::Member, 1));
    let first = by(1, &one, Act::Revoke(cut(2, &[(5, 40), (6, 9)], &[])));
    let second = by(3, &other, Act::Revoke(cut(2, &[(5, 30), (7, 2)], &[])));
    let held = roster(&[&one, &other, &two, &first, &second]);
    assert!(counts(&held, 2, 5, 30) && !counts(&held, 2, 5, 31));
    assert!(!counts(&held, 2, 6, 1) && !counts(&held, 2, 7, 1));
}

#[test]
fn mutual_revocations_both_hold_and_the_root_key_readmits() {
    let (one, two) = (
        by_root(place(1, Role::Admin, 1)),
        by_root(place(2, Role::Admin, 1)),
    );
    let strikes = by(1, &one, Act::Revoke(cut(2, &[(1, 5)], &[])));
    let back = by(2, &two, Act::Revoke(cut(1, &[(1, 5)], &[])));
    for order in [[&strikes, &back], [&back, &strikes]] {
        let mut held = roster(&[&one, &two, order[0], order[1]]);
        assert_eq!(stands(&held, 1), Some((Role::Admin, Standing::Revoked)));
        assert_eq!(stands(&held, 2), Some((Role::Admin, Standing::Revoked)));
        // A higher version alone brings nobody back, whoever signs it.
        held.insert(by_root(place(1, Role::Admin, 2)))
            .expect("taken");
        assert_eq!(stands(&held, 1), Some((Role::Admin, Standing::Revoked)));
        let lifts = Act::Readmit(place(1, Role::Admin, 3), vec![back.hash()]);
        held.insert(by_root(lifts)).expect("taken");
        assert_eq!(stands(&held, 1), Some((Role::Admin, Standing::Active)));
        assert_eq!(stands(&held, 2), Some((Role::Admin, Standing::Revoked)));
        assert!(counts(&held, 1, 1, 6));
    }
}

#[test]
fn a_lowered_admin_signs_nothing_more_and_what_it_signed_stands() {
    let one = by_root(place(1, Role::Admin, 1));
    let two = by(1, &one, place(2, Role::Admin, 1));
    let kept = by(2, &two, place(3, Role::Member, 1));
    let lower = Act::Lower(place(2, Role::Member, 2), vec![kept.hash()]);
    let lowered = by(1, &one, lower);
    let late = by(2, &two, place(4, Role::Member, 1));
    let mut held = roster(&[&one, &two, &kept, &lowered, &late]);
    assert_eq!(stands(&held, 2), Some((Role::Member, Standing::Active)));
    assert_eq!(stands(&held, 3), Some((Role::Member, Standing::Active)));
    assert_eq!(stands(&held, 4), Some((Role::Member, Standing::Void)));
    assert_eq!(held.signer(device(2)), None);
    // Raised again, it signs under its new grant.
    let raised = by(1, &one, place(2, Role::Admin, 3));
    let again = by(2, &raised, place(4, Role::Member, 2));
    held.extend([raised, again]);
    assert_eq!(stands(&held, 4), Some((Role::Member, Standing::Active)));
}

#[test]
fn admins_that_lower_each_other_are_both_members() {
    let (one, two) = (
        by_root(place(1, Role::Admin, 1)),
        by_root(place(2, Role::Admin, 1)),
    );
    let forth = by(1, &one, Act::Lower(place(2, Role::Member, 2), Vec::new()));
    let back = by(2, &two, Act::Lower(place(1, Role::Member, 2), Vec::new()));
    let held = roster(&[&one, &two, &forth, &back]);
    for n in [1, 2] {
        assert_eq!(stands(&held, n), Some((Role::Member, Standing::Active)));
    }
}

#[test]
fn a_device_retires_itself_and_nobody_else() {
    let one = by_root(place(1, Role::Admin, 1));
    let two = by(1, &one, place(2, Role::Member, 1));
    let mut held = roster(&[&one, &two]);
    let other = by(2, &two, Act::Retire(cut(1, &[], &[])));
    assert_eq!(held.insert(other), Err(RecordError::NoRight));
    held.insert(by(2, &two, Act::Retire(cut(2, &[(3, 9)], &[]))))
        .expect("taken");
    assert_eq!(stands(&held, 2), Some((Role::Member, Standing::Retired)));
    assert!(counts(&held, 2, 3, 9) && !counts(&held, 2, 3, 10));
}

#[test]
fn no_flood_of_grants_keeps_a_revocation_out() {
    let one = by_root(place(1, Role::Admin, 1));
    let mut held = roster(&[&one]);
    let flood = (2..=crate::limits::ROSTER_RECORDS as u32)
        .map(|version| by(1, &one, place(2, Role::Member, version)));
    held.extend(flood);
    let next = by_root(place(3, Role::Member, 1));
    assert_eq!(held.insert(next), Err(RecordError::Full));
    held.insert(by_root(Act::Revoke(cut(1, &[], &[]))))
        .expect("there is room for it");
    assert_eq!(stands(&held, 1), Some((Role::Admin, Standing::Revoked)));
    assert_eq!(stands(&held, 2), Some((Role::Member, Standing::Void)));
}

/// What a roster says, for comparison.
fn said(roster: &Roster) -> (BTreeMap<DeviceId, (Hash, Role, Standing)>, Cuts, Hash) {
    let members = roster.members().map(|member| {
        let said = (member.record, member.grant.role, member.standing);
        (member.grant.device, said)
    });
    (members.collect(), roster.cuts().clone(), roster.digest())
}

/// Records of a studio whose people do all that they can: each step signs one under something that came before.
fn a_history(steps: &[(u8, u8, u8, u8)]) -> Vec<SignedRecord> {
    let mut records = vec![by_root(place(1, Role::Admin, 1))];
    for (version, (signer, under, target, what)) in (2u32..).zip(steps) {
        let target = target % 4 + 1;
        let role = [Role::Admin, Role::Member, Role::Guest][usize::from(what / 7) % 3];
        let keeps: Vec<&SignedRecord> = records.iter().skip(usize::from(*what) % 3).collect();
        let some: Vec<&SignedRecord> = keeps.into_iter().step_by(2).collect();
        let epoch = u64::from(what % 3);
        let mut hashes: Vec<Hash> = some.iter().map(|record| record.hash()).collect();
        hashes.sort_unstable();
        let act = match what % 6 {
            0..=2 => Act::Grant(place(target, role, version / 2)),
            3 => Act::Lower(place(target, Role::Member, version / 2), hashes.clone()),
            4 => Act::Revoke(cut(target, &[(epoch, u64::from(*what))], &some)),
            _ => Act::Retire(cut(target, &[(epoch, 3)], &some)),
        };
        let grants: Vec<&SignedRecord> = records.iter().filter(|r| r.grant().is_some()).collect();
        let under = grants[usize::from(*under) % grants.len()];
        let holder = under.grant().expect("a grant").device.0[0];
        let record = match signer % 5 {
            0 => match act {
                Act::Grant(grant) => by_root(Act::Readmit(grant, hashes)),
                act => by_root(act),
            },
            _ => by(holder, under, act),
        };
        records.push(record);
    }
    records
}

proptest! {
    #[test]
    fn what_a_roster_says_depends_on_the_set_alone(
        steps in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..24),
        seed in any::<u64>(),
    ) {
        let mut forth = roster(&[]);
        forth.extend(a_history(&steps));
        let records: Vec<SignedRecord> = forth.records().cloned().collect();
        let mut shuffled = records.clone();
        shuffled.sort_by_key(|record| {
            let mut bytes = record.hash().0.to_vec();
            bytes.extend(seed.to_le_bytes());
            Hash::of(&bytes)
        });
        let mut back = roster(&[]);
        // Whoever gets a record before those that it rests on gets it again.
        for _ in 0..=records.len() {
            for record in &shuffled {
                let taken = back.insert(record.clone());
                prop_assert!(matches!(taken, Ok(_) | Err(RecordError::Unfounded)), "{taken:?}");
            }
        }
        prop_assert_eq!(said(&forth), said(&back));
    }

    #[test]
    fn no_record_ever_lowers_a_cut_back_but_the_root_keys(
        steps in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..24),
    ) {
        let mut held = roster(&[]);
        for record in a_history(&steps) {
            let before: Vec<_> = held.members().map(|m| (m.grant.device, m.standing)).collect();
            let lifts = matches!(record.act, Act::Readmit(..));
            let _ = held.insert(record);
            for (device, standing) in before {
                let now = held.member(device).expect("nobody is forgotten").standing;
                let shut = matches!(standing, Standing::Revoked | Standing::Retired);
                prop_assert!(!shut || lifts || now != Standing::Active);
            }
        }
    }
}

mod rights;
