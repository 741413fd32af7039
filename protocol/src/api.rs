//! The JSON of the local API: what applications, the window and the command line send and get.
//!
//! Only shapes stand here, no decisions. Ids are text (UUIDs), times are wall-clock milliseconds, money is cents; a name
//! that appears here is never renamed, only joined by others.

mod conflict;
mod entity;
mod event;
mod membership;
mod place;
mod policy;
mod pos;
mod problem;
mod status;
mod write;

pub use conflict::{Choice, ConflictPage, ConflictView, LedgerView, ResolveRequest, SideView};
pub use entity::{
    DeadLetter, DeadLetterPage, DevicePage, DiscardRequest, EntityPage, EntityView, FixRequest,
    HistoryPage, HistoryRow, QueryAnswer, QueryRequest, SubscribeRequest, SyncState,
};
pub use event::Event;
pub use membership::{InviteRequest, InviteState, InviteView, RoleRequest, WordsRequest};
pub use place::{ADDRESS_FILE, ApiAddress, DATA_VARIABLE, Platform, TOKEN_FILE, default_folder};
pub use policy::{PolicyName, PolicyRequest, PolicySignature, PolicyView};
pub use pos::{PosDevice, PosFlag, PosTotals, QuarantinePage, Quarantined};
pub use problem::Problem;
pub use status::{
    CloudStatus, Copies, Counts, FeedStatus, GatewayView, MemberView, NetworkState, NodeView,
    PeerView, PolicyStatus, Status, Warning,
};
pub use write::{
    BundleName, LoginRequest, MutationRequest, NetworkRequest, TxAnswer, TxRequest, vv_from_text,
    vv_text,
};

/// Where every path of the local API begins.
pub const PREFIX: &str = "/local/v1";
/// Bytes of a request's body at most: a full transaction as JSON, with room for long escapes.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// Rows of one page at most.
pub const PAGE_ROWS: usize = 1000;
/// Rows of one page if the question does not say.
pub const DEFAULT_ROWS: usize = 100;
