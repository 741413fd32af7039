//! The status and the latencies as Prometheus reads them.
//!
//! Only figures stand here: ids, names and values of people never do.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use studiovault_protocol::api::{LATENCY_STEPS_MS, NetworkState, Status};

use super::routes::Shared;
use crate::telemetry::{Latencies, Recorder};

/// `GET /metrics`.
pub(super) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    let status = shared.node.status();
    let mut text = String::new();
    reach(&mut text, &status);
    counts(&mut text, &status);
    latencies(&mut text, shared.node.recorder());
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
    gauge(
        "links_opened",
        "Links opened since this run began",
        status.lan.links_opened,
    );
    gauge(
        "dials_failed",
        "Dials of which no link came since this run began",
        status.lan.dials_failed,
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

/// How long things took.
fn latencies(text: &mut String, recorder: &Recorder) {
    let writes = "From a write's request until it is durable";
    histogram(text, ("write_seconds", writes), &recorder.writes);
    let batches = "From a batch's request until the cloud's answer";
    histogram(text, ("batch_seconds", batches), &recorder.batches);
}

fn histogram(text: &mut String, (name, what): (&str, &str), latencies: &Latencies) {
    let mut say = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("text takes text");
    };
    say(format_args!(
        "# HELP studiovault_{name} {what}.\n# TYPE studiovault_{name} histogram"
    ));
    let ends = LATENCY_STEPS_MS.map(|ms| (ms as f64 / 1_000.0).to_string());
    let ends = ends.iter().map(String::as_str).chain(["+Inf"]);
    let mut upto = 0;
    for (end, count) in ends.zip(latencies.steps()) {
        upto += count;
        say(format_args!(
            "studiovault_{name}_bucket{{le=\"{end}\"}} {upto}"
        ));
    }
    let total = latencies.total().as_secs_f64();
    say(format_args!(
        "studiovault_{name}_sum {total:.6}\nstudiovault_{name}_count {upto}"
    ));
}

fn line(text: &mut String, (name, what): (&str, &str), value: u64) {
    writeln!(
        text,
        "# HELP studiovault_{name} {what}.\n# TYPE studiovault_{name} gauge\nstudiovault_{name} {value}"
    )
    .expect("text takes text");
}
