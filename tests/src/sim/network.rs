//! What the network does with links and frames: dial, deliver, delay, hold back, break.

use std::collections::BTreeSet;

use bytes::Bytes;
use studiovault_node::driver::Event;
use studiovault_protocol::log::LogIndex;

use super::liar::Hearer;
use super::wire::{Item, Stream, Wire, link_id};
use super::world::{Happening, World};

/// Machines look for each other this often, ms.
const DIAL_MS: u64 = 300;
/// What a lost segment costs until it is sent again, ms.
const RESEND_MS: u64 = 200;

impl World {
    /// Machines that can reach each other and have no link get one; sometimes two at once.
    pub fn dial(&mut self) {
        let open = self.wires.values().filter(|wire| wire.is_open == [true; 2]);
        let linked: BTreeSet<[usize; 2]> = open.map(Wire::pair).collect();
        for a in 0..self.nodes.len() {
            for b in 0..a {
                if self.can_meet(a, b) && !linked.contains(&[b, a]) && self.dice.happens(700) {
                    let (from, to) = if self.dice.happens(500) {
                        (a, b)
                    } else {
                        (b, a)
                    };
                    self.connect(from, to);
                    if self.dice.happens(150) {
                        self.connect(to, from);
                    }
                }
            }
        }
        self.after(DIAL_MS, Happening::Dial);
    }

    fn can_meet(&self, a: usize, b: usize) -> bool {
        let is_there = |at: usize| self.nodes[at].driver().is_some() && !self.nodes[at].is_offline;
        let free = !self.blocked[a][b] && !self.blocked[b][a];
        self.plan.reachable[a][b] && free && is_there(a) && is_there(b)
    }

    fn connect(&mut self, from: usize, to: usize) {
        let Some(is_earlier) = self.gate(from, to) else {
            return;
        };
        let name = self.wire_name();
        let wire = Wire {
            ends: [from, to],
            is_open: [true; 2],
            is_ready: [false; 2],
            is_earlier,
            is_dead: false,
            streams: [Stream::default(), Stream::default()],
        };
        self.wires.insert(name, wire);
        self.trace
            .note(self.now, format_args!("link {name}: {from} to {to}"), &[]);
        for end in 0..2 {
            let pause = self.dice.between(1, 2 * self.plan.delay_ms + 2);
            self.after(pause, Happening::Open(name, end));
        }
    }

    /// A link is ready at one end.
    pub fn open(&mut self, name: u64, end: usize) {
        let Some(wire) = self.wires.get_mut(&name) else {
            return;
        };
        let (here, there) = (wire.ends[end], wire.ends[1 - end]);
        wire.is_ready[end] = true;
        let is_earlier = wire.is_earlier[end];
        if wire.is_open[end] {
            let (link, key) = (link_id(name, end), self.nodes[there].secret.public());
            self.tell(here, Event::Opened(link, key));
            if is_earlier {
                self.tell(here, Event::Restrict(link));
            }
        }
        self.release_one(name);
    }

    /// What a machine says instead of a frame: the frame, unless it is the liar.
    pub fn said(&mut self, (at, name, end): (usize, u64, usize), frame: Bytes) -> Vec<Bytes> {
        let newer = self.newer.iter();
        let frame = newer.fold(frame, |frame, newer| newer.said(at, frame));
        let lies = self.liar.as_ref().is_some_and(|liar| liar.at == at) && !self.is_healed;
        let Some(wire) = self.wires.get(&name).filter(|_| lies) else {
            return vec![frame];
        };
        let hearer = self.hearer(at, Some(wire.ends[1 - end]));
        let liar = self.liar.as_mut().expect("it was just there");
        let (frames, kind) = liar.twist(frame, &hearer);
        if let Some(kind) = kind {
            self.checks.fault("lie");
            if kind == "forked" {
                self.checks.fault("fork");
            }
            self.trace
                .note(self.now, format_args!("LIE of {at} on {name}: {kind}"), &[]);
        }
        frames
    }

    /// What the liar knows of whom it speaks to.
    pub fn hearer(&self, liar: usize, to: Option<usize>) -> Hearer {
        let device = self.nodes[liar].device;
        let logs = |at: usize| self.nodes[at].driver().map(|driver| driver.engine().log());
        let own = |log: &LogIndex| {
            let chains = log.chains().filter(|(author, _)| author.device == device);
            chains
                .map(|(author, chain)| (author, chain.held.0))
                .collect()
        };
        let authors = |log: &LogIndex| log.chains().map(|(author, _)| author).collect();
        Hearer {
            devices: self.nodes.iter().map(|node| node.device).collect(),
            holds: to.and_then(logs).map(own).unwrap_or_default(),
            authors: logs(liar).map(authors).unwrap_or_default(),
            wall: self.wall(Some(liar)),
        }
    }

