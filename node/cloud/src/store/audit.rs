//! The audit log: who, with which device, did what, when, and how it ended.

use studiovault_protocol::id::DeviceId;
use studiovault_protocol::time::WallMs;

use super::{Session, StoreError, cells};

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audit {
    /// The studio's row, if it concerns one.
    pub studio: Option<i64>,
    /// The person, as the bundle names them, or the holder of a token.
    pub who: String,
    /// The device that wrote it.
    pub device: Option<DeviceId>,
    /// What was asked.
    pub what: String,
    /// How it ended.
    pub outcome: String,
}

impl Session<'_> {
    /// Appends a line.
    pub fn audit(&self, line: &Audit, at: WallMs) -> Result<(), StoreError> {
        self.add(
            "INSERT INTO audit_log (at, studio, who, device, what, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            cells![
                at.0,
                line.studio,
                line.who,
                line.device.map(|device| device.0),
                line.what,
                line.outcome
            ],
        )
    }
}
