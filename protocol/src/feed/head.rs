//! The feed's head, as machines tell it to each other, and where the pages held end: what another head is held against.
//!
//! Only the newest ends are kept; of what lies before them nothing is said.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Page;
use crate::id::{Hash, HashPrefix};
use crate::limits;

/// The end of a feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FeedHead {
    /// The last position, 0 if there is none.
    pub position: u64,
    /// Of the page that ends there; zeros if there is none.
    pub hash: HashPrefix,
}

/// How another's head stands to what is held here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadFit {
    /// It is an end of a page that is held here too.
    Fits,
    /// It is not: the other holds another feed, or says so.
    Differs,
    /// It lies beyond what can be compared.
    Unknown,
}

/// Ends of held pages, the newest last.
#[derive(Clone, Debug)]
pub(super) struct Ends(VecDeque<(u64, Hash)>);

impl Ends {
    /// All that is known at a start.
    pub fn new(head: (u64, Hash)) -> Self {
        Self([head].into())
    }

    pub fn push(&mut self, end: (u64, Hash)) {
        if self.0.len() >= limits::FEED_ENDS {
            self.0.pop_front();
        }
        self.0.push_back(end);
    }

    fn oldest(&self) -> u64 {
        self.0.front().map_or(0, |(position, _)| *position)
    }

    fn newest(&self) -> u64 {
        self.0.back().map_or(0, |(position, _)| *position)
    }

    fn at(&self, position: u64) -> Option<Hash> {
        let at = self.0.binary_search_by_key(&position, |(end, _)| *end);
        at.ok().map(|at| self.0[at].1)
    }

    /// How another's head stands to these.
    pub fn fit(&self, head: FeedHead) -> HeadFit {
        if !(self.oldest()..=self.newest()).contains(&head.position) {
            return HeadFit::Unknown;
        }
        match self.at(head.position) {
            Some(hash) if hash.prefix() == head.hash => HeadFit::Fits,
            _ => HeadFit::Differs,
        }
    }

    /// Whether a page of the same cloud cannot stand in one feed with those that end here.
    pub fn contradict(&self, page: &Page) -> bool {
        let (first, last) = (page.body().first, page.last());
        if last <= self.oldest() || first > self.newest() {
            return false;
        }
        self.at(last) != Some(page.hash())
    }

    /// The last end before a position, as far as they are known.
    pub fn before(&self, position: u64) -> Option<u64> {
        let mut ends = self.0.iter().rev().map(|(end, _)| *end);
        ends.find(|end| *end < position)
    }
}

impl Default for Ends {
    /// Of a feed that has not begun.
    fn default() -> Self {
        Self::new((0, Hash::default()))
    }
}
