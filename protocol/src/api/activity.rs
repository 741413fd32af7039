//! What happened on all machines, newest first, and what a check of the store against itself found.
//!
//! Texts are cut to what a row shows; an entity's history has them whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::SyncState;
use crate::command::Op;
use crate::id::EntityId;
use crate::time::WallMs;

/// One command of any machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ActivityRow {
    /// Its name.
    pub dot: String,
    /// The machine that wrote it.
    pub device: String,
    /// The person.
    pub actor: String,
    /// What happened.
    pub op: Op,
    /// To which entity.
    pub entity: EntityId,
    /// Its type.
    pub entity_type: String,
    /// What people call it now.
    pub label: String,
    /// The fields as they were written.
    pub fields: Map<String, Json>,
    /// The author's wall clock.
    pub ts: WallMs,
    /// Where it stands.
    pub sync_state: SyncState,
    /// It is about a sale against which a void stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub voided: bool,
    /// Of a verdict that did not simply accept its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// `GET /local/v1/activity?before=&limit=`: in the order in which this machine got to know it, newest first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ActivityPage {
    /// The rows; bundles are never cut apart, so there may be more than asked for.
    pub rows: Vec<ActivityRow>,
    /// Where the next page begins (`before`); `None` on the last one.
    pub next: Option<u64>,
}

/// `POST /local/v1/verify`: the store proved against itself, on a copy of one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VerifyView {
    /// Bundles whose bytes, hash, chain and signature were checked.
    pub bundles: u64,
    /// Commands in them.
    pub commands: u64,
    /// Pages of the feed whose hash, chain and signature were checked.
    pub pages: u64,
    /// Entities folded anew and compared.
    pub entities: u64,
    /// How many faults there are.
    pub fault_count: u64,
    /// The first of them, in words.
    pub faults: Vec<String>,
}
