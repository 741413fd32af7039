//! Open questions as people see them, and the answers they give.
//!
//! A side is named by its dot; an answer becomes an ordinary command whose context covers all sides.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::command::Op;
use crate::id::EntityId;
use crate::merge::{ConflictKind, PickRule, SideState};
use crate::time::WallMs;

/// One side of a conflict.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SideView {
    /// The write: how a choice names this side.
    pub dot: String,
    /// The machine that wrote it.
    pub device: String,
    /// The author's wall clock.
    pub ts: WallMs,
    /// The value; of a delete or an edit beside a delete `null`.
    pub value: Json,
    /// Where it stands.
    pub state: SideState,
    /// Why it lost, if it did.
    pub code: Option<String>,
    /// The entity: of a natural key each side is another one's.
    pub entity: EntityId,
    /// What that entity is called meanwhile, because another one keeps its name. A view: nobody has written it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<String>,
    /// What was done, where the question is whether the entity is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deed: Option<Deed>,
}

/// What one command did to an entity that somebody deleted at the same time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Deed {
    /// The operation.
    pub op: Op,
    /// The person.
    pub actor: String,
    /// The fields that it wrote, as the history shows them.
    pub fields: Map<String, Json>,
}

/// One open question.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConflictView {
    /// The same on every machine.
    pub id: String,
    /// The entity.
    pub entity: EntityId,
    /// Its type.
    pub entity_type: String,
    /// What people would call the entity: its name or title, else its id.
    pub label: String,
    /// The field; `None` for the entity's life.
    pub field: Option<String>,
    /// What kind of question.
    pub kind: ConflictKind,
    /// Of a deleted thing who deleted it, as a sentence: "Project was deleted remotely, by Laptop-2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<String>,
    /// The value before the sides parted, if it is known. Where the question is whether the entity is deleted: an object, of the fields
    /// that were written since.
    pub base: Option<Json>,
    /// Every side.
    pub sides: Vec<SideView>,
    /// The dot of the suggested side.
    pub suggested: String,
    /// Why it is suggested, as a sentence.
    pub rule: String,
    /// A clock is more than a day off.
    pub clock_suspect: bool,
    /// The read token to hand back with the answer.
    pub vv: String,
}

/// All open questions.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConflictPage {
    /// The rows.
    pub conflicts: Vec<ConflictView>,
    /// The read token of the page.
    pub vv: String,
}

/// One line of the conflict ledger: an automatic pick or a decision. Lines are never changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LedgerView {
    /// Which conflict.
    pub conflict: String,
    /// The field; `None` for the entity's life.
    pub field: Option<String>,
    /// `opened`, `changed` or `closed`.
    pub event: String,
    /// The value that the sides grew from, where known.
    pub base: Option<Json>,
    /// The candidates.
    pub sides: Vec<Json>,
    /// What is shown from then on.
    pub winner: Option<Json>,
    /// The rule that picked it; `None` if a person or the cloud decided.
    pub rule: Option<PickRule>,
    /// The machine, the cloud or the roster that decided.
    pub decided_by: String,
    /// The dot of the deciding command, or `feed` and a position.
    pub cause: String,
    /// The decider's wall clock.
    pub decided_at: WallMs,
}

/// A person's answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// This side's value, by its dot.
    Side(String),
    /// Another value.
    Value(Json),
    /// Bring the entity back, with the edits.
    Restore,
    /// Let the delete stand.
    AcceptDelete,
}

/// `POST /local/v1/conflicts/{id}/resolve`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// The answer.
    pub choice: Choice,
    /// The person; the system's user if left out.
    #[serde(default)]
    pub actor: Option<String>,
    /// The read token of the conflict that was looked at; what is applied now if left out.
    #[serde(default)]
    pub read: Option<String>,
}
