//! The audit log as it is shown: what was done to the studio at this machine.

use serde::{Deserialize, Serialize};

use crate::time::WallMs;

/// Lines of the audit log, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// The lines.
    pub audit: Vec<AuditEntry>,
    /// Ask for `?before=` this to go on; none: there are no earlier ones.
    pub next: Option<i64>,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number; later ones are higher.
    pub id: i64,
    /// When, by this machine's wall clock.
    pub at: WallMs,
    /// What it is about: `pairing`, `revocation`, `role` and so on.
    pub kind: String,
    /// The machine whose hand it was; none: the recovery kit's, or nobody's.
    pub by: Option<String>,
    /// The person, as far as known.
    pub actor: String,
    /// A sentence.
    pub what: String,
}
