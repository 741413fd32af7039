//! The stages between this machine and others: TCP, encryption, studio, revocation, version, policy, clock, frontier.
//!
//! Each is judged by links that stand and by fresh meetings of which none came; a meeting speaks for the stage at which it ended.

use studiovault_protocol::api::{DoctorStage, NetworkState, Stage, Status, Warning};
use studiovault_protocol::author::WAY_BACK;
use studiovault_protocol::limits::TOLERANCE_MS;
use studiovault_protocol::membership::Standing;
use studiovault_protocol::refusal::{RefusalKind, RefusedBy};

use super::{
    CloudAnswer, Facts, Reached, Running, failed, has_failed, ok, others, rests_on, unknown,
};
use crate::mesh::Obstacle;
use crate::runner::{Candidate, Contact, Met};
use crate::wording::sentence;

/// A meeting is news for so long, ms: everybody is dialled again sooner.
const FRESH_MS: i64 = 60_000;

/// The stages in order.
pub(super) fn stages(facts: &Facts) -> Vec<DoctorStage> {
    let Some(node) = &facts.node else {
        let without = [
            Stage::Tcp,
            Stage::Encryption,
            Stage::Studio,
            Stage::Revocation,
            Stage::Version,
            Stage::Policy,
        ];
        let mut stages: Vec<DoctorStage> = without
            .map(|stage| unknown(stage, "no node runs; start it with `studiovault run`"))
            .into();
        stages.push(clock(&[], cloud_offset(facts)));
        stages.push(unknown(Stage::Frontier, "no node runs"));
        return stages;
    };
    if node.status.network == NetworkState::Offline {
        return offline(facts, node);
    }
    let tcp = tcp(facts, node);
    let scene = Scene {
        node,
        now: facts.at.0,
        before: has_failed(&tcp).then_some(Stage::Tcp),
    };
    let encryption = scene.encryption();
    let scene = Scene {
        before: has_failed(&encryption)
            .then_some(Stage::Encryption)
            .or(scene.before),
        ..scene
    };
    vec![
        tcp,
        encryption,
        scene.studio(),
        scene.revocation(),
        scene.version(),
        scene.policy(),
        clock(&offsets(node), cloud_offset(facts)),
        scene.frontier(),
    ]
}

fn offline(facts: &Facts, node: &Running) -> Vec<DoctorStage> {
    let scene = Scene {
        node,
        now: facts.at.0,
        before: Some(Stage::Adapter),
    };
    vec![
        rests_on(Stage::Tcp, Stage::Adapter),
        rests_on(Stage::Encryption, Stage::Adapter),
        rests_on(Stage::Studio, Stage::Adapter),
        scene.revocation(),
        scene.version(),
        scene.policy(),
        clock(&[], cloud_offset(facts)),
        scene.frontier(),
    ]
}

/// Linked machines and those that are not, by name.
fn linked(status: &Status) -> String {
    let peers: Vec<&str> = status.peers.iter().map(|peer| peer.name.as_str()).collect();
    let missing: Vec<&str> = status
        .members
        .iter()
        .filter(|member| member.standing == Standing::Active && !member.online)
        .map(|member| member.name.as_str())
        .collect();
    let mut text = format!(
        "linked with {} of {}: {}",
        peers.len(),
        others(status).max(peers.len()),
        peers.join(", ")
    );
    if !missing.is_empty() {
        text += &format!("; not seen: {}", missing.join(", "));
    }
    text
}

/// A machine that no connection reaches, and whether multicast did.
struct Blocked {
    addresses: String,
    was_heard: bool,
    reached: Reached,
}

fn blocked(facts: &Facts, node: &Running, candidate: &Candidate) -> Option<Blocked> {
    let tried: Vec<_> = candidate
        .addresses
        .iter()
        .filter_map(|address| Some((*address, *node.tried.get(address)?)))
        .collect();
    let (_, reached) = tried.first()?;
    let answers = tried
        .iter()
        .any(|(_, reached)| *reached == Reached::Answers);
    // What was found lingers for a while after its machine stopped.
    let has_stopped = *reached == Reached::Refuses && !candidate.named;
    if candidate.linked || answers || has_stopped {
        return None;
    }
    let addresses: Vec<String> = tried
        .iter()
        .map(|(address, _)| address.to_string())
        .collect();
    Some(Blocked {
        addresses: addresses.join(", "),
        was_heard: tried
            .iter()
            .any(|(address, _)| facts.was_heard(address.ip())),
        reached: *reached,
    })
}

