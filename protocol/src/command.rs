//! One mutation of one entity, and the hash that names its content.
//!
//! A command's hash is `blake3(head || blake3(nonce || values))`, so that its values can be erased one day while chain and
//! merge stay whole: the head alone is all the merge needs besides the values themselves.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{CommandId, Dot, EntityId, Hash, Nonce};
use crate::limits;
use crate::time::WallMs;
use crate::value::Value;
use crate::vector::Vector;

/// What a command does to its entity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Op {
    /// Brings the entity into being.
    Create,
    /// Changes fields.
    Update,
    /// Ends its life.
    Delete,
    /// Brings it back whole.
    Restore,
    /// Settles a conflict: an update whose context covers every side.
    Resolve,
    /// Gives up a command that the cloud did not take, with the reason; changes no field.
    Discard,
    /// Something that only a newer version of the program knows, by its number on the wire: held, relayed and opaque.
    Newer(u8),
}

/// The operations by their numbers on the wire.
const OPS: [Op; 6] = [
    Op::Create,
    Op::Update,
    Op::Delete,
    Op::Restore,
    Op::Resolve,
    Op::Discard,
];

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(self.word());
        }
        let known = OPS.iter().position(|op| op == self).map(|at| at as u8);
        serializer.serialize_u8(match self {
            Self::Newer(number) => *number,
            _ => known.expect("every other operation has a number"),
        })
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let number = u8::deserialize(deserializer)?;
            let known = OPS.get(usize::from(number)).copied();
            return Ok(known.unwrap_or(Self::Newer(number)));
        }
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let known = OPS.into_iter().chain([Self::Newer(u8::MAX)]);
        let mut known = known.filter(|op| op.word() == word);
        known.next().ok_or_else(|| {
            D::Error::custom("no operation; use create, update, delete, restore or resolve")
        })
    }
}

impl Op {
    /// The word used in APIs and in the queue.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Resolve => "resolve",
            Self::Newer(_) => "unknown",
            Self::Discard => "discard",
        }
    }
}

/// What a command does to one field, by the field's rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// `lww` and `immutable`: a new value.
    Write(Value),
    /// `set`: elements added under this command's dot.
    Add(Vec<Value>),
    /// `set`: for each element the dots that were seen and go.
    Remove(Vec<(Value, Vec<Dot>)>),
    /// `counter`: a signed increment.
    Increment(i64),
}

/// One field and its change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldWrite {
    /// The field's name, at most [`limits::NAME_BYTES`].
    pub field: String,
    /// What happens to it.
    pub change: Change,
}

/// One mutation of one entity. Its dot is its place in its bundle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Keeps its value when the command is sent again.
    pub id: CommandId,
    /// The entity's type, at most [`limits::NAME_BYTES`].
    pub entity_type: String,
    /// Which entity.
    pub entity: EntityId,
    /// What happens.
    pub op: Op,
    /// The fields in the order they were given, each (field, kind of change) once.
    pub writes: Vec<FieldWrite>,
    /// What the author had read, only if older than what its bundle saw.
    pub ctx: Option<Vector>,
    /// The command in whose place this one stands: of the two at most one takes effect.
    pub replaces: Option<Dot>,
    /// The author's wall clock.
    pub ts: WallMs,
    /// Hides the values behind the hash.
    pub nonce: Nonce,
}

/// Everything of a change but its values.
#[derive(Serialize)]
enum ChangeHead<'a> {
    Write,
    Add(usize),
    Remove(Vec<&'a [Dot]>),
    Increment(i64),
}

/// Everything of a command but its values.
#[derive(Serialize)]
struct Head<'a> {
    id: &'a CommandId,
    entity_type: &'a str,
    entity: &'a EntityId,
    op: Op,
    writes: Vec<(&'a str, ChangeHead<'a>)>,
    dot: Dot,
    ctx: &'a Option<Vector>,
    replaces: Option<Dot>,
    ts: WallMs,
}

impl Command {
    /// The hash of this command standing at `dot`.
    pub fn hash(&self, dot: Dot) -> Hash {
        let mut values = Vec::with_capacity(self.writes.len());
        let writes = self
            .writes
            .iter()
            .map(|write| {
                let head = match &write.change {
                    Change::Write(value) => {
                        values.push(value);
                        ChangeHead::Write
                    }
                    Change::Add(elements) => {
                        values.extend(elements);
                        ChangeHead::Add(elements.len())
                    }
                    Change::Remove(elements) => {
                        values.extend(elements.iter().map(|(element, _)| element));
                        ChangeHead::Remove(elements.iter().map(|(_, dots)| &dots[..]).collect())
                    }
                    Change::Increment(by) => ChangeHead::Increment(*by),
                };
                (write.field.as_str(), head)
            })
            .collect();
        let head = Head {
            id: &self.id,
            entity_type: &self.entity_type,
            entity: &self.entity,
            op: self.op,
            writes,
            dot,
            ctx: &self.ctx,
            replaces: self.replaces,
            ts: self.ts,
        };
        let mut inner = blake3::Hasher::new();
        inner.update(&self.nonce.0);
        inner.update(&encode(&values));
        let mut outer = blake3::Hasher::new();
        outer.update(&encode(&head));
        outer.update(inner.finalize().as_bytes());
        Hash(*outer.finalize().as_bytes())
    }

    /// Checks the bounds that hold whatever the policy says. `None` if all is well.
    pub fn fault(&self) -> Option<&'static str> {
        let name_ok = |name: &str| !name.is_empty() && name.len() <= limits::NAME_BYTES;
        if !name_ok(&self.entity_type) || !self.writes.iter().all(|write| name_ok(&write.field)) {
            return Some("a type or field name is empty or over 64 bytes");
        }
        if self.writes.len() > limits::COMMAND_FIELDS {
            return Some("over 256 field writes in one command");
        }
        let same = |one: &FieldWrite, other: &FieldWrite| {
            let kind = std::mem::discriminant(&one.change);
            one.field == other.field && kind == std::mem::discriminant(&other.change)
        };
        let mut writes = self.writes.iter().enumerate();
        if writes.any(|(at, write)| self.writes[..at].iter().any(|other| same(write, other))) {
            return Some("one field is changed twice in one command");
        }
        if self.op == Op::Discard && self.replaces.is_none() {
            return Some("a discard that does not say what it gives up");
        }
        let counted = |dot: Dot| (1..=limits::COUNTER).contains(&dot.counter);
        if self.replaces.is_some_and(|dot| !counted(dot)) {
            return Some("a replaced command with a counter out of range");
        }
        if self.ctx.as_ref().is_some_and(|ctx| !ctx.is_canonical()) {
            return Some("a context whose tips are out of order");
        }
        None
    }
}

/// Encodes what our own code built; postcard fails only on types that the wire never holds.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Room for most commands at once: growing step by step costs as much as the hash.
    postcard::to_extend(value, Vec::with_capacity(512)).expect("wire types always encode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_only_a_newer_program_knows_keeps_its_number() {
        for number in 0..=u8::MAX {
            let op: Op = postcard::from_bytes(&[number]).expect("any number");
            assert_eq!(matches!(op, Op::Newer(_)), number > 5, "{number}");
            assert_eq!(postcard::to_stdvec(&op).expect("encodes"), [number]);
        }
        for op in OPS {
            let word = serde_json::to_string(&op).expect("a word");
            assert_eq!(serde_json::from_str::<Op>(&word).expect("reads back"), op);
        }
        assert!(serde_json::from_str::<Op>("\"explode\"").is_err());
    }
}
