//! The index over all logs: which bundles are held, which are applied, which wait for something they saw.
//!
//! A bundle is taken only if it continues a held chain, and applied only when everything it saw is applied. Held and applied
//! therefore never have gaps, and every context is downward-closed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::bundle::{Bundle, Header, Seen};
use crate::frontier::{Frontier, Range, Reach, Tip};
use crate::id::{Author, DeviceId, Dot, Hash};
use crate::limits;
use crate::sabotage::Bug;
use crate::vector::{Epochs, Parent, Vector};

mod forks;

/// One epoch of one device as far as it is held.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Where it branches off.
    pub parent: Parent,
    /// The counter of its first command.
    pub start: u64,
    /// The last held counter and its bundle's hash.
    pub held: (u64, Hash),
    /// The last applied counter and its bundle's hash, if any is.
    pub applied: Option<(u64, Hash)>,
    /// All that the author had seen of others at its last applied bundle.
    pub past: Vector,
}

/// What a store needs to hand back for the index to be rebuilt at a start.
#[derive(Clone, Debug)]
pub struct ChainRow {
    /// Whose chain.
    pub author: Author,
    /// Its state.
    pub chain: Chain,
}

/// A stored bundle that waits.
#[derive(Clone, Debug)]
struct Parked {
    first: u64,
    saw: Vec<Dot>,
}

/// What became of a bundle that was offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It continues a held chain; store it.
    Fresh,
    /// It is held already.
    Duplicate,
    /// Something before it is missing: ask for the device's log.
    Gap,
    /// It lies beyond a split of its chain, and the feed does not name it: evidence, and no part of the log.
    Evidence,
    /// It contradicts what is held: another bundle with the same dot, or a chain that does not join.
    Contradiction(&'static str),
}

/// The index.
#[derive(Clone, Debug, Default)]
pub struct LogIndex {
    epochs: Epochs,
    chains: BTreeMap<Author, Chain>,
    parked: BTreeMap<Author, VecDeque<Parked>>,
    applied: Vector,
    /// Of these authors nothing from that counter on is waited for.
    lost: BTreeMap<Author, u64>,
    forks: forks::Forks,
    digest: Option<Hash>,
}

impl LogIndex {
    /// Rebuilds the index from what the store holds.
    pub fn restore(rows: Vec<ChainRow>) -> Self {
        let mut index = Self::default();
        for row in &rows {
            index.epochs.insert(row.author, row.chain.parent);
        }
        for row in rows {
            if let Some((counter, _)) = row.chain.applied {
                index.applied.join(&index.epochs, row.author.at(counter));
            }
            index.chains.insert(row.author, row.chain);
        }
        index
    }

    /// Tells the restored index of a stored bundle that is not applied, in chain order.
    pub fn restore_parked(&mut self, header: &Header) {
        self.park(header);
    }

