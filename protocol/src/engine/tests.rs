//! Several engines in one room: frames are carried by hand, blocks are served from a list in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::*;
use crate::command::{Change, Command, FieldWrite, Op};
use crate::event::{BlockRead, Order, PagesRead, Transaction, UplinkEvent};
use crate::feed::{FeedHead, FeedIndex};
use crate::frontier::Range;
use crate::id::{CommandId, EntityId, Nonce, StudioId};
use crate::membership::{Grant, Role, SignedRecord};
use crate::policy::Policy;
use crate::time::Now;
use crate::value::Value;
use crate::wire::{Beat, Frame, Packed};

const STUDIO: StudioId = StudioId([7; 16]);

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn root() -> SecretKey {
    secret(200)
}

pub(crate) fn device(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

fn grant_of(n: u8, studio: StudioId, root: &SecretKey) -> SignedRecord {
    let grant = Grant {
        device: device(n),
        key: secret(n).public(),
        name: format!("machine {n}"),
        role: Role::Member,
        priority: 0,
        gateway_preference: 0,
        version: 1,
    };
    SignedRecord::by_root(studio, grant, root)
}

/// The shelf of a studio that signed no policy yet.
fn no_policies() -> PolicyShelf {
    PolicyShelf::new(STUDIO, Policy::default())
}

/// A machine's disk: bundles in the order in which they were stored.
pub(crate) type Disk = Vec<Bundle>;

/// A machine that knows the records of `known`, over a log.
pub(crate) fn machine(n: u8, epoch: u64, log: LogIndex, known: &[u8]) -> Engine {
    let mut roster = Roster::new(STUDIO, root().public()).expect("a key");
    for other in known {
        roster
            .insert(grant_of(*other, STUDIO, &root()))
            .expect("a good record");
    }
    let me = Identity {
        device: device(n),
        secret: secret(n),
        run: epoch,
        fresh_epoch: Epoch(epoch),
    };
    let memory = Memory {
        log,
        feed: FeedIndex::default(),
        roster,
        policies: no_policies(),
    };
    Engine::new(me, memory, at(0))
}

pub(crate) fn at(ms: u64) -> Moment {
    let now = Now {
        wall: WallMs(1_000_000 + ms as i64),
        mono: MonoMs(ms),
    };
    Moment { now, entropy: ms }
}

pub(crate) fn a_write(id: u8) -> Input {
    let command = Command {
        id: CommandId([id; 16]),
        entity_type: "client".into(),
        entity: EntityId([id; 16]),
        op: Op::Create,
        writes: vec![FieldWrite {
            field: "name".into(),
            change: Change::Write(Value::Text(format!("client {id}"))),
        }],
        ctx: None,
        ts: WallMs(1_000_000),
        replaces: None,
        nonce: Nonce([id; 16]),
    };
    Input::Write(Transaction {
        ticket: u64::from(id),
        actor: "ines".into(),
        commands: vec![command],
        together: false,
    })
}

/// Keeps what an effect stores and applies what has become ready.
pub(crate) fn keep(engine: &mut Engine, disk: &mut Disk, writes: Vec<Write>) {
    let mut writes = VecDeque::from(writes);
    loop {
        while let Some(write) = writes.pop_front() {
            if let Write::Store { bundle, .. } = write {
                disk.push(bundle);
            }
        }
        let Some((author, first)) = engine.next_ready() else {
            return;
        };
        let bundle = disk
            .iter()
            .find(|b| b.author() == author && b.first() == first);
        let effects = engine.apply_stored(bundle.expect("what is ready is stored").clone());
        writes.extend(effects.writes);
    }
}

/// The bundles of a disk that lie in these ranges.
pub(crate) fn within(disk: &Disk, ranges: &[Range]) -> Vec<Arc<[u8]>> {
    let wanted = |b: &&Bundle| {
        let mut ranges = ranges.iter().filter(|range| range.author == b.author());
        ranges.any(|range| b.last() > range.after && b.last() <= range.upto)
    };
    disk.iter()
        .filter(wanted)
        .map(|b| b.bytes().clone())
        .collect()
}

/// Machines with links between them.
struct Room {
    engines: Vec<Engine>,
    disks: Vec<Disk>,
    /// The feed as each machine stored it.
    pages: Vec<Vec<Page>>,
    mail: VecDeque<(usize, LinkId, Frame)>,
    /// The other end of a link.
    ends: BTreeMap<LinkId, (usize, LinkId)>,
    now: u64,
    /// Machines whose frames get lost.
    mute: Vec<usize>,
    /// Ends of links on which everything gets lost.
    dead: Vec<LinkId>,
    /// Blocks and pages are never served by these.
    stalled: Vec<usize>,
    sent: Vec<(usize, Frame)>,
    orders: Vec<(usize, Order)>,
    closed: Vec<String>,
}

impl Room {
    fn of(engines: Vec<Engine>) -> Self {
        Self {
            disks: vec![Disk::new(); engines.len()],
            pages: vec![Vec::new(); engines.len()],
            engines,
            mail: VecDeque::new(),
            ends: BTreeMap::new(),
            now: 0,
            mute: Vec::new(),
            dead: Vec::new(),
            stalled: Vec::new(),
            sent: Vec::new(),
            orders: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn new(count: u8) -> Self {
        let all: Vec<u8> = (1..=count).collect();
        let machine = |n: &u8| machine(*n, 100 + u64::from(*n), LogIndex::default(), &all);
        Self::of(all.iter().map(machine).collect())
    }

    fn link(&mut self, a: usize, b: usize) {
        let name = self.ends.len() as u64;
        let (one, other) = (LinkId(name), LinkId(name + 1));
        self.ends.insert(one, (b, other));
        self.ends.insert(other, (a, one));
        let key = |engine: &Engine| engine.identity().secret.public();
        let (key_a, key_b) = (key(&self.engines[a]), key(&self.engines[b]));
        self.give(
            a,
            Input::Opened {
                link: one,
                key: key_b,
            },
        );
        self.give(
            b,
            Input::Opened {
                link: other,
                key: key_a,
            },
        );
    }

    fn give(&mut self, at: usize, input: Input) {
        let moment = super::tests::at(self.now);
        for input in [input, Input::Tick] {
            let effects = self.engines[at].handle(moment, input);
            self.carry_out(at, effects);
        }
    }

    fn carry_out(&mut self, at: usize, effects: Effects) {
        for write in &effects.writes {
            if let Write::Page(page) = write {
                self.pages[at].push(page.clone());
            }
        }
        keep(&mut self.engines[at], &mut self.disks[at], effects.writes);
        for (link, frame) in effects.sends {
            self.sent.push((at, frame.clone()));
            if !self.mute.contains(&at)
                && !self.dead.contains(&link)
                && let Some((to, their)) = self.ends.get(&link)
            {
                self.mail.push_back((*to, *their, frame));
            }
        }
        let orders = effects.orders.into_iter();
        self.orders.extend(orders.map(|order| (at, order)));
        for (link, reason) in effects.closes {
            self.closed.push(reason);
            self.cut(link);
        }
        for read in effects.blocks {
            self.serve(at, &read);
        }
        for read in effects.pages {
            self.show_pages(at, &read);
        }
    }

    fn cut(&mut self, link: LinkId) {
        let Some((there, their)) = self.ends.remove(&link) else {
            return;
        };
        let (here, _) = self.ends.remove(&their).expect("links have two ends");
        self.mail.retain(|(_, on, _)| *on != link && *on != their);
        self.give(here, Input::Closed(link));
        self.give(there, Input::Closed(their));
    }

    fn serve(&mut self, at: usize, read: &BlockRead) {
        if self.stalled.contains(&at) {
            return;
        }
        let bundles = within(&self.disks[at], &read.ranges);
        let (link, id, raw) = (read.link, read.id, 1_000);
        if let Some((to, their)) = self.ends.get(&link).copied() {
            let sent = Input::BlockSent {
                link,
                id,
                raw,
                cursor: 1,
                done: true,
            };
            self.give(at, sent);
            self.give(
                to,
                Input::Block {
                    link: their,
                    id,
                    bundles,
                    raw,
                    done: true,
                },
            );
        }
    }

    fn show_pages(&mut self, at: usize, read: &PagesRead) {
        let Some((to, their)) = self.ends.get(&read.link).copied() else {
            return;
        };
        if !self.stalled.contains(&at) {
            let pages = self.pages[at].iter();
            let pages = pages.filter(|page| page.body().first > read.after);
            let pages = pages.map(|page| Packed(page.bytes().to_vec())).collect();
            self.mail.push_back((to, their, Frame::Pages(pages)));
        }
    }

    /// Delivers everything that is under way, and what follows from it.
    fn settle(&mut self) {
        let mut steps = 0;
        while let Some((to, link, frame)) = self.mail.pop_front() {
            steps += 1;
            assert!(steps < 5_000, "frames without end");
            self.give(
                to,
                Input::Frame {
                    link,
                    frame: Box::new(frame),
                },
            );
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now += 100;
            (0..self.engines.len()).for_each(|at| self.give(at, Input::Tick));
            self.settle();
        }
    }

    fn held(&self, at: usize, by: u8) -> u64 {
        let log = self.engines[at].log();
        log.chains()
            .filter(|(a, _)| a.device == device(by))
            .map(|(_, chain)| chain.held.0)
            .max()
            .unwrap_or(0)
    }

    fn count(&self, is_meant: impl Fn(&Frame) -> bool) -> usize {
        self.sent
            .iter()
            .filter(|(_, frame)| is_meant(frame))
            .count()
    }
}

#[test]
fn a_write_is_pushed_to_whoever_is_linked() {
    let mut room = Room::new(2);
    room.link(0, 1);
    room.settle();
    room.give(0, a_write(1));
    room.settle();
    assert_eq!(room.held(1, 1), 1);
    assert_eq!(room.engines[0].digest(), room.engines[1].digest());
}

#[test]
fn what_got_lost_is_repaired_within_seconds() {
    let mut room = Room::new(2);
    room.link(0, 1);
    room.settle();
    room.mute.push(0);
    room.give(0, a_write(1));
    room.settle();
    room.mute.clear();
    assert_eq!(room.held(1, 1), 0);
    room.pass(2_500);
    assert_eq!(room.held(1, 1), 1);
}

#[test]
fn a_chain_relays_and_a_full_mesh_sends_nothing_twice() {
    let mut chain = Room::new(3);
    chain.link(0, 1);
    chain.link(1, 2);
    chain.settle();
    chain.give(0, a_write(1));
    chain.settle();
    assert_eq!(chain.held(2, 1), 1);
    let mut mesh = Room::new(4);
    for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        mesh.link(a, b);
    }
    mesh.settle();
    mesh.give(0, a_write(1));
    mesh.settle();
    assert!((1..4).all(|at| mesh.held(at, 1) == 1));
    assert_eq!(
        mesh.count(|frame| matches!(frame, Frame::Push(_))),
        3,
        "once to each"
    );
}

#[test]
fn a_transfer_that_stalls_is_asked_of_somebody_else() {
    let mut room = Room::new(3);
    room.give(0, a_write(1));
    room.link(0, 1);
    room.settle();
    assert_eq!(room.held(1, 1), 1);
    room.stalled.push(0);
    room.link(0, 2);
    room.settle();
    assert_eq!(room.held(2, 1), 0);
    room.link(1, 2);
    room.settle();
    room.pass(7_000);
    assert_eq!(room.held(2, 1), 1);
}

#[test]
fn strangers_foreigners_and_wrong_keys_are_refused() {
    let members = [1, 2];
    let foreign = |n: u8, studio, root: &SecretKey| {
        let mut roster = Roster::new(studio, root.public()).expect("a key");
        roster
            .insert(grant_of(n, studio, root))
            .expect("a good record");
        let me = Identity {
            device: device(n),
            secret: secret(n),
            run: 9,
            fresh_epoch: Epoch(9),
        };
        let memory = Memory {
            log: LogIndex::default(),
            feed: FeedIndex::default(),
            roster,
            policies: no_policies(),
        };
        Engine::new(me, memory, at(0))
    };
    let home = || machine(1, 1, LogIndex::default(), &members);
    let mut wrong_key = foreign(2, STUDIO, &root());
    wrong_key.me.secret = secret(99);
    let others = [
        foreign(3, StudioId([8; 16]), &root()),
        foreign(3, STUDIO, &secret(201)),
        wrong_key,
    ];
    for other in others {
        let mut room = Room::of(vec![home(), other]);
        room.link(0, 1);
        room.settle();
        assert_eq!(room.engines[0].sessions().count(), 0, "{:?}", room.closed);
        assert!(!room.closed.is_empty());
    }
}

#[test]
fn a_frame_before_the_hello_ends_the_link() {
    let mut room = Room::new(2);
    room.mute.push(1);
    room.link(0, 1);
    let beat = Beat {
        frontier: Hash::default().prefix(),
        feed: FeedHead::default(),
        claim: None,
        policy: Hash::default().prefix(),
        roster: Hash::default().prefix(),
    };
    room.mail.push_back((0, LinkId(0), Frame::Beat(beat)));
    room.settle();
    assert!(
        room.closed
            .iter()
            .any(|reason| reason.contains("before the hello"))
    );
}

#[test]
fn records_of_the_roster_travel_along_a_chain() {
    let strangers = (1..=3u8).map(|n| machine(n, 100, LogIndex::default(), &[n]));
    let mut room = Room::of(strangers.collect());
    room.link(0, 1);
    room.settle();
    room.link(1, 2);
    room.settle();
    room.give(2, a_write(1));
    room.settle();
    room.pass(5_000);
    assert_eq!(room.held(0, 3), 1, "a bundle of somebody two links away");
}

#[test]
fn word_that_a_machine_is_gone_comes_to_rest() {
    let mut room = Room::new(5);
    for (a, b) in [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 0)] {
        room.link(a, b);
    }
    room.settle();
    room.pass(1_000);
    let links: Vec<LinkId> = room
        .ends
        .iter()
        .filter(|(_, (to, _))| *to == 3)
        .map(|(link, _)| *link)
        .collect();
    room.cut(links[0]);
    room.settle();
    room.pass(300);
    room.sent.clear();
    room.pass(2_000);
    let told = room.count(|frame| matches!(frame, Frame::Gone(_) | Frame::Statuses(_)));
    assert!(told < 40, "{told} frames about one lost link");
}

#[test]
fn of_dials_that_cross_one_link_stays_whatever_each_side_heard_first() {
    let links = [1, 2, 3].map(LinkId);
    let both = [1, 2];
    let mut engines = both.map(|n| machine(n, 100 + u64::from(n), LogIndex::default(), &both));
    let greetings: [Vec<Effects>; 2] = [0, 1].map(|here| {
        let key = secret(both[1 - here]).public();
        let open = |link| engines[here].handle(at(0), Input::Opened { link, key });
        links.map(open).into()
    });
    let mut closed = Vec::new();
    for here in [0, 1] {
        let mut greetings: Vec<_> = greetings[1 - here]
            .iter()
            .flat_map(|fx| &fx.sends)
            .collect();
        if here == 1 {
            greetings.reverse();
        }
        for (link, frame) in greetings {
            let (link, frame) = (*link, Box::new(frame.clone()));
            let effects = engines[here].handle(at(1), Input::Frame { link, frame });
            closed.extend(effects.closes.into_iter().map(|(link, _)| link));
        }
    }
    for engine in &mut engines {
        for link in &closed {
            let _ = engine.handle(at(2), Input::Closed(*link));
        }
        assert_eq!(engine.sessions().count(), 1, "closed: {closed:?}");
    }
}

#[test]
fn off_the_network_means_off_the_uplink_and_back_means_at_once() {
    let mut cloud = grant_of(9, STUDIO, &root())
        .grant()
        .expect("a grant")
        .clone();
    cloud.role = Role::Cloud;
    let mut engine = machine(1, 101, LogIndex::default(), &[1]);
    let record = Box::new(SignedRecord::by_root(STUDIO, cloud, &root()));
    let mut orders = |ms: u64, input: Input| {
        let mut orders = engine.handle(at(ms), input).orders;
        orders.extend(engine.handle(at(ms), Input::Tick).orders);
        (orders, engine.uplink().reachable)
    };
    let (asked, _) = orders(0, Input::Record(record));
    assert_eq!(asked, [Order::Probe]);
    assert!(orders(10, Input::Uplink(UplinkEvent::Probed { head: None })).1);
    let (asked, reachable) = orders(5_000, Input::Network(Network::Offline));
    assert!(asked.is_empty() && !reachable);
    let (asked, reachable) = orders(60_000, Input::Uplink(UplinkEvent::Probed { head: None }));
    assert!(asked.is_empty() && !reachable, "an answer from before");
    let (asked, _) = orders(60_010, Input::Network(Network::Online));
    assert_eq!(asked, [Order::Probe]);
}

mod carrying;
mod crown;
mod epochs;
mod forks;
mod heads;
mod idle;
mod packs;
mod policies;
mod rekey;
mod relay;
mod revoked;
