//! A true double: one dot, two bundles, both signed by their author. It proves itself, whoever tells it.
//!
//! It names the very place where the author's chain splits, so that every machine cuts the chain there: two different bundles that
//! both come after the same bundle, or that both begin the epoch.

use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, Claim};
use crate::id::{Author, Hash};
use crate::keys::VerifyKey;

/// Two bundles at one place of one chain, without their commands' words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Double {
    /// The one with the lower hash.
    pub one: Claim,
    /// The other.
    pub other: Claim,
}

/// Where a chain splits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split {
    /// The first counter that is not one command only.
    pub from: u64,
    /// It is where the epoch begins: nothing of it comes before.
    pub whole: bool,
}

impl Double {
    /// What two bundles of one author prove; `None` if they show no split, or not where it is.
    pub fn of(one: &Bundle, other: &Bundle) -> Option<Self> {
        let (one, other) = (one.claim()?, other.claim()?);
        let double = if one.hash() < other.hash() {
            Self { one, other }
        } else {
            Self {
                one: other,
                other: one,
            }
        };
        double.is_canonical().then_some(double)
    }

    /// Whose chain splits.
    pub fn author(&self) -> Author {
        self.one.header.author
    }

    /// Where it splits.
    pub fn split(&self) -> Split {
        let (one, other) = (&self.one.header, &self.other.header);
        Split {
            from: one.first_counter.min(other.first_counter),
            whole: one.begins(),
        }
    }

    /// Whether the two contradict each other at one place of a chain, and stand in their order.
    pub(super) fn is_canonical(&self) -> bool {
        let (one, other) = (&self.one.header, &self.other.header);
        let at_one_place = match (one.begins(), other.begins()) {
            (true, true) => true,
            (false, false) => one.first_counter == other.first_counter && one.prev == other.prev,
            _ => false,
        };
        self.one.is_canonical()
            && self.other.is_canonical()
            && at_one_place
            && one.studio == other.studio
            && one.author == other.author
            && self.one.hash() < self.other.hash()
    }

    /// Whether their author signed both.
    pub(super) fn is_signed_by(&self, key: &VerifyKey) -> bool {
        self.one.is_signed_by(key) && self.other.is_signed_by(key)
    }

    /// The hashes of both bundles.
    pub fn hashes(&self) -> [Hash; 2] {
        [self.one.hash(), self.other.hash()]
    }
}
