//! The status as Prometheus reads it.
//!
//! Only figures of the status stand here: ids, names and values of people never do.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use studiovault_protocol::api::{NetworkState, Status};

use super::routes::Shared;

/// `GET /metrics`.
pub(super) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, exposition(&shared.node.status()))
}

/// The whole text.
fn exposition(status: &Status) -> String {
    let counts = &status.counts;
    let flag = |on: bool| u64::from(on);
    let gauges = [
        (
            "network_online",
            "1 while this machine takes part in the LAN",
            flag(status.network == NetworkState::Online),
        ),
        ("peers", "Machines with a link", status.peers.len() as u64),
        (
            "members",
            "Machines in the roster",
            status.members.len() as u64,
        ),
        (
            "cloud_configured",
            "1 if the studio has a cloud truth",
            flag(status.cloud.configured),
        ),
        (
            "cloud_reachable",
            "1 while the cloud truth answers",
            flag(status.cloud.reachable),
        ),
        (
            "cloud_authorised",
            "1 while the cloud truth takes the token",
            flag(status.cloud.authorised),
        ),
        ("entities", "Live entities", counts.entities),
        (
            "commands",
            "Commands held, of all machines",
            counts.commands,
        ),
        (
            "commands_pending",
            "Commands without a verdict",
            counts.pending,
        ),
        ("commands_confirmed", "Commands accepted", counts.confirmed),
        ("commands_rejected", "Commands rejected", counts.rejected),
        ("conflicts_open", "Open conflicts", counts.conflicts),
        (
            "dead_letters",
            "Own commands that need fixing",
            counts.dead_letters,
        ),
        (
            "bundles_parked",
            "Bundles that wait for something they saw",
            counts.parked,
        ),
        ("log_bytes", "Bytes of the log", counts.log_bytes),
        (
            "copies_min",
            "Machines that hold the least copied own write",
            u64::from(status.copies.on_machines_min),
        ),
        ("feed_held", "Last feed position held", status.feed.held),
        (
            "feed_folded",
            "Last feed position that counts here",
            status.feed.folded,
        ),
        (
            "warnings",
            "Things a person should know",
            status.warnings.len() as u64,
        ),
    ];
    let mut text = String::new();
    for (name, what, value) in gauges {
        writeln!(text, "# HELP studiovault_{name} {what}.\n# TYPE studiovault_{name} gauge\nstudiovault_{name} {value}")
            .expect("text takes text");
    }
    text
}
