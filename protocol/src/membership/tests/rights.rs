//! What roster and policies close to a device: never what it ever had the right to, in whatever order it is heard of.

use super::*;
use crate::command::{Command, Op};
use crate::id::{CommandId, EntityId, Nonce};
use crate::policy::{Policy, PolicyShelf, SignedPolicy};

fn shelf(texts: &[String], roster: &Roster) -> PolicyShelf {
    let mut shelf = PolicyShelf::new(STUDIO, Policy::default());
    for text in texts {
        let policy = Policy::parse(text).expect("a policy");
        let root = Authority::root(key(200));
        let signed = SignedPolicy::seal((STUDIO, &root), &policy, (device(1), WallMs(0)));
        shelf.insert(signed, roster).expect("is taken");
    }
    shelf
}

/// The second policy: notes that guests write, and clients that only admins write.
fn second() -> String {
    let text = Policy::default()
        .text()
        .replacen("version = 1", "version = 2", 1);
    let text = text.replacen(
        "[type.client.field]",
        "[type.client]\nwriters = [\"admin\"]\n\n[type.client.field]",
        1,
    );
    text + "\n[type.memo]\nwriters = [\"guest\"]\n[type.memo.field]\nbody = { kind = \"text\" }\n"
}

fn bars(rights: &Rights, n: u8, entity_type: &str) -> Option<Bar> {
    let author = Author {
        device: device(n),
        epoch: Epoch(1),
    };
    let command = Command {
        id: CommandId([1; 16]),
        entity_type: entity_type.into(),
        entity: EntityId([2; 16]),
        op: Op::Update,
        writes: Vec::new(),
        ctx: None,
        replaces: None,
        ts: WallMs(0),
        nonce: Nonce([0; 16]),
    };
    rights.bar(author.at(1), &command)
}

#[test]
fn a_guest_writes_what_the_policy_opens_to_guests_and_sales_and_nothing_else() {
    let held = roster(&[
        &by_root(place(1, Role::Guest, 1)),
        &by_root(place(2, Role::Member, 1)),
    ]);
    let rights = Rights::of(&held, &shelf(&[second()], &held));
    for closed in ["client", "project", "booking"] {
        assert_eq!(bars(&rights, 1, closed), Some(Bar::Role), "{closed}");
        assert_eq!(bars(&rights, 2, closed), None, "{closed}");
    }
    for open in ["memo", "pos_order", "a type of tomorrow"] {
        assert_eq!(bars(&rights, 1, open), None, "{open}");
    }
    assert_eq!(bars(&rights, 2, "memo"), Some(Bar::Role));
}

#[test]
fn a_right_that_was_once_given_is_never_closed_again_by_a_later_grant_or_policy() {
    let admin = by_root(place(3, Role::Admin, 1));
    let records = [
        by_root(place(1, Role::Member, 1)),
        by_root(place(1, Role::Guest, 2)),
        admin,
    ];
    let [one, two, three] = &records;
    let orders = [[one, two, three], [three, two, one]];
    let of = orders.map(|order| {
        let held = roster(&order);
        Rights::of(&held, &shelf(&[second()], &held))
    });
    assert_eq!(of[0], of[1]);
    assert_eq!(bars(&of[0], 1, "project"), None);
    assert_eq!(bars(&of[0], 1, "client"), None);
}

#[test]
fn a_cut_says_more_than_a_role() {
    let guest = by_root(place(1, Role::Guest, 1));
    let held = roster(&[&guest, &by_root(Act::Revoke(cut(1, &[], &[])))]);
    let rights = Rights::of(&held, &shelf(&[], &held));
    assert_eq!(bars(&rights, 1, "client"), Some(Bar::Cut));
    assert_eq!(rights.changed(&Rights::default()), [device(1)]);
    assert_eq!(rights.changed(&rights), []);
}

#[test]
fn what_a_thief_signed_under_a_right_that_fell_opens_nothing() {
    let admin = by_root(place(3, Role::Admin, 1));
    let guest = by_root(place(1, Role::Guest, 1));
    let raised = by(3, &admin, place(1, Role::Member, 2));
    let held = roster(&[&admin, &guest, &raised]);
    let thief = Authority::holder(admin.hash(), key(3));
    let text = second().replacen("writers = [\"admin\"]", "writers = [\"guest\"]", 1);
    let policy = Policy::parse(&text).expect("a policy");
    let signed = SignedPolicy::seal((STUDIO, &thief), &policy, (device(3), WallMs(0)));
    let mut opened = PolicyShelf::new(STUDIO, Policy::default());
    opened.insert(signed, &held).expect("is taken");
    let before = Rights::of(&held, &opened);
    assert_eq!(bars(&before, 1, "client"), None);
    assert_eq!(bars(&before, 1, "project"), None);
    let fallen = by_root(Act::Revoke(cut(3, &[], &[])));
    let held = roster(&[&admin, &guest, &raised, &fallen]);
    opened.review(&held);
    let after = Rights::of(&held, &opened);
    assert_eq!(bars(&after, 1, "client"), Some(Bar::Role));
    assert_eq!(bars(&after, 1, "project"), Some(Bar::Role));
}