fn tcp(facts: &Facts, node: &Running) -> DoctorStage {
    let stage = Stage::Tcp;
    let candidates = node.neighbourhood.candidates.iter();
    let blocked: Vec<Blocked> = candidates.filter_map(|c| blocked(facts, node, c)).collect();
    if let Some(first) = blocked.first() {
        let all: Vec<&str> = blocked.iter().map(|one| one.addresses.as_str()).collect();
        let all = all.join("; ");
        return match first.reached {
            Reached::Refuses => failed(
                stage,
                format!("nothing listens at {all}"),
                "Start the node there, and check the port that was given with --peer.",
            ),
            _ if first.was_heard => failed(
                stage,
                format!("no answer at {all}, although that machine is heard by multicast"),
                "Allow incoming TCP for the program studiovault in the firewall of that machine.",
            ),
            _ => failed(
                stage,
                format!("no answer at {all}, and nothing was heard from there"),
                "If that machine is on, this network keeps its clients apart: use a cable or another network, or carry a pack on a USB stick.",
            ),
        };
    }
    if !node.status.peers.is_empty() {
        return ok(stage, linked(&node.status));
    }
    let answering: Vec<String> = node
        .tried
        .iter()
        .filter(|(_, reached)| **reached == Reached::Answers)
        .map(|(address, _)| address.to_string())
        .collect();
    if !answering.is_empty() {
        return ok(stage, format!("{} answers", answering.join(", ")));
    }
    if others(&node.status) == 0 {
        return unknown(stage, "no other machine belongs to the studio yet");
    }
    let mut stage = unknown(stage, "no other machine was found or named");
    stage.next_step = Some(
        "Start the others on this network, or name one with `studiovault run --peer HOST:PORT`."
            .into(),
    );
    stage
}

/// What the stages behind TCP are judged by.
struct Scene<'f> {
    node: &'f Running,
    now: i64,
    /// The stage that failed before.
    before: Option<Stage>,
}

