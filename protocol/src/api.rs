//! The JSON of the local API: what applications, the window and the command line send and get.
//!
//! Only shapes stand here, no decisions. Ids are text (UUIDs), times are wall-clock milliseconds, money is cents; a name
//! that appears here is never renamed, only joined by others.

mod activity;
mod audit;
mod conflict;
mod doctor;
mod entity;
mod event;
mod membership;
mod pack;
mod place;
mod policy;
mod pos;
mod problem;
mod status;
mod telemetry;
mod why;
mod write;

pub use activity::{ActivityPage, ActivityRow, VerifyView};
pub use audit::{AuditEntry, AuditPage};
pub use conflict::{
    Choice, ConflictPage, ConflictView, Deed, LedgerView, ResolveRequest, SideView,
};
pub use doctor::{DoctorStage, DoctorView, Stage, StageOutcome};
pub use entity::{
    DeadLetter, DeadLetterPage, DevicePage, DiscardRequest, EntityPage, EntityView, FixRequest,
    HistoryPage, HistoryRow, QueryAnswer, QueryRequest, SubscribeRequest, SyncState,
};
pub use event::Event;
pub use membership::{InviteRequest, InviteState, InviteView, RoleRequest, WordsRequest};
pub use pack::{ExportRequest, FrontierView, PackRequest};
pub use place::{ADDRESS_FILE, ApiAddress, DATA_VARIABLE, Platform, TOKEN_FILE, default_folder};
pub use policy::{PolicyName, PolicyRequest, PolicySignature, PolicyView};
pub use pos::{PosDevice, PosFlag, PosTotals, QuarantinePage, Quarantined, SetAside};
pub use problem::Problem;
pub use status::{
    CatchUp, CloudStatus, Copies, Counts, FeedStatus, GatewayView, LanStatus, MemberView,
    NetworkState, NodeView, PeerView, PolicyStatus, Status, Warning,
};
pub use telemetry::{
    LATENCY_STEPS_MS, TelemetryConflicts, TelemetryCounts, TelemetryReport, TelemetryRequest,
    TelemetrySent, TelemetryState, TelemetryView,
};
pub use why::{CloudReason, MachineReason, WhyCloud, WhyMachine, WhyView};
pub use write::{
    BundleName, LoginRequest, MutationRequest, NetworkRequest, Renewal, TxAnswer, TxRequest,
    VenueRequest, VenueState, vv_from_text, vv_text,
};

/// Where every path of the local API begins.
pub const PREFIX: &str = "/local/v1";
/// Bytes of a request's body at most: a full transaction as JSON, with room for long escapes.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// Rows of one page at most.
pub const PAGE_ROWS: usize = 1000;
/// Rows of one page if the question does not say.
pub const DEFAULT_ROWS: usize = 100;
