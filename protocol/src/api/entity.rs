//! What is read: entities with where each stands, their history, dead letters, devices, and answers to SQL.
//!
//! Every page that can be edited carries `vv`, the read token: handed back with the write, it says what the person had seen.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{LedgerView, MemberView};
use crate::command::Op;
use crate::id::EntityId;
use crate::policy::Warning;
use crate::time::WallMs;

/// Where a record stands: what a person sees beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SyncState {
    /// On this machine only.
    SavedHere,
    /// On `n` of `m` machines.
    OnMachines {
        /// Machines that hold it, this one included.
        n: u32,
        /// Machines of the studio.
        m: u32,
    },
    /// The gateway has it and carries it to the cloud.
    WithGateway,
    /// The cloud truth accepted it.
    Confirmed,
    /// The cloud truth did not take it, and nothing of it stands.
    Rejected,
    /// A person must look at it: a conflict, or an open dead or stuck letter.
    NeedsFixing,
}

impl std::fmt::Display for SyncState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SavedHere => f.write_str("saved here"),
            Self::OnMachines { n, m } => write!(f, "on {n} of {m} machines"),
            Self::WithGateway => f.write_str("with the gateway"),
            Self::Confirmed => f.write_str("confirmed"),
            Self::Rejected => f.write_str("rejected"),
            Self::NeedsFixing => f.write_str("needs fixing"),
        }
    }
}

/// One entity as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EntityView {
    /// Its id.
    pub id: EntityId,
    /// Its type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// One value a field: picks, elements, sums.
    pub fields: Map<String, Json>,
    /// Whether it shows as deleted.
    pub deleted: bool,
    /// Of a deleted one who deleted it, as a sentence: "Project was deleted remotely, by Laptop-2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<String>,
    /// The receipt of an entry of the point of sale, with four characters of the entry's hash: `A-000123-7f3c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// Of a sale: a void stands against it, and it counts nothing. A view: the sale itself is never rewritten.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub voided: bool,
    /// Of a sale that was corrected: what its corrections add up to, in cents. A voided one has none: it counts nothing, and neither do they.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections_cents: Option<i128>,
    /// Where it stands.
    pub sync_state: SyncState,
    /// Whether there is an open conflict on it.
    pub conflict: bool,
    /// What it is called meanwhile, if another one keeps its name. A view: nobody has written it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<String>,
    /// Fields whose values the policy in force would refuse: older than a limit, or written past it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// It holds something that needs a newer version of the program or the policy: read-only on this machine.
    #[serde(default)]
    pub needs_newer_version: bool,
    /// The read token: hand it back with a write to this entity.
    pub vv: String,
}

/// A page of entities.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EntityPage {
    /// The rows, by id.
    pub entities: Vec<EntityView>,
    /// Where the next page begins (`after`); `None` on the last one.
    pub next: Option<EntityId>,
    /// The read token of the page.
    pub vv: String,
}

/// One command in an entity's history.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The command's name.
    pub dot: String,
    /// The machine that wrote it.
    pub device: String,
    /// The person.
    pub actor: String,
    /// What happened.
    pub op: Op,
    /// The fields as they were written.
    pub fields: Map<String, Json>,
    /// The author's wall clock.
    pub ts: WallMs,
    /// `tentative`, `accepted`, `merged` or `rejected`.
    pub verdict: String,
    /// Of a verdict its code, if it has one.
    pub code: Option<String>,
    /// Of a verdict its place in the feed.
    pub position: Option<u64>,
    /// Of a verdict that did not simply accept the cloud's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The history of one entity, oldest first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The entity.
    pub entity: EntityId,
    /// Its commands.
    pub rows: Vec<HistoryRow>,
    /// Every automatic pick and every decision about it.
    #[serde(default)]
    pub ledger: Vec<LedgerView>,
}

/// A command of any machine that the cloud did not take, or breaks on, and that a person must look at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The command's name.
    pub dot: String,
    /// The machine that wrote it.
    pub device: String,
    /// The cloud breaks on it and has not decided: it is tried again now and then, and all else goes on.
    pub stuck: bool,
    /// Its entity.
    pub entity: EntityId,
    /// The entity's type.
    pub entity_type: String,
    /// What it did.
    pub op: Op,
    /// The fields as they were written.
    pub fields: Map<String, Json>,
    /// Why it was not taken.
    pub code: String,
    /// In the cloud's words.
    pub detail: String,
    /// When the cloud said so.
    pub ts: WallMs,
    /// What settled it: `fixed` or `discarded`; `None` while it is open.
    pub settled: Option<String>,
    /// What people would call the entity.
    #[serde(default)]
    pub label: String,
    /// Changes of the entity that cannot go on before this one is settled; told of one letter, not in the list of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
}

/// `POST /local/v1/dead-letters/{dot}/fix`: the same command once more, in its place.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FixRequest {
    /// The fields that change; `null` leaves one out. All others are sent as they were.
    #[serde(default)]
    pub fields: Map<String, Json>,
    /// Create under another id: the first one is taken.
    #[serde(default)]
    pub new_id: bool,
    /// The person; the system's user if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// `POST /local/v1/dead-letters/{dot}/discard`: gives it up. Refused for entries of the point of sale.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiscardRequest {
    /// Why; stays in the history.
    pub reason: String,
    /// The person; the system's user if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// All dead letters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeadLetterPage {
    /// The rows, newest first.
    pub dead_letters: Vec<DeadLetter>,
}

/// The machines of the studio.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DevicePage {
    /// The rows, by id.
    pub devices: Vec<MemberView>,
}

/// A read-only question in SQL over the `app_` views.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// One `SELECT`.
    pub sql: String,
    /// Values for `?1`, `?2`, ...
    #[serde(default)]
    pub params: Vec<Json>,
}

/// The answer to SQL.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QueryAnswer {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Json>>,
    /// Whether rows beyond the limit were left out.
    pub truncated: bool,
}

/// A live question: answered at once and again whenever the answer changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscribeRequest {
    /// One `SELECT`.
    pub sql: String,
    /// Values for `?1`, `?2`, ...
    #[serde(default)]
    pub params: Vec<Json>,
}
