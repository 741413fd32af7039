//! What the node says of itself: one snapshot, kept by its driver and shown by every surface.
//!
//! Every figure is counted from rows or live links; nothing here is a second place of truth.

use serde::{Deserialize, Serialize};

use crate::fault::FaultKind;
use crate::id::{DeviceId, StudioId};
use crate::membership::{Role, Standing};
use crate::time::WallMs;

/// The whole of it: `GET /local/v1/status`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// This machine.
    pub node: NodeView,
    /// Whether it takes part in the LAN.
    pub network: NetworkState,
    /// The machines it has a link to.
    pub peers: Vec<PeerView>,
    /// Everybody in the roster.
    pub members: Vec<MemberView>,
    /// Who carries logs to the cloud, if somebody does.
    pub gateway: Option<GatewayView>,
    /// The cloud truth.
    pub cloud: CloudStatus,
    /// What this run saw of the LAN.
    #[serde(default)]
    pub lan: LanStatus,
    /// How much there is.
    pub counts: Counts,
    /// On how many machines this machine's own writes are.
    pub copies: Copies,
    /// The feed.
    pub feed: FeedStatus,
    /// The policy in force.
    #[serde(default)]
    pub policy: PolicyStatus,
    /// The sum of the applied state, hexadecimal; machines that have applied the same show the same.
    pub state_hash: String,
    /// What is applied and shown: the read token of everything that is read now (see [`super::vv_text`]).
    pub applied: String,
    /// What a person should know, with the next step.
    pub warnings: Vec<Warning>,
    /// When this snapshot was taken.
    pub at: WallMs,
}

/// This machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeView {
    /// Its id.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Its studio.
    pub studio: StudioId,
    /// What people call the studio.
    pub studio_name: String,
    /// The time zone that it counts its days in, by its IANA name.
    pub time_zone: String,
    /// What it is paid in, by its ISO 4217 code.
    pub currency: String,
    /// The version of the program.
    pub version: String,
    /// Names this run of the process: the epoch, hexadecimal.
    pub run: String,
    /// When this run began.
    pub started: WallMs,
    /// Where peers can reach it, as `address:port`; empty while offline.
    pub listening: Vec<String>,
    /// It hides on its network.
    #[serde(default)]
    pub venue: bool,
}

/// Whether this machine takes part in the LAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkState {
    /// Normal life.
    Online,
    /// A person took it off the network: no listener, no links, no announcements.
    Offline,
}

/// A machine with a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerView {
    /// Which.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Over which address.
    pub address: String,
    /// Since when.
    pub since: WallMs,
    /// Commands that it has and this machine lacks.
    pub ahead: u64,
    /// Commands that it lacks and this machine has.
    pub behind: u64,
    /// Round trip of the last beat, ms; `None` before the first.
    pub round_trip_ms: Option<u32>,
    /// Its wall clock minus this machine's when the link began, ms.
    #[serde(default)]
    pub clock_offset_ms: i64,
}

/// What this run of the node saw of the LAN.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LanStatus {
    /// Links that were opened since the run began.
    pub links_opened: u64,
    /// Dials of which no link came.
    pub dials_failed: u64,
    /// It is being filled from a peer that holds more; `None` if nobody in reach does.
    pub catching_up: Option<CatchUp>,
}

/// How far this machine is with what the peers in reach hold. Never says that it is done: then there is none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CatchUp {
    /// Who holds most of what is missing.
    pub from: String,
    /// Commands held here.
    pub held: u64,
    /// Commands held here or there.
    pub of: u64,
    /// Commands that came in each second of the last ten; `None` before there is a second to judge by.
    pub per_second: Option<u64>,
    /// Seconds left at that pace, rounded up; `None` while nothing is known or nothing comes.
    pub left_s: Option<u64>,
}

/// A member of the studio.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberView {
    /// Which.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it belongs.
    #[serde(default)]
    pub standing: Standing,
    /// Whether a link stands, or it is this machine.
    pub online: bool,
    /// When a link to it last stood; `None` if never.
    pub last_seen: Option<WallMs>,
    /// Of edits made at the same time, that of the machine with the higher number is shown.
    #[serde(default)]
    pub priority: i32,
    /// The machine with the higher number carries to the cloud first.
    #[serde(default)]
    pub gateway_preference: i32,
}

/// Who carries logs to the cloud and the feed back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GatewayView {
    /// Which machine.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Which term.
    pub term: u64,
}

/// The cloud truth as this machine knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CloudStatus {
    /// The studio has one; without it nothing waits for a verdict.
    pub configured: bool,
    /// It answered the last question of this machine, or a gateway reports it.
    pub reachable: bool,
    /// It takes the token.
    pub authorised: bool,
    /// When the last verdict came in.
    pub last_confirmed: Option<WallMs>,
    /// Wall-clock age of the oldest own command without a verdict.
    pub oldest_pending: Option<WallMs>,
    /// Where it is.
    pub url: Option<String>,
    /// What is wrong, in words with the next step.
    pub problem: Option<String>,
    /// Of what kind that is.
    #[serde(default)]
    pub problem_kind: Option<FaultKind>,
    /// The cloud's wall clock minus this machine's, ms, as the last probe had it; `None` before the first.
    #[serde(default)]
    pub clock_offset_ms: Option<i64>,
}

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Live entities.
    pub entities: u64,
    /// Commands held, of all machines.
    pub commands: u64,
    /// Of those, without a verdict although the studio has a cloud.
    pub pending: u64,
    /// Of those, this machine's own.
    #[serde(default)]
    pub own_pending: u64,
    /// Of the own ones, those that went to the cloud and have no answer yet.
    #[serde(default)]
    pub own_sent: u64,
    /// Of those, accepted (merged ones count).
    pub confirmed: u64,
    /// Of those, rejected.
    pub rejected: u64,
    /// Open conflicts.
    pub conflicts: u64,
    /// Entities that hold something which this machine cannot read: read-only here.
    #[serde(default)]
    pub opaque: u64,
    /// Bundles held in an envelope that this version of the program does not read.
    #[serde(default)]
    pub newer_bundles: u64,
    /// Commands of any machine that the cloud did not take and nobody has settled.
    pub dead_letters: u64,
    /// Commands held and set aside because they would rewrite an entry of the point of sale.
    #[serde(default)]
    pub quarantined: u64,
    /// Commands of any machine that the cloud breaks on: they wait, with what depends on them, and all else goes on.
    #[serde(default)]
    pub stuck: u64,
    /// Bundles held that wait for something they saw.
    pub parked: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
}

/// On how many machines the own writes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Copies {
    /// On how many machines the least copied own write is, this one included.
    pub on_machines_min: u32,
    /// Machines of the studio, this one included, the cloud not.
    pub machines: u32,
}

/// The feed of the cloud truth on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FeedStatus {
    /// The last position held.
    pub held: u64,
    /// The last position whose verdicts count here.
    pub folded: u64,
}

/// The policy in force on this machine.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Its version.
    pub version: u32,
    /// The document's hash, hexadecimal; machines with the same policy show the same.
    pub hash: String,
    /// Documents held beside it.
    pub beside: u32,
}

/// Something that a person should know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Warning {
    /// For programs, such as `CLOCK_OFF`.
    pub code: String,
    /// What is the matter.
    pub sentence: String,
    /// What to do.
    pub next_step: String,
    /// Of what kind it is, if it is a fault (`FAULT`). It is told for as long as it holds.
    #[serde(default)]
    pub kind: Option<FaultKind>,
}
