//! What must hold, while the world is bad (I1, I2) and once it is good again (I4, I6, and I2 against the reference).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use studiovault_node::driver::Driver;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::engine::{ChangeRefused, FeedAlarm};
use studiovault_protocol::id::{Author, DeviceId, EntityId, Hash};
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::merge::StateSum;
use studiovault_protocol::vector::Vector;
use studiovault_protocol::wire::Frame;

use super::machine::Node;
use super::promises::Promises;
use super::wire::{Wire, word};
use super::world::World;

/// Bundles kept to come again out of the blue.
const ECHOES: usize = 200;

/// A link was ended for a page that is none of the cloud's.
pub const PAGE_REFUSED: &str = "a page refused";

/// What was seen so far, and what was wrong with it.
#[derive(Default)]
pub struct Checks {
    /// Steps of machines.
    pub events: u64,
    /// Batches sent to the cloud.
    pub batches: u64,
    /// Batches that bring the cloud nothing but signed records.
    pub tellings: u64,
    /// Writes refused.
    pub refused: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Some bundles that were on the wire.
    pub seen_bytes: Vec<Arc<[u8]>>,
    /// Sales that somebody tried to write.
    pub sales: Vec<EntityId>,
    /// The first thing that was wrong.
    pub violation: Option<String>,
    /// Frames sent since everything became calm, by kind.
    pub quiet: Option<BTreeMap<&'static str, u64>>,
    /// Who said of which gateway that it keeps the feed back.
    pub withholders: BTreeSet<(usize, DeviceId)>,
    /// Why the last change of the roster was not made that somebody asked for in vain.
    pub refused_change: Option<ChangeRefused>,
    /// Who may sign two things under one dot.
    forker: Option<DeviceId>,
    /// What was promised to whom.
    pub promises: Promises,
    wire: BTreeMap<(Author, u64), Hash>,
    sums: BTreeMap<Same, (StateSum, usize)>,
}

/// What makes the state: what is applied, how far the feed is folded, the records, and of the machine that lies which of its branches
/// are held. Then which splits were acted on, and whether the rows are still to be made anew; both wait while a disk is full.
type Same = (
    Vector,
    u64,
    Hash,
    Vec<(Author, (u64, Hash))>,
    (Vec<(Author, u64)>, bool),
);

impl Checks {
    /// Of a world in which that member may sign two things under one dot.
    pub fn of(forker: Option<DeviceId>) -> Self {
        Self {
            forker,
            ..Self::default()
        }
    }

