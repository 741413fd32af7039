//! The doctor: from what was looked at to stages, each ok, failed or unknown, with what was seen and what to do.
//!
//! Only judgement stands here and in `lan` and `cloud`: plain data in, stages out. Looking is done in `look` and by the uplink. A
//! stage that rests on a failed one is unknown.

mod cloud;
mod facts;
mod lan;
mod look;
mod multicast;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use studiovault_protocol::api::{
    DoctorStage, DoctorView, NetworkState, Stage, StageOutcome, Status,
};
use studiovault_protocol::membership::Standing;

pub use facts::{
    Adapter, Ask, CloudAnswer, CloudFacts, Disk, Door, Facts, Multicast, Reached, Running,
};
pub use look::{at_machine, at_ports, free_bytes, is_own_door};

/// A disk with less room is nearly full, bytes: a long import and its index fit.
pub const ROOM_BYTES: u64 = 256 * 1024 * 1024;

/// What follows from what was looked at.
pub fn judge(facts: &Facts) -> DoctorView {
    let mut stages = machine_stages(facts);
    stages.extend(lan::stages(facts));
    stages.push(disk(&facts.disk));
    stages.extend(cloud::stages(facts.cloud.as_ref()));
    DoctorView {
        node_runs: facts.node.is_some(),
        ok: stages
            .iter()
            .all(|stage| stage.outcome != StageOutcome::Failed),
        stages,
        at: facts.at,
    }
}

fn ok(stage: Stage, evidence: impl Into<String>) -> DoctorStage {
    DoctorStage {
        stage,
        outcome: StageOutcome::Ok,
        evidence: evidence.into(),
        next_step: None,
    }
}

fn failed(stage: Stage, evidence: impl Into<String>, next_step: &str) -> DoctorStage {
    DoctorStage {
        stage,
        outcome: StageOutcome::Failed,
        evidence: evidence.into(),
        next_step: Some(next_step.to_owned()),
    }
}

fn unknown(stage: Stage, evidence: impl Into<String>) -> DoctorStage {
    DoctorStage {
        stage,
        outcome: StageOutcome::Unknown,
        evidence: evidence.into(),
        next_step: None,
    }
}

fn has_failed(stage: &DoctorStage) -> bool {
    stage.outcome == StageOutcome::Failed
}

fn rests_on(stage: Stage, on: Stage) -> DoctorStage {
    unknown(stage, format!("rests on {}", on.word()))
}

/// How many other machines belong.
fn others(status: &Status) -> usize {
    let own = status.node.device;
    let members = status.members.iter();
    members
        .filter(|member| member.standing == Standing::Active && member.device != own)
        .count()
}

/// Adapter, multicast out and back, firewall.
fn machine_stages(facts: &Facts) -> Vec<DoctorStage> {
    let adapter = adapter(facts);
    let rest = if has_failed(&adapter) {
        [Stage::MulticastOut, Stage::MulticastBack, Stage::Firewall]
            .map(|stage| rests_on(stage, Stage::Adapter))
    } else {
        let out = multicast_out(facts);
        let back = match has_failed(&out) {
            true => rests_on(Stage::MulticastBack, Stage::MulticastOut),
            false => multicast_back(facts),
        };
        [out, back, firewall(facts)]
    };
    [adapter].into_iter().chain(rest).collect()
}

fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

fn adapter(facts: &Facts) -> DoctorStage {
    let stage = Stage::Adapter;
    if let Some(node) = &facts.node {
        if node.status.network == NetworkState::Offline {
            let evidence = "a person took this machine off the network";
            return failed(
                stage,
                evidence,
                "Put it back with `studiovault network on`.",
            );
        }
        if node.is_on_loopback_alone() {
            return ok(stage, "the node listens on loopback alone, as it was told");
        }
    }
    let routable = facts.adapters.iter().filter(|a| !is_local(a.address));
    let names: Vec<String> = routable
        .map(|adapter| format!("{} {}", adapter.name, adapter.address))
        .collect();
    if names.is_empty() {
        let next_step = "Plug a cable in or join a Wi-Fi; what is written meanwhile is safe here.";
        return failed(stage, "no adapter has an address", next_step);
    }
    ok(stage, names.join(", "))
}