impl Scene<'_> {
    /// Fresh meetings that ended in a way.
    fn met(&self, ended: impl Fn(Met) -> bool) -> Vec<&Contact> {
        let contacts = self.node.neighbourhood.contacts.iter();
        contacts
            .filter(|contact| self.now - contact.at.0 < FRESH_MS && ended(contact.met))
            .collect()
    }

    fn turned(&self, by: Option<RefusedBy>, kinds: &[RefusalKind]) -> Vec<&Contact> {
        self.met(|met| match met {
            Met::Turned(side, kind) => by.is_none_or(|by| by == side) && kinds.contains(&kind),
            Met::Dialled(_) => false,
        })
    }

    fn has_links(&self) -> bool {
        !self.node.status.peers.is_empty()
    }

    /// Nobody came so far: because of a stage before, or for want of others.
    fn not_reached(&self, stage: Stage) -> DoctorStage {
        match self.before {
            Some(before) => rests_on(stage, before),
            None => unknown(stage, "no link stands"),
        }
    }

    /// What holds by itself, and what else could only another machine say.
    fn by_links(&self, stage: Stage, evidence: String) -> DoctorStage {
        if self.has_links() || others(&self.node.status) == 0 {
            return ok(stage, evidence);
        }
        let mut told = self.not_reached(stage);
        told.evidence = format!("{}; {evidence}", told.evidence);
        told
    }

    fn warned(&self, codes: &[&str]) -> Option<&Warning> {
        let mut warnings = self.node.status.warnings.iter();
        warnings.find(|warning| codes.contains(&warning.code.as_str()))
    }

    fn encryption(&self) -> DoctorStage {
        let stage = Stage::Encryption;
        let own = self.met(|met| met == Met::Dialled(Obstacle::OwnKey));
        if let Some(first) = own.first() {
            return failed(
                stage,
                format!("{} has this machine's own key", first.address),
                "One is a copy of the other's folder: make the copy a machine of its own with `studiovault invite` and `join`.",
            );
        }
        let answers =
            |contact: &Contact| self.node.tried.get(&contact.address) == Some(&Reached::Answers);
        let strange: Vec<String> = self
            .met(|met| matches!(met, Met::Dialled(Obstacle::Handshake | Obstacle::Silent)))
            .into_iter()
            .filter(|contact| answers(contact))
            .map(|contact| contact.address.to_string())
            .collect();
        // Whoever is shut out is also left without the keys that come after: the one is the cause of the other.
        if !strange.is_empty() && self.shut_out().is_some() {
            return rests_on(stage, Stage::Revocation);
        }
        if !strange.is_empty() {
            let evidence = format!(
                "{} takes the connection and does not know this studio's network key",
                strange.join(", ")
            );
            let next_step = "It is of another studio, or the key was changed without one of the two: check the address, and pair again the one that was left out.";
            return failed(stage, evidence, next_step);
        }
        let turned = self.met(|met| matches!(met, Met::Turned(..)));
        if self.has_links() {
            return ok(
                stage,
                "the network's key and Noise hold on every link".to_owned(),
            );
        }
        match turned.first() {
            Some(first) => ok(stage, format!("they hold with {}", first.address)),
            None => self.not_reached(stage),
        }
    }

    fn studio(&self) -> DoctorStage {
        let stage = Stage::Studio;
        let kinds = [
            RefusalKind::Studio,
            RefusalKind::Certificate,
            RefusalKind::Itself,
        ];
        if let Some(first) = self.turned(None, &kinds).first() {
            return failed(
                stage,
                told(first),
                "Check the address; a machine joins this studio with `studiovault invite` here and `join` there.",
            );
        }
        if self.has_links() {
            return ok(
                stage,
                format!("all are of {}", self.node.status.node.studio_name),
            );
        }
        let shut_out = [RefusalKind::ShutOut, RefusalKind::Version];
        match self.turned(None, &shut_out).first() {
            Some(first) => ok(stage, format!("{} is of this studio", first.address)),
            None => self.not_reached(stage),
        }
    }

    /// How this machine knows that it was shut out.
    fn shut_out(&self) -> Option<String> {
        let status = &self.node.status;
        let mut members = status.members.iter();
        let own = members.find(|member| member.device == status.node.device);
        let standing = own.map_or(Standing::Void, |member| member.standing);
        if standing != Standing::Active {
            return Some(format!(
                "this machine no longer belongs: {}",
                standing.word()
            ));
        }
        let told_by = self.turned(Some(RefusedBy::Them), &[RefusalKind::ShutOut]);
        told_by.first().map(|contact| told(contact))
    }

    fn revocation(&self) -> DoctorStage {
        let stage = Stage::Revocation;
        if let Some(evidence) = self.shut_out() {
            let what_is_left = "What it wrote since is kept: `studiovault export` takes it to another machine, where a person looks at each change.";
            let next_step = format!("{} {what_is_left}", sentence(WAY_BACK));
            return failed(stage, evidence, &next_step);
        }
        let knocked = self.turned(Some(RefusedBy::Us), &[RefusalKind::ShutOut]);
        let mut evidence = "this machine belongs".to_owned();
        if let Some(first) = knocked.first() {
            evidence += &format!(
                "; {} knocked and was turned away: it was shut out",
                first.address.ip()
            );
        }
        self.by_links(stage, evidence)
    }

    fn version(&self) -> DoctorStage {
        let stage = Stage::Version;
        let next_step = "Update StudioVault on the older machine; nothing is lost meanwhile.";
        if let Some(first) = self.turned(None, &[RefusalKind::Version]).first() {
            return failed(stage, told(first), next_step);
        }
        if let Some(warning) = self.warned(&["NEWER_BUNDLES", "NEEDS_NEWER_VERSION"]) {
            return failed(stage, warning.sentence.clone(), &warning.next_step);
        }
        self.by_links(
            stage,
            format!("StudioVault {}", self.node.status.node.version),
        )
    }

    fn policy(&self) -> DoctorStage {
        let stage = Stage::Policy;
        if let Some(warning) = self.warned(&["POLICY_UNREADABLE", "POLICY_DIFFERS"]) {
            return failed(stage, warning.sentence.clone(), &warning.next_step);
        }
        let policy = &self.node.status.policy;
        let hash: String = policy.hash.chars().take(8).collect();
        self.by_links(stage, format!("version {}, hash {hash}", policy.version))
    }

    fn frontier(&self) -> DoctorStage {
        let stage = Stage::Frontier;
        if let Some(warning) = self.warned(&["FEED_FORKED", "FEED_WITHHELD"]) {
            return failed(stage, warning.sentence.clone(), &warning.next_step);
        }
        let status = &self.node.status;
        let parked = status.counts.parked;
        let to_come: u64 = status.peers.iter().map(|peer| peer.ahead).sum();
        if parked > 0 && to_come == 0 && self.has_links() {
            let evidence =
                format!("{parked} transactions wait for something that no linked machine holds");
            let next_step = "Bring the machine that wrote it into reach; if it is gone for good, say so with `studiovault lost NAME`.";
            return failed(stage, evidence, next_step);
        }
        let lines: Vec<String> = status
            .peers
            .iter()
            .map(|peer| {
                format!(
                    "{}: {} commands to come, {} to go",
                    peer.name, peer.ahead, peer.behind
                )
            })
            .collect();
        let held = format!("{} commands held", status.counts.commands);
        let lines = [vec![held], lines].concat().join("; ");
        self.by_links(stage, lines)
    }
}

