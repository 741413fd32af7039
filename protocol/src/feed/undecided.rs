//! What the cloud truth holds and has not decided: a function of the feed, so every machine knows the same.
//!
//! Almost always empty: a command is decided in the page that tells of its bundle, unless the truth broke on it, waits for
//! another, or does not know its fields yet.

use std::collections::{BTreeMap, BTreeSet};

use super::Entry;
use crate::id::{Author, Dot};

/// Commands without a verdict at the cloud.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Undecided {
    /// By author: the last counter of each run, by its first.
    runs: BTreeMap<Author, BTreeMap<u64, u64>>,
    stuck: BTreeSet<Dot>,
    accepted: u64,
}

impl Undecided {
    /// The cloud holds this run and has not decided it.
    pub fn insert(&mut self, author: Author, first: u64, last: u64) {
        self.runs.entry(author).or_default().insert(first, last);
    }

    /// The cloud broke on this command often enough.
    pub fn insert_stuck(&mut self, dot: Dot) {
        self.stuck.insert(dot);
    }

    /// Takes up an entry of the feed.
    pub fn note(&mut self, entry: &Entry) {
        if let Entry::Bundle {
            author,
            first,
            last,
            ..
        } = entry
        {
            self.insert(*author, *first, *last);
        }
        if let Entry::Stuck { dot, .. } = entry {
            self.insert_stuck(*dot);
        }
        if let Some((author, first, last)) = entry.decided() {
            self.remove(author, first, last);
            self.accepted += (last - first + 1).saturating_sub(entry.exceptions().len() as u64);
        }
    }

    /// These are decided.
    pub fn remove(&mut self, author: Author, first: u64, last: u64) {
        let Some(runs) = self.runs.get_mut(&author) else {
            return;
        };
        let touched: Vec<(u64, u64)> = runs
            .range(..=last)
            .rev()
            .take_while(|(_, end)| **end >= first)
            .map(|(start, end)| (*start, *end))
            .collect();
        for (start, end) in touched {
            runs.remove(&start);
            if start < first {
                runs.insert(start, first - 1);
            }
            if end > last {
                runs.insert(last + 1, end);
            }
        }
        if runs.is_empty() {
            self.runs.remove(&author);
        }
        if !self.stuck.is_empty() {
            self.stuck
                .retain(|dot| dot.author != author || !(first..=last).contains(&dot.counter));
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Every run: its first command and its last counter.
    pub fn runs(&self) -> impl Iterator<Item = (Dot, u64)> {
        let each = self.runs.iter();
        each.flat_map(|(author, runs)| runs.iter().map(|(first, last)| (author.at(*first), *last)))
    }

    /// Whether any of an author's commands between two counters is undecided.
    pub fn meets(&self, first: Dot, last: u64) -> bool {
        let runs = self.runs.get(&first.author);
        let below = runs.and_then(|runs| runs.range(..=last).next_back());
        below.is_some_and(|(_, end)| *end >= first.counter)
    }

    /// Whether the cloud was told to be stuck on a command.
    pub fn is_stuck(&self, dot: Dot) -> bool {
        self.stuck.contains(&dot)
    }

    /// How many commands were accepted in the pages seen in this run of the process.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{DeviceId, Epoch};

    #[test]
    fn a_run_shrinks_to_what_was_not_decided() {
        let author = Author {
            device: DeviceId([1; 16]),
            epoch: Epoch(1),
        };
        let mut undecided = Undecided::default();
        undecided.insert(author, 1, 100);
        undecided.insert(author, 101, 120);
        undecided.insert_stuck(author.at(50));
        undecided.remove(author, 1, 49);
        undecided.remove(author, 51, 110);
        let runs: Vec<_> = undecided
            .runs()
            .map(|(dot, last)| (dot.counter, last))
            .collect();
        assert_eq!(runs, [(50, 50), (111, 120)]);
        assert!(undecided.is_stuck(author.at(50)) && undecided.meets(author.at(40), 60));
        assert!(!undecided.meets(author.at(51), 110));
        undecided.remove(author, 50, 50);
        undecided.remove(author, 111, 120);
        assert!(undecided.is_empty() && !undecided.is_stuck(author.at(50)));
    }
}
