//! What is safe where, in words: the sentences of the overview.
//!
//! They say on how many machines and whether the cloud has it, never that something "is syncing".

use studiovault_protocol::api::{NetworkState, Status};
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::time::WallMs;

use super::words::{Age, bytes_text, count, counted};

/// How a statement is meant; always shown as colour, icon and words together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something waits by itself.
    Waiting,
    /// A person should look.
    Attention,
    /// Neither good nor bad.
    Quiet,
}

/// One figure with its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// What is counted.
    pub label: &'static str,
    /// The figure.
    pub value: String,
    /// How it is meant.
    pub tone: Tone,
}

impl Fact {
    fn new(tone: Tone, label: &'static str, value: String) -> Self {
        Self { label, value, tone }
    }
}

/// The one sentence at the bottom: where this machine's changes are safe, and what they still wait for.
pub fn safety_sentence(status: &Status, now: WallMs) -> (Tone, String) {
    let (here, machines) = safe_on_machines(status);
    let (there, cloud) = safe_in_cloud(status, now);
    let tone = match (here, there) {
        (Tone::Attention, _) | (_, Tone::Attention) => Tone::Attention,
        (Tone::Waiting, _) | (_, Tone::Waiting) => Tone::Waiting,
        _ => Tone::Good,
    };
    (tone, format!("{machines} {cloud}"))
}

fn safe_on_machines(status: &Status) -> (Tone, String) {
    let copies = status.copies;
    let machines = u64::from(copies.machines.max(1));
    let on = u64::from(copies.on_machines_min.max(1)).min(machines);
    if status.network == NetworkState::Offline {
        let sentence = "This machine is off the network: what is written now is safe here and goes to the others when it is back.";
        return (Tone::Waiting, sentence.to_owned());
    }
    match (on, machines) {
        (1, 1) => (
            Tone::Quiet,
            "All changes are safe on this machine, the only one of the studio.".to_owned(),
        ),
        (1, _) => (
            Tone::Waiting,
            "The newest changes are safe on this machine only; the others get them as soon as they are reached.".to_owned(),
        ),
        (on, machines) if on == machines => {
            (Tone::Good, format!("All changes are safe on all {machines} machines."))
        }
        (on, machines) => (
            Tone::Good,
            format!("All changes are safe on {on} of {machines} machines."),
        ),
    }
}

fn safe_in_cloud(status: &Status, now: WallMs) -> (Tone, String) {
    let cloud = &status.cloud;
    let pending = status.counts.pending;
    if !cloud.configured {
        let sentence = "The studio has no cloud, so nothing waits for one.";
        return (Tone::Quiet, sentence.to_owned());
    }
    if pending == 0 {
        return decided(status);
    }
    let waiting = match pending {
        1 => "1 change waits for the cloud".to_owned(),
        _ => format!("{} changes wait for the cloud", count(pending)),
    };
    let oldest = oldest_pending(status, now).map(|age| format!(", the oldest for {age}"));
    let oldest = oldest.unwrap_or_default();
    let (tone, reason) = cloud_obstacle(status);
    let reason = reason.map(|reason| format!(" ({reason})"));
    let sentence = format!("{waiting}{oldest}{}.", reason.unwrap_or_default());
    (tone, sentence)
}

/// What the cloud made of everything, now that nothing waits for it.
fn decided(status: &Status) -> (Tone, String) {
    let counts = &status.counts;
    let changes = |number| match number {
        1 => "1 change".to_owned(),
        _ => format!("{} changes", count(number)),
    };
    match (counts.dead_letters, counts.rejected, counts.conflicts) {
        (0, 0, _) => (Tone::Good, "The cloud has confirmed everything.".to_owned()),
        (0, refused, 0) => {
            let sentence = format!(
                "The cloud has decided on everything; {} that it did not take need nobody any more.",
                changes(refused)
            );
            (Tone::Good, sentence)
        }
        (0, refused, _) => {
            let sentence = format!(
                "The cloud did not take {}: see Conflicts.",
                changes(refused)
            );
            (Tone::Attention, sentence)
        }
        (letters, ..) => {
            let sentence = format!(
                "The cloud did not take {}: see Needs fixing.",
                changes(letters)
            );
            (Tone::Attention, sentence)
        }
    }
}

