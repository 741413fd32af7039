//! Vectors and the tree of epochs they are read against.
//!
//! A vector names the latest dots; it stands for everything up to there, earlier epochs of the device included. Which
//! epochs lie before a dot is known only to [`Epochs`], so every question about a vector takes one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{Author, DeviceId, Dot, Epoch};

/// Where an epoch of a device branches off: the dot before its first one, `None` for a device's very first epoch.
pub type Parent = Option<(Epoch, u64)>;

/// The known epochs of all devices, each with its parent. A device in normal life is one path.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    parents: BTreeMap<Author, Parent>,
}

impl Epochs {
    /// Learns an epoch. A known one keeps its parent: the first bundle of an epoch fixes it.
    pub fn insert(&mut self, author: Author, parent: Parent) {
        self.parents.entry(author).or_insert(parent);
    }

    /// Whether the epoch is known.
    pub fn knows(&self, author: Author) -> bool {
        self.parents.contains_key(&author)
    }

    /// The parent of an epoch; `None` if there is none or the epoch is unknown.
    pub fn parent(&self, author: Author) -> Parent {
        self.parents.get(&author).copied().flatten()
    }

    /// The epochs of one device.
    pub fn of(&self, device: DeviceId) -> impl Iterator<Item = (Epoch, Parent)> {
        let from = Author {
            device,
            epoch: Epoch(0),
        };
        let to = Author {
            device,
            epoch: Epoch(u64::MAX),
        };
        self.parents
            .range(from..=to)
            .map(|(author, parent)| (author.epoch, *parent))
    }

    /// The last dot that lies on both the paths that end in `one` and in `other`.
    fn meet(&self, one: Dot, other: Dot) -> Option<Dot> {
        let mut at = Some((one.author.epoch, one.counter));
        while let Some((epoch, counter)) = at {
            let author = Author {
                device: one.author.device,
                epoch,
            };
            let upto = self.upto(other, author).min(counter);
            if upto > 0 {
                return Some(author.at(upto));
            }
            at = self.parent(author);
        }
        None
    }

    /// How far the path that ends in `tip` runs through `author`'s epoch; 0 if it does not.
    pub(crate) fn upto(&self, tip: Dot, author: Author) -> u64 {
        if tip.author.device != author.device {
            return 0;
        }
        let mut at = Some((tip.author.epoch, tip.counter));
        while let Some((epoch, counter)) = at {
            if epoch == author.epoch {
                return counter;
            }
            at = self.parent(Author {
                device: tip.author.device,
                epoch,
            });
        }
        0
    }

    /// Whether `dot` lies on the path that ends in `tip` (the tip itself included).
    pub fn reaches(&self, tip: Dot, dot: Dot) -> bool {
        if tip.author.device != dot.author.device || dot.counter > tip.counter {
            return false;
        }
        let (mut epoch, mut counter) = (tip.author.epoch, tip.counter);
        loop {
            if epoch == dot.author.epoch {
                return dot.counter <= counter;
            }
            let author = Author {
                device: tip.author.device,
                epoch,
            };
            match self.parent(author) {
                // A path only goes down; a parent at or above its child would be a liar's loop.
                Some((parent, at)) if at <= counter => (epoch, counter) = (parent, at),
                _ => return false,
            }
            if counter < dot.counter {
                return false;
            }
        }
    }
}

/// A set of tips, sorted, none of which another covers. A missing device means 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vector {
    tips: Vec<Dot>,
}

impl Vector {
    /// The empty vector.
    pub const EMPTY: Self = Self { tips: Vec::new() };

    /// From tips as they stand on the wire: sorted, unique, at most [`crate::limits::TIPS`], else `None`.
    pub fn from_tips(tips: Vec<Dot>) -> Option<Self> {
        let sorted = tips.windows(2).all(|pair| pair[0].author < pair[1].author);
        (sorted && tips.len() <= crate::limits::TIPS).then_some(Self { tips })
    }

    /// Whether the tips stand as [`Self::from_tips`] demands.
    pub fn is_canonical(&self) -> bool {
        self.tips.len() <= crate::limits::TIPS
            && self
                .tips
                .windows(2)
                .all(|pair| pair[0].author < pair[1].author)
    }

