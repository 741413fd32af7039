//! The world of one seed: machines that run the real driver over the real store, a clock that only moves with events.
//!
//! One thread, one queue ordered by (virtual time, sequence), one source of chance: the same seed gives the same run.

use std::collections::{BTreeMap, BTreeSet};

use studiovault_node::config::Region;
use studiovault_node::driver::{Driver, Event, Output, Random, Request, Setup};
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::{Moment, Notice, UplinkEvent};
use studiovault_protocol::id::{Author, DeviceId, Epoch, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Role, Roster, SignedRecord};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::{MonoMs, Now, WallMs};
use studiovault_protocol::wire::Frame;

use super::Cast;
use super::check::Checks;
use super::clouds::Cloud;
use super::dice::Dice;
use super::faults::Undo;
use super::keys::studio_file;
use super::liar::Liar;
use super::machine::{Node, Process};
use super::newer::Newer;
use super::plan::Plan;
use super::ruin::{Blow, Ruin};
use super::trace::Trace;
use super::wire::{Wire, of_link, word};

/// Virtual time 0 on people's clocks.
const START_WALL: i64 = 1_764_000_000_000;

/// Something that is going to happen.
#[derive(Debug)]
pub enum Happening {
    /// A machine does its next step.
    Step(usize),
    /// The first item under way on a stream arrives: link, sending end.
    Arrive(u64, usize),
    /// A link opens at one end.
    Open(u64, usize),
    /// A link breaks off at one end.
    Break(u64, usize),
    /// Machines look for each other.
    Dial,
    /// A person does something.
    Person,
    /// A fault happens.
    Fault,
    /// A fault ends.
    Undo(Undo),
    /// Something befalls a whole machine.
    Blow(Blow),
    /// A request arrives at the cloud: machine, run, request.
    Ask(usize, u64, Box<Request>),
    /// A question that waited for news is answered anyway: machine, run.
    PollEnd(usize, u64),
    /// An answer arrives: machine, run, answer.
    Answer(usize, u64, Box<UplinkEvent>),
    /// Newer programs write.
    Newer,
    /// Somebody looks whether all is calm.
    Look,
}

/// Everything.
pub struct World {
    /// What the seed stands for.
    pub plan: Plan,
    /// Chance.
    pub dice: Dice,
    /// Virtual ms.
    pub now: u64,
    /// The machines.
    pub nodes: Vec<Node>,
    /// All links with an open end.
    pub wires: BTreeMap<u64, Wire>,
    /// Who cannot send to whom now.
    pub blocked: Vec<Vec<bool>>,
    /// The cloud truth, if there is one.
    pub cloud: Option<Cloud>,
    /// What happened.
    pub trace: Trace,
    /// What must hold.
    pub checks: Checks,
    /// No more faults and no more writes.
    pub is_healed: bool,
    /// The rules of the studio.
    pub policy: Policy,
    /// All signed records.
    pub records: Vec<SignedRecord>,
    /// The root key's public half, in an empty roster.
    pub empty_roster: Roster,
    /// A member that lies.
    pub liar: Option<Liar>,
    /// Those that run a newer program.
    pub newer: Option<Newer>,
    /// What befalls whole machines, if anything does.
    pub ruin: Option<Ruin>,
    /// Devices that do not belong any more once the faults have ended.
    pub outside: BTreeSet<DeviceId>,
    /// When the last of those who could not stay was switched off, once the faults had ended.
    pub parted_at: u64,
    /// The next ticket of a write.
    pub ticket: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    next_wire: u64,
}

impl World {
    /// A studio whose machines have just been switched on.
    pub(crate) fn new(seed: u64, cast: Cast, is_shown: bool) -> Self {
        let mut dice = Dice::new(seed);
        let mut plan = Plan::draw(&mut dice);
        plan.has_cloud &= cast != Cast::Mixed;
        let mut world = Self::raise(
            (seed, dice),
            plan,
            (cast, matches!(cast, Cast::Honest | Cast::Rights)),
            is_shown,
        );
        world.begin();
        world
    }

    /// The same with a plan that was made elsewhere.
    pub(crate) fn of_plan(seeded: (u64, Dice), plan: Plan, cast: Cast, is_shown: bool) -> Self {
        let mut world = Self::raise(seeded, plan, (cast, false), is_shown);
        world.begin();
        world
    }

