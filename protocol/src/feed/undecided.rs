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
    /// By author: each run by its first counter.
    runs: BTreeMap<Author, BTreeMap<u64, Run>>,
    stuck: BTreeSet<Dot>,
    accepted: u64,
    /// How many runs were told of up to now.
    told: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    last: u64,
    /// Its place among all runs, as they were told: what a command rests on was told before it.
    place: u64,
}

impl Undecided {
    /// The cloud holds this run and has not decided it.
    pub fn insert(&mut self, author: Author, first: u64, last: u64) {
        self.told += 1;
        let run = Run {
            last,
            place: self.told,
        };
        self.runs.entry(author).or_default().insert(first, run);
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
        let touched: Vec<(u64, Run)> = runs
            .range(..=last)
            .rev()
            .take_while(|(_, run)| run.last >= first)
            .map(|(start, run)| (*start, *run))
            .collect();
        for (start, run) in touched {
            runs.remove(&start);
            if start < first {
                let last = first - 1;
                runs.insert(start, Run { last, ..run });
            }
            if run.last > last {
                runs.insert(last + 1, run);
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
        each.flat_map(|(author, runs)| {
            let runs = runs.iter();
            runs.map(|(first, run)| (author.at(*first), run.last))
        })
    }

    /// The runs that meet an author's commands between two counters, the last one first.
    fn met(&self, first: Dot, last: u64) -> impl Iterator<Item = (u64, Run)> {
        let runs = self.runs.get(&first.author).into_iter();
        let below = runs.flat_map(move |runs| runs.range(..=last).rev());
        below
            .take_while(move |(_, run)| run.last >= first.counter)
            .map(|(start, run)| (*start, *run))
    }

    /// Whether any of an author's commands between two counters is undecided.
    pub fn meets(&self, first: Dot, last: u64) -> bool {
        self.met(first, last).next().is_some()
    }

    /// How many of an author's commands between two counters are undecided.
    pub fn count(&self, first: Dot, last: u64) -> u64 {
        let within = |(start, run): (u64, Run)| {
            let (from, to) = (start.max(first.counter), run.last.min(last));
            to + 1 - from
        };
        self.met(first, last).map(within).sum()
    }

    /// The place of a command among what is undecided, in the order of the feed as far as that is known.
    pub fn place(&self, dot: Dot) -> u64 {
        let run = self.met(dot, dot.counter).next();
        run.map_or(u64::MAX, |(_, run)| run.place)
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
        assert_eq!(undecided.count(author.at(50), 115), 6);
        assert_eq!(undecided.place(author.at(115)), 2);
        undecided.remove(author, 50, 50);
        undecided.remove(author, 111, 120);
        assert!(undecided.is_empty() && !undecided.is_stuck(author.at(50)));
    }
}
