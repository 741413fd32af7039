//! What one machine knows of another during one link: how far it holds every log, what is under way in either direction.
//!
//! Nothing here is believed beyond the link's life: a new hello starts from nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::frontier::{Frontier, Reach};
use crate::id::{Author, DeviceId, Dot, HashPrefix};
use crate::limits;
use crate::time::MonoMs;
use crate::wire::Hello;

/// A transfer that we asked for.
#[derive(Clone, Debug)]
pub struct Wanting {
    /// Its name.
    pub id: u32,
    /// Whose logs.
    pub devices: BTreeSet<DeviceId>,
    /// When it last brought something.
    pub progress_at: MonoMs,
    /// Whether it brought anything new at all.
    pub fruitful: bool,
}

/// A transfer that the peer asked for.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Its name.
    pub id: u32,
    /// Whose logs.
    pub devices: BTreeSet<DeviceId>,
    /// Uncompressed bytes that may still be sent.
    pub credit: i64,
    /// Where the next block goes on.
    pub cursor: Option<u64>,
    /// A block is being read.
    pub reading: bool,
}

impl Serving {
    /// A transfer that has sent nothing yet, with a full window.
    pub fn new(id: u32, devices: BTreeSet<DeviceId>) -> Self {
        let credit = limits::IN_FLIGHT_BYTES as i64;
        Self {
            id,
            devices,
            credit,
            cursor: None,
            reading: false,
        }
    }

    /// The peer takes so many more bytes; never more than a window.
    pub fn add_credit(&mut self, bytes: u32) {
        self.credit = (self.credit + i64::from(bytes)).min(limits::IN_FLIGHT_BYTES as i64);
    }
}

/// Pushes that the peer has not said it holds.
#[derive(Clone, Debug, Default)]
struct Window {
    pushed: VecDeque<(Dot, usize)>,
    bytes: usize,
}

/// When a peer was last sent what is not sent often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// The whole roster.
    pub roster_at: Option<MonoMs>,
    /// Our frontier.
    pub frontier_at: Option<MonoMs>,
}

/// What came of what the peer said of the logs that it holds.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// How often it said something else than before.
    moves: u64,
    /// The digest on which both agreed, if it said nothing else since.
    agreed: Option<HashPrefix>,
}

/// What a peer's hello said that holds for the link's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// Which run of its process.
    pub run: u64,
    /// The port on which it listens, 0 if unknown.
    pub port: u16,
    /// The newest protocol version that it speaks.
    pub protocol: u16,
    /// Its wall clock minus ours when it said hello, ms.
    pub clock_offset_ms: i64,
}

/// Why logs are asked of a peer that nothing new is known of, or not.
#[derive(Clone, Debug, Default)]
pub struct Mending {
    /// Devices of which a transfer brought nothing: not asked again before this time.
    pub barren: BTreeMap<DeviceId, MonoMs>,
    /// Devices of which it holds something that does not go with what is held here.
    pub doubts: BTreeSet<DeviceId>,
    /// Authors of whom the transfer under way brought something that does not follow on what is held.
    pub gaps: BTreeSet<Author>,
}

/// An authenticated peer on one link.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who it is.
    pub device: DeviceId,
    /// What its hello said that holds for the link's life.
    pub greeting: Greeting,
    /// The policy that it has in force.
    pub policy: HashPrefix,
    /// How far it holds each log: what it said, and what we sent.
    pub reach: Reach,
    /// How far it said that it holds each log.
    pub told: Reach,
    /// The last feed position that it holds, told or sent.
    pub feed: u64,
    /// The devices that it has links with.
    pub neighbours: BTreeSet<DeviceId>,
    /// A beat showed that it holds something else than we do.
    pub differs: bool,
    /// When it was last sent what is not sent often.
    pub sent: Sent,
    /// What we asked of it.
    pub wanting: Option<Wanting>,
    /// What it asked of us.
    pub serving: Option<Serving>,
    /// What is to be asked of it, and what not.
    pub mending: Mending,
    /// Tips to tell it at the end of this step.
    pub owes: BTreeMap<Author, u64>,
    heard: Heard,
    window: Window,
}

