//! A log that forks: two machines that hold different branches find where they part, and hold the same from then on.

use super::*;
use crate::id::Hash;
use crate::log::Admission;
use crate::membership::{Double, Split};

/// After the root.
const AT_TWO: Split = Split {
    from: 2,
    whole: false,
};

/// A bundle of machine 2 with one command, after another one.
fn of_two(after: Option<&Bundle>, id: u8) -> Bundle {
    several_of_two(after, &[id])
}

fn several_of_two(after: Option<&Bundle>, ids: &[u8]) -> Bundle {
    let written = ids.iter().flat_map(|id| match a_write(*id) {
        Input::Write(transaction) => transaction.commands,
        _ => unreachable!("a write"),
    });
    let author = Author {
        device: device(2),
        epoch: Epoch(5),
    };
    let header = Header {
        studio: STUDIO,
        author,
        first_counter: after.map_or(1, |bundle| bundle.last() + 1),
        prev: after.map(Bundle::hash),
        written_at: WallMs(1),
        actor: "ines".into(),
        saw: Vec::new(),
        together: false,
    };
    Bundle::seal(header, written.collect(), &secret(2)).expect("it fits")
}

fn brought(bundles: &[&Bundle]) -> Input {
    Input::Gossip(bundles.iter().map(|b| b.bytes().clone()).collect())
}

/// What the driver does with bundles that are to be compared.
fn compare(engine: &mut Engine, disk: &Disk, effects: Effects) -> Vec<Write> {
    let mut writes = effects.writes;
    for (theirs, from) in effects.compares {
        let of = |b: &&Bundle| b.author() == theirs.author() && b.first() <= theirs.first();
        let ours = disk.iter().rfind(of).expect("something is held").clone();
        let (ours, theirs) = (Box::new(ours), Box::new(theirs));
        let input = Input::Compared { ours, theirs, from };
        writes.extend(engine.handle(at(1), input).writes);
    }
    writes
}

#[test]
fn whoever_meets_two_bundles_under_one_dot_proves_it_to_everybody() {
    let root = of_two(None, 1);
    let (one, other) = (of_two(Some(&root), 2), of_two(Some(&root), 3));
    let (mut engine, mut disk) = (machine(1, 1, LogIndex::default(), &[1, 2, 3]), Disk::new());
    let kept = engine.handle(at(0), brought(&[&root, &one]));
    keep(&mut engine, &mut disk, kept.writes);
    let effects = engine.handle(at(1), brought(&[&other]));
    let writes = compare(&mut engine, &disk, effects);
    let record = writes.iter().find_map(|write| match write {
        Write::Record(record) => Some(record.clone()),
        _ => None,
    });
    let record = record.expect("a proof");
    assert_eq!(engine.roster().forks().get(&root.author()), Some(&AT_TWO));
    let held =
        |write: &Write| matches!(write, Write::Evidence(bundle) if bundle.hash() == other.hash());
    assert!(writes.iter().any(held), "the other branch is kept");
    // Whoever is told takes it without having met either.
    let mut told = machine(3, 3, LogIndex::default(), &[1, 2, 3]);
    let _ = told.handle(at(0), Input::Record(Box::new(record)));
    assert_eq!(told.roster().forks(), engine.roster().forks());
    assert_eq!(told.roster().digest(), engine.roster().digest());
}

/// A liar can have anybody doubted, and send what it likes in his name.
#[test]
fn nobody_is_accused_by_what_he_did_not_sign() {
    let root = of_two(None, 1);
    let one = of_two(Some(&root), 2);
    let (later, rival) = (of_two(Some(&one), 3), of_two(Some(&root), 4));
    let commands = rival.commands().map(|(_, command)| command.clone());
    let forged = Bundle::seal(rival.header().clone(), commands.collect(), &secret(3));
    let forged = forged.expect("it fits");
    let (mut engine, mut disk) = (machine(1, 1, LogIndex::default(), &[1, 2, 3]), Disk::new());
    let kept = engine.handle(at(0), brought(&[&root, &one, &later]));
    keep(&mut engine, &mut disk, kept.writes);
    let _ = engine.handle(at(1), Input::Misnamed(vec![one.tip()]));
    let effects = engine.handle(at(1), brought(&[&forged]));
    assert!(effects.compares.is_empty(), "it is nobody's");
    let effects = engine.handle(at(1), brought(&[&rival]));
    assert_eq!(effects.compares.len(), 1);
}

