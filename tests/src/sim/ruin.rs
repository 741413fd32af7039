//! What befalls whole machines: a backup is put back, a disk that lied loses its last second, a disk is cloned and both run, a machine
//! dies for good. Drawn from dice of its own, so that a seed without any of it is the world that it was.

use std::collections::BTreeMap;

use studiovault_node::store::Store;
use studiovault_protocol::engine::RosterChange;
use studiovault_protocol::id::{Author, DeviceId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Act, Role, SignedRecord};

use super::Cast;
use super::dice::Dice;
use super::keys::Keys;
use super::machine::{Node, Process, held_on};
use super::rights::Rights;
use super::world::{Happening, World};

/// After the faults have ended nobody gives anything up before this, ms: until then it may be on its way.
const PATIENCE_MS: u64 = 15_000;
/// A machine that is switched off leaves the others with a gateway or without in this time, ms.
const PARTED_MS: u64 = 15_000;
/// Between two words that something is given up, ms.
const PAUSE_MS: u64 = 2_000;

/// Kinds, each drawn with its own weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misfortune {
    /// A machine's store is put back to an earlier moment.
    PutBack,
    /// A disk that said it had written loses up to its last second at a crash.
    LyingDisk,
    /// A machine's disk is copied, and both run side by side as one device.
    Clone,
    /// A machine dies with its disk.
    Death,
}

const KINDS: [Misfortune; 4] = [
    Misfortune::PutBack,
    Misfortune::LyingDisk,
    Misfortune::Clone,
    Misfortune::Death,
];

/// Something that befalls a machine at its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blow {
    /// The next misfortune is drawn.
    Next,
    /// A machine is put back to the copy with that number.
    PutBack(usize, u64),
    /// Somebody's right to belong ends.
    Right,
    /// Somebody changes the key under the mesh.
    Key,
}

/// What befalls machines in one world.
pub struct Ruin {
    dice: Dice,
    /// In the recovery kit.
    pub root: SecretKey,
    every_ms: u64,
    /// Who loses the right to belong, if anybody does.
    pub rights: Option<Rights>,
    /// Who changes the key under the mesh, if anybody does.
    pub keys: Option<Keys>,
    weights: [u64; KINDS.len()],
    /// Copies of disks that are going to be put back.
    copies: BTreeMap<u64, Store>,
    /// When something was last given up.
    gave_up_at: u64,
}

impl Ruin {
    /// Of two worlds in five nothing is ruined, unless rights end in all.
    pub fn draw(seed: u64, root: SecretKey, cast: Cast) -> Option<Self> {
        let mut dice = Dice::new(seed ^ 0x00ba_cc00_00ba_cc00);
        if dice.happens(400) && cast != Cast::Rights {
            return None;
        }
        let every_ms = dice.between(2_000, 12_000);
        let drawn = |_| {
            if dice.happens(500) {
                dice.between(1, 10)
            } else {
                0
            }
        };
        let mut weights = KINDS.map(drawn);
        weights[0] += 1;
        Some(Self {
            dice,
            root,
            rights: (cast == Cast::Rights).then(|| Rights::draw(seed)),
            keys: (cast == Cast::Rights).then(|| Keys::draw(seed)).flatten(),
            every_ms,
            weights,
            copies: BTreeMap::new(),
            gave_up_at: 0,
        })
    }

    /// Two machines are admins, so that somebody can say what is lost.
    pub fn role(at: usize) -> Role {
        if at < 2 { Role::Admin } else { Role::Member }
    }

    fn kind(&mut self) -> Misfortune {
        let mut at = self.dice.below(self.weights.iter().sum());
        for (kind, weight) in KINDS.iter().zip(&self.weights) {
            if at < *weight {
                return *kind;
            }
            at -= weight;
        }
        Misfortune::PutBack
    }
}

impl World {
    /// Something befalls a machine.
    pub fn strike(&mut self, blow: Blow) {
        if self.is_healed {
            return;
        }
        let Some(mut ruin) = self.ruin.take() else {
            return;
        };
        match blow {
            Blow::Next => {
                let (kind, at) = (ruin.kind(), ruin.dice.place(self.nodes.len()));
                if self.befall((kind, at), &mut ruin) {
                    self.trace
                        .note(self.now, format_args!("RUIN {kind:?} at {at}"), &[]);
                }
                let next = ruin.dice.around(ruin.every_ms);
                self.after(next, Happening::Blow(Blow::Next));
            }
            Blow::Right => self.end_some_right(ruin.rights.as_mut().expect("it was drawn")),
            Blow::Key => self.change_some_key(ruin.keys.as_mut().expect("it was drawn")),
            Blow::PutBack(at, number) => {
                let copy = ruin.copies.remove(&number);
                let copy = copy.expect("a copy is put back once");
                self.put_back(at, copy, &mut ruin.dice);
            }
        }
        self.ruin = Some(ruin);
    }

