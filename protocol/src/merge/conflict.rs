//! Conflicts as a pure function of an entity's state, so that every device shows the same ones.

use serde::{Deserialize, Serialize};

use super::pick::{Pick, PickRule, pick};
use super::{Code, Entity, Field, LifeKind, Priorities, Register};
use crate::id::{Dot, EntityId, Hash};
use crate::limits::CLOCK_SUSPECT_MS;
use crate::time::WallMs;
use crate::value::Value;

/// What kind of question it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Concurrent values of one field.
    UpdateUpdate,
    /// A delete and something it had not seen.
    DeleteUpdate,
    /// Live entities with one natural key.
    CreateCreate,
    /// A value that the cloud did not take.
    LostAtCloud,
}

/// Where a side stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SideState {
    /// Without a verdict.
    Tentative,
    /// Accepted by the cloud.
    Confirmed,
    /// This field of an accepted command was not taken by the cloud.
    Lost,
    /// The cloud took nothing of the command.
    Rejected,
}

/// One side of a conflict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Side {
    /// The entity: of a natural key each side is another one's.
    pub entity: EntityId,
    /// Who wrote it.
    pub dot: Dot,
    /// The author's wall clock.
    pub ts: WallMs,
    /// The value; of a delete `None`.
    pub value: Option<Value>,
    /// Where it stands.
    pub state: SideState,
    /// Why it lost, if it did.
    pub code: Option<Code>,
}

/// A question that a person must answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// Derived from entity and field, or from the natural key: the same on every device.
    pub id: String,
    /// The entity; of a natural key the one that keeps it.
    pub entity: EntityId,
    /// The field; `None` for the entity's life.
    pub field: Option<String>,
    /// What kind.
    pub kind: ConflictKind,
    /// Every side, by dot.
    pub sides: Vec<Side>,
    /// The suggested side.
    pub suggested: Dot,
    /// Why it is suggested.
    pub rule: PickRule,
    /// A clock is more than a day off.
    pub clock_suspect: bool,
}

