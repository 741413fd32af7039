//! The policy: what types there are and which rule each field follows.
//!
//! A policy is always the meaning of one TOML document; its hash is the document's, so that two machines which compare hashes
//! compare what people wrote. The default is such a document too, compiled in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::id::Hash;
use crate::membership::Role;
use crate::value::{Value, ValueKind};

mod document;
mod error;
mod shelf;
mod succession;
mod warning;

pub use error::PolicyError;
pub use shelf::{PolicyShelf, ShelfError, Shelved, SignedPolicy};
pub use warning::Warning;

/// The document in force until a studio signs one of its own.
const DEFAULT: &str = include_str!("policy/default.toml");

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
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FieldRule {
    /// How concurrent changes meet.
    pub rule: Rule,
    /// The kind of its values (of its elements, for a set).
    pub kind: ValueKind,
    /// Whether a create must give it.
    pub required: bool,
    /// Bytes of text at most.
    pub max_bytes: u32,
    /// The least whole number taken.
    pub min: Option<i64>,
    /// The largest whole number taken.
    pub max: Option<i64>,
}

/// One type of entity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Default)]
pub struct TypeRule {
    /// No update and no delete exist.
    pub append_only: bool,
    /// The cloud takes a command whole or not at all.
    pub atomic: bool,
    /// No two living entities share these fields: the last is the one to rename, those before it are its scope. Empty: no key.
    pub natural_key: Vec<String>,
    /// The roles that may write it.
    pub writers: BTreeSet<Role>,
    /// The fields by name.
    pub fields: BTreeMap<String, FieldRule>,
}

/// All types of a studio. Cheap to clone.
#[derive(Clone)]
pub struct Policy {
    version: u32,
    hash: Hash,
    text: Arc<str>,
    types: Arc<BTreeMap<String, TypeRule>>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "policy version {} {:?}", self.version, self.hash)
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Policy {}

impl Default for Policy {
    fn default() -> Self {
        static PARSED: LazyLock<Policy> =
            LazyLock::new(|| Policy::parse(DEFAULT).expect("the default policy is well-formed"));
        PARSED.clone()
    }
}

impl Policy {
    /// Reads a TOML document, at most [`crate::limits::POLICY_BYTES`]. An error names the line, the rule and the next step.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let (version, types) = document::read(text)?;
        Ok(Self {
            version,
            hash: Hash::of(text.as_bytes()),
            text: text.into(),
            types: Arc::new(types),
        })
    }

    /// Whether what this policy knows is merged alike by `next`: only what it does not know needs another look.
    pub fn grows_into(&self, next: &Self) -> bool {
        succession::check_growth(self, next).is_ok()
    }

    /// Whether `next` may come after this one; an error points into `next`. It may add types, fields and limits, and never changes
    /// what is already merged by: the rule and kind of a field, and whether a type is append-only.
    pub fn check_successor(&self, next: &Self) -> Result<(), PolicyError> {
        succession::check(self, next)
    }

    /// Grows with every change.
    pub fn version(&self) -> u32 {
        self.version
    }
    /// The types by name.
    pub fn types(&self) -> &BTreeMap<String, TypeRule> {
        &self.types
    }
    /// The rules of a type; `None` if this policy does not know it.
    pub fn entity_type(&self, name: &str) -> Option<&TypeRule> {
        self.types.get(name)
    }
    /// The document's hash, compared at every handshake.
    pub fn hash(&self) -> Hash {
        self.hash
    }
    /// The document as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl TypeRule {
    /// The rule of a field; `None` if unknown.
    pub fn field(&self, name: &str) -> Option<&FieldRule> {
        self.fields.get(name)
    }

    /// Whether a machine of that role may write entities of this type. The cloud truth writes for others.
    pub fn may_write(&self, role: Role) -> bool {
        role == Role::Cloud || self.writers.contains(&role)
    }
}

impl FieldRule {
    /// Whether a required field has nothing for a person to read: no value, or a text of blanks.
    pub fn lacks(&self, value: &Value) -> bool {
        self.required
            && match value {
                Value::Null => true,
                Value::Text(text) => is_blank(text),
                _ => false,
            }
    }

    /// What is wrong with a value beyond its kind, as the end of a sentence that begins with the field; `None` if nothing is.
    pub fn limit_broken(&self, value: &Value) -> Option<String> {
        match value {
            value if self.lacks(value) => Some("may not be empty; give it".into()),
            Value::Text(text) if text.len() > self.max_bytes as usize => Some(format!(
                "takes at most {} bytes; shorten it",
                self.max_bytes
            )),
            Value::Int(number) if self.min.is_some_and(|min| *number < min) => {
                let min = self.min.unwrap_or_default();
                Some(format!("takes {min} or more; correct it"))
            }
            Value::Int(number) if self.max.is_some_and(|max| *number > max) => {
                let max = self.max.unwrap_or_default();
                Some(format!("takes {max} or less; correct it"))
            }
            _ => None,
        }
    }
}

/// Nothing in it is printed: blanks, control characters, and letters without width.
fn is_blank(text: &str) -> bool {
    let unseen = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars()
        .all(|c| c.is_whitespace() || c.is_control() || unseen(c))
}

#[cfg(test)]
mod tests;
