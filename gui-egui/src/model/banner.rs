//! The failure states people meet, each as a sentence and, where a hand can help, a button.
//!
//! Everything here follows from what the node says of itself; the order is that of urgency.

use std::collections::BTreeSet;

use studiovault_protocol::api::{NetworkState, Status};
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::membership::Standing;
use studiovault_protocol::time::WallMs;

use super::sentence::Tone;
use super::words::{Age, count, counted, whole_sentence};
use super::{Connection, DevicesPage, Model, Tab};
use crate::action::Action;
use crate::failure::Failure;

/// Waiting this long for the cloud is worth a word, ms.
const LONG_MS: i64 = 3_600_000;
/// States shown at one time: the most urgent ones; all are among the findings of the devices.
const STATES: usize = 3;
/// A page without encryption, which the sign-in page of a network stands before.
const PORTAL: &str = "http://neverssl.com";

/// One state.
#[derive(Clone, PartialEq, Debug)]
pub struct Banner {
    /// How it is meant.
    pub tone: Tone,
    /// What is the matter and what to do.
    pub sentence: String,
    /// What a press does about it.
    pub button: Option<(&'static str, Action)>,
}

impl Banner {
    fn new(tone: Tone, sentence: String, button: Option<(&'static str, Action)>) -> Self {
        Self {
            tone,
            sentence,
            button,
        }
    }
}

/// All that is the matter.
fn banners(status: &Status, now: WallMs) -> Vec<Banner> {
    let mut all = Vec::new();
    all.extend(own_place(status));
    all.extend(twice(status));
    all.extend(network(status));
    all.extend(cloud(status, now));
    // The state of the cloud tells of its own by itself.
    let others = status.warnings.iter();
    let others = others.filter(|one| !one.kind.is_some_and(FaultKind::is_of_uplink));
    all.extend(others.map(warning));
    all
}

impl Model {
    /// What a person should know before they read on: the connection, what came of the last thing, what is the matter.
    pub fn told(&self, now: WallMs) -> Vec<Banner> {
        let mut all = Vec::new();
        if let (Some(_), Connection::Lost(failure)) = (&self.status, &self.connection) {
            all.push(lost(failure));
        }
        all.extend(self.notice.as_ref().map(|notice| {
            let button = Some(("Put away", Action::Dismiss));
            Banner::new(notice.tone, notice.sentence.clone(), button)
        }));
        let states = self.status.iter().flat_map(|status| banners(status, now));
        all.extend(states.take(STATES));
        all
    }

