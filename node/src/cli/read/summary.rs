//! The status in the words of a person: what is safe where, then the figures.

use studiovault_node::wording::sentence;
use studiovault_protocol::api::{NetworkState, Status};
use studiovault_protocol::author::WAY_BACK;
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::membership::Standing;

use crate::cli::output::{Table, say};

/// Prints it.
pub(crate) fn print(status: &Status) {
    let node = &status.node;
    say!(
        "{} ({}), studio {} ({}, {})",
        node.name,
        node.device,
        node.studio_name,
        node.time_zone,
        node.currency
    );
    let outside = outside(status);
    say!("{}", outside.clone().unwrap_or_else(|| safety(status)));
    let lan = match (status.network, status.peers.len()) {
        (NetworkState::Offline, _) => {
            "off the network, cloud included (`studiovault network on` brings it back)".to_owned()
        }
        (NetworkState::Online, 0) => "no other machine is in reach".to_owned(),
        (NetworkState::Online, 1) => "1 machine linked".to_owned(),
        (NetworkState::Online, n) => format!("{n} machines linked"),
    };
    let hidden = if node.venue {
        ", hidden: this machine announces nothing (`studiovault venue off` ends that)"
    } else {
        ""
    };
    say!("LAN      {lan}{hidden}");
    if let Some(behind) = &status.lan.catching_up {
        say!("filling  {}", super::follow::words(behind));
    }
    say!("cloud    {}", cloud(status));
    let counts = &status.counts;
    say!(
        "held     {} entities, {} commands",
        counts.entities,
        counts.commands
    );
    say!(
        "people   open conflicts: {}, to fix: {}, stuck: {}",
        counts.conflicts,
        counts.dead_letters,
        counts.stuck
    );
    say!("state    {}", status.state_hash);
    if !status.peers.is_empty() {
        let mut table = Table::new(["machine", "address", "it lacks", "we lack", "its clock"]);
        for peer in &status.peers {
            table.row(vec![
                peer.name.clone(),
                peer.address.clone(),
                peer.behind.to_string(),
                peer.ahead.to_string(),
                clock_words(peer.clock_offset_ms),
            ]);
        }
        say!("\n{}", table.text().trim_end());
    }
    let said_above = [FaultKind::ShutOut, FaultKind::Refused].map(Some);
    let warnings = status.warnings.iter();
    for warning in warnings.filter(|w| outside.is_none() || !said_above.contains(&w.kind)) {
        say!("\n! {}\n  {}", warning.sentence, warning.next_step);
    }
}

/// What stands above all else on a machine that belongs no more.
fn outside(status: &Status) -> Option<String> {
    let mut members = status.members.iter();
    let own = members.find(|member| member.device == status.node.device)?;
    if own.standing == Standing::Active {
        return None;
    }
    Some(format!(
        "This machine no longer belongs to the studio ({}): nothing goes out and nothing comes in. What it wrote is kept here.\n  {}\n  `studiovault export FILE` takes what it holds to another machine, where a person looks at each change.",
        own.standing.word(),
        sentence(WAY_BACK)
    ))
}

/// The one sentence that people look for.
fn safety(status: &Status) -> String {
    let (copies, counts) = (&status.copies, &status.counts);
    let here = match copies.on_machines_min {
        0 | 1 => "All changes are saved on this machine".to_owned(),
        n => format!(
            "All changes of this machine are safe on {n} of {} machines",
            copies.machines
        ),
    };
    match (status.cloud.configured, counts.pending, counts.dead_letters) {
        (false, ..) => format!("{here}."),
        (true, 0, 0) => match (counts.rejected, counts.conflicts) {
            (0, _) => format!("{here} and confirmed by the cloud."),
            (refused, 0) => format!(
                "{here}; the cloud has decided on all of them, and took {refused} not, which need nobody any more."
            ),
            (refused, _) => {
                format!("{here}; the cloud did not take {refused}: `studiovault conflicts`.")
            }
        },
        (true, n, 0) => format!("{here}; {n} wait for the cloud."),
        (true, 0, n) => format!("{here}; the cloud did not take {n}: `studiovault dead-letters`."),
        (true, waiting, n) => format!(
            "{here}; {waiting} wait for the cloud, and it did not take {n}: `studiovault dead-letters`."
        ),
    }
}

fn cloud(status: &Status) -> String {
    let cloud = &status.cloud;
    if !cloud.configured {
        return "none; the studio works without one".to_owned();
    }
    let gateway = match &status.gateway {
        Some(gateway) => format!("{} carries", gateway.name),
        None => "nobody carries".to_owned(),
    };
    let reach = match (cloud.reachable, cloud.authorised) {
        (false, _) => "not in reach of this machine",
        (true, false) if cloud.problem_kind == Some(FaultKind::ShutOut) => {
            "no longer serves this machine: it was shut out, or left"
        }
        (true, false) => "refuses the token (sign in again with `studiovault login`)",
        (true, true) => "in reach",
    };
    let clock = cloud.clock_offset_ms.map(clock_words);
    let clock = clock.map(|words| format!(", its clock {words}"));
    let clock = clock.unwrap_or_default();
    format!("{reach}, {gateway}, feed at {}{clock}", status.feed.folded)
}

/// By how much another's clock is off.
fn clock_words(offset_ms: i64) -> String {
    let seconds = (offset_ms.saturating_abs() + 500) / 1000;
    match (seconds, offset_ms > 0) {
        (0, _) => "as ours".to_owned(),
        (seconds, true) => format!("{seconds} s ahead"),
        (seconds, false) => format!("{seconds} s behind"),
    }
}
