//! What a person sees of an entity: one value a field, and where it stands.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value as Json};

use super::pick::pick;
use super::{Code, Entity, Field, Priorities, Register};
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

/// The shown fields, written as JSON without building it first: a machine that catches up shows thousands a second.
#[derive(Clone, Copy, Debug)]
pub struct ShownFields<'a> {
    entity: &'a Entity,
    priorities: &'a Priorities,
}

impl Serialize for ShownFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, field) in &self.entity.fields {
            match field {
                Field::Register(register) => {
                    if let Some(value) = register.shown(self.priorities) {
                        map.serialize_entry(name, &Plain(value))?;
                    }
                }
                Field::Set(set) => {
                    let elements = set.elements.iter().map(|(element, _)| Plain(element));
                    map.serialize_entry(name, &elements.collect::<Vec<_>>())?;
                }
                Field::Counter(sum) => map.serialize_entry(name, sum)?,
            }
        }
        map.end()
    }
}

/// A value as plain JSON, the same as [`Value::to_json`] makes.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Ref(id) => serializer.collect_str(id),
        }
    }
}

impl Entity {
    /// What is shown, by the roster's priorities.
    pub fn shown(&self, priorities: &Priorities) -> Shown {
        let fields = match serde_json::to_value(self.shown_fields(priorities)) {
            Ok(Json::Object(fields)) => fields,
            _ => unreachable!("shown fields are a JSON object"),
        };
        Shown {
            fields,
            deleted: self.life.is_deleted(),
            confirmed: self.is_confirmed(),
            conflict: self.in_conflict(),
        }
    }

    /// One value a field: picks, elements, sums.
    pub fn shown_fields<'a>(&'a self, priorities: &'a Priorities) -> ShownFields<'a> {
        ShownFields {
            entity: self,
            priorities,
        }
    }

    /// Whether every standing write of a register and of its life is confirmed.
    pub fn is_confirmed(&self) -> bool {
        let mut registers = self.fields.values().filter_map(|field| match field {
            Field::Register(register) => Some(register),
            _ => None,
        });
        self.life.writes.iter().all(|w| w.accepted.is_some())
            && registers.all(|register| register.siblings.iter().all(|s| s.accepted.is_some()))
    }

    /// The picked value of a register.
    pub fn value(&self, field: &str, priorities: &Priorities) -> Option<&Value> {
        match self.fields.get(field)? {
            Field::Register(register) => register.shown(priorities),
            _ => None,
        }
    }
}

impl Register {
    /// The pick. Where nothing stands because another entity has the natural key, the name that was meant: people must find
    /// the thing to rename it.
    fn shown(&self, priorities: &Priorities) -> Option<&Value> {
        let pick = pick(&self.siblings, priorities).map(|pick| &pick.sibling.value);
        let mut lost = self.lost.iter().rev();
        pick.or_else(|| {
            let meant = lost.find(|side| side.code == Code::DuplicateKey)?;
            Some(&meant.value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EntityId;

    #[test]
    fn a_value_is_written_as_it_is_built() {
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::Int(-7),
            Value::Text("a \"quoted\" word".into()),
            Value::Ref(EntityId([7; 16])),
        ] {
            let written = serde_json::to_value(Plain(&value)).expect("writes");
            assert_eq!(written, value.to_json());
        }
    }
}
