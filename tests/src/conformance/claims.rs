//! The claims of the contract, each asked over HTTP.

mod cuts;
mod refusals;
mod road;
mod snapshots;

pub use cuts::cut;
pub use refusals::{
    describes_itself, encodings, enrols_once, foreign_tail, limits, made_up_positions, revoked,
    unauthorised, walls,
};
pub use road::{one_meaning, pages, reorders, replays, resolves, waits};
pub use snapshots::snapshots;
