//! Who belongs, as it is changed: invites (`/local/v1/pairing`) and places of devices (`/local/v1/devices/{id}`).

use serde::{Deserialize, Serialize};

use crate::membership::Role;

/// Shows an invite: `POST /local/v1/pairing`. What the newcomer counts for is said here, by the admitting side.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// What it may do.
    #[serde(default = "member")]
    pub role: Role,
    /// Of edits made at the same time, that of the machine with the higher number is shown.
    #[serde(default)]
    pub priority: i32,
    /// The machine with the higher number carries to the cloud first.
    #[serde(default)]
    pub gateway_preference: i32,
}

fn member() -> Role {
    Role::Member
}

impl Default for InviteRequest {
    fn default() -> Self {
        Self {
            role: Role::Member,
            priority: 0,
            gateway_preference: 0,
        }
    }
}

/// How far an invite has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InviteState {
    /// The code is shown, and the listener waits.
    Open,
    /// A machine proved that it knows the code; its person reads two words out.
    Checking,
    /// It was let in.
    Admitted,
    /// Two minutes went by.
    Expired,
    /// Three wrong codes or words.
    Missed,
    /// A person took it back.
    Withdrawn,
}

/// The invite of this machine: `GET /local/v1/pairing`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InviteView {
    /// How far it has come.
    pub state: InviteState,
    /// The code, while it is shown.
    pub code: Option<String>,
    /// Wrong codes or words that it still forgives.
    pub misses_left: u8,
    /// What is left of its time, ms.
    pub left_ms: u64,
    /// The TCP port of the listener.
    pub port: u16,
    /// What the machine calls itself that is being looked at, or was let in.
    pub applicant: Option<String>,
    /// What happened last, in words.
    pub last: Option<String>,
}

/// The words that the newcomer's person read out: `POST /local/v1/pairing/words`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordsRequest {
    /// As they were heard.
    pub words: String,
}

/// Another place for a device: `POST /local/v1/devices/{id}/role`. What is not said stays.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    /// What it may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Of edits made at the same time, that of the machine with the higher number is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The machine with the higher number carries to the cloud first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_preference: Option<i32>,
}