    fn raise(
        (seed, mut dice): (u64, Dice),
        plan: Plan,
        (cast, is_ruined): (Cast, bool),
        is_shown: bool,
    ) -> Self {
        let root = SecretKey::from_seed(dice.bytes());
        let ruin = is_ruined.then(|| Ruin::draw(seed, root.clone(), cast));
        let ruin = ruin.flatten();
        let studio = StudioId::from_random(dice.bytes());
        let empty_roster = Roster::new(studio, root.public()).expect("a fresh key is one");
        let mut records = Vec::new();
        let mut nodes = Vec::new();
        let policy = Policy::default();
        for at in 0..plan.nodes {
            let secret = SecretKey::from_seed(dice.bytes());
            let device = DeviceId::from_random(dice.bytes());
            let role = ruin.as_ref().map_or(Role::Member, |_| Ruin::role(at));
            let grant = SignedRecord::by_root(studio, grant(device, &secret, (at, role)), &root);
            records.push(grant);
            let mut node =
                Node::asleep((device, secret), at, (&policy, studio_file(&empty_roster)));
            (node.skew, node.no_uplink) = (plan.skews[at], !plan.uplinks[at]);
            nodes.push(node);
        }
        let cloud = plan
            .has_cloud
            .then(|| Cloud::new((studio, root.public()), &mut dice, WallMs(START_WALL)));
        if let Some(cloud) = &cloud {
            let role = (0, Role::Cloud);
            records.push(SignedRecord::by_root(
                studio,
                grant(cloud.author.device, &cloud.key, role),
                &root,
            ));
        }
        let machines: Vec<(DeviceId, SecretKey)> = nodes
            .iter()
            .map(|node: &Node| (node.device, node.secret.clone()))
            .collect();
        let liar = (cast == Cast::Liar).then(|| Liar::draw(seed, &machines, studio));
        let newer = (cast == Cast::Mixed).then(|| Newer::draw(seed, &machines, studio));
        let blocked = vec![vec![false; plan.nodes]; plan.nodes];
        let checks = Checks::of(liar.as_ref().map(|liar| nodes[liar.at].device));
        Self {
            plan,
            dice,
            now: 0,
            nodes,
            wires: BTreeMap::new(),
            blocked,
            cloud,
            trace: Trace::new(is_shown),
            checks,
            is_healed: false,
            policy,
            records,
            empty_roster,
            liar,
            newer,
            ruin,
            outside: BTreeSet::new(),
            parted_at: 0,
            ticket: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            next_wire: 1,
        }
    }

    fn begin(&mut self) {
        let plan = format!("{:?}", self.plan);
        self.trace.note(0, format_args!("{plan}"), &[]);
        for at in 0..self.nodes.len() {
            self.boot(at);
        }
        self.after(1, Happening::Dial);
        self.after(50, Happening::Person);
        self.after(500, Happening::Fault);
        self.after(1_000, Happening::Look);
        if self.newer.is_some() {
            self.after(700, Happening::Newer);
        }
        if let Some(ruin) = &self.ruin {
            let (ends_rights, changes_keys) = (ruin.rights.is_some(), ruin.keys.is_some());
            self.after(1_000, Happening::Blow(Blow::Next));
            if ends_rights {
                self.after(3_000, Happening::Blow(Blow::Right));
            }
            if changes_keys {
                self.after(2_000, Happening::Blow(Blow::Key));
            }
        }
    }

