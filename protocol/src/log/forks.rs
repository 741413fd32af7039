//! Chains that split: where, what of them the cloud truth named, and what comes after.
//!
//! Of a chain that splits every machine holds what lies before the split and, beyond it, what the feed names; everything else is
//! evidence and no part of the log. Epochs that go on from beyond a split are held, and do not stand.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::feed::Page;
use crate::id::{Author, Dot, Hash};
use crate::membership::Split;

use super::LogIndex;

/// What is known of chains that split.
#[derive(Clone, Debug, Default)]
pub(super) struct Forks {
    /// Where each of them does.
    splits: BTreeMap<Author, Split>,
    /// Bundles of theirs that the feed names, by author and first counter: last counter and hash.
    named: BTreeMap<(Author, u64), (u64, Hash)>,
    /// The first counter of each epoch that does not stand: the splits, and what goes on from beyond one.
    aside: BTreeMap<Author, u64>,
}

impl Forks {
    fn splits_at(&self, dot: Dot) -> bool {
        let split = self.splits.get(&dot.author);
        split.is_some_and(|split| split.from <= dot.counter)
    }
}

impl LogIndex {
    /// Takes note of where chains split.
    pub fn set_forks(&mut self, splits: &BTreeMap<Author, Split>) {
        if &self.forks.splits == splits {
            return;
        }
        self.forks.splits.clone_from(splits);
        let from = |(author, split): (&Author, &Split)| (*author, split.from);
        self.forks.aside = splits.iter().map(from).collect();
        let authors: Vec<Author> = self.chains.keys().copied().collect();
        for author in authors {
            self.note_aside(author);
        }
        self.digest = None;
    }

    /// Where chains split, as far as this index was told.
    pub fn forks(&self) -> &BTreeMap<Author, Split> {
        &self.forks.splits
    }

    /// Whether the feed names the bundle of a chain that splits which begins there.
    pub fn names(&self, at: (Author, u64), hash: Hash) -> bool {
        let named = self.forks.named.get(&at);
        named.is_some_and(|(_, named)| *named == hash)
    }

    /// Takes note of what a page of the feed names of chains that split.
    pub fn note_named(&mut self, page: &Page) {
        for named in page.named() {
            if self.forks.splits_at(named.author.at(named.last)) {
                let at = (named.author, named.first);
                self.forks.named.insert(at, (named.last, named.hash));
            }
        }
    }

    /// The first counter of each epoch whose commands do not stand, unless the cloud truth accepted them.
    pub fn aside(&self) -> &BTreeMap<Author, u64> {
        &self.forks.aside
    }

    /// Whether a dot lies beyond a split, on the chain that splits or on one that goes on from there.
    pub fn is_aside(&self, dot: Dot) -> bool {
        let from = self.forks.aside.get(&dot.author);
        from.is_some_and(|from| *from <= dot.counter)
    }

    /// Whether a dot is not one command only.
    pub fn is_split(&self, dot: Dot) -> bool {
        self.forks.splits_at(dot)
    }

    /// Whether a dot lies beyond a split and is not held: it may never come, and nobody waits for it. What is held of its chain comes
    /// first all the same, since whoever saw the dot saw that.
    pub(super) fn is_nobodys(&self, dot: Dot) -> bool {
        let Some(split) = self.forks.splits.get(&dot.author) else {
            return false;
        };
        let is_missing = split.from <= dot.counter && self.held(dot.author) < dot.counter;
        is_missing
            && match self.chain(dot.author) {
                None => split.whole,
                Some(chain) => {
                    let applied = chain.applied.map_or(0, |(last, _)| last);
                    chain.held.0 == applied && (split.whole || applied + 1 >= split.from)
                }
            }
    }

    /// Whether a bundle is no part of the log, because it lies beyond a split and the feed does not name it. One that begins before
    /// the split, where something is held, is to be held against that: it may show an earlier one.
    pub(super) fn is_evidence(&self, bundle: &Bundle) -> bool {
        let (author, first) = (bundle.author(), bundle.first());
        let is_named = self.names((author, first), bundle.hash());
        let is_beyond = self.is_split(author.at(first)) || self.held(author) < first;
        self.is_split(bundle.tip()) && !is_named && is_beyond
    }

    /// Whether the feed names something of a chain that splits which is not held.
    pub fn lacks_named(&self) -> bool {
        let named = self.forks.named.iter();
        let mut ends = named.map(|((author, _), (last, _))| (*author, *last));
        ends.any(|(author, last)| self.held(author) < last)
    }

    /// The last counter of an author that anybody can hold.
    pub(super) fn end_of(&self, author: Author) -> u64 {
        let Some(split) = self.forks.splits.get(&author) else {
            return u64::MAX;
        };
        let named = self
            .forks
            .named
            .range((author, 0)..=(author, u64::MAX))
            .map(|(_, (last, _))| *last);
        named.max().unwrap_or(0).max(split.from - 1)
    }

    /// Takes note of an epoch that goes on from beyond a split.
    pub(super) fn note_aside(&mut self, author: Author) {
        let (mut at, mut steps) = (author, 0);
        // A path only goes down; a liar's loop ends where all epochs were seen.
        while let Some((epoch, counter)) = self.epochs.parent(at)
            && steps <= self.chains.len()
        {
            at = Author {
                device: author.device,
                epoch,
            };
            if self.is_split(at.at(counter)) {
                self.forks.aside.insert(author, 0);
                return;
            }
            steps += 1;
        }
    }
}