    /// The epoch tree.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }
    /// Everything applied.
    pub fn applied(&self) -> &Vector {
        &self.applied
    }
    /// One chain.
    pub fn chain(&self, author: Author) -> Option<&Chain> {
        self.chains.get(&author)
    }
    /// All chains.
    pub fn chains(&self) -> impl Iterator<Item = (Author, &Chain)> {
        self.chains.iter().map(|(author, chain)| (*author, chain))
    }
    /// The last held counter of an epoch, 0 if none.
    pub fn held(&self, author: Author) -> u64 {
        self.chains.get(&author).map_or(0, |chain| chain.held.0)
    }
    /// Whether a dot is applied.
    pub fn is_applied(&self, dot: Dot) -> bool {
        self.chains
            .get(&dot.author)
            .and_then(|chain| chain.applied)
            .is_some_and(|(applied, _)| applied >= dot.counter)
    }
    /// Takes note of what will never come: nothing waits for it any more.
    pub fn set_lost(&mut self, lost: BTreeMap<Author, u64>) {
        self.lost = lost;
    }
    /// Whether a dot that a bundle saw keeps it waiting no more.
    pub fn is_met(&self, dot: Dot) -> bool {
        let lost = || {
            self.lost
                .get(&dot.author)
                .is_some_and(|from| dot.counter >= *from)
        };
        self.is_applied(dot) || lost() || self.is_nobodys(dot) || Bug::NoCausalWait.is_on()
    }
    /// What of a device stored bundles wait for and nothing brings: of each author the first counter that is not held.
    pub fn awaited(&self, device: DeviceId) -> Vec<(Author, u64)> {
        let waiting = self.parked.values().flatten();
        let saw = waiting.flat_map(|parked| &parked.saw);
        let missing = saw.filter(|dot| dot.author.device == device && !self.is_met(**dot));
        let awaited: BTreeSet<Author> = missing
            .filter(|dot| self.held(dot.author) < dot.counter)
            .map(|dot| dot.author)
            .collect();
        let from = |author| (author, self.held(author) + 1);
        awaited.into_iter().map(from).collect()
    }
    /// How many stored bundles wait for something they saw.
    pub fn parked_count(&self) -> usize {
        self.parked.values().map(VecDeque::len).sum()
    }

