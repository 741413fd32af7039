//! Everything that goes wrong, and how it ends.

use bytes::Bytes;
use studiovault_node::driver::Event;
use studiovault_protocol::event::Network;
use studiovault_protocol::limits;

use super::machine::Process;
use super::plan::FaultKind;
use super::world::{Happening, World};

/// The end of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undo {
    /// Everybody can reach everybody again whom they ever could.
    Join,
    /// A machine starts again.
    Start(usize),
    /// The cloud answers again.
    Answer,
    /// A disk has room again.
    Room(usize),
    /// A machine goes back on the network.
    Online(usize),
    /// A machine has internet again.
    Uplink(usize),
}

impl World {
    /// Draws a fault and lets it happen.
    pub fn fault(&mut self) {
        if self.is_healed {
            return;
        }
        let kind = self.plan.fault(&mut self.dice);
        let at = self.dice.place(self.nodes.len());
        let pause = self.dice.around(2_500);
        if self.inflict(kind, at, pause) {
            self.trace.note(
                self.now,
                format_args!("FAULT {kind:?} at {at} for {pause}"),
                &[],
            );
            self.checks.fault(name(kind));
        }
        let next = self.dice.around(self.plan.fault_every_ms);
        self.after(next, Happening::Fault);
    }

    /// `false` if there was nothing to break.
    fn inflict(&mut self, kind: FaultKind, at: usize, pause: u64) -> bool {
        let is_up = self.nodes[at].driver().is_some();
        match kind {
            FaultKind::Cut => {
                let names: Vec<u64> = self.wires.keys().copied().collect();
                if names.is_empty() {
                    return false;
                }
                let name = names[self.dice.place(names.len())];
                let is_noticed = self.dice.happens(700);
                self.sever(name, is_noticed);
            }
            FaultKind::Split => self.split(pause),
            FaultKind::OneWay => self.deafen(at, pause),
            FaultKind::Crash if is_up => self.kill(at, pause),
            FaultKind::Outage | FaultKind::CloudCrash => return self.trouble(kind, pause),
            FaultKind::FullDisk => {
                let Some(driver) = self.nodes[at].driver() else {
                    return false;
                };
                driver.store().fill_disk().expect("a pragma");
                self.after(pause, Happening::Undo(Undo::Room(at)));
            }
            FaultKind::Offline if is_up && !self.nodes[at].is_offline => {
                self.nodes[at].is_offline = true;
                self.tell(at, Event::Network(Network::Offline));
                self.after(pause, Happening::Undo(Undo::Online(at)));
            }
            FaultKind::ClockJump => {
                self.nodes[at].skew += self.dice.between(0, 1_200_000) as i64 - 600_000;
            }
            FaultKind::Sleep if is_up => self.tell(at, Event::Woke),
            FaultKind::Echo => return self.echo(at),
            FaultKind::NoUplink if !self.nodes[at].no_uplink => {
                self.nodes[at].no_uplink = true;
                self.after(2 * pause, Happening::Undo(Undo::Uplink(at)));
            }
            _ => return false,
        }
        true
    }

    pub(super) fn split(&mut self, pause: u64) {
        let side: Vec<bool> = self.nodes.iter().map(|_| self.dice.happens(500)).collect();
        for a in 0..side.len() {
            for b in 0..side.len() {
                self.blocked[a][b] |= side[a] != side[b];
            }
        }
        self.after(2 * pause, Happening::Undo(Undo::Join));
    }

    fn deafen(&mut self, at: usize, pause: u64) {
        let hears = self.dice.happens(500);
        for other in 0..self.nodes.len() {
            if hears {
                self.blocked[at][other] = true;
            } else {
                self.blocked[other][at] = true;
            }
        }
        self.after(2 * pause, Happening::Undo(Undo::Join));
    }