impl Entity {
    /// The entity's open conflicts, by field.
    pub fn conflicts(&self, priorities: &Priorities) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        if self.life.in_conflict() {
            conflicts.push(self.life_conflict());
        }
        if self.life.is_deleted() {
            return conflicts;
        }
        for (name, field) in &self.fields {
            if let Field::Register(register) = field {
                conflicts.extend(self.register_conflict(name, register, priorities));
            }
        }
        conflicts
    }

    /// Whether there is an open conflict.
    pub fn in_conflict(&self) -> bool {
        self.life.in_conflict()
            || !self.life.is_deleted()
                && self.fields.values().any(|field| match field {
                    Field::Register(register) => register.is_disputed(),
                    _ => false,
                })
    }

    fn life_conflict(&self) -> Conflict {
        // A life write stands where its own verdict put it; an edit beside several deletes, where it stands best.
        let mut sides: Vec<Side> = Vec::new();
        for write in &self.life.writes {
            let state = SideState::of(write.accepted.is_some());
            sides.push(self.life_side(write.dot, write.ts, state));
        }
        let survivors = || self.life.writes.iter().flat_map(|write| &write.survivors);
        for accepted in [true, false] {
            for survivor in survivors().filter(|survivor| survivor.accepted == accepted) {
                let state = SideState::of(accepted);
                sides.push(self.life_side(survivor.dot, survivor.ts, state));
            }
        }
        sides.extend(self.life.lost.iter().map(|lost| Side {
            code: Some(lost.code),
            ..self.life_side(lost.dot, lost.ts, SideState::Rejected)
        }));
        sides.sort_by_key(|side| side.dot);
        sides.dedup_by_key(|side| side.dot);
        let (suggested, rule) = self.life_suggestion();
        Conflict {
            id: conflict_id(self.id, None),
            entity: self.id,
            field: None,
            kind: ConflictKind::DeleteUpdate,
            suggested: suggested.unwrap_or(sides[0].dot),
            rule,
            clock_suspect: is_clock_suspect(sides.iter().map(|side| side.ts)),
            sides,
        }
    }

    fn life_side(&self, dot: Dot, ts: WallMs, state: SideState) -> Side {
        Side {
            entity: self.id,
            dot,
            ts,
            value: None,
            state,
            code: None,
        }
    }

    /// What is shown meanwhile: the deletion, unless an accepted write had not been seen by it.
    fn life_suggestion(&self) -> (Option<Dot>, PickRule) {
        let writes = &self.life.writes;
        let deletes = || writes.iter().filter(|w| w.kind == LifeKind::Deleted);
        let kept = deletes()
            .flat_map(|delete| &delete.survivors)
            .find(|survivor| survivor.accepted);
        if let Some(kept) = kept {
            return (Some(kept.dot), PickRule::Confirmed);
        }
        match (deletes().next(), writes.last()) {
            (Some(delete), _) if delete.accepted.is_some() => {
                (Some(delete.dot), PickRule::Confirmed)
            }
            (Some(delete), _) => (Some(delete.dot), PickRule::Deletion),
            (None, newest) => (newest.map(|write| write.dot), PickRule::Confirmed),
        }
    }

    fn register_conflict(
        &self,
        name: &str,
        register: &Register,
        priorities: &Priorities,
    ) -> Option<Conflict> {
        if !register.is_disputed() {
            return None;
        }
        let standing = register.siblings.iter().map(|s| Side {
            entity: self.id,
            dot: s.dot,
            ts: s.ts,
            value: Some(s.value.clone()),
            state: SideState::of(s.accepted.is_some()),
            code: None,
        });
        let lost = register.lost.iter().map(|lost| Side {
            entity: self.id,
            dot: lost.dot,
            ts: lost.ts,
            value: Some(lost.value.clone()),
            state: if lost.rejected {
                SideState::Rejected
            } else {
                SideState::Lost
            },
            code: Some(lost.code),
        });
        let mut sides: Vec<Side> = standing.chain(lost).collect();
        sides.sort_by_key(|side| side.dot);
        let (suggested, rule) = match pick(&register.siblings, priorities) {
            Some(Pick { sibling, rule }) if rule == PickRule::Only && !register.lost.is_empty() => {
                (sibling.dot, PickRule::Confirmed)
            }
            Some(Pick { sibling, rule }) => (sibling.dot, rule),
            None => (sides.last()?.dot, PickRule::Only),
        };
        Some(Conflict {
            id: conflict_id(self.id, Some(name)),
            entity: self.id,
            field: Some(name.to_owned()),
            kind: if register.lost.is_empty() {
                ConflictKind::UpdateUpdate
            } else {
                ConflictKind::LostAtCloud
            },
            clock_suspect: is_clock_suspect(sides.iter().map(|side| side.ts)),
            sides,
            suggested,
            rule,
        })
    }
}

/// The id of the conflict about a field, or about the life of an entity: 24 hexadecimal digits, the same on every device.
pub fn conflict_id(entity: EntityId, field: Option<&str>) -> String {
    let key = [&b"conflict"[..], &entity.0, field.unwrap_or("").as_bytes()].concat();
    Hash::of(&key).to_string()[..24].to_owned()
}

impl SideState {
    fn of(accepted: bool) -> Self {
        if accepted {
            Self::Confirmed
        } else {
            Self::Tentative
        }
    }
}

/// Whether one clock is more than a day ahead of all others.
pub(super) fn is_clock_suspect(clocks: impl Iterator<Item = WallMs>) -> bool {
    let mut clocks: Vec<i64> = clocks.map(|clock| clock.0).collect();
    clocks.sort_unstable();
    match clocks[..] {
        [.., second, first] => first.saturating_sub(second) > CLOCK_SUSPECT_MS,
        _ => false,
    }
}

impl Register {
    /// More than one distinct value among siblings and lost sides, or nothing left standing of what was written.
    pub fn is_disputed(&self) -> bool {
        if self.siblings.is_empty() {
            return !self.lost.is_empty();
        }
        let mut values = self
            .siblings
            .iter()
            .map(|s| &s.value)
            .chain(self.lost.iter().map(|l| &l.value));
        values
            .next()
            .is_some_and(|first| values.any(|value| value != first))
    }
}
