//! The local API: how applications on this machine talk to the node.
//!
//! It listens on loopback and a Unix socket only, and answers nobody who lacks the token of the data folder. It decides
//! nothing: writes go to the node, reads to the store's reader.

mod answer;
mod conflicts;
mod events;
mod guard;
mod letters;
mod membership;
mod metrics;
mod openapi;
mod policy;
mod pos;
mod reads;
mod routes;
mod server;
mod subscribe;
mod told;
mod writes;

pub use server::{ApiError, ApiOptions, Endpoint, RunningApi, serve};
