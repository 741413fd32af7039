//! What went wrong and is not one's own doing, as people are told of it: a kind for programs, words for people.
//!
//! Programs go by the kind alone; the words may change with every version. A kind that a program does not know is [`FaultKind::Other`].

use serde::{Deserialize, Serialize};

/// What kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The cloud does not take what this machine signs in with.
    SignIn,
    /// The cloud no longer serves this machine: it was shut out of the studio, or left it.
    ShutOut,
    /// The cloud is not reached.
    Unreachable,
    /// Something else answers in the cloud's place.
    Portal,
    /// The cloud answers, and not as it should.
    Cloud,
    /// The cloud's feed is not what it was.
    Feed,
    /// A signed record, a policy or a log was not taken.
    Record,
    /// Another machine refused this one.
    Refused,
    /// This machine's own disk.
    Disk,
    /// Something else.
    #[default]
    #[serde(other)]
    Other,
}

impl FaultKind {
    /// Whether it is one of the way to the cloud, which lasts exactly as long as the uplink has it as its problem.
    pub fn is_of_uplink(self) -> bool {
        match self {
            Self::SignIn | Self::ShutOut | Self::Unreachable | Self::Portal | Self::Cloud => true,
            Self::Feed | Self::Record | Self::Refused | Self::Disk | Self::Other => false,
        }
    }
}

/// One fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// For programs.
    pub kind: FaultKind,
    /// For people.
    pub words: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_a_newer_program_is_another_one_and_its_own_have_names() {
        let read = |text: &str| serde_json::from_str::<FaultKind>(text).expect("a kind");
        assert_eq!(read("\"sign_in\""), FaultKind::SignIn);
        assert_eq!(read("\"shut_out\""), FaultKind::ShutOut);
        assert_eq!(read("\"of_tomorrow\""), FaultKind::Other);
        let written = serde_json::to_string(&FaultKind::Unreachable);
        assert_eq!(written.expect("text"), "\"unreachable\"");
    }
}