/// Why the cloud gets nothing now, if it gets nothing.
fn cloud_obstacle(status: &Status) -> (Tone, Option<String>) {
    let cloud = &status.cloud;
    if status.network == NetworkState::Offline {
        return (
            Tone::Waiting,
            Some("this machine is off the network".to_owned()),
        );
    }
    if !cloud.reachable {
        return (Tone::Waiting, Some("it cannot be reached now".to_owned()));
    }
    if cloud.problem_kind == Some(FaultKind::ShutOut) {
        let words = "it no longer serves this machine";
        return (Tone::Attention, Some(words.to_owned()));
    }
    if !cloud.authorised {
        return (
            Tone::Attention,
            Some("it refuses the studio's token".to_owned()),
        );
    }
    match &status.gateway {
        None => (
            Tone::Waiting,
            Some("no machine carries them there yet".to_owned()),
        ),
        Some(gateway) => (
            Tone::Waiting,
            Some(format!("{} carries them", gateway.name)),
        ),
    }
}

/// The cloud truth in one line.
pub fn cloud_line(status: &Status, now: WallMs) -> (Tone, String) {
    let cloud = &status.cloud;
    if !cloud.configured {
        return (
            Tone::Quiet,
            "No cloud: the machines are the studio".to_owned(),
        );
    }
    let (tone, state) = match (cloud.reachable, cloud.authorised) {
        (false, _) => (Tone::Waiting, "Cloud not reachable"),
        (true, false) if cloud.problem_kind == Some(FaultKind::ShutOut) => {
            (Tone::Attention, "Shut out of the studio")
        }
        (true, false) => (Tone::Attention, "Cloud refuses the sign-in"),
        (true, true) => (Tone::Good, "Cloud online"),
    };
    // The node knows the moment only of what was confirmed since it was started.
    let confirmed = match cloud.last_confirmed {
        Some(then) => format!(" - last confirmed {}", Age::of(then, now).ago()),
        None if status.counts.confirmed > 0 => String::new(),
        None => " - nothing confirmed yet".to_owned(),
    };
    let head = count(status.feed.folded);
    (tone, format!("{state} - position {head}{confirmed}"))
}

/// How much is held here, and of that what waits where.
pub fn pending_facts(status: &Status, now: WallMs) -> Vec<Fact> {
    let counts = &status.counts;
    let some = |number: u64, tone| if number == 0 { Tone::Quiet } else { tone };
    let mut facts = vec![
        Fact::new(Tone::Quiet, "Records", count(counts.entities)),
        Fact::new(Tone::Quiet, "Changes held here", count(counts.commands)),
    ];
    if status.cloud.configured {
        facts.push(Fact::new(
            Tone::Good,
            "Confirmed by the cloud",
            count(counts.confirmed),
        ));
        let waiting = match oldest_pending(status, now) {
            Some(age) if counts.pending > 0 => {
                format!("{}, oldest {age}", count(counts.pending))
            }
            _ => count(counts.pending),
        };
        facts.push(Fact::new(
            some(counts.pending, Tone::Waiting),
            "Waiting for the cloud",
            waiting,
        ));
        if counts.own_pending > 0 {
            let here = format!(
                "{} ({} sent)",
                count(counts.own_pending),
                count(counts.own_sent)
            );
            facts.push(Fact::new(Tone::Waiting, "Of those, of this machine", here));
        }
        let refused = some(counts.rejected, Tone::Attention);
        facts.push(Fact::new(
            refused,
            "Not taken by the cloud",
            count(counts.rejected),
        ));
    }
    if counts.parked > 0 {
        let parked = count(counts.parked);
        facts.push(Fact::new(
            Tone::Waiting,
            "Waiting for earlier changes",
            parked,
        ));
    }
    let open = some(counts.conflicts, Tone::Attention);
    facts.push(Fact::new(
        open,
        "Open conflicts",
        counted_or_none(counts.conflicts),
    ));
    let fixing = some(counts.dead_letters, Tone::Attention);
    facts.push(Fact::new(
        fixing,
        "Needs fixing",
        counted_or_none(counts.dead_letters),
    ));
    facts.push(Fact::new(
        Tone::Quiet,
        "Log on disk",
        bytes_text(counts.log_bytes),
    ));
    facts
}

/// What needs a person, as a sentence; `None` if nothing does.
pub fn attention_sentence(status: &Status) -> Option<String> {
    let counts = &status.counts;
    let mut parts = Vec::new();
    if counts.conflicts > 0 {
        parts.push(counted(counts.conflicts, "open conflict"));
    }
    if counts.dead_letters > 0 {
        parts.push(counted(counts.dead_letters, "change") + " the cloud did not take");
    }
    (!parts.is_empty()).then(|| format!("Needs a person: {}.", parts.join(" and ")))
}

fn counted_or_none(number: u64) -> String {
    if number == 0 {
        "none".to_owned()
    } else {
        count(number)
    }
}

fn oldest_pending(status: &Status, now: WallMs) -> Option<String> {
    let then = status.cloud.oldest_pending?;
    Some(Age::of(then, now).length())
}
