//! The policy as it is read and set: `GET` and `PUT /local/v1/policy`.

use serde::{Deserialize, Serialize};

use crate::id::DeviceId;
use crate::time::WallMs;

/// Which document, and who signed it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyName {
    /// Its version.
    pub version: u32,
    /// Its hash, hexadecimal.
    pub hash: String,
    /// Who signed it; `None` for the one that comes with the program.
    pub signed: Option<PolicySignature>,
}

/// Who signed a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicySignature {
    /// On which machine.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// When, by its wall clock.
    pub at: WallMs,
}

/// The policy in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyView {
    /// Which.
    #[serde(flatten)]
    pub name: PolicyName,
    /// The TOML document.
    pub document: String,
    /// Other signed documents held: earlier ones, concurrent ones that do not hold, newer ones that cannot be read here.
    pub beside: Vec<PolicyName>,
}

/// A policy to be signed and replicated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyRequest {
    /// The TOML document.
    pub document: String,
}
