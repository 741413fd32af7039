//! The merge: the state of an entity as a pure function of the commands that stand.
//!
//! Commands come in a causal order. A field keeps every sibling that no standing command has superseded, and the shown value
//! is a pick over the whole set, so the order of arrival leaves no trace. What a rejection takes back is not undone in
//! place: the entity is folded anew from its commands ([`fold`]), which defines the state; [`Entity::apply`] and
//! [`Entity::accept`] are the same function taken one step at a time.

mod base;
mod conflict;
mod entity;
mod entry;
mod field;
mod key;
mod life;
mod pick;
mod view;

pub use base::{base, life_base};
pub use conflict::{Conflict, ConflictKind, Side, SideState, conflict_id};
pub use entity::{Entity, Record, StateSum, fold};
pub use entry::{breach, set_aside};
pub use field::{ElementSet, Field, LostSide, Register, Sibling, Top};
pub use key::{
    KeyClaim, KeyHash, Proposal, arrange, folded, key_conflict, key_conflict_id, key_hash,
    proposal, proposals,
};
pub use life::{Life, LifeKind, LifeWrite, LostLife, Survivor};
pub use pick::{Pick, PickRule, Priorities};
pub use view::{Shown, ShownFields};

use serde::{Deserialize, Serialize};

use crate::id::Dot;
use crate::vector::{Epochs, Vector};

/// The number of the fold: one higher with every program that reads more of a log than the one before (an operation, an envelope),
/// or makes another state of it. A store whose rows were made under another number is folded anew.
pub const FOLD: u32 = 2;

/// What a command supersedes: what its author had read, as far as its bundle had seen that. What a liar names beyond counts for
/// nothing, so nothing that comes later is ever superseded, and the order of arrival leaves no trace.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    epochs: &'a Epochs,
    past: &'a Vector,
    own: Dot,
    read: Option<&'a Vector>,
}

impl<'a> Context<'a> {
    /// Of the command `dot`: what its bundle saw of others (`past`) and its author's path before it, or of that what `read`
    /// names. `epochs` knows all that its bundle rests on.
    pub fn new(
        epochs: &'a Epochs,
        (past, dot): (&'a Vector, Dot),
        read: Option<&'a Vector>,
    ) -> Self {
        Self {
            epochs,
            past,
            own: dot.author.at(dot.counter.saturating_sub(1)),
            read,
        }
    }

    /// Whether the command supersedes what `dot` wrote.
    pub fn covers(&self, dot: Dot) -> bool {
        let Some(read) = self.read else {
            return self.holds(dot);
        };
        let mut tips = read.tips_of(dot.author.device).iter();
        tips.any(|tip| self.epochs.reaches(*tip, dot) && self.holds(*tip))
    }

    /// Whether its bundle had seen what `dot` wrote.
    fn holds(&self, dot: Dot) -> bool {
        self.epochs.reaches(self.own, dot) || self.past.covers(self.epochs, dot)
    }
}

/// Why the cloud did not take a command or a field of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// Another value of the field was accepted before.
    ConflictUpdateUpdate,
    /// The entity was deleted at the cloud.
    ConflictDeleteUpdate,
    /// A delete that had not seen an accepted edit.
    ConflictUpdateDelete,
    /// Another live entity has the natural key.
    DuplicateKey,
    /// The values break the policy.
    ValidationFailed,
    /// An edit of something that never was.
    EntityNotFound,
    /// A field that only create may set.
    ImmutableField,
    /// An entry of the point of sale may not be changed.
    AppendOnly,
    /// The role may not write this.
    Forbidden,
    /// The command id was used for something else.
    IdempotencyMismatch,
    /// It builds on a rejected command.
    DependsOnRejected,
    /// Its author took it back.
    Withdrawn,
    /// The server broke on this command alone.
    Internal,
    /// Its device no longer belonged to the studio.
    DeviceRevoked,
}

impl Code {
    /// The code as it stands in APIs.
    pub fn word(self) -> &'static str {
        match self {
            Self::ConflictUpdateUpdate => "CONFLICT_UPDATE_UPDATE",
            Self::ConflictDeleteUpdate => "CONFLICT_DELETE_UPDATE",
            Self::ConflictUpdateDelete => "CONFLICT_UPDATE_DELETE",
            Self::DuplicateKey => "DUPLICATE_KEY",
            Self::ValidationFailed => "VALIDATION_FAILED",
            Self::EntityNotFound => "ENTITY_NOT_FOUND",
            Self::ImmutableField => "IMMUTABLE_FIELD",
            Self::AppendOnly => "APPEND_ONLY",
            Self::Forbidden => "FORBIDDEN",
            Self::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Self::DependsOnRejected => "DEPENDS_ON_REJECTED",
            Self::Withdrawn => "WITHDRAWN",
            Self::Internal => "INTERNAL",
            Self::DeviceRevoked => "DEVICE_REVOKED",
        }
    }

    /// Whether a person settles it as a conflict (else it goes to the dead letters).
    pub fn is_conflict(self) -> bool {
        matches!(
            self,
            Self::ConflictUpdateUpdate
                | Self::ConflictDeleteUpdate
                | Self::ConflictUpdateDelete
                | Self::DuplicateKey
        )
    }
}

/// The final word of the cloud truth on one command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Confirmed.
    Accepted,
    /// Confirmed; the named fields lost.
    Merged(Vec<(String, Code)>),
    /// Leaves the standing set.
    Rejected {
        /// Why.
        code: Code,
        /// In words.
        detail: String,
    },
}

/// An outcome and where in the feed it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The feed position, from 1.
    pub position: u64,
    /// The word.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests;
