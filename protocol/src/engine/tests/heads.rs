//! Two feeds of one cloud, and a feed that is kept back: who notices, by what, and that nothing is folded for it.

use super::*;
use crate::cloud::Changes;
use crate::engine::FeedAlarm;
use crate::feed::{Entry, PageBody};
use crate::merge::StateSum;

const CLOUD: u8 = 9;

/// A feed of that many pages; of two that are `bent` differently the pages differ from that one on.
fn feed(pages: u64, bent: u64) -> Vec<Page> {
    let (mut feed, mut prev) = (Vec::new(), Hash::default());
    for first in 1..=pages {
        let body = PageBody {
            studio: STUDIO,
            author: Author {
                device: device(CLOUD),
                epoch: Epoch(1),
            },
            first,
            prev,
            at: WallMs(if first >= bent { -1 } else { 1 }),
            entries: vec![Entry::Checkpoint(StateSum::default())],
        };
        let page = Page::seal(body, &secret(CLOUD));
        prev = page.hash();
        feed.push(page);
    }
    feed
}

fn changed(pages: &[Page]) -> Input {
    let packed = pages.iter().map(|page| Packed(page.bytes().to_vec()));
    Input::Uplink(UplinkEvent::Changed(Box::new(Changes {
        pages: packed.collect(),
        ..Changes::default()
    })))
}

fn probed(head: Option<FeedHead>) -> Input {
    Input::Uplink(UplinkEvent::Probed { head })
}

fn head_of(pages: &[Page]) -> FeedHead {
    let last = pages.last().expect("a page");
    FeedHead {
        position: last.last(),
        hash: last.hash().prefix(),
    }
}

/// A studio with a cloud truth whose machines are linked and hold these feeds.
fn room(feeds: &[Vec<Page>]) -> Room {
    let mut room = Room::new(feeds.len() as u8);
    let mut cloud = grant_of(CLOUD, STUDIO, &root())
        .grant()
        .expect("a grant")
        .clone();
    cloud.role = Role::Cloud;
    for (at, feed) in feeds.iter().enumerate() {
        let record = SignedRecord::by_root(STUDIO, cloud.clone(), &root());
        room.give(at, Input::Record(Box::new(record)));
        room.give(at, changed(feed));
        assert_eq!(room.engines[at].feed().held(), feed.len() as u64);
    }
    room.link(0, 1);
    room.settle();
    room
}

fn alarms(room: &Room, at: usize) -> Vec<FeedAlarm> {
    room.engines[at].feed_alarms().to_vec()
}

fn forked(with: u8, position: u64) -> Vec<FeedAlarm> {
    let with = Some(device(with));
    vec![FeedAlarm::Forked { with, position }]
}

#[test]
fn two_feeds_are_noticed_on_both_sides_wherever_they_part_and_whichever_is_longer() {
    for (one, other, parted) in [(3, 3, 3), (3, 3, 1), (3, 5, 2), (5, 3, 3), (5, 4, 5)] {
        let other_feed = if parted > other {
            feed(other, 99)
        } else {
            feed(other, parted)
        };
        let mut room = room(&[feed(one, 99), other_feed.clone()]);
        room.pass(4_000);
        if parted > other {
            assert_eq!(room.engines[1].feed().held(), one, "one is only behind");
            assert_eq!((alarms(&room, 0), alarms(&room, 1)), (vec![], vec![]));
            continue;
        }
        for (at, with) in [(0, 2), (1, 1)] {
            let told = alarms(&room, at);
            assert!(
                matches!(told[..], [FeedAlarm::Forked { with: Some(found), position }]
                    if found == device(with) && position >= parted),
                "{one} {other} {parted}: {at} says {told:?}"
            );
        }
        assert_eq!(room.engines[0].feed().head(), head_of(&feed(one, 99)));
        assert_eq!(room.engines[1].feed().head(), head_of(&other_feed));
        assert_eq!(room.engines[0].sessions().count(), 1, "{:?}", room.closed);
        let questions = room.count(|frame| matches!(frame, Frame::WantFeed(_)));
        room.pass(50_000);
        let more = room.count(|frame| matches!(frame, Frame::WantFeed(_))) - questions;
        assert!(more <= 2, "{more} questions in a minute");
    }
}

#[test]
fn a_word_without_a_page_accuses_nobody() {
    let mut room = room(&[feed(4, 99), feed(4, 99)]);
    for _ in 0..30 {
        let beat = Beat {
            frontier: room.engines[0].digest().prefix(),
            feed: FeedHead {
                position: 3,
                hash: Hash([7; 32]).prefix(),
            },
            claim: None,
            policy: Hash::default().prefix(),
            roster: room.engines[0].roster().digest().prefix(),
        };
        room.mail.push_back((0, LinkId(0), Frame::Beat(beat)));
        room.pass(1_000);
    }
    assert_eq!((alarms(&room, 0), alarms(&room, 1)), (vec![], vec![]));
    let questions = room.count(|frame| matches!(frame, Frame::WantFeed(_)));
    assert!((1..=4).contains(&questions), "{questions} in half a minute");
}

