//! The local API: how applications on this machine talk to the node.
//!
//! It listens on loopback and a Unix socket only, and answers nobody who lacks the token of the data folder. It decides
//! nothing: writes go to the node, reads to the store's reader.

mod activity;
mod answer;
mod audit;
mod carried;
mod conflicts;
mod connections;
mod doctor;
mod events;
mod guard;
mod letters;
mod membership;
mod metrics;
mod openapi;
mod pack;
mod policy;
mod pos;
mod reads;
mod routes;
mod server;
mod subscribe;
mod told;
mod why;
mod writes;

pub use server::{ApiError, ApiOptions, Endpoint, RunningApi, serve};