#[test]
fn proofs_of_one_split_by_different_machines_come_to_the_same_roster() {
    let root = of_two(None, 1);
    let branches = [2, 3, 4].map(|id| of_two(Some(&root), id));
    let proved = |n: u8, other: usize| {
        let (mut engine, mut disk) = (machine(n, 1, LogIndex::default(), &[1, 2, 3]), Disk::new());
        let kept = engine.handle(at(0), brought(&[&root, &branches[0]]));
        keep(&mut engine, &mut disk, kept.writes);
        let effects = engine.handle(at(1), brought(&[&branches[other]]));
        let _ = compare(&mut engine, &disk, effects);
        engine.roster().digest()
    };
    assert_eq!(proved(1, 1), proved(3, 2));
}

#[test]
fn what_shows_no_split_proves_none() {
    let root = of_two(None, 1);
    let (one, other) = (of_two(Some(&root), 2), of_two(Some(&root), 3));
    assert!(Double::of(&one, &one).is_none());
    assert!(Double::of(&root, &one).is_none());
    let (far, later) = (of_two(Some(&other), 4), of_two(Some(&one), 4));
    assert!(
        Double::of(&far, &later).is_none(),
        "they part before: not here"
    );
    let double = Double::of(&one, &other).expect("they part here");
    assert_eq!((double.author(), double.split()), (one.author(), AT_TWO));
    assert_eq!(Double::of(&other, &one), Some(double));
    let begins = Double::of(&root, &of_two(None, 9)).expect("an epoch begins twice");
    assert_eq!((begins.split().from, begins.split().whole), (1, true));
}

#[test]
fn nothing_beyond_a_split_is_taken_or_waited_for() {
    let root = of_two(None, 1);
    let one = of_two(Some(&root), 2);
    let mut log = LogIndex::default();
    log.hold(&root);
    log.apply(&root);
    log.set_forks(&BTreeMap::from([(root.author(), AT_TWO)]));
    assert_eq!(log.judge(&one), Admission::Evidence);
    assert!(log.is_met(one.tip()) && log.is_met(one.author().at(900)));
    assert!(!log.is_aside(root.tip()) && log.is_aside(one.tip()));
    // What goes on from there is held, and does not stand.
    let parent = crate::bundle::Seen {
        dot: one.author().at(7),
        hash: Hash([3; 32]),
    };
    let mut header = one.header().clone();
    header.author.epoch = Epoch(6);
    (header.first_counter, header.prev, header.saw) = (8, Some(parent.hash), vec![parent]);
    let commands = one.commands().map(|(_, command)| command.clone()).collect();
    let child = Bundle::seal(header, commands, &secret(2)).expect("it fits");
    assert_eq!(log.judge(&child), Admission::Fresh);
    log.hold(&child);
    assert!(log.is_ready(&child));
    log.apply(&child);
    assert!(log.is_aside(child.tip()));
}

/// Two machines proved a split; what a third one holds otherwise lies across it and begins before.
#[test]
fn what_lies_across_a_split_shows_the_one_before_it() {
    let root = of_two(None, 1);
    let (one, across) = (of_two(Some(&root), 2), several_of_two(Some(&root), &[3, 4]));
    let mut log = LogIndex::default();
    for bundle in [&root, &one] {
        log.hold(bundle);
        log.apply(bundle);
    }
    let later = Split {
        from: 3,
        whole: false,
    };
    log.set_forks(&BTreeMap::from([(root.author(), later)]));
    assert!(matches!(log.judge(&across), Admission::Contradiction(_)));
    let mut engine = machine(1, 1, log, &[1, 2, 3]);
    let disk = Disk::from_iter([root.clone(), one]);
    let effects = engine.handle(at(0), brought(&[&across]));
    let _ = compare(&mut engine, &disk, effects);
    assert_eq!(engine.roster().forks().get(&root.author()), Some(&AT_TWO));
    // Where nothing of it is held it is evidence, and no part of the log.
    let mut empty = LogIndex::default();
    empty.hold(&root);
    empty.set_forks(&BTreeMap::from([(root.author(), later)]));
    assert_eq!(empty.judge(&across), Admission::Evidence);
}

