//! One machine of a studio: its store, its links to peers and the cloud, and what applications see of it.

mod adapters;
pub mod api;
pub mod bootstrap;
pub mod clock;
pub mod config;
pub mod discovery;
pub mod doctor;
pub mod driver;
mod lock;
pub mod mesh;
pub mod node;
pub mod pack;
pub mod pages;
pub mod pairing;
pub mod runner;
pub mod snapshots;
pub mod store;
pub mod telemetry;
pub mod upkeep;
pub mod uplink;
pub mod wording;
