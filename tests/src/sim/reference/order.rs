//! The causal order of the commands, and for each which others its context covers.

use std::collections::{BTreeMap, BTreeSet};

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Command;
use studiovault_protocol::id::{Author, DeviceId, Dot};
use studiovault_protocol::merge::Verdict;

use super::{Bits, Deed};

/// What was said about commands besides what they say.
#[derive(Debug, Default)]
pub struct Rulings {
    /// The cloud's words.
    pub verdicts: BTreeMap<Dot, Verdict>,
    /// Of whom nothing from that counter on is waited for.
    pub given_up: BTreeMap<Author, u64>,
    /// Of whoever does not belong any more, what stands; authors that are not named are cut at 0.
    pub cuts: BTreeMap<DeviceId, BTreeMap<Author, u64>>,
    /// Of whom two things were signed in one place, and from which counter on. What lies beyond and is not among the bundles is
    /// nobody's; what is among them, and what goes on from there, stands as little as what is cut.
    pub splits: BTreeMap<Author, u64>,
}

impl Rulings {
    /// The commands up to there; of what was given up, or is nobody's, as many as came.
    fn path<'a>(&self, dot: Dot, paths: &'a Paths) -> Option<&'a Bits> {
        if let Some(path) = paths.done.get(&dot) {
            return Some(path);
        }
        let is_beyond = |from: &u64| *from <= dot.counter;
        let is_lost = self.given_up.get(&dot.author).is_some_and(is_beyond);
        let is_met =
            |end: &u64| *end < dot.counter && paths.done.contains_key(&dot.author.at(*end));
        let is_nobodys = self.is_split(dot) && paths.ends.get(&dot.author).is_none_or(is_met);
        let mut came = (1..dot.counter).rev().map(|counter| dot.author.at(counter));
        let held = came.find_map(|dot| paths.done.get(&dot));
        static NONE: Bits = Bits(Vec::new());
        (is_lost || is_nobodys).then(|| held.unwrap_or(&NONE))
    }

    fn is_split(&self, dot: Dot) -> bool {
        let from = self.splits.get(&dot.author);
        from.is_some_and(|from| *from <= dot.counter)
    }

    /// The authors who go on from beyond a split.
    fn void(&self, bundles: &[Bundle]) -> BTreeSet<Author> {
        let mut void: BTreeSet<Author> = BTreeSet::new();
        loop {
            let before = void.len();
            for bundle in bundles {
                let parent = parent(bundle);
                if parent.is_some_and(|dot| void.contains(&dot.author) || self.is_split(dot)) {
                    void.insert(bundle.author());
                }
            }
            if void.len() == before {
                return void;
            }
        }
    }
}

/// What each command goes on from, and where every author ends.
#[derive(Default)]
struct Paths {
    done: BTreeMap<Dot, Bits>,
    ends: BTreeMap<Author, u64>,
}

/// What a bundle goes on from that begins an epoch.
fn parent(bundle: &Bundle) -> Option<Dot> {
    let header = bundle.header();
    let mut own = header.saw.iter().filter(|seen| {
        seen.dot.author.device == bundle.author().device && Some(seen.hash) == header.prev
    });
    own.next().map(|seen| seen.dot)
}

/// Numbers the commands in a causal order and works out for each which others its context covers.
pub(super) fn deeds<'a>(bundles: &'a [Bundle], rulings: &'a Rulings) -> Vec<Deed<'a>> {
    let mut order = Order {
        rulings,
        paths: Paths::default(),
        void: rulings.void(bundles),
        pasts: BTreeMap::new(),
        done: Vec::new(),
    };
    for bundle in bundles {
        let end = order.paths.ends.entry(bundle.author()).or_default();
        *end = bundle.last().max(*end);
    }
    let mut waiting: Vec<&Bundle> = bundles.iter().collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|bundle| !order.takes(bundle));
        assert!(
            waiting.len() < before,
            "bundles that saw something that nobody holds"
        );
    }
    order.done
}

/// As far as it was worked out.
struct Order<'a> {
    rulings: &'a Rulings,
    paths: Paths,
    /// Who goes on from beyond a split.
    void: BTreeSet<Author>,
    /// What each author had seen.
    pasts: BTreeMap<Author, Bits>,
    done: Vec<Deed<'a>>,
}

impl<'a> Order<'a> {
    fn path(&self, dot: Dot) -> Option<&Bits> {
        self.rulings.path(dot, &self.paths)
    }

    /// Takes a bundle in if everything that it saw is; whether it did.
    fn takes(&mut self, bundle: &'a Bundle) -> bool {
        let (author, saw) = (bundle.author(), &bundle.header().saw);
        let previous = if self.pasts.contains_key(&author) {
            Some(author.at(bundle.first().saturating_sub(1)))
        } else {
            parent(bundle)
        };
        let ready = saw.iter().all(|seen| self.path(seen.dot).is_some())
            && previous.map_or(bundle.first() == 1, |dot| self.path(dot).is_some());
        if !ready {
            return false;
        }
        let mut past = self.pasts.remove(&author).unwrap_or_default();
        saw.iter()
            .filter_map(|seen| self.path(seen.dot))
            .for_each(|path| past.unite(path));
        let path = previous.and_then(|dot| self.path(dot));
        let mut path = path.cloned().unwrap_or_default();
        for (dot, command) in bundle.commands() {
            self.take((dot, command), &past, &mut path);
        }
        let unread = unread(bundle).map(|dot| (dot, path.clone()));
        self.paths.done.extend(unread);
        self.pasts.insert(author, past);
        true
    }

    fn take(&mut self, (dot, command): (Dot, &'a Command), past: &Bits, path: &mut Bits) {
        let mut saw = past.clone();
        saw.unite(path);
        if let Some(vector) = &command.ctx {
            let read = vector.tips().iter().filter_map(|tip| self.path(*tip));
            saw = read
                .filter(|path| saw.holds(path))
                .fold(Bits::default(), Bits::with);
        }
        let number = self.done.len();
        path.insert(number);
        self.paths.done.insert(dot, path.clone());
        let cut = self.rulings.cuts.get(&dot.author.device);
        let stands = |cut: &BTreeMap<Author, u64>| cut.get(&dot.author) >= Some(&dot.counter);
        let is_aside = self.void.contains(&dot.author) || self.rulings.is_split(dot);
        self.done.push(Deed {
            number,
            dot,
            command,
            saw,
            verdict: self.rulings.verdicts.get(&dot),
            is_cut: is_aside || !cut.is_none_or(stands),
        });
    }
}

/// What nobody here can read has its place in the order, and does nothing.
fn unread(bundle: &Bundle) -> impl Iterator<Item = Dot> {
    let counters = bundle.first()..=bundle.last();
    let unread = counters.filter(|_| bundle.newer().is_some());
    unread.map(|counter| bundle.author().at(counter))
}