    /// Something is wrong; the first word counts.
    pub fn violated(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// A machine left in peace: what it promised the others hold. What was compared up to now is not compared again.
    pub fn leaves(&mut self, at: usize) {
        self.promises.leaves(at);
        self.sums.clear();
    }

    /// Counts a fault.
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// A machine ends a link.
    pub fn closed(&mut self, reason: &str) {
        if reason.contains("feed page") {
            self.fault(PAGE_REFUSED);
        }
    }

    /// A frame goes out.
    pub(crate) fn sent(&mut self, _at: usize, _is_healed: bool, frame: &Frame) {
        if let Some(quiet) = &mut self.quiet {
            *quiet.entry(word(frame)).or_default() += 1;
        }
        match frame {
            Frame::Push(bundles) => bundles.iter().for_each(|bytes| self.saw_bytes(&bytes.0)),
            Frame::Block { raw, packed, .. } => {
                let raw = zstd::bulk::decompress(packed, *raw as usize).expect("our own block");
                let mut rest = &raw[..];
                while let Some((length, tail)) = rest.split_first_chunk::<4>() {
                    let (bytes, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
                    self.saw_bytes(bytes);
                    rest = tail;
                }
            }
            _ => {}
        }
    }

    /// A bundle is on the wire: one dot, one content, for ever.
    pub fn saw_bytes(&mut self, bytes: &[u8]) {
        let bundle = Bundle::decode(bytes).expect("the product sends what it can read");
        let key = (bundle.author(), bundle.first());
        self.promises.let_out(key.0, bundle.last());
        match self.wire.get(&key) {
            Some(hash) if *hash == bundle.hash() => return,
            Some(_) if self.forker == Some(key.0.device) => {}
            Some(_) => self.violated(format!("I1: two bundles stand at {}", key.0.at(key.1))),
            None => {}
        }
        self.wire.insert(key, bundle.hash());
        if self.seen_bytes.len() < ECHOES {
            self.seen_bytes.push(bundle.bytes().clone());
        }
    }

    /// What a machine says of the feed. There is one cloud and nobody has its key, so nobody may see two feeds.
    fn doubts(&mut self, at: usize, alarms: &[FeedAlarm]) {
        for alarm in alarms {
            match alarm {
                FeedAlarm::Forked { .. } => self.violated(format!("node {at} says {alarm:?}")),
                FeedAlarm::Withheld { by, .. } => {
                    self.withholders.insert((at, *by));
                }
            }
        }
    }

    /// I2: the same commands, the same feed prefix and the same roster give the same state, wherever and whenever.
    fn same_state(&mut self, at: usize, driver: &Driver) {
        let engine = driver.engine();
        let log = engine.log();
        let branches = log
            .chains()
            .filter(|(author, _)| self.forker == Some(author.device))
            .filter_map(|(author, chain)| Some((author, chain.applied?)));
        let branches = branches.collect();
        let is_late = driver.store().came_late().expect("memory reads");
        let splits = log
            .forks()
            .iter()
            .map(|(author, split)| (*author, split.from));
        let acted = (splits.collect(), is_late);
        let (feed, roster) = (engine.feed().folded(), engine.roster().digest());
        let key = (log.applied().clone(), feed, roster, branches, acted);
        let sum = driver.store().state_hash();
        let (known, whose) = *self.sums.entry(key).or_insert((sum, at));
        if known != sum {
            let (folded, tips) = (engine.feed().folded(), engine.log().applied().tips().len());
            self.violated(format!(
                "I2: nodes {whose} and {at} applied the same ({tips} tips, feed {folded}) and differ"
            ));
        }
    }
}

/// The first log that is not the same on two machines.
fn differing(one: &Driver, other: &Driver) -> String {
    let [one, other] = [one, other].map(|driver| driver.engine().log());
    let chains = |log: &LogIndex| -> BTreeMap<Author, _> {
        let chains = log.chains();
        chains
            .map(|(author, chain)| (author, (chain.start, chain.held.0, chain.applied)))
            .collect()
    };
    let [one, other] = [chains(one), chains(other)];
    let mut authors = one.keys().chain(other.keys());
    let found = authors.find(|author| one.get(author) != other.get(author));
    found.map_or_else(String::new, |author| {
        let (one, other) = (one.get(author), other.get(author));
        format!(": of {author:?} {one:?} and {other:?} (from, held, applied)")
    })
}

impl World {
    /// Looks at one machine after its step.
    pub fn look_at(&mut self, at: usize) {
        if let Some(driver) = self.nodes[at].driver() {
            self.checks.same_state(at, driver);
            self.checks.doubts(at, driver.engine().feed_alarms());
        }
    }

    /// What is not calm yet among those who belong, by all that was signed up to now.
    pub fn unrest_inside(&mut self) -> Option<String> {
        self.outside = self.outsiders();
        self.bring_together();
        let unrest = self.unrest().or_else(|| self.still_served());
        let unrest = unrest.or_else(|| self.keys_apart());
        unrest.or_else(|| self.unwritten())
    }

    /// What is not calm yet; `None` once everybody holds, applied and folded the same and nothing waits.
    pub fn unrest(&self) -> Option<String> {
        let mut drivers = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            match node.driver() {
                _ if self.is_outside(at) => {}
                Some(driver) => drivers.push((at, driver)),
                None if node.is_gone() => {}
                None => return Some(format!("node {at} is down")),
            }
        }
        if let Some((a, b)) = self.unlinked() {
            return Some(format!("nodes {a} and {b} have no link or more than one"));
        }
        let soon = self.now + self.plan.delay_ms + 1;
        let late = |wire: &Wire| wire.streams.iter().any(|stream| stream.last_at > soon);
        if let Some(wire) = self.wires.values().find(|wire| late(wire)) {
            let [a, b] = wire.ends;
            return Some(format!(
                "nodes {a} and {b} wait for what was sent again in the bad times"
            ));
        }
        // Machines that shut each other out may leave nobody: nobody waits for anything then.
        let &(lead, first) = drivers.first()?;
        let applied = first.engine().log().applied();
        for (at, driver) in &drivers {
            let engine = driver.engine();
            if engine.roster().digest() != first.engine().roster().digest() {
                return Some(format!("nodes {lead} and {at} know other records"));
            }
            if engine.log().parked_count() > 0 {
                let devices = self.nodes.iter().map(|node| node.device);
                let awaited: Vec<_> = devices.flat_map(|d| engine.log().awaited(d)).collect();
                return Some(format!(
                    "node {at} has {} bundles parked, for {awaited:?}",
                    engine.log().parked_count()
                ));
            }
            if engine.log().applied() != applied {
                let how = differing(first, driver);
                return Some(format!(
                    "nodes {lead} and {at} have applied different commands{how}"
                ));
            }
        }
        let cloud = self.cloud.as_ref()?;
        let summary = cloud.truth.summary().expect("memory answers");
        for (at, driver) in drivers {
            let (folded, head) = (driver.engine().feed().folded(), summary.head);
            if folded != head {
                return Some(format!(
                    "node {at} has folded {folded} of the feed's {head}"
                ));
            }
            let waiting = driver.store().undecided().expect("memory reads");
            if waiting > 0 {
                return Some(format!(
                    "node {at} has {waiting} commands without a verdict"
                ));
            }
        }
        let held: u64 = first
            .engine()
            .log()
            .chains()
            .map(|(_, chain)| chain.held.0 + 1 - chain.start)
            .sum();
        (summary.commands != held)
            .then(|| format!("the cloud holds {} of {held} commands", summary.commands))
    }

    /// A pair that could be linked and is not, or not cleanly.
    pub fn unlinked(&self) -> Option<(usize, usize)> {
        let known = |node: &Node| -> BTreeSet<DeviceId> {
            let sessions = node.driver().map(|driver| driver.engine().sessions());
            let sessions = sessions.into_iter().flatten();
            sessions.map(|(_, session)| session.device).collect()
        };
        let known: Vec<BTreeSet<DeviceId>> = self.nodes.iter().map(known).collect();
        let knows = |a: usize, b: usize| known[a].contains(&self.nodes[b].device);
        let mut wires: BTreeMap<[usize; 2], Vec<bool>> = BTreeMap::new();
        for wire in self.wires.values() {
            wires.entry(wire.pair()).or_default().push(wire.is_dead);
        }
        let rests: Vec<bool> = (0..self.nodes.len()).map(|at| self.can_rest(at)).collect();
        let pairs = (0..self.nodes.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        let mut reachable =
            pairs.filter(|(a, b)| self.plan.reachable[*a][*b] && rests[*a] && rests[*b]);
        reachable.find(|(a, b)| {
            let is_clean = wires.get(&[*b, *a]).is_some_and(|dead| *dead == [false]);
            !is_clean || !knows(*a, *b) || !knows(*b, *a)
        })
    }

    /// I6: nobody says more than that he is alive.
    pub fn check_quiet(&mut self, (batches_before, tellings_before): (u64, u64)) {
        let quiet = self.checks.quiet.take().unwrap_or_default();
        let loud = quiet
            .iter()
            .find(|(kind, _)| !matches!(**kind, "beat" | "statuses"));
        if let Some((kind, count)) = loud {
            self.checks.violated(format!(
                "I6: {count} frames `{kind}` after everything was calm"
            ));
        }
        // Whoever becomes the gateway shows the cloud its records once, for it cannot know who did.
        let told = self.checks.tellings - tellings_before;
        if self.checks.batches > batches_before || told > self.nodes.len() as u64 {
            self.checks
                .violated("I6: a batch went to the cloud after everything was calm".into());
        }
    }
}
