//! What the doctor says: stage by stage whether it works, what was seen, and what to do.

use serde::{Deserialize, Serialize};

use crate::time::WallMs;

/// `GET /local/v1/doctor`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DoctorView {
    /// A node runs with the folder; else only the machine itself was looked at.
    pub node_runs: bool,
    /// No stage failed.
    pub ok: bool,
    /// In the order in which they rest on each other.
    pub stages: Vec<DoctorStage>,
    /// When this was so.
    pub at: WallMs,
}

/// One stage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DoctorStage {
    /// Which.
    pub stage: Stage,
    /// Whether it works.
    pub outcome: StageOutcome,
    /// What was seen.
    pub evidence: String,
    /// What to do, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

/// Whether a stage works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// It does.
    Ok,
    /// It does not.
    Failed,
    /// Nothing was seen that says so: it rests on a stage that failed, or there was nobody to try it with.
    Unknown,
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// An adapter with an address.
    Adapter,
    /// Multicast leaves this machine.
    MulticastOut,
    /// Multicast comes in, of others too.
    MulticastBack,
    /// The mesh's port answers at this machine's own addresses.
    Firewall,
    /// Others answer at theirs.
    Tcp,
    /// The network's key and Noise hold.
    Encryption,
    /// Both belong to one studio.
    Studio,
    /// This machine belongs to it still.
    Revocation,
    /// All programs understand each other.
    Version,
    /// One policy is in force.
    Policy,
    /// Clocks agree.
    Clock,
    /// Logs are level.
    Frontier,
    /// The data folder takes writes and has room.
    Disk,
    /// The studio has a cloud truth; told if it has none.
    Cloud,
    /// The cloud's name has an address.
    CloudDns,
    /// Somebody answers there.
    CloudTcp,
    /// With the certificate that it should have.
    CloudTls,
    /// It is the cloud itself, and nobody in its place.
    CloudPortal,
    /// It takes this machine's token.
    CloudSignIn,
}

impl Stage {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::MulticastOut => "multicast out",
            Self::MulticastBack => "multicast back",
            Self::Firewall => "firewall",
            Self::Tcp => "TCP",
            Self::Encryption => "encryption",
            Self::Studio => "studio",
            Self::Revocation => "revocation",
            Self::Version => "version",
            Self::Policy => "policy",
            Self::Clock => "clock",
            Self::Frontier => "frontier",
            Self::Disk => "disk",
            Self::Cloud => "cloud",
            Self::CloudDns => "cloud: DNS",
            Self::CloudTcp => "cloud: TCP",
            Self::CloudTls => "cloud: TLS",
            Self::CloudPortal => "cloud: portal",
            Self::CloudSignIn => "cloud: sign-in",
        }
    }
}
