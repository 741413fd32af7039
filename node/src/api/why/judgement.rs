//! From what is known of a thing to who holds it and why not: plain data in, sentences out.
//!
//! Whoever is counted as holding it here is counted so by `on N of M machines`, since both read the same snapshot.

use std::collections::{BTreeMap, BTreeSet};

use studiovault_protocol::api::{
    CloudReason, MachineReason, MemberView, NetworkState, Status, WhyCloud, WhyMachine,
};
use studiovault_protocol::id::{DeviceId, Dot};
use studiovault_protocol::membership;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::vector::Vector;

use super::super::reads::device_name;

/// What was asked for.
#[derive(Debug)]
pub(super) struct Subject {
    /// All of it: whoever holds this holds the thing.
    pub vv: Vector,
    /// How it is on this machine.
    pub here: Here,
    /// Of a transaction what it rests on.
    pub saw: Vec<Dot>,
    /// What the cloud truth said.
    pub said: Said,
}

/// How something is on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Here {
    /// Applied.
    Shown,
    /// It, or a change of it, is stored and waits for these.
    Parked(Vec<Dot>),
    /// Stored, and shows nowhere.
    SetAside,
    /// Not stored.
    Absent,
}

/// What the cloud truth said of something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// All of it is accepted.
    Confirmed,
    /// A part was not taken, and somebody may have settled it since.
    Rejected {
        code: String,
        detail: String,
        settled: Option<String>,
    },
    /// It breaks on it.
    Stuck { detail: String },
    /// It holds it, and has not decided.
    HeldThere,
    /// Nothing yet.
    Nothing,
}

impl Subject {
    /// Whether somebody corrected it, took it over or gave it up after the cloud truth had not taken it.
    fn is_settled(&self) -> bool {
        matches!(
            self.said,
            Said::Rejected {
                settled: Some(_),
                ..
            }
        )
    }
}

/// What is known of the studio.
#[derive(Debug)]
pub(super) struct Known<'s> {
    /// The snapshot.
    pub status: &'s Status,
    /// The linked machines that said that they hold all of it.
    pub holders: BTreeSet<DeviceId>,
    /// Of those the ones that lack something which it rests on.
    pub waiting: BTreeMap<DeviceId, Vec<Dot>>,
    /// This moment.
    pub now: WallMs,
}

/// Every machine of the studio, this one first; then those that no longer belong.
pub(super) fn machines(subject: &Subject, known: &Known<'_>) -> Vec<WhyMachine> {
    let own = known.status.node.device;
    let mut members: Vec<&MemberView> = known.status.members.iter().collect();
    members.sort_by_key(|member| {
        let belongs = member.standing == membership::Standing::Active;
        (member.device != own, !belongs, member.name.clone())
    });
    members
        .into_iter()
        .map(|member| machine(member, subject, known))
        .collect()
}

fn machine(member: &MemberView, subject: &Subject, known: &Known<'_>) -> WhyMachine {
    let own = member.device == known.status.node.device;
    let reason = if own {
        reason_here(subject)
    } else {
        reason_of(member, known)
    };
    let holds = match own {
        true => subject.here != Here::Absent,
        false => known.holders.contains(&member.device),
    };
    let (sentence, mut next_step) = words(&reason, known);
    if own && subject.is_settled() {
        next_step = None;
    }
    WhyMachine {
        device: member.device,
        name: member.name.clone(),
        holds,
        reason,
        sentence,
        next_step,
    }
}

fn texts(dots: &[Dot]) -> Vec<String> {
    dots.iter().map(ToString::to_string).collect()
}

fn reason_here(subject: &Subject) -> MachineReason {
    match &subject.here {
        Here::Shown => MachineReason::Here,
        Here::Parked(dots) => MachineReason::Parked {
            waits_for: texts(dots),
        },
        Here::SetAside => MachineReason::SetAside,
        Here::Absent => MachineReason::Lacks,
    }
}

