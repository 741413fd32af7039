//! The reference cloud truth: one more replica that holds every log, decides, and writes a signed log of its own, the feed.
//!
//! Decisions are pure (`decide`), one studio has one writer at a time (`studio`), and only `store` knows the database. All
//! of one request's accepted work and the feed pages that tell of it are one transaction.

mod bare;
mod body;
mod clock;
mod config;
mod connections;
mod contract;
mod decide;
mod error;
mod handlers;
mod heads;
mod issuer;
mod metrics;
mod nonce;
mod objects;
mod position;
mod problem;
mod secrets;
mod server;
mod sign_in;
mod snapshots;
mod store;
mod studio;
mod tls;
mod tokens;
mod truth;

pub use bare::{BareError, BareTruth, Founding};
pub use config::{BucketConfig, CloudConfig, IssuerConfig, Transport};
pub use error::CloudError;
pub use server::{RunningCloud, serve};
pub use store::StoreError;

#[cfg(test)]
mod tests;