    /// `false` if there was nothing to befall.
    fn befall(&mut self, (kind, at): (Misfortune, usize), ruin: &mut Ruin) -> bool {
        let Some(disk) = self.nodes[at].disk() else {
            return false;
        };
        match kind {
            Misfortune::PutBack | Misfortune::LyingDisk => {
                let copy = disk.copied(&self.policy).expect("memory copies");
                self.ticket += 1;
                ruin.copies.insert(self.ticket, copy);
                let age = match kind {
                    Misfortune::LyingDisk => ruin.dice.between(1, 1_000),
                    _ => ruin.dice.around(4_000),
                };
                self.after(age, Happening::Blow(Blow::PutBack(at, self.ticket)));
                self.checks.fault(name(kind));
            }
            Misfortune::Clone => return self.double(at),
            Misfortune::Death => return self.bury(at),
        }
        true
    }

    fn put_back(&mut self, at: usize, copy: Store, dice: &mut Dice) {
        if self.nodes[at].is_gone() {
            return;
        }
        self.let_go(at, &held_on(&copy));
        let pause = dice.between(1, 300);
        if self.nodes[at].driver().is_some() {
            self.kill(at, pause);
        }
        self.nodes[at].process = Process::Down(Box::new(copy));
        self.trace
            .note(self.now, format_args!("node {at} is put back"), &[]);
    }

    /// A copy of a machine is switched on beside it.
    fn double(&mut self, at: usize) -> bool {
        // The word of one that it uses a key counts for both: a copy made before it heard of the key comes in no more.
        let change = |node: &Node| node.studio.keyring.rekey.as_ref().map(|key| key.number);
        let behind = |other: &Node| change(other) > change(&self.nodes[at]);
        let is_behind = self.nodes.iter().any(behind);
        if is_behind || self.is_doubled(at) || self.nodes.len() > self.plan.nodes {
            return false;
        }
        let node = &self.nodes[at];
        let disk = node.disk().expect("it was just there");
        let disk = disk.copied(&self.policy).expect("memory copies");
        let own = (node.device, node.secret.clone());
        let mut twin = Node::over(own, node.grant, (disk, node.studio.clone()));
        (twin.skew, twin.no_uplink) = (node.skew, node.no_uplink);
        self.nodes.push(twin);
        let plan = &mut self.plan;
        plan.uplinks.push(plan.uplinks[at]);
        for matrix in [&mut plan.reachable, &mut self.blocked] {
            matrix.iter_mut().for_each(|row| row.push(row[at]));
            matrix.push(matrix[at].clone());
        }
        let twin = self.nodes.len() - 1;
        (self.plan.reachable[at][twin], self.plan.reachable[twin][at]) = (true, true);
        self.checks.fault(name(Misfortune::Clone));
        self.boot(twin);
        true
    }

    /// A machine dies with its disk, if the others are enough to go on.
    fn bury(&mut self, at: usize) -> bool {
        let left = |other: &&Node| !other.is_gone() && other.device != self.nodes[at].device;
        if self.nodes.iter().filter(left).count() < 3 {
            return false;
        }
        self.let_go(at, &BTreeMap::new());
        self.switch_off(at);
        self.checks.fault(name(Misfortune::Death));
        true
    }

    pub fn switch_off(&mut self, at: usize) {
        if self.nodes[at].driver().is_some() {
            self.kill(at, 1);
        }
        self.nodes[at].process = Process::Gone;
    }

    /// Of what was promised only what is left somewhere is still due.
    pub fn let_go(&mut self, at: usize, left_here: &BTreeMap<Author, u64>) {
        let elsewhere = self.held_but_at(Some(at));
        let lost = self.checks.promises.put_back(at, left_here, &elsewhere);
        if lost > 0 {
            let count = self.checks.faults.entry("commands lost with the only disk");
            *count.or_default() += lost;
        }
    }

