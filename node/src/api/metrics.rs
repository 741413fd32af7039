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
    let status = shared.node.status();
    let mut text = String::new();
    reach(&mut text, &status);
    counts(&mut text, &status);
    (kind, text)
}

/// Who and what is in reach.
fn reach(text: &mut String, status: &Status) {
    let mut gauge = |name, what, value| line(text, (name, what), value);
    let (cloud, online) = (&status.cloud, status.network == NetworkState::Online);
    gauge(
        "network_online",
        "1 while this machine takes part in the LAN",
        online.into(),
    );
    gauge("peers", "Machines with a link", status.peers.len() as u64);
    gauge(
        "members",
        "Machines in the roster",
        status.members.len() as u64,
    );
    gauge(
        "cloud_configured",
        "1 if the studio has a cloud truth",
        cloud.configured.into(),
    );
    gauge(
        "cloud_reachable",
        "1 while the cloud truth answers",
        cloud.reachable.into(),
    );
    gauge(
        "cloud_authorised",
        "1 while the cloud truth takes the token",
        cloud.authorised.into(),
    );
    gauge("feed_held", "Last feed position held", status.feed.held);
    gauge(
        "feed_folded",
        "Last feed position that counts here",
        status.feed.folded,
    );
    gauge(
        "warnings",
        "Things a person should know",
        status.warnings.len() as u64,
    );
}

/// How much there is.
fn counts(text: &mut String, status: &Status) {
    let mut gauge = |name, what, value| line(text, (name, what), value);
    let counts = &status.counts;
    gauge("entities", "Live entities", counts.entities);
    gauge(
        "commands",
        "Commands held, of all machines",
        counts.commands,
    );
    gauge(
        "commands_pending",
        "Commands without a verdict",
        counts.pending,
    );
    gauge("commands_confirmed", "Commands accepted", counts.confirmed);
    gauge("commands_rejected", "Commands rejected", counts.rejected);
    gauge("conflicts_open", "Open conflicts", counts.conflicts);
    gauge(
        "dead_letters",
        "Commands that the cloud did not take and nobody has settled",
        counts.dead_letters,
    );
    gauge(
        "commands_stuck",
        "Commands that the cloud breaks on",
        counts.stuck,
    );
    gauge(
        "bundles_parked",
        "Bundles that wait for something they saw",
        counts.parked,
    );
    gauge("log_bytes", "Bytes of the log", counts.log_bytes);
    let copies = u64::from(status.copies.on_machines_min);
    gauge(
        "copies_min",
        "Machines that hold the least copied own write",
        copies,
    );
}

fn line(text: &mut String, (name, what): (&str, &str), value: u64) {
    writeln!(
        text,
        "# HELP studiovault_{name} {what}.\n# TYPE studiovault_{name} gauge\nstudiovault_{name} {value}"
    )
    .expect("text takes text");
}
