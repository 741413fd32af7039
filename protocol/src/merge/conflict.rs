//! Conflicts as a pure function of an entity's state, so that every device shows the same ones.

use serde::{Deserialize, Serialize};

use super::pick::{Pick, PickRule, pick};
use super::{Code, Entity, Field, LifeKind, Priorities, Register};
use crate::id::{Dot, EntityId, Hash};
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
    /// Not taken by the cloud.
    Lost,
}

/// One side of a conflict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Side {
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
    /// Derived from entity and field: the same on every device.
    pub id: String,
    /// The entity.
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

    fn conflict_id(&self, field: Option<&str>) -> String {
        let key = [&b"conflict"[..], &self.id.0, field.unwrap_or("").as_bytes()].concat();
        Hash::of(&key).to_string()[..24].to_owned()
    }

    fn life_conflict(&self) -> Conflict {
        let state = |accepted: bool| {
            if accepted {
                SideState::Confirmed
            } else {
                SideState::Tentative
            }
        };
        let side = |dot, ts, state| Side {
            dot,
            ts,
            value: None,
            state,
            code: None,
        };
        let mut sides: Vec<Side> = Vec::new();
        for write in &self.life.writes {
            sides.push(side(write.dot, write.ts, state(write.accepted.is_some())));
            for survivor in &write.survivors {
                sides.push(side(survivor.dot, write.ts, state(survivor.accepted)));
            }
        }
        sides.extend(self.life.lost.iter().map(|lost| Side {
            code: Some(lost.code),
            ..side(lost.dot, lost.ts, SideState::Lost)
        }));
        sides.sort_by_key(|side| side.dot);
        sides.dedup_by_key(|side| side.dot);
        let deletes = || {
            self.life
                .writes
                .iter()
                .filter(|w| w.kind == LifeKind::Deleted)
        };
        let kept = deletes()
            .flat_map(|delete| &delete.survivors)
            .find(|survivor| survivor.accepted)
            .map(|survivor| survivor.dot);
        let newest = deletes().next().or(self.life.writes.last());
        let suggested = kept.or(newest.map(|write| write.dot));
        let confirmed = kept.is_some() || !self.life.lost.is_empty();
        Conflict {
            id: self.conflict_id(None),
            entity: self.id,
            field: None,
            kind: ConflictKind::DeleteUpdate,
            suggested: suggested.unwrap_or(sides[0].dot),
            sides,
            rule: if confirmed {
                PickRule::Confirmed
            } else {
                PickRule::Only
            },
            clock_suspect: false,
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
        let mut sides: Vec<Side> = register
            .siblings
            .iter()
            .map(|s| Side {
                dot: s.dot,
                ts: s.ts,
                value: Some(s.value.clone()),
                state: if s.accepted.is_some() {
                    SideState::Confirmed
                } else {
                    SideState::Tentative
                },
                code: None,
            })
            .collect();
        sides.extend(register.lost.iter().map(|lost| Side {
            dot: lost.dot,
            ts: lost.ts,
            value: Some(lost.value.clone()),
            state: SideState::Lost,
            code: Some(lost.code),
        }));
        sides.sort_by_key(|side| side.dot);
        let pick = pick(&register.siblings, priorities);
        let (suggested, rule, clock_suspect) = match pick {
            Some(Pick {
                sibling,
                rule,
                clock_suspect,
            }) => {
                let lost = rule == PickRule::Only && !register.lost.is_empty();
                (
                    sibling.dot,
                    if lost { PickRule::Confirmed } else { rule },
                    clock_suspect,
                )
            }
            None => (sides.last()?.dot, PickRule::Only, false),
        };
        Some(Conflict {
            id: self.conflict_id(Some(name)),
            entity: self.id,
            field: Some(name.to_owned()),
            kind: if register.lost.is_empty() {
                ConflictKind::UpdateUpdate
            } else {
                ConflictKind::LostAtCloud
            },
            sides,
            suggested,
            rule,
            clock_suspect,
        })
    }
}

impl Register {
    /// More than one distinct value among siblings and lost sides.
    pub fn is_disputed(&self) -> bool {
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