    /// The process dies; its links die with it, and the other ends hear of it or not.
    pub(super) fn kill(&mut self, at: usize, pause: u64) {
        self.crash(at);
        let is_noticed = self.dice.happens(500);
        let ends: Vec<(u64, usize)> = self
            .wires
            .iter()
            .flat_map(|(name, wire)| {
                (0..2)
                    .filter(|end| wire.ends[*end] == at)
                    .map(|end| (*name, end))
            })
            .collect();
        for (name, end) in ends {
            self.break_off(name, end);
            let delay = if is_noticed {
                self.dice.below(60)
            } else {
                self.dice.between(4_000, 9_000)
            };
            self.after(delay, Happening::Break(name, 1 - end));
        }
        self.after(pause, Happening::Undo(Undo::Start(at)));
    }

    fn trouble(&mut self, kind: FaultKind, pause: u64) -> bool {
        let busy = self.dice.happens(400);
        let Some(cloud) = &mut self.cloud else {
            return false;
        };
        if kind == FaultKind::CloudCrash {
            cloud.truth.restart();
        }
        cloud.is_out = true;
        cloud.is_busy = busy;
        self.after(pause, Happening::Undo(Undo::Answer));
        true
    }

    /// Bundles that were on the wire come again, to whom it may concern.
    fn echo(&mut self, at: usize) -> bool {
        let count = self.checks.seen_bytes.len();
        if count == 0 || self.nodes[at].driver().is_none() {
            return false;
        }
        for _ in 0..self.dice.between(1, 8) {
            let bytes = self.checks.seen_bytes[self.dice.place(count)].clone();
            if bytes.len() <= limits::GOSSIP_INLINE_BYTES {
                self.tell(at, Event::Gossip(Bytes::copy_from_slice(&bytes)));
            }
        }
        true
    }

    /// A fault ends.
    pub fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Join => {
                self.blocked.iter_mut().for_each(|row| row.fill(false));
                self.release();
            }
            Undo::Start(at) => {
                if matches!(self.nodes[at].process, Process::Down(_)) {
                    self.boot(at);
                    if self.nodes[at].is_offline {
                        self.tell(at, Event::Network(Network::Offline));
                    }
                }
            }
            Undo::Answer => {
                if let Some(cloud) = &mut self.cloud {
                    cloud.is_out = false;
                }
            }
            Undo::Room(at) => match &self.nodes[at].process {
                Process::Up(driver) => driver.store().free_disk().expect("a pragma"),
                Process::Down(store) => store.free_disk().expect("a pragma"),
                Process::Gone | Process::Moving => {}
            },
            Undo::Online(at) => {
                self.nodes[at].is_offline = false;
                self.tell(at, Event::Network(Network::Online));
            }
            Undo::Uplink(at) => self.nodes[at].no_uplink = !self.plan.uplinks[at],
        }
        self.trace
            .note(self.now, format_args!("UNDO {undo:?}"), &[]);
    }

    /// The faults end: from here on the world is good and nobody writes.
    pub fn heal(&mut self) {
        self.is_healed = true;
        if let Some(liar) = self.liar.as_ref().map(|liar| liar.at) {
            // Its links go with what it said on them.
            if self.nodes[liar].driver().is_some() {
                self.kill(liar, 1);
            }
        }
        self.undo(Undo::Join);
        self.undo(Undo::Answer);
        for at in 0..self.nodes.len() {
            self.undo(Undo::Room(at));
            self.undo(Undo::Start(at));
            self.undo(Undo::Online(at));
        }
        self.readmit();
        self.bring_together();
        (0..self.nodes.len()).for_each(|at| self.undo(Undo::Uplink(at)));
    }
}

fn name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Cut => "cut",
        FaultKind::Split => "split",
        FaultKind::OneWay => "one-way",
        FaultKind::Crash => "crash",
        FaultKind::Outage => "outage",
        FaultKind::CloudCrash => "cloud crash",
        FaultKind::FullDisk => "full disk",
        FaultKind::Offline => "offline",
        FaultKind::ClockJump => "clock jump",
        FaultKind::Sleep => "sleep",
        FaultKind::Echo => "echo",
        FaultKind::NoUplink => "no uplink",
    }
}