fn reason_of(member: &MemberView, known: &Known<'_>) -> MachineReason {
    let device = member.device;
    if let Some(dots) = known.waiting.get(&device) {
        return MachineReason::Parked {
            waits_for: texts(dots),
        };
    }
    if known.holders.contains(&device) {
        return MachineReason::Holds;
    }
    if member.standing != membership::Standing::Active {
        return MachineReason::Left {
            standing: member.standing,
        };
    }
    let mut peers = known.status.peers.iter();
    match peers.find(|peer| peer.device == device) {
        Some(peer) => MachineReason::Behind {
            commands: peer.behind,
        },
        None => MachineReason::NotLinked {
            last_seen: member.last_seen,
        },
    }
}

fn words(reason: &MachineReason, known: &Known<'_>) -> (String, Option<String>) {
    let step = |text: &str| Some(text.to_owned());
    match reason {
        MachineReason::Here => ("holds it: this machine".into(), None),
        MachineReason::Holds => ("holds it".into(), None),
        MachineReason::Parked { waits_for } => {
            let sentence = format!(
                "holds it, and cannot show it before it has {}",
                named(waits_for, known)
            );
            let next_step = "bring the machine that wrote it into reach; if that is gone for good, say so with `studiovault lost NAME`";
            (sentence, step(next_step))
        }
        MachineReason::SetAside => (
            "holds it set aside: it would rewrite a sale, or its machine no longer belonged".into(),
            step("see `studiovault quarantine`"),
        ),
        MachineReason::Lacks => lacking(known),
        MachineReason::Behind { commands: 0 } => (
            "lacks it: linked, and it is on its way".into(),
            step("ask again in a moment"),
        ),
        MachineReason::Behind { commands } => (
            format!("lacks it: linked, {commands} commands behind"),
            step("wait until it has caught up"),
        ),
        MachineReason::NotLinked { last_seen } => {
            let seen = match last_seen {
                Some(at) => format!("last seen {} ago", span(known.now.0 - at.0)),
                None => "not seen since this node started".into(),
            };
            let next_step = "start it and bring both onto one network; if they are, ask `studiovault doctor` what is in the way";
            (
                format!("is not known to hold it: not linked, {seen}"),
                step(next_step),
            )
        }
        MachineReason::Left { standing } => {
            let went = match standing {
                membership::Standing::Retired => "it took its leave",
                membership::Standing::Revoked => "it was shut out",
                _ => "whoever admitted it had no right to",
            };
            (format!("not in this studio any more: {went}"), None)
        }
    }
}

/// This machine does not have it; somebody else may.
fn lacking(known: &Known<'_>) -> (String, Option<String>) {
    let name = |device: &DeviceId| {
        let member = known.status.members.iter().find(|m| m.device == *device);
        member.map_or_else(|| device.to_string(), |member| member.name.clone())
    };
    let names: Vec<String> = known.holders.iter().map(name).collect();
    if names.is_empty() {
        let next_step = "check the dot; if it is right, bring the machine that wrote it into reach";
        return (
            "lacks it, and no linked machine holds it: this machine".into(),
            Some(next_step.into()),
        );
    }
    (
        format!("lacks it: this machine; {} holds it", names.join(", ")),
        Some("ask again in a moment".into()),
    )
}

/// Dots with the machines that wrote them.
fn named(dots: &[String], known: &Known<'_>) -> String {
    let Some(first) = dots.first() else {
        return "what it rests on".into();
    };
    let writer = first
        .parse()
        .map_or_else(|_| String::new(), |dot| device_name(known.status, dot));
    match dots.len() - 1 {
        0 => format!("{first} of {writer}"),
        more => format!("{first} of {writer} and {more} more"),
    }
}

/// A time that passed, as people say it.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Where it stands at the cloud truth, and why no further.
pub(super) fn cloud(subject: &Subject, known: &Known<'_>) -> WhyCloud {
    let reason = cloud_reason(subject, known);
    let (sentence, next_step) = cloud_words(&reason);
    WhyCloud {
        reason,
        sentence,
        next_step: next_step.map(str::to_owned),
    }
}