#[test]
fn whoever_holds_another_feed_and_comes_back_with_the_one_is_told_of_no_more() {
    let mut room = room(&[feed(3, 99), feed(3, 3)]);
    room.pass(4_000);
    assert_eq!(alarms(&room, 0), forked(2, 3));
    let beat = |room: &mut Room, head| Beat {
        frontier: room.engines[0].digest().prefix(),
        feed: head,
        claim: None,
        policy: Hash::default().prefix(),
        roster: room.engines[0].roster().digest().prefix(),
    };
    room.mute.push(1);
    // What both hold says nothing of what they do not.
    let shared = beat(&mut room, head_of(&feed(2, 99)));
    room.mail.push_back((0, LinkId(0), Frame::Beat(shared)));
    room.pass(100);
    assert_eq!(alarms(&room, 0), forked(2, 3));
    let whole = beat(&mut room, head_of(&feed(3, 99)));
    room.mail.push_back((0, LinkId(0), Frame::Beat(whole)));
    room.pass(100);
    assert_eq!(alarms(&room, 0), vec![]);
}

#[test]
fn a_cloud_that_shows_another_feed_than_before_is_noticed_by_its_own_word_and_by_its_pages() {
    let ours = feed(3, 99);
    let fork = FeedAlarm::Forked {
        with: None,
        position: 3,
    };
    let mut room = room(&[ours.clone(), ours.clone()]);
    room.give(0, probed(Some(head_of(&ours))));
    assert_eq!(alarms(&room, 0), vec![]);
    room.give(0, probed(Some(head_of(&feed(3, 2)))));
    assert_eq!(alarms(&room, 0), vec![fork]);
    room.give(0, probed(Some(head_of(&ours))));
    assert_eq!(alarms(&room, 0), vec![]);

    room.give(1, changed(&feed(4, 4)[3..]));
    assert_eq!(alarms(&room, 1), vec![], "it goes on where ours ends");
    room.give(1, changed(&feed(5, 2)[4..]));
    let told = alarms(&room, 1);
    assert!(
        matches!(
            told[..],
            [FeedAlarm::Forked {
                with: None,
                position: 5
            }]
        ),
        "{told:?}"
    );
    assert_eq!(room.engines[1].feed().held(), 4);
}

/// Both reach the cloud; which is the gateway.
fn with_gateway(room: &mut Room) -> usize {
    for at in [0, 1] {
        room.give(at, probed(None));
    }
    room.pass(6_000);
    let gateway = room.engines.iter().position(|e| e.election().is_gateway());
    gateway.expect("one carries")
}

#[test]
fn a_gateway_that_brings_nothing_of_what_the_cloud_says_it_has_is_told_and_stays_told() {
    let mut room = room(&[Vec::new(), Vec::new()]);
    let gateway = with_gateway(&mut room);
    let (by, other) = (room.engines[gateway].identity().device, 1 - gateway);
    let pages = feed(5, 99);
    for _ in 0..4 {
        room.give(other, probed(Some(head_of(&pages))));
        room.pass(4_000);
        assert_eq!(alarms(&room, other), vec![], "a while is nothing");
    }
    room.pass(6_000);
    let withheld = FeedAlarm::Withheld {
        by,
        told: 0,
        known: 5,
    };
    assert_eq!(alarms(&room, other), vec![withheld]);
    assert_eq!(alarms(&room, gateway), vec![], "it was told nothing");
    // It comes some other way: that is no reason to be silent about it.
    room.give(other, changed(&pages));
    room.pass(60_000);
    assert_eq!(room.engines[other].feed().held(), 5);
    assert_eq!(alarms(&room, other), vec![withheld]);
    room.pass(600_000);
    assert_eq!(alarms(&room, other), vec![]);
}

#[test]
fn a_gateway_that_shows_less_than_there_is_is_told() {
    let mut room = room(&[Vec::new(), Vec::new()]);
    let gateway = with_gateway(&mut room);
    let (by, other) = (room.engines[gateway].identity().device, 1 - gateway);
    // It never gets to see what the other machine has.
    room.stalled.push(other);
    let pages = feed(2, 99);
    room.mute.push(other);
    room.give(other, changed(&pages));
    room.settle();
    room.mute.clear();
    room.pass(10_000);
    assert_eq!(alarms(&room, other), vec![]);
    room.pass(15_000);
    let withheld = FeedAlarm::Withheld {
        by,
        told: 0,
        known: 2,
    };
    assert_eq!(alarms(&room, other), vec![withheld]);
}

#[test]
fn a_gateway_that_stood_still_while_there_was_nothing_is_not_accused_when_something_comes() {
    let mut room = room(&[Vec::new(), Vec::new()]);
    let gateway = with_gateway(&mut room);
    let other = 1 - gateway;
    let pages = feed(4, 99);
    room.give(gateway, changed(&pages[..2]));
    room.settle();
    room.pass(60_000);
    room.stalled.push(other);
    room.mute.push(other);
    room.give(other, changed(&pages[2..]));
    room.settle();
    room.mute.clear();
    room.pass(10_000);
    assert_eq!(room.engines[other].feed().held(), 4);
    assert_eq!(alarms(&room, other), vec![]);
    room.pass(15_000);
    let withheld = FeedAlarm::Withheld {
        by: room.engines[gateway].identity().device,
        told: 2,
        known: 4,
    };
    assert_eq!(alarms(&room, other), vec![withheld]);
}
