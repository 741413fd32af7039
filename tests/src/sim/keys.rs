//! The key under the mesh in the simulated world: every machine keeps its studio file, every link begins at the gate, and admins change
//! the key, also those that were shut out and have not heard of it.
//!
//! The gate itself is real only in the lab of real links; here it is what it comes to: the newest key of whoever listens that whoever
//! dials has too.

use std::collections::BTreeSet;

use studiovault_node::config::{Region, SecretBytes, StudioFile};
use studiovault_node::driver::Event;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::limits::mesh::MESH_KEYS;
use studiovault_protocol::membership::{MeshKey, Rekey, Roster};

use super::dice::Dice;
use super::machine::Node;
use super::ruin::Blow;
use super::world::{Happening, World};

/// Changes of the key in one world: a machine that missed more than are kept beside the newest comes back by an invite alone.
const CHANGES: usize = MESH_KEYS - 1;

/// How often the key is changed in one world, and to what.
pub struct Keys {
    dice: Dice,
    every_ms: u64,
    /// Every change that somebody signed, and who did not belong as its signer knew it.
    made: Vec<(Rekey, BTreeSet<DeviceId>)>,
}

impl Keys {
    /// From the seed, with dice of its own; in two worlds of five nobody changes it.
    pub fn draw(seed: u64) -> Option<Self> {
        let mut dice = Dice::new(seed ^ 0x04e1_5000_04e1_5000);
        let every_ms = dice.between(2_000, 12_000);
        dice.happens(600).then_some(Self {
            dice,
            every_ms,
            made: Vec::new(),
        })
    }
}

/// What a machine keeps of its studio at first.
pub fn studio_file(roster: &Roster) -> StudioFile {
    let key = SecretBytes([0; 32]);
    let named = (roster.studio(), "Lisbon".to_owned(), Region::default());
    StudioFile::of_pairing(named, (roster.root(), key, key), (None, Vec::new()))
}

impl World {
    /// Some machine that takes itself for an admin changes the key.
    pub fn change_some_key(&mut self, keys: &mut Keys) {
        self.change_key(keys);
        let next = keys.dice.around(keys.every_ms);
        self.after(next, Happening::Blow(Blow::Key));
    }

    fn change_key(&mut self, keys: &mut Keys) {
        let is_admin = |node: &Node| {
            let engine = node.driver().map(|driver| driver.engine());
            engine.is_some_and(|engine| engine.authority().is_some())
        };
        // Of two machines that are one device the word of one counts for both, and the other comes in no more.
        let is_double = (0..self.nodes.len()).any(|at| self.is_doubled(at));
        if is_double || keys.made.len() >= CHANGES {
            return;
        }
        let admins: Vec<usize> = (0..self.nodes.len())
            .filter(|at| is_admin(&self.nodes[*at]))
            .collect();
        if admins.is_empty() {
            // Nobody may sign: the last key stays in use.
            self.checks.fault("nobody to change the key");
            return;
        }
        let at = admins[keys.dice.place(admins.len())];
        let key = MeshKey(keys.dice.bytes());
        let engine = self.nodes[at].driver().expect("it runs").engine();
        // Whoever admits a machine holds its place from the first; here each begins with its own alone.
        let is_known = |node: &Node| engine.roster().member(node.device).is_some();
        let Some(rekey) = engine
            .word_rekey(key)
            .ok()
            .filter(|_| self.nodes.iter().all(is_known))
        else {
            return;
        };
        let gone = engine.roster().members().filter(|m| !m.is_active());
        let gone = gone.map(|member| member.grant.device).collect();
        let outside = self.outsiders().contains(&self.nodes[at].device);
        let (now, number) = (self.now, rekey.number);
        self.trace
            .note(now, format_args!("KEY {number} of {at}"), &[]);
        self.checks.fault(match outside {
            true => "key of an admin that was shut out",
            false => "key changed",
        });
        keys.made.push((rekey.clone(), gone));
        self.tell(at, Event::Rekey(Box::new(rekey)));
    }

    /// Once more when the kit is fetched: before anybody has heard of those whom it takes back.
    pub fn change_last_key(&mut self) {
        let keys = self.ruin.as_mut().and_then(|ruin| ruin.keys.take());
        let Some(mut keys) = keys else {
            return;
        };
        if keys.dice.happens(500) {
            self.change_key(&mut keys);
        }
        let ruin = self.ruin.as_mut().expect("it was just there");
        ruin.keys = Some(keys);
    }

    /// A machine keeps what it knows of the key, as its process does.
    pub fn rekeyed(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(engine) = node.driver().map(|driver| driver.engine()) else {
            return;
        };
        let (keyring, roster) = (engine.keyring().clone(), engine.roster().clone());
        let state = keyring.state(&roster);
        node.studio.rekey(&keyring, &roster);
        let keys = node.studio.mesh_keys().len();
        let now = self.now;
        self.trace
            .note(now, format_args!("node {at}: {state:?}, {keys} keys"), &[]);
    }

    /// Whether a link begins at all, and for which end it was made under an earlier key.
    pub fn gate(&self, from: usize, to: usize) -> Option<[bool; 2]> {
        let [shown, known] = [from, to].map(|at| self.nodes[at].studio.mesh_keys());
        let place = known.iter().position(|key| shown.contains(key))?;
        Some([shown[0] != known[place], place > 0])
    }

    /// Machines that belong and do not have the same newest key, or not the newest that anybody of them may have signed.
    pub fn keys_apart(&self) -> Option<String> {
        let inside = (0..self.nodes.len()).filter(|at| !self.is_outside(*at));
        let running = inside.filter_map(|at| Some((at, self.nodes[at].driver()?)));
        let running: Vec<_> = running.collect();
        let (first, driver) = *running.first()?;
        let key = |at: usize| self.nodes[at].studio.mesh_key;
        let other = running.iter().find(|(at, _)| key(*at) != key(first));
        if let Some((other, _)) = other {
            return Some(format!("nodes {first} and {other} have other keys"));
        }
        let roster = driver.engine().roster();
        let held = running
            .iter()
            .filter_map(|(_, driver)| driver.engine().keyring().in_force(roster));
        let newest = held.max_by_key(|rekey| rekey.rank());
        newest
            .filter(|newest| newest.key.0 != key(first).0)
            .map(|newest| format!("the newest key is {}, and not in use", newest.number))
    }

    /// In the end: whoever is outside holds no key that was made without it.
    pub fn judge_keys(&mut self) {
        let Some(keys) = self.ruin.as_ref().and_then(|ruin| ruin.keys.as_ref()) else {
            return;
        };
        let outside = self
            .nodes
            .iter()
            .filter(|node| self.outside.contains(&node.device));
        let told = outside.into_iter().find_map(|node| {
            let studio = &node.studio;
            let rested = studio.rested_keys.iter().map(|key| key.0);
            let held: Vec<[u8; 32]> = studio.mesh_keys().into_iter().chain(rested).collect();
            let mut made = keys.made.iter();
            let found = made
                .find(|(rekey, gone)| gone.contains(&node.device) && held.contains(&rekey.key.0));
            Some((node.device, found?.0.number))
        });
        if let Some((device, number)) = told {
            let what = format!("{device} was shut out and knows key {number}, made without it");
            self.checks.violated(what);
        }
    }
}
