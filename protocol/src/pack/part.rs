//! What stands in one chunk of a pack, and what became of it at a machine that took it in.
//!
//! Every part can be taken in by itself, and again: what is held already changes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, StudioId};
use crate::limits;
use crate::membership::SignedRecord;
use crate::policy::SignedPolicy;
use crate::time::WallMs;
use crate::wire::Packed;

/// Reasons that a machine tells apart; what comes on top is told as one.
const REASONS: usize = 32;

/// One part of a pack.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Part {
    /// The first: whose pack it is and what it holds.
    Label(Label),
    /// What bundles and pages rest on, each record after those that it rests on.
    Signed {
        /// Of the roster.
        records: Vec<SignedRecord>,
        /// Policies.
        policies: Vec<SignedPolicy>,
    },
    /// Bundles, in the order in which the maker's log holds them.
    Bundles(Vec<Packed>),
    /// Pages of the feed, in order.
    Pages(Vec<Packed>),
    /// The last: nothing is missing.
    End,
}

/// Whose pack it is and what it holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Label {
    /// Which studio.
    pub studio: StudioId,
    /// The machine that made it.
    pub device: DeviceId,
    /// What people called that machine.
    pub name: String,
    /// When, by that machine's wall clock.
    pub at: WallMs,
    /// What was asked for.
    pub scope: Scope,
    /// How many bundles follow.
    pub bundles: u64,
    /// How many pages follow.
    pub pages: u64,
}

/// What a pack holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All that its maker held.
    Everything,
    /// What a machine had not shown that it holds.
    For(String),
    /// What a frontier lacked.
    Since,
}

/// Why bytes are no part of a pack. Its maker's fault; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no part of a pack")]
pub struct PartError;

impl Part {
    /// As it is sealed, before it is compressed.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("wire types always encode")
    }

    /// Reads a part whose form and bounds are right.
    pub fn decode(bytes: &[u8]) -> Result<Self, PartError> {
        if bytes.len() > limits::PACK_PART_BYTES {
            return Err(PartError);
        }
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((part, [])) if part.is_plain() => Ok(part),
            _ => Err(PartError),
        }
    }

    /// Whether the names in it can be shown.
    fn is_plain(&self) -> bool {
        let plain =
            |name: &str| name.len() <= limits::NAME_BYTES && !name.chars().any(char::is_control);
        match self {
            Self::Label(label) => {
                plain(&label.name) && !matches!(&label.scope, Scope::For(name) if !plain(name))
            }
            _ => true,
        }
    }
}

impl Label {
    /// That it was made, in words.
    pub fn made_words(&self) -> String {
        format!("a pack was made, {}", self.words())
    }

    /// What it holds, in words.
    pub fn words(&self) -> String {
        let scope = match &self.scope {
            Scope::Everything => "everything".to_owned(),
            Scope::For(name) => format!("what {name} was not known to hold"),
            Scope::Since => "what a frontier lacked".to_owned(),
        };
        format!(
            "{scope}: {} bundles and {} pages of the feed",
            self.bundles, self.pages
        )
    }
}

/// How many of one kind were new, held already, or left for want of something before them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Kept now.
    pub new: u64,
    /// Kept before.
    pub held: u64,
    /// Not kept: something before them is missing.
    pub waiting: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.new += other.new;
        self.held += other.held;
        self.waiting += other.waiting;
    }
}

/// What became of a part, or of several.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    /// Records of the roster that were new.
    pub records: u64,
    /// Policies that were new.
    pub policies: u64,
    /// Bundles.
    pub bundles: Tally,
    /// Pages of the feed.
    pub pages: Tally,
    /// What was refused: why, and how often.
    pub refused: BTreeMap<String, u64>,
    /// Bundles that the machine keeps and cannot apply yet, wherever they came from.
    pub parked: u64,
}

impl Taken {
    /// One more was refused.
    pub fn refuse(&mut self, reason: &str) {
        self.refuse_times(reason, 1);
    }

    fn refuse_times(&mut self, reason: &str, times: u64) {
        let is_known = self.refused.contains_key(reason) || self.refused.len() < REASONS;
        let reason = if is_known { reason } else { "other reasons" };
        *self.refused.entry(reason.to_owned()).or_default() += times;
    }

    /// What came of a later part joins.
    pub fn add(&mut self, later: Self) {
        self.records += later.records;
        self.policies += later.policies;
        self.bundles.add(later.bundles);
        self.pages.add(later.pages);
        for (reason, times) in later.refused {
            self.refuse_times(&reason, times);
        }
        self.parked = later.parked;
    }
}
