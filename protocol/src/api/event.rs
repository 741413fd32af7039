//! What the node tells of its own accord: `GET /local/v1/events`, server-sent.
//!
//! An event says that something changed and where to look, never the data itself: a missed event costs a glance at
//! `/status`, nothing more.

use serde::{Deserialize, Serialize};

use crate::fault::FaultKind;
use crate::id::{DeviceId, EntityId};

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The status is another one.
    Status,
    /// Entities changed, by this machine or another.
    Entities {
        /// Which; empty if there are too many to name.
        ids: Vec<EntityId>,
        /// The read token after the change.
        vv: String,
    },
    /// The number of open conflicts changed.
    Conflicts {
        /// How many are open.
        open: u64,
    },
    /// The number of dead letters changed.
    DeadLetters {
        /// How many there are.
        count: u64,
    },
    /// A machine's link opened.
    PeerReady {
        /// Which.
        device: DeviceId,
        /// What people call it.
        name: String,
    },
    /// A machine's link closed.
    PeerGone {
        /// Which.
        device: DeviceId,
        /// What people call it.
        name: String,
    },
    /// Another machine is gateway now, or none.
    Gateway {
        /// Which.
        device: Option<DeviceId>,
        /// What people call it.
        name: Option<String>,
    },
    /// Verdicts up to this feed position count here.
    Folded {
        /// The position.
        position: u64,
    },
    /// Something went wrong that nobody can mend here: a peer or the cloud misbehaved.
    Fault {
        /// In words.
        sentence: String,
        /// Of what kind; those of older versions are told without.
        #[serde(default)]
        kind: FaultKind,
    },
}

impl Event {
    /// The name of the event in a server-sent stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Entities { .. } => "entities",
            Self::Conflicts { .. } => "conflicts",
            Self::DeadLetters { .. } => "dead_letters",
            Self::PeerReady { .. } => "peer_ready",
            Self::PeerGone { .. } => "peer_gone",
            Self::Gateway { .. } => "gateway",
            Self::Folded { .. } => "folded",
            Self::Fault { .. } => "fault",
        }
    }
}
