//! Frontiers: what a machine holds of every log, as two machines tell each other.
//!
//! A tip carries a trail of earlier epochs at doubling distances, so that a machine which does not know the newest epoch of a
//! device still finds where the paths meet. Sent in one direction it is all that the other needs to know what is missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{Author, DeviceId, Epoch, HashPrefix};
use crate::limits;

/// The end of one held path of a device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tip {
    /// The newest epoch of the path.
    pub author: Author,
    /// The last held counter.
    pub counter: u64,
    /// Of that bundle.
    pub hash: HashPrefix,
    /// Earlier epochs of the path with the counter at which they were left, at distances 1, 2, 4, 8, ...
    pub trail: Vec<(Epoch, u64)>,
}

/// What a machine holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Frontier {
    /// Every tip, by author.
    pub tips: Vec<Tip>,
    /// The last held feed position.
    pub feed: u64,
}

impl Frontier {
    /// Whether the bounds of a received frontier hold.
    pub fn is_canonical(&self) -> bool {
        self.tips.len() <= limits::TIPS
            && self
                .tips
                .windows(2)
                .all(|pair| pair[0].author < pair[1].author)
            && self.feed <= limits::COUNTER
            && self.tips.iter().all(|tip| {
                tip.counter <= limits::COUNTER
                    && tip.trail.len() <= limits::TRAIL
                    && tip
                        .trail
                        .iter()
                        .all(|(_, counter)| *counter <= limits::COUNTER)
            })
    }
}

/// How far a peer holds each epoch, as far as we can tell. Grows with what it says and with what we sent it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reach {
    held: BTreeMap<Author, u64>,
}

impl Reach {
    /// From a frontier as it was told.
    pub fn of(frontier: &Frontier) -> Self {
        let mut reach = Self::default();
        for tip in &frontier.tips {
            reach.extend(tip.author, tip.counter);
            for (epoch, counter) in &tip.trail {
                reach.extend(
                    Author {
                        device: tip.author.device,
                        epoch: *epoch,
                    },
                    *counter,
                );
            }
        }
        reach
    }

    /// Notes that the peer holds `author` up to `counter`. Whether that is news.
    pub fn extend(&mut self, author: Author, counter: u64) -> bool {
        let held = self.held.entry(author).or_default();
        let is_news = counter > *held;
        *held = counter.max(*held);
        is_news
    }

    /// The last counter of this very epoch that is known to be held.
    pub fn held(&self, author: Author) -> u64 {
        self.held.get(&author).copied().unwrap_or(0)
    }

    /// The tips of one device.
    pub fn of_device(&self, device: DeviceId) -> impl Iterator<Item = (Author, u64)> {
        let from = Author {
            device,
            epoch: Epoch(0),
        };
        let to = Author {
            device,
            epoch: Epoch(u64::MAX),
        };
        self.held
            .range(from..=to)
            .map(|(author, counter)| (*author, *counter))
    }

    /// Every epoch that is known to be held.
    pub fn iter(&self) -> impl Iterator<Item = (Author, u64)> {
        self.held
            .iter()
            .map(|(author, counter)| (*author, *counter))
    }
}

/// A run of counters of one author: after the first number, up to and with the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Whose.
    pub author: Author,
    /// The last counter that is not wanted.
    pub after: u64,
    /// The last counter that is.
    pub upto: u64,
}