/// Whoever saw what lies beyond a split had seen what lies before it: applied in the other order, what that supersedes would show.
#[test]
fn nobody_waits_for_what_lies_beyond_a_split_but_for_what_lies_before() {
    let root = of_two(None, 1);
    let beyond = of_two(Some(&root), 2).tip();
    let splits = |split| BTreeMap::from([(root.author(), split)]);
    let mut log = LogIndex::default();
    log.set_forks(&splits(AT_TWO));
    assert!(!log.is_met(beyond), "the root is not even held");
    log.hold(&root);
    assert!(!log.is_met(beyond), "the root is held and not applied");
    log.apply(&root);
    assert!(log.is_met(beyond));
    let mut whole = LogIndex::default();
    whole.set_forks(&splits(Split {
        from: 1,
        whole: true,
    }));
    assert!(whole.is_met(beyond), "nothing comes before it");
}

/// What goes on from beyond a split comes before what the cloud truth took there: only that says what the later epoch follows.
#[test]
fn which_tips_are_left_does_not_depend_on_whether_an_epoch_or_the_one_before_it_came_first() {
    let root = of_two(None, 1);
    let next = |before: &Bundle, epoch: u64, id: u8| {
        let mut header = before.header().clone();
        header.author.epoch = Epoch(epoch);
        (header.first_counter, header.prev) = (before.last() + 1, Some(before.hash()));
        let seen = crate::bundle::Seen {
            dot: before.tip(),
            hash: before.hash(),
        };
        header.saw = vec![seen];
        let commands = of_two(None, id)
            .commands()
            .map(|(_, c)| c.clone())
            .collect();
        Bundle::seal(header, commands, &secret(2)).expect("it fits")
    };
    let (taken, other) = (next(&root, 6, 2), next(&root, 6, 3));
    let child = next(&other, 7, 4);
    let split = Split {
        from: 2,
        whole: true,
    };
    let tips = |order: [&Bundle; 3]| {
        let mut log = LogIndex::default();
        log.set_forks(&BTreeMap::from([(taken.author(), split)]));
        for bundle in order {
            log.hold(bundle);
            log.apply(bundle);
        }
        log.applied().tips().to_vec()
    };
    let expected = [child.tip()];
    assert_eq!(tips([&root, &taken, &child]), expected);
    assert_eq!(tips([&root, &child, &taken]), expected);
}

/// Both branches end where a later epoch goes on: the tips are the same, and only the later epoch's own word tells them apart.
#[test]
fn a_split_under_a_later_epoch_is_found() {
    let root = of_two(None, 1);
    let (one, other) = (of_two(Some(&root), 2), of_two(Some(&root), 3));
    let mut header = other.header().clone();
    header.author.epoch = Epoch(6);
    (header.first_counter, header.prev) = (3, Some(other.hash()));
    header.saw = vec![crate::bundle::Seen {
        dot: other.tip(),
        hash: other.hash(),
    }];
    let commands = one.commands().map(|(_, command)| command.clone()).collect();
    let child = Bundle::seal(header, commands, &secret(2)).expect("it fits");
    let mut log = LogIndex::default();
    [&root, &one].iter().for_each(|bundle| log.hold(bundle));
    assert!(matches!(log.judge(&child), Admission::Contradiction(_)));
    let mut same = LogIndex::default();
    [&root, &other].iter().for_each(|bundle| same.hold(bundle));
    assert_eq!(same.judge(&child), Admission::Fresh);
}
