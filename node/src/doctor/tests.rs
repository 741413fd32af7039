//! One machine in every kind of trouble: each is named by its own stage, and what rests on it says so.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use studiovault_protocol::api::{PeerView, Status, Warning};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::refusal::{RefusalKind, RefusedBy};
use studiovault_protocol::time::WallMs;

use super::*;
use crate::mesh::Obstacle;
use crate::runner::{Candidate, Contact, Met, Neighbourhood};

const NOW: WallMs = WallMs(1_000_000);
const HERE: &str = "10.0.0.1";
const THERE: &str = "10.0.0.2:4001";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn peer() -> PeerView {
    serde_json::from_value(json!({
        "device": DeviceId([2; 16]), "name": "laptop", "address": THERE, "since": 0, "ahead": 0, "behind": 0,
        "round_trip_ms": null, "clock_offset_ms": 20,
    }))
    .expect("a peer")
}

fn status() -> Status {
    let member = |n: u8, name: &str| json!({"device": DeviceId([n; 16]), "name": name, "role": "member", "standing": "active", "online": true, "last_seen": null});
    let mut status: Status = serde_json::from_value(json!({
        "node": {"device": DeviceId([1; 16]), "name": "desk", "studio": DeviceId([9; 16]).to_string(), "studio_name": "Lisbon",
            "time_zone": "UTC", "currency": "EUR", "version": "0", "run": "0", "started": 0,
            "listening": [format!("{HERE}:4000"), "127.0.0.1:4000"]},
        "network": "online", "peers": [], "members": [member(1, "desk"), member(2, "laptop")], "gateway": null,
        "cloud": {"configured": false, "reachable": false, "authorised": false, "last_confirmed": null,
            "oldest_pending": null, "url": null, "problem": null},
        "counts": {"entities": 0, "commands": 7, "pending": 0, "confirmed": 0, "rejected": 0, "conflicts": 0,
            "dead_letters": 0, "parked": 0, "log_bytes": 0},
        "copies": {"on_machines_min": 1, "machines": 2}, "feed": {"held": 0, "folded": 0},
        "policy": {"version": 1, "hash": "abcdef0123", "beside": 0},
        "state_hash": "", "applied": "0", "warnings": [], "at": 0,
    }))
    .expect("a status");
    status.peers = vec![peer()];
    status
}

/// Two linked machines and a cloud: all is well.
fn healthy() -> Facts {
    Facts {
        adapters: vec![Adapter {
            name: "eth0".into(),
            address: HERE.parse().expect("an address"),
            shared_bits: 24,
        }],
        multicast: Multicast::Tried {
            asked: vec![Ask {
                adapter: "eth0".into(),
                sent: Ok(()),
                came_back: true,
            }],
            heard: vec![at(THERE).ip()],
        },
        disk: Disk {
            folder: "/data".into(),
            free_bytes: Some(1 << 40),
            wrote_ms: Ok(2),
        },
        node: Some(Running {
            status: Arc::new(status()),
            neighbourhood: Neighbourhood {
                contacts: Vec::new(),
                candidates: vec![Candidate {
                    addresses: vec![at(THERE)],
                    named: false,
                    linked: true,
                }],
            },
            doors: vec![Door {
                address: at("10.0.0.1:4000"),
                reached: Reached::Answers,
            }],
            tried: BTreeMap::new(),
        }),
        cloud: Some(CloudFacts {
            url: "https://cloud.example".into(),
            dns: Ok(vec![at("192.0.2.1:443").ip()]),
            tcp: Ok(at("192.0.2.1:443")),
            answer: CloudAnswer::Echoed {
                offset_ms: -30,
                took_ms: 40,
            },
            impostor: None,
        }),
        at: NOW,
    }
}

fn with_status(change: impl FnOnce(&mut Status)) -> Facts {
    let mut facts = healthy();
    let node = facts.node.as_mut().expect("a node");
    change(Arc::make_mut(&mut node.status));
    facts
}

/// Nobody is linked; the other machine was dialled, with this reach and this end.
fn apart(reached: Reached, met: Option<Met>, named: bool) -> Facts {
    let mut facts = with_status(|status| {
        status.peers.clear();
        status.members[1].online = false;
    });
    let node = facts.node.as_mut().expect("a node");
    node.neighbourhood.candidates[0].linked = false;
    node.neighbourhood.candidates[0].named = named;
    node.tried.insert(at(THERE), reached);
    let contact = |met| Contact {
        address: at(THERE),
        at: NOW,
        met,
        words: "words".into(),
    };
    node.neighbourhood.contacts = met.map(contact).into_iter().collect();
    facts
}

