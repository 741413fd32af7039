//! What a machine tells of itself if a person lets it: counts and latencies. No name, no id, no field, no address.

use serde::{Deserialize, Serialize};

use crate::time::WallMs;

/// The upper ends of the steps that latencies are counted in, ms; one more step has none.
pub const LATENCY_STEPS_MS: [u64; 8] = [1, 3, 10, 30, 100, 300, 1_000, 3_000];

/// Exactly what is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryReport {
    /// The version of the program.
    pub version: String,
    /// The operating system.
    pub system: String,
    /// Machines that belong to the studio.
    pub machines: u64,
    /// Of those, with a link to this one.
    pub linked: u64,
    /// How much there is.
    pub counts: TelemetryCounts,
    /// Questions for people.
    pub conflicts: TelemetryConflicts,
    /// Since the program runs: from a write's request until it is durable, in the steps of [`LATENCY_STEPS_MS`].
    pub writes: [u64; LATENCY_STEPS_MS.len() + 1],
    /// Since the program runs: from a batch's request until the cloud's answer, in the same steps.
    pub batches: [u64; LATENCY_STEPS_MS.len() + 1],
}

/// How much there is, as the status has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryCounts {
    /// Live entities.
    pub entities: u64,
    /// Commands held.
    pub commands: u64,
    /// Of those, without a verdict.
    pub pending: u64,
    /// Of those, accepted.
    pub confirmed: u64,
    /// Of those, rejected.
    pub rejected: u64,
    /// Letters that nobody has settled.
    pub dead_letters: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
}

/// Questions for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConflicts {
    /// Open now.
    pub open: u64,
    /// How often one opened here, ever.
    pub opened: u64,
    /// How often one closed here, ever.
    pub closed: u64,
}

/// Whether a machine may tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TelemetryState {
    /// Once a day, to the studio's own cloud truth.
    On,
    /// Nothing is sent. So it is until a person says otherwise.
    #[default]
    Off,
}

/// `POST /local/v1/telemetry`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryRequest {
    /// May it tell?
    pub state: TelemetryState,
}

/// `GET /local/v1/telemetry`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TelemetryView {
    /// Whether it is sent.
    pub state: TelemetryState,
    /// What is, or would be: the body of the request, byte for byte. A [`TelemetryReport`].
    pub report: String,
    /// What was sent last, by this machine, ever.
    pub sent: Option<TelemetrySent>,
    /// Why the last attempt came to nothing.
    pub problem: Option<String>,
}

/// What left this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TelemetrySent {
    /// When.
    pub at: WallMs,
    /// What, byte for byte.
    pub report: String,
}
