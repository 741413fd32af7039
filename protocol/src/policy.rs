//! The policy: what types there are and which rule each field follows.
//!
//! A policy compiled in stands in for the policy document; its hash is compared at every handshake.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Hash;
use crate::value::ValueKind;

mod builtin;

/// How concurrent changes of one field meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// All siblings are kept, the pick is shown, more than one distinct value is a conflict.
    Lww,
    /// Set by create only.
    Immutable,
    /// Additive union with observed remove; never a conflict.
    Set,
    /// Signed increments, summed; never a conflict.
    Counter,
}

/// One field of one type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldRule {
    /// How concurrent changes meet.
    pub rule: Rule,
    /// The kind of its values (of its elements, for a set).
    pub kind: ValueKind,
    /// Whether a create must give it.
    pub required: bool,
    /// Bytes of text at most.
    pub max_bytes: u32,
}

/// One type of entity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
pub struct TypeRule {
    /// No update and no delete exist.
    pub append_only: bool,
    /// The cloud takes a command whole or not at all.
    pub atomic: bool,
    /// The fields that name an entity among the live ones of its type; empty if nothing does. The last one is what a rename
    /// changes, those before it are its scope.
    pub natural_key: Vec<String>,
    /// The fields by name.
    pub fields: BTreeMap<String, FieldRule>,
}

/// All types of a studio.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Grows with every change.
    pub version: u32,
    /// The types by name.
    pub types: BTreeMap<String, TypeRule>,
}

impl Policy {
    /// The rules of a type; `None` if this policy does not know it.
    pub fn entity_type(&self, name: &str) -> Option<&TypeRule> {
        self.types.get(name)
    }

    /// The hash compared at every handshake.
    pub fn hash(&self) -> Hash {
        Hash::of(&postcard::to_stdvec(self).expect("a policy always encodes"))
    }
}

impl TypeRule {
    /// The rule of a field; `None` if unknown.
    pub fn field(&self, name: &str) -> Option<&FieldRule> {
        self.fields.get(name)
    }
}