fn stage(facts: &Facts, wanted: Stage) -> DoctorStage {
    let view = judge(facts);
    let found = view.stages.iter().find(|stage| stage.stage == wanted);
    found.expect("the stage is told").clone()
}

/// The stages that failed; each tells what to do.
fn failures(facts: &Facts) -> Vec<Stage> {
    let view = judge(facts);
    let failed: Vec<_> = view
        .stages
        .iter()
        .filter(|stage| has_failed(stage))
        .collect();
    assert_eq!(view.ok, failed.is_empty());
    for stage in &failed {
        assert!(stage.next_step.is_some(), "{stage:?}");
    }
    failed.iter().map(|stage| stage.stage).collect()
}

fn is_unknown(facts: &Facts, wanted: Stage) -> bool {
    stage(facts, wanted).outcome == StageOutcome::Unknown
}

#[test]
fn a_healthy_machine_passes_every_stage() {
    let view = judge(&healthy());
    let well = |stage: &DoctorStage| stage.outcome == StageOutcome::Ok;
    assert!(view.stages.iter().all(well), "{:#?}", view.stages);
    assert_eq!(view.stages.len(), 18);
    let mut without = healthy();
    without.cloud = None;
    assert_eq!(failures(&without), []);
    assert!(stage(&without, Stage::Cloud).evidence.contains("no cloud"));
}

#[test]
fn without_an_adapter_what_rests_on_it_is_unknown() {
    let mut facts = healthy();
    facts.adapters.clear();
    assert_eq!(failures(&facts), [Stage::Adapter]);
    for rests in [Stage::MulticastOut, Stage::MulticastBack, Stage::Firewall] {
        assert!(is_unknown(&facts, rests));
    }
    let off = with_status(|status| {
        status.network = NetworkState::Offline;
        status.peers.clear();
    });
    assert_eq!(failures(&off), [Stage::Adapter]);
    assert!(is_unknown(&off, Stage::Tcp) && is_unknown(&off, Stage::Studio));
}

#[test]
fn multicast_fails_going_out_coming_in_or_on_the_way() {
    let with = |sent: Result<(), String>, came_back| {
        let mut facts = healthy();
        let ask = Ask {
            adapter: "eth0".into(),
            sent,
            came_back,
        };
        let (asked, heard) = (vec![ask], Vec::new());
        facts.multicast = Multicast::Tried { asked, heard };
        facts
            .node
            .as_mut()
            .expect("a node")
            .neighbourhood
            .candidates[0]
            .named = true;
        facts
    };
    let refused = with(Err("not permitted".into()), false);
    assert_eq!(failures(&refused), [Stage::MulticastOut]);
    assert!(is_unknown(&refused, Stage::MulticastBack));
    let deaf = with(Ok(()), false);
    assert_eq!(failures(&deaf), [Stage::MulticastBack]);
    let swallowed = with(Ok(()), true);
    assert_eq!(failures(&swallowed), [Stage::MulticastBack]);
    let evidence = stage(&swallowed, Stage::MulticastBack).evidence;
    assert!(evidence.contains("laptop is linked"), "{evidence}");
    let mut nobody = with(Ok(()), true);
    let node = nobody.node.as_mut().expect("a node");
    Arc::make_mut(&mut node.status).peers.clear();
    assert!(is_unknown(&nobody, Stage::MulticastBack));
    let mut hides = healthy();
    hides.multicast = Multicast::NotTried("venue".into());
    assert_eq!(failures(&hides), []);
}

#[test]
fn an_own_port_that_is_silent_is_the_firewalls() {
    let with = |reached| {
        let mut facts = healthy();
        facts.node.as_mut().expect("a node").doors[0].reached = reached;
        facts
    };
    let blocked = with(Reached::Silent);
    assert_eq!(failures(&blocked), [Stage::Firewall]);
    let advice = stage(&blocked, Stage::Firewall).next_step;
    assert!(advice.is_some_and(|advice| advice.contains("firewall")));
    assert_eq!(failures(&with(Reached::Refuses)), [Stage::Firewall]);
}