    /// Puts a frame on its way.
    pub fn transmit(&mut self, name: u64, end: usize, bytes: Bytes) {
        if self.wires.get(&name).is_some_and(|wire| wire.is_open[end]) {
            let (frames, sum) = self.trace.carried;
            self.trace.carried = (frames + 1, sum + bytes.len() as u64);
            self.put(name, end, Item::Frame(bytes));
        }
    }

    fn put(&mut self, name: u64, end: usize, item: Item) {
        let mut delay = self.dice.between(1, self.plan.delay_ms + 1);
        let mut resent = 0;
        while !self.is_healed && resent < 4 && self.dice.happens(self.plan.loss_permille) {
            resent += 1;
            delay += RESEND_MS << resent;
        }
        if resent > 0 {
            self.checks.fault("loss");
        }
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&name) else {
            return;
        };
        if wire.is_dead {
            return;
        }
        let stream = &mut wire.streams[end];
        let at = (now + delay).max(stream.last_at);
        stream.last_at = at;
        stream.flight.push_back(item);
        self.after(at - now, Happening::Arrive(name, end));
    }

    /// The first item under way arrives, or waits because the way is blocked.
    pub fn arrive(&mut self, name: u64, end: usize) {
        let Some(wire) = self.wires.get_mut(&name) else {
            return;
        };
        let (from, to) = (wire.ends[end], wire.ends[1 - end]);
        let is_ready = wire.is_ready[1 - end];
        let stream = &mut wire.streams[end];
        let Some(item) = stream.flight.pop_front() else {
            return;
        };
        if self.blocked[from][to] || !is_ready || !stream.held.is_empty() {
            stream.held.push_back(item);
        } else {
            self.deliver((name, 1 - end), item);
        }
    }

    fn deliver(&mut self, (name, end): (u64, usize), item: Item) {
        let Some(wire) = self.wires.get(&name) else {
            return;
        };
        if !wire.is_open[end] {
            return;
        }
        let here = wire.ends[end];
        match item {
            Item::Frame(bytes) => self.tell(here, Event::Frame(link_id(name, end), bytes)),
            Item::End => self.break_off(name, end),
        }
    }

    /// What waited goes on, now that the ways are free.
    pub fn release(&mut self) {
        let names: Vec<u64> = self.wires.keys().copied().collect();
        names.into_iter().for_each(|name| self.release_one(name));
    }

    fn release_one(&mut self, name: u64) {
        for end in 0..2 {
            let Some(wire) = self.wires.get_mut(&name) else {
                continue;
            };
            let (from, to) = (wire.ends[end], wire.ends[1 - end]);
            if self.blocked[from][to] || !wire.is_ready[1 - end] {
                continue;
            }
            for item in std::mem::take(&mut wire.streams[end].held) {
                self.deliver((name, 1 - end), item);
            }
        }
    }

    /// A machine closes its end: the other one hears of it after everything that was sent before.
    pub fn close(&mut self, name: u64, end: usize) {
        if !self.wires.get(&name).is_some_and(|wire| wire.is_open[end]) {
            return;
        }
        self.put(name, end, Item::End);
        self.break_off(name, end);
    }

    /// A link is gone at one end.
    pub fn break_off(&mut self, name: u64, end: usize) {
        let Some(wire) = self.wires.get_mut(&name) else {
            return;
        };
        if !wire.is_open[end] {
            return;
        }
        wire.is_open[end] = false;
        let here = wire.ends[end];
        if wire.is_open == [false; 2] {
            self.wires.remove(&name);
        }
        self.tell(here, Event::Closed(link_id(name, end)));
    }

    /// A link breaks with everything in flight. Each end notices in its own time, or not at all by itself.
    pub(crate) fn sever(&mut self, name: u64, is_noticed: bool) {
        let Some(wire) = self.wires.get_mut(&name) else {
            return;
        };
        wire.is_dead = true;
        for stream in &mut wire.streams {
            stream.flight.clear();
            stream.held.clear();
        }
        for end in 0..2 {
            let pause = if is_noticed {
                self.dice.below(60)
            } else {
                self.dice.between(4_000, 9_000)
            };
            self.after(pause, Happening::Break(name, end));
        }
    }
}