    /// What all disks but one hold, and the cloud.
    fn held_but_at(&self, but: Option<usize>) -> BTreeMap<Author, u64> {
        let disks = self.nodes.iter().enumerate();
        let disks = disks.filter(|(at, _)| Some(*at) != but && !self.is_outside(*at));
        let mut held: Vec<BTreeMap<Author, u64>> = disks
            .filter_map(|(_, node)| node.disk().map(held_on))
            .collect();
        held.extend(self.cloud.as_ref().map(|cloud| cloud.held(self.wall(None))));
        let mut most: BTreeMap<Author, u64> = BTreeMap::new();
        for (author, last) in held.into_iter().flatten() {
            let known = most.entry(author).or_default();
            *known = last.max(*known);
        }
        most
    }

    /// Whether another machine runs as the same device.
    pub fn is_doubled(&self, at: usize) -> bool {
        let device = self.nodes[at].device;
        let same = |node: &&Node| node.device == device && !node.is_gone();
        self.nodes.iter().filter(same).count() > 1
    }

    /// Whether a machine's links can last: of two machines that are one device the newest link takes the other's place.
    pub fn can_rest(&self, at: usize) -> bool {
        !self.nodes[at].is_gone() && !self.is_doubled(at) && !self.is_outside(at)
    }

    /// All agree: whoever exists twice or does not belong is switched off now, and those who stay get used to it. `false` if that is done.
    pub fn parts(&mut self) -> bool {
        if self.part_twins() | self.leave_outside() {
            self.parted_at = self.now;
        }
        self.parted_at > 0 && self.now < self.parted_at + PARTED_MS
    }

    /// All agree: people have been told of a device that exists twice, and switch the copy off. `false` if there is none.
    fn part_twins(&mut self) -> bool {
        let twins: Vec<usize> = (self.nodes.len().min(self.plan.nodes)..self.nodes.len())
            .filter(|at| self.is_doubled(*at))
            .collect();
        twins.iter().for_each(|at| self.switch_off(*at));
        !twins.is_empty()
    }

    /// Whoever is left is brought into one room, one of them with internet.
    pub fn bring_together(&mut self) {
        let gone: Vec<bool> = (0..self.nodes.len())
            .map(|at| self.nodes[at].is_gone() || self.is_outside(at))
            .collect();
        if !gone.contains(&true) {
            return;
        }
        for (a, row) in self.plan.reachable.iter_mut().enumerate() {
            row.iter_mut()
                .enumerate()
                .for_each(|(b, cell)| *cell = a != b);
        }
        if let Some(left) = gone.iter().position(|is_gone| !is_gone) {
            self.plan.uplinks[left] = true;
            self.nodes[left].no_uplink = false;
        }
    }

    /// The words of an admin, or where none is left those of the recovery kit.
    fn surrender(&self, at: usize, device: DeviceId) -> RosterChange {
        let engine = self.nodes[at].driver().expect("it runs").engine();
        if engine.authority().is_some() {
            return RosterChange::Lose(device);
        }
        let root = &self.ruin.as_ref().expect("something was ruined").root;
        let lost = Act::Lost(engine.log().awaited(device));
        let record = SignedRecord::by_root(engine.roster().studio(), lost, root);
        RosterChange::Signed(Box::new(record))
    }

    /// What stored bundles wait for and nobody holds, is given up, once all that could come has had its time.
    pub fn give_up(&mut self, healed_at: u64) {
        let Some(ruin) = &self.ruin else {
            return;
        };
        if self.now < healed_at + PATIENCE_MS || self.now < ruin.gave_up_at + PAUSE_MS {
            return;
        }
        let held = self.held_but_at(None);
        let mut found: Option<(usize, DeviceId)> = None;
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(engine) = node.driver().map(|driver| driver.engine()) else {
                continue;
            };
            if self.is_outside(at) || engine.log().parked_count() == 0 {
                continue;
            }
            let nowhere = |(author, from): &(Author, u64)| held.get(author).unwrap_or(&0) < from;
            let mut members = engine.roster().members().map(|member| member.grant.device);
            let lost = members.find(|device| engine.log().awaited(*device).iter().any(nowhere));
            found = found.or(lost.map(|device| (at, device)));
        }
        if let Some((at, device)) = found {
            let change = self.surrender(at, device);
            self.change_roster(at, change);
            self.checks.fault("given up");
            self.ruin.as_mut().expect("it was just there").gave_up_at = self.now;
        }
    }
}

fn name(kind: Misfortune) -> &'static str {
    match kind {
        Misfortune::PutBack => "backup put back",
        Misfortune::LyingDisk => "lying disk",
        Misfortune::Clone => "clone",
        Misfortune::Death => "death of a machine",
    }
}
