//! Everything that StudioVault's sync node decides, as plain functions: inputs in, effects out.
//!
//! There is no clock, no randomness, no I/O and no async here: time and entropy come in as arguments. The node, the cloud
//! truth and the simulator run this same code.

pub mod api;
pub mod author;
pub mod bundle;
pub mod cloud;
pub mod command;
pub mod election;
pub mod engine;
pub mod event;
pub mod fault;
pub mod feed;
pub mod frontier;
pub mod id;
pub mod keys;
pub mod limits;
pub mod log;
pub mod membership;
pub mod merge;
pub mod pack;
pub mod pairing;
pub mod policy;
pub mod pos;
pub mod receipt;
pub mod refusal;
pub mod sabotage;
pub mod session;
pub mod snapshot;
pub mod time;
pub mod value;
pub mod vector;
pub mod wire;