fn cloud_reason(subject: &Subject, known: &Known<'_>) -> CloudReason {
    let status = known.status;
    if !status.cloud.configured {
        return CloudReason::NoCloud;
    }
    match &subject.said {
        Said::Stuck { detail } => {
            let detail = detail.clone();
            return CloudReason::Stuck { detail };
        }
        Said::Rejected {
            code,
            detail,
            settled,
        } => {
            return CloudReason::Rejected {
                code: code.clone(),
                detail: detail.clone(),
                settled: settled.clone(),
            };
        }
        Said::Confirmed => return CloudReason::Confirmed,
        Said::HeldThere => return CloudReason::Undecided,
        Said::Nothing if subject.here == Here::SetAside => return CloudReason::SetAside,
        Said::Nothing => {}
    }
    on_the_way(known)
}

/// Nothing was heard of it from the cloud: who carries it there, or what is in the way.
fn on_the_way(known: &Known<'_>) -> CloudReason {
    let status = known.status;
    let cloud = &status.cloud;
    let problem = || {
        let told = cloud.problem.clone();
        told.unwrap_or_else(|| "it has not answered yet".into())
    };
    let Some(gateway) = &status.gateway else {
        return match (cloud.reachable, cloud.authorised, &cloud.problem) {
            (false, ..) => CloudReason::Unreachable { problem: problem() },
            (true, false, _) | (true, true, Some(_)) => CloudReason::Paused { problem: problem() },
            (true, true, None) => CloudReason::NoGateway,
        };
    };
    let own = gateway.device == status.node.device;
    let linked = status
        .peers
        .iter()
        .any(|peer| peer.device == gateway.device);
    let name = gateway.name.clone();
    if own && cloud.problem.is_some() {
        CloudReason::Paused { problem: problem() }
    } else if own || known.holders.contains(&gateway.device) {
        CloudReason::WithGateway { gateway: name }
    } else if linked || status.network == NetworkState::Offline {
        CloudReason::WaitingForGateway { gateway: name }
    } else {
        CloudReason::GatewayUnreachable { gateway: name }
    }
}

fn cloud_words(reason: &CloudReason) -> (String, Option<&'static str>) {
    match reason {
        CloudReason::NoCloud => ("this studio has no cloud truth".into(), None),
        CloudReason::Confirmed => ("confirmed".into(), None),
        CloudReason::Rejected {
            code,
            detail,
            settled,
        } => {
            let said = format!("not taken: {code}, {detail}");
            match settled.as_deref() {
                None => (
                    said,
                    Some("see `studiovault dead-letters`: send it again corrected, or give it up"),
                ),
                Some("discarded") => (format!("{said}; it was given up since"), None),
                Some(_) => (format!("{said}; it was sent again corrected since"), None),
            }
        }
        CloudReason::Stuck { detail } => (
            format!("the cloud breaks on it: {detail}"),
            Some("it is tried again by itself; see `studiovault dead-letters`"),
        ),
        CloudReason::SetAside => (
            "not confirmed: it is set aside".into(),
            Some("see `studiovault quarantine`"),
        ),
        CloudReason::Undecided => (
            "the cloud holds it and has not decided".into(),
            Some(
                "wait; if it stays so, its policy may be older: look at `studiovault policy show`",
            ),
        ),
        CloudReason::WithGateway { gateway } => (
            format!("waits: {gateway} has it and carries it there"),
            Some("ask again in a moment"),
        ),
        CloudReason::WaitingForGateway { gateway } => (
            format!("waits for the gateway: {gateway} does not have it yet"),
            Some("ask again in a moment"),
        ),
        CloudReason::GatewayUnreachable { gateway } => (
            format!("waits: this machine has no link with the gateway, {gateway}"),
            Some("bring both onto one network; other machines pass it on meanwhile"),
        ),
        CloudReason::Unreachable { problem } => (
            format!("waits: {problem}"),
            Some("bring one machine of the studio onto the internet"),
        ),
        CloudReason::Paused { problem } => (
            format!("waits, the way there is paused: {problem}"),
            Some("do what it says; it goes on by itself"),
        ),
        CloudReason::NoGateway => (
            "waits: no machine carries to the cloud yet".into(),
            Some("ask again in a moment"),
        ),
    }
}

#[cfg(test)]
mod tests;