    /// Whether the status tells of a fault by itself.
    pub(super) fn tells_of(&self, fault: &str) -> bool {
        let told = |status: &Status| status.warnings.iter().any(|one| one.sentence == fault);
        self.status.as_ref().is_some_and(told)
    }
}

fn lost(failure: &Failure) -> Banner {
    let sentence = format!(
        "{failure} What is shown is what it said last. {}",
        failure.next_step()
    );
    let button = match failure {
        Failure::NotRunning { .. } => ("Start the node", Action::StartNode),
        _ => ("Look again now", Action::Reconnect),
    };
    Banner::new(Tone::Attention, sentence, Some(button))
}

fn own_place(status: &Status) -> Option<Banner> {
    let own = status
        .members
        .iter()
        .find(|member| member.device == status.node.device)?;
    let sentence = match own.standing {
        Standing::Active => return None,
        Standing::Revoked => {
            "This machine was shut out of the studio. What it wrote before stands; what it writes now goes to nobody. An admin can let it in again, with an invite and under a new folder."
        }
        Standing::Retired => {
            "This machine has taken its leave of the studio. It shows what it held, and what it writes goes to nobody."
        }
        Standing::Void => {
            "Whoever let this machine in had no right to. Ask an admin for a new invite; what was written here is kept meanwhile."
        }
    };
    let button = Some(("See the machines", Action::Page(DevicesPage::Machines)));
    Some(Banner::new(Tone::Attention, sentence.to_owned(), button))
}

/// Two live branches of one device: its disk was copied, or a backup of it runs beside it.
fn twice(status: &Status) -> Option<Banner> {
    let mut seen = BTreeSet::new();
    let tips = status.applied.split(',').filter(|tip| tip.contains('.'));
    let mut devices = tips.filter_map(|tip| tip.split('.').next());
    let double = devices.find(|device| !seen.insert(*device))?;
    let named = |id: &str| {
        let mut members = status.members.iter();
        let member = members.find(|member| member.device.to_string() == id);
        member.map_or_else(|| "A machine".to_owned(), |member| member.name.clone())
    };
    let sentence = format!(
        "{} exists twice: its folder was copied, or an old backup runs beside it. Nothing is lost. Stop one of the two, and let the other one join anew.",
        named(double)
    );
    let button = Some(("See the machines", Action::Page(DevicesPage::Machines)));
    Some(Banner::new(Tone::Attention, sentence, button))
}

fn network(status: &Status) -> Option<Banner> {
    if status.network == NetworkState::Offline {
        let sentence = "This machine is off the network by hand. It goes on working; what is written here waits here.";
        let button = Some(("Put it back on", Action::Network(NetworkState::Online)));
        return Some(Banner::new(Tone::Waiting, sentence.to_owned(), button));
    }
    let find_out = || Some(("Find out why", Action::Examine));
    if status.peers.is_empty() && status.copies.machines > 1 {
        let sentence = "No other machine of the studio is reached. Work goes on here; if the others are on, see that all are on the same network.";
        return Some(Banner::new(Tone::Waiting, sentence.to_owned(), find_out()));
    }
    let gateway = status.gateway.as_ref()?;
    let known = status
        .peers
        .iter()
        .any(|peer| peer.device == gateway.device);
    if gateway.device == status.node.device || known || status.peers.is_empty() {
        return None;
    }
    let sentence = format!(
        "The network is split: {} carries to the cloud and is reached through others only. Nothing is lost; see that a firewall lets the machines reach each other.",
        gateway.name
    );
    Some(Banner::new(Tone::Waiting, sentence, find_out()))
}

fn cloud(status: &Status, now: WallMs) -> Option<Banner> {
    let cloud = &status.cloud;
    if !cloud.configured || status.network == NetworkState::Offline {
        return None;
    }
    let settings = |words| Some((words, Action::Show(Tab::Settings)));
    let pending = status.counts.pending;
    if cloud.problem_kind == Some(FaultKind::ShutOut) {
        let told = own_place(status).is_some();
        let sentence = "The cloud no longer serves this machine: it was shut out of the studio, or left it. What it wrote before stands. An admin can let it in again, with an invite and under a new folder.";
        let button = Some(("See the machines", Action::Page(DevicesPage::Machines)));
        return (!told).then(|| Banner::new(Tone::Attention, sentence.to_owned(), button));
    }
    if !cloud.authorised && cloud.reachable {
        let sentence = format!(
            "The cloud no longer takes this studio's sign-in. Everything is kept: {} for it.",
            waits(pending)
        );
        return Some(Banner::new(Tone::Attention, sentence, settings("Sign in")));
    }
    let problem = cloud.problem.as_deref().unwrap_or_default();
    if cloud.problem_kind == Some(FaultKind::Portal) {
        let sentence = "Something else answers in the cloud's place: as a rule the sign-in page of this network. Sign in there; what waits then goes up by itself.";
        let button = Some(("Open the network's page", Action::Browse(PORTAL.to_owned())));
        return Some(Banner::new(Tone::Waiting, sentence.to_owned(), button));
    }
    let since = cloud.oldest_pending.filter(|then| now.0 - then.0 > LONG_MS);
    if let (false, Some(since)) = (cloud.reachable, since) {
        let machines = u64::from(status.copies.on_machines_min.max(1));
        let sentence = format!(
            "Offline for {}: {} safe on {}, sent when any machine is online.",
            Age::of(since, now).length(),
            are(pending),
            counted(machines, "machine")
        );
        return Some(Banner::new(
            Tone::Waiting,
            sentence,
            Some(("Find out why", Action::Examine)),
        ));
    }
    (!problem.is_empty()).then(|| {
        let sentence = format!("The cloud: {}.", problem.trim_end_matches('.'));
        Banner::new(Tone::Waiting, sentence, settings("See the cloud"))
    })
}

fn warning(warning: &studiovault_protocol::api::Warning) -> Banner {
    let parts = [&warning.sentence, &warning.next_step].into_iter();
    let parts = parts.filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(|part| whole_sentence(part)).collect();
    let sentence = parts.join(" ");
    let button = match warning.code.as_str() {
        "DISK_LOW" | "FAULT" => Some(("Examine this machine", Action::Examine)),
        "CLOCK_OFF" | "DEVICE_TWICE" => {
            Some(("See the machines", Action::Page(DevicesPage::Machines)))
        }
        "QUARANTINED" => Some(("See what needs fixing", Action::Show(Tab::Fixing))),
        "POLICY_UNREADABLE" | "POLICY_DIFFERS" | "NEEDS_NEWER_VERSION" | "NEWER_BUNDLES" => {
            Some(("See the settings", Action::Show(Tab::Settings)))
        }
        _ => None,
    };
    Banner::new(Tone::Attention, sentence, button)
}

fn waits(number: u64) -> String {
    match number {
        1 => "1 change waits".to_owned(),
        number => format!("{} changes wait", count(number)),
    }
}

fn are(number: u64) -> String {
    match number {
        1 => "1 change is".to_owned(),
        number => format!("{} changes are", count(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{NOW, seconds_ago, three_machines};

    fn sentences(status: &Status) -> Vec<String> {
        let all = banners(status, NOW).into_iter();
        all.map(|banner| {
            assert!(banner.button.is_some(), "no button: {}", banner.sentence);
            banner.sentence
        })
        .collect()
    }

    #[test]
    fn a_studio_in_good_health_has_nothing_to_say() {
        assert!(sentences(&three_machines()).is_empty());
    }

    #[test]
    fn every_failure_state_has_a_sentence_and_a_button() {
        type Change = fn(&mut Status);
        let cases: [(&str, Change); 9] = [
            ("off the network by hand", |s| {
                s.network = NetworkState::Offline
            }),
            ("No other machine", |s| s.peers.clear()),
            ("no longer takes this studio's sign-in", |s| {
                s.cloud.authorised = false
            }),
            ("sign-in page of this network", |s| {
                s.cloud.problem_kind = Some(FaultKind::Portal);
            }),
            ("no longer serves this machine", |s| {
                s.cloud.authorised = false;
                s.cloud.problem_kind = Some(FaultKind::ShutOut);
            }),
            ("Offline for 3 h: 8 changes are safe on 3 machines", |s| {
                s.cloud.reachable = false;
                s.cloud.oldest_pending = Some(seconds_ago(3 * 3600 + 60));
            }),
            ("was shut out", |s| {
                s.members[0].standing = Standing::Revoked
            }),
            ("The network is split", |s| {
                s.gateway.as_mut().expect("a gateway").device = s.members[2].device;
            }),
            ("exists twice", |s| {
                let id = s.members[0].device;
                s.applied = format!("{id}.0000000000000001.4,{id}.0000000000000002.5");
            }),
        ];
        for (part, change) in cases {
            let mut status = three_machines();
            change(&mut status);
            let said = sentences(&status);
            assert!(
                said.iter().any(|one| one.contains(part)),
                "{part}: {said:?}"
            );
        }
    }
}
