//! Who belongs: root key, admin devices, devices.
//!
//! The roster is a set of signed records, and everything it says is a pure function of that set, whatever the order in which
//! they came. What gives a right needs a signer whose own right stands; what takes one away holds for good, unless the root
//! key lifts it.

mod cuts;
mod double;
mod record;
mod rekey;
mod rights;
mod roster;

pub use cuts::Cuts;
pub use double::{Double, Split};
pub use record::{Act, Authority, Cut, RecordError, SignedRecord, Signer};
pub use rekey::{KeyState, Keyring, MeshKey, Moved, Rekey, RekeyError};
pub use rights::{Bar, Closed, Rights};
pub use roster::{Member, Roster, Standing};

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, PublicKey};

/// What a device may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May admit others.
    Admin,
    /// Writes everything of the daily work.
    Member,
    /// The cloud truth itself.
    Cloud,
    /// Reads and relays; writes only what the policy opens to guests.
    Guest,
}

impl Role {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Cloud => "cloud",
            Self::Guest => "guest",
        }
    }
}

/// A device's right to write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The device.
    pub device: DeviceId,
    /// Its signing key.
    pub key: PublicKey,
    /// What people call it, at most [`limits::NAME_BYTES`](crate::limits::NAME_BYTES).
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Decides the pick within the tolerance; higher wins.
    pub priority: i32,
    /// Who carries logs to the cloud first; higher goes first.
    pub gateway_preference: i32,
    /// Of several grants to one device the highest holds.
    pub version: u32,
}

#[cfg(test)]
mod tests;