/// A meeting in the words of whoever said no.
fn told(contact: &Contact) -> String {
    let who = match contact.met {
        Met::Turned(RefusedBy::Them, _) => "that machine",
        _ => "this machine",
    };
    format!(
        "{}: {} ({who} said so)",
        contact.address.ip(),
        contact.words
    )
}

/// By how much the clocks of others are ahead of this one's.
fn offsets(node: &Running) -> Vec<(String, i64)> {
    let peers = node.status.peers.iter();
    peers
        .map(|peer| (peer.name.clone(), peer.clock_offset_ms))
        .collect()
}

fn cloud_offset(facts: &Facts) -> Option<(String, i64)> {
    match facts.cloud.as_ref()?.answer {
        CloudAnswer::Echoed { offset_ms, .. } => Some(("the cloud".into(), offset_ms)),
        _ => None,
    }
}

fn clock(peers: &[(String, i64)], cloud: Option<(String, i64)>) -> DoctorStage {
    let stage = Stage::Clock;
    let all: Vec<&(String, i64)> = peers.iter().chain(&cloud).collect();
    if all.is_empty() {
        return unknown(stage, "there is no other clock to compare with");
    }
    let line = |(name, offset): &&(String, i64)| format!("{name}: {}", apart(*offset));
    let evidence: Vec<String> = all.iter().map(line).collect();
    let evidence = evidence.join(", ");
    let is_off = |offset: i64| offset.abs() > TOLERANCE_MS;
    let off: Vec<&&(String, i64)> = all.iter().filter(|(_, offset)| is_off(*offset)).collect();
    if off.is_empty() {
        return ok(stage, evidence);
    }
    // The cloud's clock is kept by somebody; of machines alone the many are believed.
    let own = cloud.as_ref().is_some_and(|(_, offset)| is_off(*offset))
        || (off.len() > 1 && off.len() == all.len());
    let next_step = if own {
        "Set this machine's clock; nothing is lost meanwhile.".to_owned()
    } else {
        format!(
            "Compare with a phone, and set the clock of {} or of this machine; nothing is lost meanwhile.",
            off[0].0
        )
    };
    failed(stage, evidence, &next_step)
}

/// A difference of clocks as people say it.
fn apart(offset_ms: i64) -> String {
    let (size, way) = (
        offset_ms.abs(),
        if offset_ms < 0 { "behind" } else { "ahead" },
    );
    match size {
        0..1_000 => format!("{size} ms {way}"),
        1_000..120_000 => format!("{} s {way}", size / 1_000),
        _ => format!("{} minutes {way}", size / 60_000),
    }
}