    /// Where a bundle that begins an epoch branches off, by its own word.
    fn parent_of(header: &Header) -> Result<Parent, &'static str> {
        let Some(prev) = header.prev else {
            return if header.first_counter == 1 {
                Ok(None)
            } else {
                Err("an epoch that begins above 1 with nothing before it")
            };
        };
        let own = header
            .saw
            .iter()
            .find(|seen| seen.dot.author.device == header.author.device && seen.hash == prev);
        match own {
            Some(seen) if seen.dot.counter + 1 == header.first_counter => {
                Ok(Some((seen.dot.author.epoch, seen.dot.counter)))
            }
            _ => Err("an epoch whose first bundle does not name its parent"),
        }
    }

    /// Judges a bundle whose signature was checked; changes nothing.
    pub fn judge(&self, bundle: &Bundle) -> Admission {
        let header = bundle.header();
        if self.is_evidence(bundle) {
            return Admission::Evidence;
        }
        if let Some(chain) = self.chains.get(&header.author) {
            let (held, hash) = chain.held;
            return if bundle.last() == held && bundle.hash() != hash {
                Admission::Contradiction("two bundles with one dot")
            } else if bundle.last() <= held {
                Admission::Duplicate
            } else if header.first_counter > held + 1 {
                Admission::Gap
            } else if header.begins() {
                Admission::Contradiction("an epoch that begins twice")
            } else if header.first_counter == held + 1 && header.prev == Some(hash) {
                Admission::Fresh
            } else {
                Admission::Contradiction("a bundle that does not continue the held chain")
            };
        }
        match Self::parent_of(header) {
            Err(_) if header.prev.is_some() && header.first_counter > 1 => {
                // Most likely not the epoch's first bundle at all: its beginning is missing.
                Admission::Gap
            }
            Err(reason) => Admission::Contradiction(reason),
            Ok(None) => Admission::Fresh,
            Ok(Some((epoch, counter))) => {
                let parent = Author {
                    device: header.author.device,
                    epoch,
                };
                match self.chain(parent).map(|chain| chain.held) {
                    _ if self.is_split(parent.at(counter)) => Admission::Fresh,
                    // Its tip would hide that they differ: nothing but this says so.
                    Some((held, hash)) if held == counter && header.prev != Some(hash) => {
                        Admission::Contradiction("an epoch that goes on from another branch")
                    }
                    Some((held, _)) if held >= counter => Admission::Fresh,
                    _ => Admission::Gap,
                }
            }
        }
    }

    /// Takes in a bundle that [`Self::judge`] found fresh. It is parked until [`Self::next_ready`] names it.
    pub fn hold(&mut self, bundle: &Bundle) {
        let header = bundle.header();
        let end = (bundle.last(), bundle.hash());
        match self.chains.get_mut(&header.author) {
            Some(chain) => chain.held = end,
            None => {
                let parent = Self::parent_of(header).expect("a fresh bundle names its parent");
                self.epochs.insert(header.author, parent);
                // What goes on from beyond a split may have come before it.
                self.applied.settle(&self.epochs, header.author.device);
                let (start, past) = (header.first_counter, Vector::default());
                let chain = Chain {
                    parent,
                    start,
                    held: end,
                    applied: None,
                    past,
                };
                self.chains.insert(header.author, chain);
                self.note_aside(header.author);
            }
        }
        self.digest = None;
        self.park(header);
    }

    fn park(&mut self, header: &Header) {
        let saw = header.saw.iter().map(|seen| seen.dot).collect();
        let parked = Parked {
            first: header.first_counter,
            saw,
        };
        self.parked
            .entry(header.author)
            .or_default()
            .push_back(parked);
    }

    /// A stored bundle, by author and first counter, that can be applied now.
    pub fn next_ready(&self) -> Option<(Author, u64)> {
        self.parked.iter().find_map(|(author, waiting)| {
            let parked = waiting.front()?;
            let ready = parked.saw.iter().all(|dot| self.is_met(*dot));
            ready.then_some((*author, parked.first))
        })
    }

    /// Whether this held bundle is the next of its author and everything it saw is applied.
    pub fn is_ready(&self, bundle: &Bundle) -> bool {
        let parked = self.parked.get(&bundle.author()).and_then(VecDeque::front);
        parked.is_some_and(|parked| {
            parked.first == bundle.first() && parked.saw.iter().all(|dot| self.is_met(*dot))
        })
    }

    /// Whether a peer of that reach holds the path up to `dot`.
    pub fn reach_covers(&self, reach: &Reach, dot: Dot) -> bool {
        if self.is_split(dot) {
            // What goes on from beyond a split may be held without it.
            return reach.held(dot.author) >= dot.counter;
        }
        let mut tips = reach.of_device(dot.author.device);
        tips.any(|(author, counter)| self.epochs.reaches(author.at(counter), dot))
    }

    /// Marks the bundle that [`Self::next_ready`] named as applied and returns all that its author had seen of others.
    pub fn apply(&mut self, bundle: &Bundle) -> &Vector {
        let author = bundle.author();
        let waiting = self
            .parked
            .get_mut(&author)
            .expect("only a parked bundle is applied");
        let parked = waiting
            .pop_front()
            .expect("only a parked bundle is applied");
        assert_eq!(
            parked.first,
            bundle.first(),
            "bundles of an author are applied in order"
        );
        if waiting.is_empty() {
            self.parked.remove(&author);
        }
        let chain = self
            .chains
            .get_mut(&author)
            .expect("an applied bundle is held");
        chain.applied = Some((bundle.last(), bundle.hash()));
        for seen in &bundle.header().saw {
            chain.past.join(&self.epochs, seen.dot);
        }
        self.applied.join(&self.epochs, bundle.tip());
        &self.chains[&author].past
    }

    /// The applied tips that `since` does not cover: what an author's next bundle saw. Its own chain is left out.
    pub fn seen_since(&self, since: &Vector, own: Author) -> Vec<Seen> {
        self.applied
            .tips()
            .iter()
            .filter(|tip| tip.author != own && !since.covers(&self.epochs, **tip))
            .map(|tip| {
                let applied = self.chains[&tip.author].applied;
                let (counter, hash) = applied.expect("an applied tip has a bundle");
                assert_eq!(counter, tip.counter, "applied tips stand at bundle ends");
                Seen { dot: *tip, hash }
            })
            .collect()
    }

    /// The ends of all held chains.
    pub fn tips(&self) -> Vec<Dot> {
        self.chains
            .iter()
            .map(|(author, chain)| author.at(chain.held.0))
            .collect()
    }

    /// What is held, for a peer.
    pub fn frontier(&self, feed: u64) -> Frontier {
        let parents: BTreeSet<(Author, u64)> = self
            .chains
            .iter()
            .filter_map(|(author, chain)| {
                let (epoch, at) = chain.parent?;
                let parent = Author {
                    device: author.device,
                    epoch,
                };
                // Beyond a split a parent is not held for its child: it is told by itself.
                (!self.is_split(parent.at(at))).then_some((parent, at))
            })
            .collect();
        let tips = self
            .chains
            .iter()
            .filter(|(author, chain)| !parents.contains(&(**author, chain.held.0)))
            .map(|(author, chain)| Tip {
                author: *author,
                counter: chain.held.0,
                hash: chain.held.1.prefix(),
                trail: self.trail(*author),
            })
            .collect();
        Frontier { tips, feed }
    }

    /// The same without some devices, so that their whole logs are sent.
    pub fn frontier_without(&self, feed: u64, devices: &BTreeSet<DeviceId>) -> Frontier {
        let mut frontier = self.frontier(feed);
        let tips = &mut frontier.tips;
        tips.retain(|tip| !devices.contains(&tip.author.device));
        frontier
    }

    fn trail(&self, author: Author) -> Vec<(crate::id::Epoch, u64)> {
        let (mut trail, mut distance, mut next) = (Vec::new(), 0u64, 1u64);
        let mut at = self.epochs.parent(author);
        while let Some((epoch, counter)) = at {
            let parent = Author {
                device: author.device,
                epoch,
            };
            if self.is_split(parent.at(counter)) {
                // The path goes on there, and is not held for it.
                break;
            }
            distance += 1;
            if distance == next && trail.len() < limits::TRAIL {
                trail.push((epoch, counter));
                next *= 2;
            }
            at = self.epochs.parent(parent);
        }
        trail
    }

    /// A digest of what is held; equal on two machines exactly when they hold the same bundles.
    pub fn digest(&mut self) -> Hash {
        if let Some(digest) = self.digest {
            return digest;
        }
        let tips = self.frontier(0).tips;
        let heads: Vec<_> = tips
            .iter()
            .map(|tip| (tip.author, tip.counter, tip.hash))
            .collect();
        let bytes = postcard::to_stdvec(&heads).expect("wire types always encode");
        let digest = Hash::of(&bytes);
        self.digest = Some(digest);
        digest
    }

    /// What we hold of `device` and a peer of that reach lacks.
    pub fn lacking(&self, reach: &Reach, device: DeviceId) -> Vec<Range> {
        let from = Author {
            device,
            epoch: crate::id::Epoch(0),
        };
        let to = Author {
            device,
            epoch: crate::id::Epoch(u64::MAX),
        };
        let mut ranges = Vec::new();
        for (author, chain) in self.chains.range(from..=to) {
            let mut after = reach.held(*author);
            // A peer that holds a later epoch of this path holds the path below it too.
            for (tip, counter) in reach.of_device(device) {
                let upto = self.epochs.upto(tip.at(counter), *author);
                if tip == *author || !self.is_split(author.at(upto)) {
                    after = after.max(upto);
                }
            }
            let after = after.max(chain.start - 1);
            if chain.held.0 > after {
                ranges.push(Range {
                    author: *author,
                    after,
                    upto: chain.held.0,
                });
            }
        }
        ranges
    }

    /// The devices of which a peer of that reach holds something that we lack.
    pub fn wanted(&self, reach: &Reach) -> BTreeSet<DeviceId> {
        reach
            .iter()
            .filter(|(author, counter)| self.held(*author) < self.end_of(*author).min(*counter))
            .map(|(author, _)| author.device)
            .collect()
    }

    /// All devices of which something is held.
    pub fn devices(&self) -> BTreeSet<DeviceId> {
        self.chains.keys().map(|author| author.device).collect()
    }
}

#[cfg(test)]
mod tests;