    /// Something happens `ms` from now.
    pub fn after(&mut self, ms: u64, what: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + ms, self.sequence), what);
    }

    /// The next happening, with the clock moved to it.
    pub fn next(&mut self) -> Option<Happening> {
        let ((at, _), what) = self.queue.pop_first()?;
        assert!(at >= self.now, "time never runs back");
        self.now = at;
        Some(what)
    }

    /// A name for a new link.
    pub fn wire_name(&mut self) -> u64 {
        self.next_wire += 1;
        self.next_wire
    }

    /// The wall clock of a machine, or of the cloud.
    pub fn wall(&self, node: Option<usize>) -> WallMs {
        let skew = node.map_or(0, |at| self.nodes[at].skew);
        WallMs(START_WALL + self.now as i64 + skew)
    }

    fn moment(&mut self, at: usize) -> Moment {
        let mono = MonoMs(self.now - self.nodes[at].boot_at);
        let wall = self.wall(Some(at));
        Moment {
            now: Now { wall, mono },
            entropy: self.dice.number(),
        }
    }

    /// Starts the process of a machine over its disk.
    pub fn boot(&mut self, at: usize) {
        let run = self.dice.number();
        let fresh_epoch = Epoch(self.dice.number());
        let random = Random::seeded(self.dice.number());
        let mut roster = self.empty_roster.clone();
        for (place, record) in self.records.iter().enumerate() {
            let is_cloud = record
                .grant()
                .is_some_and(|grant| grant.role == Role::Cloud);
            if !self.plan.strangers || place == self.nodes[at].grant || is_cloud {
                roster
                    .insert(record.clone())
                    .expect("our own records are good");
            }
        }
        let node = &mut self.nodes[at];
        let Process::Down(store) = std::mem::replace(&mut node.process, Process::Moving) else {
            unreachable!("only a machine that is down is started");
        };
        (node.run, node.boot_at) = (run, self.now);
        let identity = Identity {
            device: node.device,
            secret: node.secret.clone(),
            run,
            fresh_epoch,
        };
        let setup = Setup {
            identity,
            roster,
            policy: self.policy.clone(),
            region: Region::default(),
            random,
        };
        let author = Author {
            device: setup.identity.device,
            epoch: fresh_epoch,
        };
        let moment = self.moment(at);
        let driver = Driver::new(setup, *store, moment).expect("a store in memory restores");
        let forgot = self.checks.promises.forgotten_by(at, &driver);
        self.checks.promises.begins(at, author);
        if let Some(forgot) = forgot.filter(|_| self.liar.as_ref().is_none_or(|l| l.at != at)) {
            self.checks.violated(forgot);
        }
        let node = &mut self.nodes[at];
        node.process = Process::Up(Box::new(driver));
        // Before anything else, as the real one does.
        let keyring = Some(&node.studio.keyring).filter(|keyring| keyring.rekey.is_some());
        let known = keyring.map(|keyring| Event::Keyring(Box::new(keyring.clone())));
        node.inbox.extend(known);
        self.trace.note(
            self.now,
            format_args!("node {at} starts, run {run:016x}"),
            &[],
        );
        self.poke(at, 0);
    }

    /// A machine loses power.
    pub fn crash(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Process::Up(driver) = std::mem::replace(&mut node.process, Process::Moving) else {
            unreachable!("only a machine that is up can crash");
        };
        driver.store().free_disk().expect("a pragma");
        let store = driver
            .into_store()
            .crash(&self.policy)
            .expect("memory survives");
        node.process = Process::Down(Box::new(store));
        node.inbox.clear();
        node.reads.clear();
        node.step_at = None;
        node.run = 0;
    }

    /// A machine's next step is due in `ms` at the latest.
    pub fn poke(&mut self, at: usize, ms: u64) {
        let due = self.now + ms;
        let node = &mut self.nodes[at];
        if node.step_at.is_none_or(|step_at| due < step_at) {
            node.step_at = Some(due);
            self.after(ms, Happening::Step(at));
        }
    }

    /// Gives a machine something to look at.
    pub fn tell(&mut self, at: usize, event: Event) {
        if self.nodes[at].driver().is_none() {
            return;
        }
        self.nodes[at].inbox.push(event);
        let pause = self.dice.below(3);
        self.poke(at, pause);
    }

    /// One step of a machine.
    pub fn step(&mut self, at: usize) {
        if self.nodes[at].step_at != Some(self.now) {
            return;
        }
        let moment = self.moment(at);
        let node = &mut self.nodes[at];
        node.step_at = None;
        let events = std::mem::take(&mut node.inbox);
        let Process::Up(driver) = &mut node.process else {
            return;
        };
        let count = events.len();
        let output = driver.step(moment, events);
        let mono = moment.now.mono;
        let wake = driver.next_wake(mono).since(mono).max(1);
        self.checks.events += 1;
        let lines = self.trace.lines;
        self.carry_out(at, output);
        if self.trace.lines != lines {
            self.trace
                .note(self.now, format_args!("node {at} took {count}"), &[]);
        }
        self.poke(at, wake);
        self.look_at(at);
    }

    fn noticed(&mut self, at: usize, notice: &Notice) {
        self.trace
            .note(self.now, format_args!("node {at}: {notice:?}"), &[]);
        if matches!(notice, Notice::Rekeyed) {
            self.rekeyed(at);
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        let Output {
            sends,
            gossip,
            closes,
            requests,
            answers,
            changes,
            notices,
            packs: _,
            obtained: _,
            changed: _,
            conflicts_changed: _,
            again,
            // The network of the world knows no grudges.
            faults: _,
            stored: _,
        } = output;
        for (ticket, answer) in changes {
            let (now, what) = (
                self.now,
                format!("node {at} changes the roster ({ticket}): {answer:?}"),
            );
            self.trace.note(now, format_args!("{what}"), &[]);
            self.checks.refused_change = answer.err().or(self.checks.refused_change.take());
        }
        for (ticket, answer) in answers {
            self.answered(at, ticket, answer);
        }
        notices.iter().for_each(|notice| self.noticed(at, notice));
        for (link, bytes) in sends {
            let (wire, end) = of_link(link);
            let frame = Frame::decode(&bytes).expect("the product sends what it can read");
            self.checks.sent(at, self.is_healed, &frame);
            if !matches!(frame, Frame::Beat(_)) {
                let word = word(&frame);
                let length = bytes.len();
                self.trace.note(
                    self.now,
                    format_args!("node {at} sends {word} {length} on {wire}"),
                    &bytes,
                );
            }
            for bytes in self.said((at, wire, end), bytes) {
                self.transmit(wire, end, bytes);
            }
        }
        for bytes in gossip {
            self.checks.saw_bytes(&bytes);
        }
        for (link, reason) in closes {
            self.checks.closed(&reason);
            let (wire, end) = of_link(link);
            self.trace.note(
                self.now,
                format_args!("node {at} closes {wire}: {reason}"),
                &[],
            );
            self.close(wire, end);
        }
        for request in requests {
            self.request(at, request);
        }
        if again {
            self.poke(at, 0);
        }
    }
}

fn grant(device: DeviceId, secret: &SecretKey, (at, role): (usize, Role)) -> Grant {
    Grant {
        device,
        key: secret.public(),
        name: format!("machine {at}"),
        role,
        priority: (at % 3) as i32,
        gateway_preference: (at % 2) as i32,
        version: 1,
    }
}

/// An author drawn for the cloud.
pub fn author_of(dice: &mut Dice) -> Author {
    Author {
        device: DeviceId::from_random(dice.bytes()),
        epoch: Epoch(dice.number()),
    }
}
