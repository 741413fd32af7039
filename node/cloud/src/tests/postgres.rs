//! The same contract on PostgreSQL: the very tests that run on SQLite, each on a database of its own.

#![allow(clippy::duplicate_mod)] // That they are the very same files is the point.

use super::wire;

mod fixture {
    pub use super::super::fixture::*;

    use crate::tests::cluster::Cluster;

    /// The usual scene, on PostgreSQL.
    pub fn three_machines() -> Scene {
        three_machines_on(database())
    }

    /// A database of a test's own.
    pub fn database() -> Option<String> {
        Some(Cluster::shared().database())
    }
}

#[path = "contract.rs"]
mod contract;
#[path = "decisions.rs"]
mod decisions;
#[path = "genesis.rs"]
mod genesis;
#[path = "held.rs"]
mod held;
#[path = "histories.rs"]
mod histories;
#[path = "network.rs"]
mod network;
#[path = "oauth.rs"]
mod oauth;
#[path = "offered.rs"]
mod offered;
#[path = "plain.rs"]
mod plain;
#[path = "policies.rs"]
mod policies;
#[path = "restored.rs"]
mod restored;
#[path = "revoked.rs"]
mod revoked;
#[path = "shut_out.rs"]
mod shut_out;
#[path = "sign_in.rs"]
mod sign_in;
#[path = "site.rs"]
mod site;
#[path = "snapshots.rs"]
mod snapshots;