#[test]
fn a_machine_that_is_heard_and_does_not_answer_has_a_firewall_and_one_that_is_not_heard_is_kept_apart()
 {
    let heard = apart(Reached::Silent, None, false);
    assert_eq!(failures(&heard), [Stage::Tcp]);
    let advice = stage(&heard, Stage::Tcp).next_step.expect("advice");
    assert!(advice.contains("firewall of that machine"), "{advice}");
    assert!(is_unknown(&heard, Stage::Encryption));
    let mut isolated = apart(Reached::NoWay, None, true);
    if let Multicast::Tried { heard, .. } = &mut isolated.multicast {
        heard.clear();
    }
    assert_eq!(failures(&isolated), [Stage::Tcp]);
    let advice = stage(&isolated, Stage::Tcp).next_step.expect("advice");
    assert!(advice.contains("keeps its clients apart"), "{advice}");
    assert_eq!(failures(&apart(Reached::Refuses, None, true)), [Stage::Tcp]);
    let stopped = apart(Reached::Refuses, None, false);
    assert_eq!(failures(&stopped), [], "it was found and has stopped since");
}

#[test]
fn whoever_does_not_know_the_networks_key_is_told_at_encryption() {
    for obstacle in [Obstacle::Handshake, Obstacle::Silent] {
        let facts = apart(Reached::Answers, Some(Met::Dialled(obstacle)), true);
        assert_eq!(failures(&facts), [Stage::Encryption]);
        assert!(is_unknown(&facts, Stage::Studio));
    }
    let copy = Some(Met::Dialled(Obstacle::OwnKey));
    let copy = apart(Reached::Answers, copy, false);
    assert_eq!(failures(&copy), [Stage::Encryption]);
    assert!(stage(&copy, Stage::Encryption).evidence.contains("own key"));
    let mut old = apart(
        Reached::Answers,
        Some(Met::Dialled(Obstacle::Handshake)),
        true,
    );
    old.at = WallMs(NOW.0 + 120_000);
    assert_eq!(failures(&old), [], "what was long ago is no news");
}

#[test]
fn whoever_is_shut_out_hears_of_that_and_not_of_the_keys_that_came_after() {
    let handshake = Some(Met::Dialled(Obstacle::Handshake));
    let mut facts = apart(Reached::Answers, handshake, true);
    let node = facts.node.as_mut().expect("a node");
    Arc::make_mut(&mut node.status).members[0].standing = Standing::Revoked;
    assert_eq!(failures(&facts), [Stage::Revocation]);
    assert!(is_unknown(&facts, Stage::Encryption));
}

#[test]
fn a_refusal_is_told_at_its_own_stage() {
    let turned = |by, kind| apart(Reached::Answers, Some(Met::Turned(by, kind)), true);
    for by in [RefusedBy::Us, RefusedBy::Them] {
        let studio = turned(by, RefusalKind::Studio);
        assert_eq!(failures(&studio), [Stage::Studio]);
        assert_eq!(stage(&studio, Stage::Encryption).outcome, StageOutcome::Ok);
        let version = turned(by, RefusalKind::Version);
        assert_eq!(failures(&version), [Stage::Version]);
    }
    let gone = turned(RefusedBy::Them, RefusalKind::ShutOut);
    assert_eq!(failures(&gone), [Stage::Revocation]);
    let knocked = turned(RefusedBy::Us, RefusalKind::ShutOut);
    assert_eq!(failures(&knocked), []);
    let evidence = stage(&knocked, Stage::Revocation).evidence;
    assert!(evidence.contains("turned away"), "{evidence}");
    let revoked = with_status(|status| status.members[0].standing = Standing::Revoked);
    assert_eq!(failures(&revoked), [Stage::Revocation]);
}

#[test]
fn programs_policies_and_feeds_that_differ_are_told_as_the_status_warns() {
    for (code, expected) in [
        ("NEWER_BUNDLES", Stage::Version),
        ("NEEDS_NEWER_VERSION", Stage::Version),
        ("POLICY_UNREADABLE", Stage::Policy),
        ("POLICY_DIFFERS", Stage::Policy),
        ("FEED_FORKED", Stage::Frontier),
        ("FEED_WITHHELD", Stage::Frontier),
    ] {
        let warning = Warning {
            code: code.into(),
            sentence: "so it is".into(),
            next_step: "do it".into(),
            kind: None,
        };
        let facts = with_status(|status| status.warnings = vec![warning]);
        assert_eq!(failures(&facts), [expected], "{code}");
        assert_eq!(stage(&facts, expected).evidence, "so it is");
    }
}

