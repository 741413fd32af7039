//! Why something is not everywhere: machine by machine who holds it, and of each that lacks it, and of the cloud, the reason.

use serde::{Deserialize, Serialize};

use super::SyncState;
use crate::id::DeviceId;
use crate::membership::Standing;
use crate::time::WallMs;

/// `GET /local/v1/why/{id}`: an entity by its id, or a transaction by the dot of any of its changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WhyView {
    /// As it was asked for.
    pub id: String,
    /// Of an entity its type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// Of an entity where it stands, as every list shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_state: Option<SyncState>,
    /// On how many machines of the studio it is known to be.
    pub on: u32,
    /// Machines of the studio.
    pub of: u32,
    /// Every machine of the studio, this one first; then those that no longer belong.
    pub machines: Vec<WhyMachine>,
    /// The cloud truth.
    pub cloud: WhyCloud,
    /// When this was so.
    pub at: WallMs,
}

/// One machine and the thing that was asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WhyMachine {
    /// Which.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// It is known to hold it.
    pub holds: bool,
    /// Why, for programs.
    #[serde(flatten)]
    pub reason: MachineReason,
    /// Why, in words.
    pub sentence: String,
    /// What to do, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

/// Why a machine holds something, or does not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum MachineReason {
    /// It is this machine, and shows it.
    Here,
    /// It said that it holds it.
    Holds,
    /// It holds it and cannot apply it before it has what that rests on.
    Parked {
        /// Changes that it lacks, by their dots.
        waits_for: Vec<String>,
    },
    /// It is held and set aside: it shows nowhere.
    SetAside,
    /// It is this machine, and lacks it.
    Lacks,
    /// There is a link, and it has not come over yet.
    Behind {
        /// Commands that this machine has and it lacks.
        commands: u64,
    },
    /// There is no link, so what it holds is not known.
    NotLinked {
        /// When one stood last; `None` if not since this node started.
        last_seen: Option<WallMs>,
    },
    /// It is none of the studio's machines any more.
    Left {
        /// How it went.
        standing: Standing,
    },
}

/// The cloud truth and the thing that was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WhyCloud {
    /// Where it stands there, for programs.
    #[serde(flatten)]
    pub reason: CloudReason,
    /// The same in words.
    pub sentence: String,
    /// What to do, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

/// Why the cloud truth confirmed something, or has not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CloudReason {
    /// The studio has no cloud truth.
    NoCloud,
    /// All of it was accepted.
    Confirmed,
    /// Something of it was not taken.
    Rejected {
        /// The cloud's code.
        code: String,
        /// The cloud's words.
        detail: String,
        /// What settled it since: `fixed` or `discarded`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<String>,
    },
    /// The cloud breaks on it; it is tried again now and then.
    Stuck {
        /// The cloud's words.
        detail: String,
    },
    /// It is set aside here, and no gateway asks for it to stand.
    SetAside,
    /// The cloud holds it and has not decided.
    Undecided,
    /// The gateway has it and carries it there.
    WithGateway {
        /// Which machine.
        gateway: String,
    },
    /// It has not come to the gateway yet.
    WaitingForGateway {
        /// Which machine.
        gateway: String,
    },
    /// This machine has no link with the gateway.
    GatewayUnreachable {
        /// Which machine.
        gateway: String,
    },
    /// No machine carries to the cloud, and this one does not reach it.
    Unreachable {
        /// What went wrong.
        problem: String,
    },
    /// The cloud answers and the way there is paused.
    Paused {
        /// Why.
        problem: String,
    },
    /// No machine has taken on to carry to the cloud yet.
    NoGateway,
}
