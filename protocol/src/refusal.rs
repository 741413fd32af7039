//! Why a machine does not serve a link: a kind for programs, and words for people.
//!
//! A kind that this program does not know stays what it is, so a newer machine may have more of them.

use serde::{Deserialize, Serialize};

/// What kind of reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum RefusalKind {
    /// The two speak no common version.
    Version,
    /// They belong to different studios.
    Studio,
    /// The one that greets does not belong, or no more.
    ShutOut,
    /// Its certificate proves nothing here.
    Certificate,
    /// A machine met itself.
    Itself,
    /// There is no room for it now.
    Full,
    /// Something else.
    Other(u8),
}

impl From<u8> for RefusalKind {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Version,
            2 => Self::Studio,
            3 => Self::ShutOut,
            4 => Self::Certificate,
            5 => Self::Itself,
            6 => Self::Full,
            other => Self::Other(other),
        }
    }
}

impl From<RefusalKind> for u8 {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Version => 1,
            RefusalKind::Studio => 2,
            RefusalKind::ShutOut => 3,
            RefusalKind::Certificate => 4,
            RefusalKind::Itself => 5,
            RefusalKind::Full => 6,
            RefusalKind::Other(other) => other,
        }
    }
}

/// A reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// For people.
    pub words: String,
}

impl Refusal {
    /// A reason with its words.
    pub fn new(kind: RefusalKind, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { kind, words }
    }
}

/// Which side of a link said no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusedBy {
    /// This machine.
    Us,
    /// The other one.
    Them,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_a_newer_program_stays_what_it_is() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(RefusalKind::from(number)), number);
        }
    }
}