impl Session {
    /// From a hello that checked out, at our wall clock.
    pub fn new(device: DeviceId, hello: &Hello, clock_offset_ms: i64) -> Self {
        let reach = Reach::of(&hello.frontier);
        Self {
            device,
            greeting: Greeting {
                run: hello.run,
                port: hello.port,
                protocol: hello.protocol.1,
                clock_offset_ms,
            },
            policy: hello.policy.prefix(),
            told: reach.clone(),
            reach,
            feed: hello.frontier.feed,
            neighbours: BTreeSet::new(),
            differs: true,
            sent: Sent::default(),
            wanting: None,
            serving: None,
            mending: Mending::default(),
            owes: BTreeMap::new(),
            heard: Heard::default(),
            window: Window::default(),
        }
    }

    /// Whether these two said of each other that they are linked: of a link that died, one end may know before the other.
    pub fn reaches(&self, other: &Self) -> bool {
        self.neighbours.contains(&other.device) && other.neighbours.contains(&self.device)
    }

    /// How often the peer said that it holds something else than it had said.
    pub fn moves(&self) -> u64 {
        self.heard.moves
    }

    /// Whether the peer holds exactly what has this digest, and all that was noted of it.
    pub fn agrees_on(&self, digest: HashPrefix) -> bool {
        self.heard.agreed == Some(digest)
    }

    /// A beat shows that the peer holds exactly these, which have this digest.
    pub fn agree_on(&mut self, digest: HashPrefix, held: Vec<Dot>) {
        held.into_iter().for_each(|dot| self.hear_held(dot));
        self.heard.agreed = Some(digest);
    }

    fn hear_all(&mut self, told: Reach) {
        self.heard.moves += u64::from(self.told != told);
        self.heard.agreed = None;
        self.told = told;
    }

    /// The peer says what it holds.
    pub fn hear_frontier(&mut self, frontier: &Frontier) {
        let told = Reach::of(frontier);
        for (author, counter) in told.iter() {
            self.reach.extend(author, counter);
            self.acknowledge(author.at(counter));
        }
        self.hear_all(told);
        self.feed = self.feed.max(frontier.feed);
    }

    /// The peer asks from this frontier on: what we assumed beyond it is void.
    pub fn hear_want(&mut self, frontier: &Frontier) {
        self.hear_all(Reach::of(frontier));
        self.reach = self.told.clone();
        self.window.pushed.clear();
        self.window.bytes = 0;
    }

    /// The peer holds `dot`.
    pub fn hear_held(&mut self, dot: Dot) {
        let is_news = self.told.extend(dot.author, dot.counter);
        self.heard.moves += u64::from(is_news);
        self.reach.extend(dot.author, dot.counter);
        self.acknowledge(dot);
    }

    /// Whether this many more bytes may be pushed now.
    pub fn has_window(&self, bytes: usize) -> bool {
        self.window.bytes == 0 || self.window.bytes + bytes <= limits::IN_FLIGHT_BYTES
    }

    /// Notes a push.
    pub fn push(&mut self, tip: Dot, bytes: usize) {
        self.reach.extend(tip.author, tip.counter);
        self.window.pushed.push_back((tip, bytes));
        self.window.bytes += bytes;
    }

    fn acknowledge(&mut self, held: Dot) {
        let freed: usize = self
            .window
            .pushed
            .iter()
            .filter(|(tip, _)| tip.author == held.author && tip.counter <= held.counter)
            .map(|(_, bytes)| bytes)
            .sum();
        if freed > 0 {
            self.window
                .pushed
                .retain(|(tip, _)| tip.author != held.author || tip.counter > held.counter);
            self.window.bytes -= freed;
        }
    }

    /// Whether the peer's transfer will carry this device's log.
    pub fn serves(&self, device: DeviceId) -> bool {
        self.serving
            .as_ref()
            .is_some_and(|serving| serving.devices.contains(&device))
    }

    /// Whether our frontier may be sent again.
    pub fn may_tell_frontier(&self, now: MonoMs) -> bool {
        self.sent
            .frontier_at
            .is_none_or(|at| now.since(at) >= limits::FRONTIER_MS)
    }
}
