//! Who loses the right to belong while the world is bad: shut out by an admin, two admins by each other, or gone by its own word; and
//! whom the root key takes back. Those who stay outside may not be heard any more, and owe nobody anything.

use std::collections::{BTreeMap, BTreeSet};

use studiovault_node::driver::Event;
use studiovault_protocol::engine::RosterChange;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::{Roster, SignedRecord};

use super::dice::Dice;
use super::machine::Node;
use super::ruin::Blow;
use super::world::{Happening, World};

/// A right that ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// An admin shuts a machine out.
    Revoked,
    /// Two admins shut each other out.
    Mutual,
    /// A machine takes its leave.
    Retired,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revocation",
            Self::Mutual => "mutual revocation",
            Self::Retired => "retirement",
        }
    }
}

/// How often rights end in one world.
pub struct Rights {
    dice: Dice,
    every_ms: u64,
}

impl Rights {
    /// From the seed, with dice of its own.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x0c07_0000_0c07_0000);
        let every_ms = dice.between(3_000, 12_000);
        Self { dice, every_ms }
    }
}

impl World {
    /// Draws whose right ends, and how.
    pub fn end_some_right(&mut self, rights: &mut Rights) {
        let at = rights.dice.place(self.nodes.len());
        let ending = match rights.dice.below(5) {
            0..=1 => Ending::Revoked,
            2..=3 => Ending::Mutual,
            _ => Ending::Retired,
        };
        if self.end_right(ending, at, &mut rights.dice) {
            self.trace
                .note(self.now, format_args!("RIGHT {ending:?} at {at}"), &[]);
            self.checks.fault(ending.name());
        }
        let next = rights.dice.around(rights.every_ms);
        self.after(next, Happening::Blow(Blow::Right));
    }

    /// All signed records that these machines know.
    fn records_of(&self, is_meant: impl Fn(&Node) -> bool) -> Roster {
        let mut roster = self.empty_roster.clone();
        let meant = self.nodes.iter().filter(|node| is_meant(node));
        for driver in meant.filter_map(Node::driver) {
            roster.extend(driver.engine().roster().records().cloned());
        }
        roster
    }

    /// The devices that do not belong any more. What only those know who are outside themselves reaches nobody: of two that shut each
    /// other out one stays, if the other's word against it got no further.
    pub fn outsiders(&self) -> BTreeSet<DeviceId> {
        let is_cut = |node: &Node| {
            let roster = node.driver().map(|driver| driver.engine().roster());
            roster.is_some_and(|roster| roster.records().any(|record| record.cut().is_some()))
        };
        let mut outside = BTreeSet::new();
        if !self.nodes.iter().any(is_cut) {
            return self.refused();
        }
        for _ in 0..3 {
            let roster = self.records_of(|node| !outside.contains(&node.device));
            let out = roster.members().filter(|member| !member.is_active());
            outside = out.map(|member| member.grant.device).collect();
        }
        outside.append(&mut self.refused());
        outside
    }

    /// The devices that the cloud serves no more: it tells the others why, also where nobody else is left who knows.
    fn refused(&self) -> BTreeSet<DeviceId> {
        let truth = self.cloud.as_ref().map(|cloud| &cloud.truth);
        let devices = self.nodes.iter().map(|node| node.device);
        let is_out = |device: &DeviceId| {
            truth.is_some_and(|truth| truth.is_shut_out(*device).expect("memory answers"))
        };
        devices.filter(is_out).collect()
    }

    /// Whether a machine does not belong any more.
    pub fn is_outside(&self, at: usize) -> bool {
        self.outside.contains(&self.nodes[at].device)
    }

    /// A right ends; `false` if nobody could end it, or too few would be left.
    fn end_right(&mut self, ending: Ending, at: usize, dice: &mut Dice) -> bool {
        let outside = self.outsiders();
        let is_in = |node: &Node| node.driver().is_some() && !outside.contains(&node.device);
        let inside: BTreeSet<DeviceId> = self
            .nodes
            .iter()
            .filter(|node| is_in(node))
            .map(|node| node.device)
            .collect();
        let enough = if ending == Ending::Mutual { 4 } else { 3 };
        let is_admin = |node: &Node| {
            let engine = node.driver().map(|driver| driver.engine());
            engine.is_some_and(|engine| engine.authority().is_some())
        };
        let admins: Vec<usize> = (0..self.nodes.len())
            .filter(|at| is_admin(&self.nodes[*at]) && is_in(&self.nodes[*at]))
            .collect();
        let other = admins
            .iter()
            .find(|admin| self.nodes[**admin].device != self.nodes[at].device);
        let Some(other) = other.copied().filter(|_| inside.len() >= enough) else {
            return false;
        };
        if !is_in(&self.nodes[at]) || ending == Ending::Mutual && !is_admin(&self.nodes[at]) {
            return false;
        }
        if dice.happens(500) {
            let pause = dice.around(2_500);
            self.split(pause);
        }
        let of = |world: &Self, at: usize| RosterChange::Revoke(world.nodes[at].device);
        match ending {
            Ending::Revoked => self.change_roster(other, of(self, at)),
            Ending::Retired => self.change_roster(at, RosterChange::Retire),
            Ending::Mutual => {
                self.change_roster(other, of(self, at));
                self.change_roster(at, of(self, other));
            }
        }
        true
    }

    /// A person changes the roster at a machine.
    pub fn change_roster(&mut self, at: usize, change: RosterChange) {
        self.ticket += 1;
        self.tell(at, Event::Change(self.ticket, Box::new(change)));
    }

    /// The recovery kit is fetched: some of those outside are taken back.
    pub fn readmit(&mut self) {
        self.outside = self.outsiders();
        self.change_last_key();
        let Some(mut ruin) = self.ruin.take_if(|ruin| ruin.rights.is_some()) else {
            return;
        };
        let rights = ruin.rights.as_mut().expect("it was just there");
        let roster = self.records_of(|_| true);
        for device in self.outside.clone() {
            let is_left =
                |node: &Node| node.driver().is_some() && !self.outside.contains(&node.device);
            let at = self.nodes.iter().position(is_left);
            let act = roster
                .readmission(device)
                .filter(|_| rights.dice.happens(500));
            if let (Some(at), Some(act)) = (at, act) {
                let record = SignedRecord::by_root(roster.studio(), act, &ruin.root);
                self.change_roster(at, RosterChange::Signed(Box::new(record)));
                self.checks.fault("taken back");
            }
        }
        self.ruin = Some(ruin);
    }

    /// Who serves somebody that was shut out: a word of it is enough to end the link.
    pub fn still_served(&self) -> Option<String> {
        let inside = (0..self.nodes.len()).filter(|at| !self.is_outside(*at));
        let found = inside.into_iter().find_map(|at| {
            let engine = self.nodes[at].driver()?.engine();
            let mut sessions = engine.sessions().map(|(_, session)| session.device);
            Some((at, sessions.find(|device| self.outside.contains(device))?))
        });
        let (at, device) = found?;
        Some(format!("node {at} serves {device}, which was shut out"))
    }

    /// All others agree: whoever is outside for good is switched off, with what it never could tell anybody. `false` if nobody is.
    pub fn leave_outside(&mut self) -> bool {
        let left: Vec<usize> = (0..self.nodes.len())
            .filter(|at| self.is_outside(*at) && !self.nodes[*at].is_gone())
            .collect();
        for at in &left {
            self.let_go(*at, &BTreeMap::new());
            self.switch_off(*at);
        }
        !left.is_empty()
    }
}