#[test]
fn the_clock_that_is_off_is_the_one_that_the_many_or_the_cloud_contradict() {
    let advice = |peer_ms: i64, cloud_ms: Option<i64>| {
        let mut facts = with_status(|status| status.peers[0].clock_offset_ms = peer_ms);
        facts.cloud = facts.cloud.filter(|_| cloud_ms.is_some());
        if let (Some(cloud), Some(offset_ms)) = (&mut facts.cloud, cloud_ms) {
            cloud.answer = CloudAnswer::Echoed {
                offset_ms,
                took_ms: 1,
            };
        }
        assert_eq!(failures(&facts), [Stage::Clock]);
        let stage = stage(&facts, Stage::Clock);
        (stage.evidence, stage.next_step.expect("advice"))
    };
    let (evidence, own) = advice(600_000, Some(600_000));
    assert!(evidence.contains("laptop: 10 minutes ahead"), "{evidence}");
    assert!(own.contains("this machine's clock"), "{own}");
    let (_, other) = advice(-600_000, Some(0));
    assert!(other.contains("laptop"), "{other}");
    let (_, either) = advice(600_000, None);
    assert!(either.contains("laptop or of this machine"), "{either}");
}

#[test]
fn what_nobody_brings_is_told_and_what_is_on_its_way_is_not() {
    let waits = with_status(|status| status.counts.parked = 3);
    assert_eq!(failures(&waits), [Stage::Frontier]);
    let coming = with_status(|status| {
        status.counts.parked = 3;
        status.peers[0].ahead = 12;
    });
    assert_eq!(failures(&coming), []);
    assert!(
        stage(&coming, Stage::Frontier)
            .evidence
            .contains("12 commands")
    );
}

#[test]
fn a_disk_fails_by_a_write_or_by_want_of_room() {
    let mut facts = healthy();
    facts.disk.free_bytes = Some(1 << 20);
    assert_eq!(failures(&facts), [Stage::Disk]);
    assert!(stage(&facts, Stage::Disk).evidence.contains("nearly full"));
    facts.disk.free_bytes = None;
    assert_eq!(failures(&facts), []);
    facts.disk.wrote_ms = Err("read-only".into());
    assert_eq!(failures(&facts), [Stage::Disk]);
}

#[test]
fn the_way_to_the_cloud_fails_at_one_step_and_what_follows_is_unknown() {
    let with = |change: &dyn Fn(&mut CloudFacts)| {
        let mut facts = healthy();
        change(facts.cloud.as_mut().expect("a cloud"));
        facts
    };
    let no = || "no".to_owned();
    let dns = with(&|cloud| cloud.dns = Err(no()));
    assert_eq!(failures(&dns), [Stage::CloudDns]);
    let tcp = with(&|cloud| {
        cloud.tcp = Err(no());
        cloud.answer = CloudAnswer::NotAsked;
    });
    assert_eq!(failures(&tcp), [Stage::CloudTcp]);
    let tls = with(&|cloud| cloud.answer = CloudAnswer::Tls(no()));
    assert_eq!(failures(&tls), [Stage::CloudTls]);
    assert!(is_unknown(&tls, Stage::CloudPortal) && is_unknown(&tls, Stage::CloudSignIn));
    let portal = with(&|cloud| {
        cloud.answer = CloudAnswer::Tls(no());
        cloud.impostor = Some("a sign-in page".into());
    });
    assert_eq!(failures(&portal), [Stage::CloudTls, Stage::CloudPortal]);
    let somebody = with(&|cloud| cloud.answer = CloudAnswer::Somebody(no()));
    assert_eq!(failures(&somebody), [Stage::CloudPortal]);
    let silent = with(&|cloud| cloud.answer = CloudAnswer::Silent(no()));
    assert_eq!(failures(&silent), [Stage::CloudTls]);
    let sign_in = with(&|cloud| cloud.answer = CloudAnswer::SignIn(no()));
    assert_eq!(failures(&sign_in), [Stage::CloudSignIn]);
    let busy = with(&|cloud| cloud.answer = CloudAnswer::Busy(no()));
    assert_eq!(failures(&busy), []);
    assert!(is_unknown(&busy, Stage::CloudSignIn));
}

#[test]
fn without_a_node_machine_and_cloud_are_looked_at_alone() {
    let mut facts = healthy();
    facts.node = None;
    let view = judge(&facts);
    assert!(!view.node_runs && view.ok);
    for stage in [Stage::Tcp, Stage::Firewall, Stage::Frontier] {
        assert!(is_unknown(&facts, stage));
    }
    assert_eq!(stage(&facts, Stage::CloudSignIn).outcome, StageOutcome::Ok);
}

#[test]
fn an_address_is_near_if_it_shares_the_adapters_network() {
    let facts = healthy();
    assert_eq!(facts.near_peers(), ["laptop"]);
    let far = with_status(|status| status.peers[0].address = "10.0.1.2:4001".into());
    assert!(far.near_peers().is_empty());
}
