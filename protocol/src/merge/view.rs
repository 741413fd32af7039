//! What a person sees of an entity: one value a field, and where it stands.

use serde_json::{Map, Value as Json};

use super::pick::pick;
use super::{Entity, Field, Priorities};
use crate::value::Value;

/// The shown side of an entity.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    /// One value a field: picks, elements, sums.
    pub fields: Map<String, Json>,
    /// Whether it shows as deleted.
    pub deleted: bool,
    /// Whether every standing write of a register and of its life is confirmed.
    pub confirmed: bool,
    /// Whether there is an open conflict.
    pub conflict: bool,
}

impl Entity {
    /// What is shown, by the roster's priorities.
    pub fn shown(&self, priorities: &Priorities) -> Shown {
        let mut fields = Map::new();
        let mut confirmed = self
            .life
            .writes
            .iter()
            .all(|write| write.accepted.is_some());
        for (name, field) in &self.fields {
            let value = match field {
                Field::Register(register) => {
                    confirmed &= register.siblings.iter().all(|s| s.accepted.is_some());
                    match pick(&register.siblings, priorities) {
                        Some(pick) => pick.sibling.value.to_json(),
                        None => continue,
                    }
                }
                Field::Set(set) => Json::Array(
                    set.elements
                        .iter()
                        .map(|(element, _)| element.to_json())
                        .collect(),
                ),
                Field::Counter(sum) => (*sum).into(),
            };
            fields.insert(name.clone(), value);
        }
        let conflict = self.in_conflict();
        Shown {
            fields,
            deleted: self.life.is_deleted(),
            confirmed,
            conflict,
        }
    }

    /// The picked value of a register.
    pub fn value(&self, field: &str, priorities: &Priorities) -> Option<&Value> {
        match self.fields.get(field)? {
            Field::Register(register) => {
                pick(&register.siblings, priorities).map(|pick| &pick.sibling.value)
            }
            _ => None,
        }
    }
}
