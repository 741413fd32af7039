//! An entity's life: one more multi-value field, written by create, delete and restore.
//!
//! A delete remembers the writes it had not seen (`survivors`): they are the other side of a delete/update conflict, and an
//! accepted one among them keeps the entity alive.

use serde::{Deserialize, Serialize};

use super::{Code, Context};
use crate::id::Dot;
use crate::time::WallMs;

/// What a life write said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeKind {
    /// By create.
    Created,
    /// By delete.
    Deleted,
    /// By restore.
    Restored,
}

/// A write that a delete had not seen, and that had not seen the delete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Survivor {
    /// The write.
    pub dot: Dot,
    /// Its author's wall clock.
    pub ts: WallMs,
    /// Whether the cloud accepted it, or a write below it that the delete had not seen either.
    pub accepted: bool,
}

/// A standing life write that no other supersedes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LifeWrite {
    /// Who wrote it.
    pub dot: Dot,
    /// The author's wall clock.
    pub ts: WallMs,
    /// What it said.
    pub kind: LifeKind,
    /// The feed position of its accepting verdict.
    pub accepted: Option<u64>,
    /// Of a delete: the newest concurrent writes, sorted by dot.
    pub survivors: Vec<Survivor>,
}

/// A delete, or a change of a deleted entity, that the cloud did not take. It stays a side of the conflict about the entity's
/// life until a standing life write covers it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LostLife {
    /// Who wrote it.
    pub dot: Dot,
    /// The author's wall clock.
    pub ts: WallMs,
    /// Why it lost.
    pub code: Code,
}

/// All standing life writes, sorted by dot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Life {
    /// Sorted by dot.
    pub writes: Vec<LifeWrite>,
    /// Sorted by dot.
    pub lost: Vec<LostLife>,
}

impl Life {
    /// Whether any create or restore ever stood.
    pub fn exists(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Whether one of the standing life writes is this command.
    pub fn names(&self, dot: Dot) -> bool {
        self.writes.iter().any(|write| write.dot == dot)
    }

    /// Whether the entity shows as deleted.
    pub fn is_deleted(&self) -> bool {
        let mut deletes = self
            .writes
            .iter()
            .filter(|w| w.kind == LifeKind::Deleted)
            .peekable();
        deletes.peek().is_some()
            && deletes.all(|delete| !delete.survivors.iter().any(|survivor| survivor.accepted))
    }

    /// The newest standing delete.
    pub fn delete(&self) -> Option<Dot> {
        let mut writes = self.writes.iter();
        let delete = writes.rfind(|write| write.kind == LifeKind::Deleted);
        delete.map(|write| write.dot)
    }

    /// Whether a person must say if it lives: a delete and something concurrent with it.
    pub fn in_conflict(&self) -> bool {
        !self.lost.is_empty() || self.writes.iter().any(|write| !write.survivors.is_empty())
    }

    /// Applies a standing life write. The survivors of a delete are filled in by the fold, which sees the whole history.
    pub fn write(&mut self, write: LifeWrite, ctx: &Context) {
        self.writes.retain(|other| !ctx.covers(other.dot));
        self.lost.retain(|side| !ctx.covers(side.dot));
        let at = self.writes.partition_point(|other| other.dot < write.dot);
        self.writes.insert(at, write);
    }

    /// Takes up a command that the cloud did not take because of the entity's life. It supersedes nothing.
    pub fn lose(&mut self, side: LostLife) {
        let at = self.lost.partition_point(|other| other.dot < side.dot);
        self.lost.insert(at, side);
    }

    /// Whether a delete stands: then only the fold over the whole history is exact.
    pub fn has_delete(&self) -> bool {
        self.writes
            .iter()
            .any(|write| write.kind == LifeKind::Deleted)
    }

    /// Marks the write of `dot` accepted.
    pub fn accept(&mut self, position: u64, dot: Dot) {
        for write in &mut self.writes {
            if write.dot == dot {
                write.accepted = Some(position);
            }
        }
    }
}