    /// The tips in order.
    pub fn tips(&self) -> &[Dot] {
        &self.tips
    }

    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.tips.is_empty()
    }

    /// Whether `dot` is covered.
    pub fn covers(&self, epochs: &Epochs, dot: Dot) -> bool {
        let mut tips = self.tips_of(dot.author.device).iter();
        tips.any(|tip| epochs.reaches(*tip, dot))
    }

    /// The tips of one device: of a machine in normal life at most one.
    pub fn tips_of(&self, device: DeviceId) -> &[Dot] {
        let from = self.tips.partition_point(|tip| tip.author.device < device);
        let many = self.tips[from..].partition_point(|tip| tip.author.device == device);
        &self.tips[from..from + many]
    }

    /// Adds `dot` and everything before it.
    pub fn join(&mut self, epochs: &Epochs, dot: Dot) {
        if let Ok(at) = self
            .tips
            .binary_search_by(|tip| tip.author.cmp(&dot.author))
        {
            let tip = &mut self.tips[at];
            tip.counter = tip.counter.max(dot.counter);
            return;
        }
        if self.covers(epochs, dot) {
            return;
        }
        self.tips.retain(|tip| !epochs.reaches(dot, *tip));
        let at = self.tips.partition_point(|tip| tip.author < dot.author);
        self.tips.insert(at, dot);
    }

    /// Drops the tips of a device that others of it cover, after more is known of how its epochs go on from each other.
    pub fn settle(&mut self, epochs: &Epochs, device: DeviceId) {
        let tips = self.tips_of(device).to_vec();
        if tips.len() > 1 {
            self.tips.retain(|tip| tip.author.device != device);
            tips.into_iter().for_each(|tip| self.join(epochs, tip));
        }
    }

    /// Adds everything that `other` covers.
    pub fn join_all(&mut self, epochs: &Epochs, other: &Vector) {
        for tip in &other.tips {
            self.join(epochs, *tip);
        }
    }

    /// What both cover.
    pub fn meet(&self, epochs: &Epochs, other: &Vector) -> Vector {
        let mut both = Vector::default();
        for one in &self.tips {
            let of_device = other.tips_of(one.author.device).iter();
            for dot in of_device.filter_map(|tip| epochs.meet(*one, *tip)) {
                both.join(epochs, dot);
            }
        }
        both
    }

    /// Whether everything that `other` covers is covered here.
    pub fn covers_all(&self, epochs: &Epochs, other: &Vector) -> bool {
        other.tips.iter().all(|tip| self.covers(epochs, *tip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(device: u8, epoch: u64) -> Author {
        Author {
            device: DeviceId([device; 16]),
            epoch: Epoch(epoch),
        }
    }

    /// Device 1: epoch 9 (1..=5), then epoch 3 from 5, and a clone's epoch 7 from 4.
    fn a_branched_device() -> Epochs {
        let mut epochs = Epochs::default();
        epochs.insert(author(1, 9), None);
        epochs.insert(author(1, 3), Some((Epoch(9), 5)));
        epochs.insert(author(1, 7), Some((Epoch(9), 4)));
        epochs.insert(author(2, 1), None);
        epochs
    }

    #[test]
    fn a_later_epoch_covers_the_path_before_it_and_no_other_branch() {
        let epochs = a_branched_device();
        let mut vector = Vector::default();
        vector.join(&epochs, author(1, 3).at(8));
        assert!(vector.covers(&epochs, author(1, 9).at(5)));
        assert!(!vector.covers(&epochs, author(1, 7).at(5)));
        assert!(!vector.covers(&epochs, author(2, 1).at(1)));
    }

    #[test]
    fn joining_keeps_only_tips_that_no_other_covers() {
        let epochs = a_branched_device();
        let mut vector = Vector::default();
        vector.join(&epochs, author(1, 9).at(5));
        vector.join(&epochs, author(1, 7).at(6));
        assert_eq!(
            vector.tips().len(),
            2,
            "9@5 is not below 7@6, which left at 4"
        );
        vector.join(&epochs, author(1, 3).at(6));
        assert_eq!(vector.tips(), &[author(1, 3).at(6), author(1, 7).at(6)]);
        vector.join(&epochs, author(1, 9).at(2));
        assert_eq!(vector.tips().len(), 2);
    }

    #[test]
    fn tips_out_of_order_are_refused() {
        assert!(Vector::from_tips(vec![author(2, 1).at(1), author(1, 9).at(1)]).is_none());
        assert!(Vector::from_tips(vec![author(1, 9).at(1), author(1, 9).at(2)]).is_none());
    }
}