fn multicast_out(facts: &Facts) -> DoctorStage {
    let stage = Stage::MulticastOut;
    let asked = match &facts.multicast {
        Multicast::NotTried(why) => return unknown(stage, why.clone()),
        Multicast::Tried { asked, .. } => asked,
    };
    let line = |ask: &Ask| match &ask.sent {
        Ok(()) => format!("{}: sent", ask.adapter),
        Err(error) => format!("{}: {error}", ask.adapter),
    };
    let evidence: Vec<String> = asked.iter().map(line).collect();
    let evidence = evidence.join(", ");
    if asked.iter().any(|ask| ask.sent.is_ok()) {
        return ok(stage, format!("a question on UDP port 5353; {evidence}"));
    }
    let next_step = "Allow outgoing UDP port 5353 in this machine's firewall; until then name the other machines with `studiovault run --peer HOST:PORT`.";
    failed(stage, evidence, next_step)
}

fn multicast_back(facts: &Facts) -> DoctorStage {
    let stage = Stage::MulticastBack;
    let Multicast::Tried { asked, heard } = &facts.multicast else {
        return unknown(stage, "nothing was asked");
    };
    if asked.iter().all(|ask| !ask.came_back) {
        let next_step = "Allow incoming UDP port 5353 in this machine's firewall; until then name the other machines with `studiovault run --peer HOST:PORT`.";
        let evidence = "not even this machine's own question came back";
        return failed(stage, evidence, next_step);
    }
    let found = facts.node.as_ref().map_or(0, Running::found);
    if !heard.is_empty() || found > 0 {
        let heard: Vec<String> = heard.iter().map(ToString::to_string).collect();
        let evidence = format!(
            "machines of the studio found: {found}; heard {}",
            or_nobody(&heard)
        );
        return ok(stage, evidence);
    }
    let near: Vec<String> = facts.near_peers();
    if !near.is_empty() {
        let next_step = "Ask who runs this network to let multicast (UDP port 5353) through; until then name machines with `studiovault run --peer HOST:PORT`: links work.";
        let evidence = format!(
            "this machine's own question came back, and nobody answered, although {} is linked on this network",
            near.join(", ")
        );
        return failed(stage, evidence, next_step);
    }
    let evidence = "this machine's own question came back; nobody else was heard";
    unknown(stage, evidence)
}

fn or_nobody(names: &[String]) -> String {
    if names.is_empty() {
        "nobody".into()
    } else {
        names.join(", ")
    }
}

fn firewall(facts: &Facts) -> DoctorStage {
    let stage = Stage::Firewall;
    let Some(node) = &facts.node else {
        return unknown(stage, "no node runs, so nothing listens");
    };
    if node.doors.is_empty() {
        return unknown(stage, "the node listens nowhere");
    }
    let blocked: Vec<&Door> = node
        .doors
        .iter()
        .filter(|door| door.reached != Reached::Answers)
        .collect();
    let names = |doors: &[&Door]| {
        let names: Vec<String> = doors.iter().map(|door| door.address.to_string()).collect();
        names.join(", ")
    };
    if blocked.is_empty() {
        let all: Vec<&Door> = node.doors.iter().collect();
        return ok(stage, format!("{} answer from here", names(&all)));
    }
    if blocked.iter().any(|door| door.reached == Reached::Silent) {
        let next_step = "Allow incoming TCP on that port, or for the program studiovault, in this machine's firewall.";
        let evidence = format!("no answer at {}, this machine's own", names(&blocked));
        return failed(stage, evidence, next_step);
    }
    let evidence = format!("nothing listens at {}, this machine's own", names(&blocked));
    failed(stage, evidence, "Start the node again.")
}

fn disk(disk: &Disk) -> DoctorStage {
    let stage = Stage::Disk;
    let folder = disk.folder.display();
    let free = match disk.free_bytes {
        Some(bytes) => format!("{} MiB free", bytes / (1024 * 1024)),
        None => "free room is not told by this system".into(),
    };
    let next_step = "Make room on the disk that holds the data folder.";
    match &disk.wrote_ms {
        Err(error) => {
            let evidence = format!("{folder} takes no writes: {error}; {free}");
            let next_step = "Make room on that disk, and check that this user may write there.";
            failed(stage, evidence, next_step)
        }
        Ok(_) if disk.free_bytes.is_some_and(|bytes| bytes < ROOM_BYTES) => {
            failed(stage, format!("nearly full: {free} at {folder}"), next_step)
        }
        Ok(ms) => ok(
            stage,
            format!("{free} at {folder}; a file was written and synced in {ms} ms"),
        ),
    }
}
