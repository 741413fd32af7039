//! Every reason that a machine or the cloud can have, and what is told of it.

use super::*;
use studiovault_protocol::api::{GatewayView, PeerView};
use studiovault_protocol::id::{Author, Epoch};
use studiovault_protocol::membership::{Role, Standing};

const HERE: u8 = 1;
const OTHER: u8 = 2;
const NOW: WallMs = WallMs(10_000_000);

fn device(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

fn dot(n: u8, counter: u64) -> Dot {
    let epoch = Epoch(7);
    let device = device(n);
    Author { device, epoch }.at(counter)
}

fn member(n: u8, standing: Standing) -> MemberView {
    MemberView {
        device: device(n),
        name: format!("machine-{n}"),
        role: Role::Member,
        standing,
        online: false,
        last_seen: None,
        priority: 0,
        gateway_preference: 0,
    }
}

fn peer(n: u8, behind: u64) -> PeerView {
    PeerView {
        device: device(n),
        name: format!("machine-{n}"),
        address: String::new(),
        since: NOW,
        ahead: 0,
        behind,
        round_trip_ms: None,
        clock_offset_ms: 0,
    }
}

fn gateway(n: u8) -> GatewayView {
    GatewayView {
        device: device(n),
        name: format!("machine-{n}"),
        term: 1,
    }
}

/// Two machines of a studio, this one and another, in whatever state a test makes of it.
fn status(change: impl FnOnce(&mut Status)) -> Status {
    let json = serde_json::json!({
        "node": {"device": device(HERE), "name": "machine-1", "studio": DeviceId([9; 16]).to_string(), "studio_name": "s",
            "time_zone": "UTC", "currency": "EUR", "version": "0", "run": "0", "started": 0, "listening": []},
        "network": "online", "peers": [], "members": [], "gateway": null,
        "cloud": {"configured": false, "reachable": false, "authorised": false, "last_confirmed": null,
            "oldest_pending": null, "url": null, "problem": null},
        "counts": {"entities": 0, "commands": 0, "pending": 0, "confirmed": 0, "rejected": 0, "conflicts": 0,
            "dead_letters": 0, "parked": 0, "log_bytes": 0},
        "copies": {"on_machines_min": 1, "machines": 2}, "feed": {"held": 0, "folded": 0},
        "state_hash": "", "applied": "0", "warnings": [], "at": 0,
    });
    let mut status: Status = serde_json::from_value(json).expect("a status");
    let members = [HERE, OTHER].map(|n| member(n, Standing::Active));
    status.members = members.into();
    change(&mut status);
    status
}

fn subject(here: Here, said: Said) -> Subject {
    Subject {
        vv: Vector::EMPTY,
        here,
        saw: Vec::new(),
        said,
    }
}

fn known(status: &Status) -> Known<'_> {
    Known {
        status,
        holders: BTreeSet::new(),
        waiting: BTreeMap::new(),
        now: NOW,
    }
}

/// What is said of the other machine.
fn other(known: &Known<'_>) -> WhyMachine {
    let shown = subject(Here::Shown, Said::Nothing);
    machines(&shown, known).remove(1)
}

#[test]
fn a_linked_machine_holds_it_or_is_so_many_commands_behind() {
    let status = status(|status| status.peers = vec![peer(OTHER, 12)]);
    let mut known = known(&status);
    let behind = other(&known);
    assert!(!behind.holds);
    assert_eq!(behind.reason, MachineReason::Behind { commands: 12 });
    assert!(behind.sentence.contains("12 commands behind"), "{behind:?}");
    known.holders.insert(device(OTHER));
    let holds = other(&known);
    assert!(holds.holds && holds.reason == MachineReason::Holds);
    known.waiting.insert(device(OTHER), vec![dot(HERE, 4)]);
    let parked = other(&known);
    let waits_for = vec![dot(HERE, 4).to_string()];
    assert_eq!(parked.reason, MachineReason::Parked { waits_for });
    assert!(parked.holds && parked.sentence.contains("of machine-1"));
}

#[test]
fn a_machine_without_a_link_was_last_seen_at_a_time_or_never() {
    let seen = |last_seen| {
        let status = status(|status| status.members[1].last_seen = last_seen);
        other(&known(&status))
    };
    let ago = seen(Some(WallMs(NOW.0 - 600_000)));
    assert!(
        ago.sentence.ends_with("last seen 10 minutes ago"),
        "{ago:?}"
    );
    let never = seen(None);
    assert_eq!(never.reason, MachineReason::NotLinked { last_seen: None });
    assert!(never.next_step.is_some_and(|step| step.contains("doctor")));
}

#[test]
fn a_machine_that_no_longer_belongs_says_how_it_went() {
    for (standing, words) in [
        (Standing::Retired, "took its leave"),
        (Standing::Revoked, "shut out"),
        (Standing::Void, "no right"),
    ] {
        let status = status(|status| status.members[1].standing = standing);
        let left = other(&known(&status));
        assert_eq!(left.reason, MachineReason::Left { standing });
        assert!(left.sentence.contains(words), "{left:?}");
    }
}

#[test]
fn this_machine_shows_it_waits_with_it_sets_it_aside_or_lacks_it() {
    let status = status(|_| {});
    let known = known(&status);
    let here = |here: Here| machines(&subject(here, Said::Nothing), &known).remove(0);
    assert_eq!(here(Here::Shown).reason, MachineReason::Here);
    let parked = here(Here::Parked(vec![dot(OTHER, 3), dot(OTHER, 5)]));
    assert!(parked.holds);
    let sentence = &parked.sentence;
    assert!(sentence.contains("of machine-2 and 1 more"), "{sentence}");
    assert!(here(Here::SetAside).sentence.contains("set aside"));
    let lacks = here(Here::Absent);
    assert!(!lacks.holds && lacks.reason == MachineReason::Lacks);
}

#[test]
fn every_word_of_the_cloud_is_told_as_it_is() {
    let status = status(|status| status.cloud.configured = true);
    let known = known(&status);
    let said = |said: Said| cloud(&subject(Here::Shown, said), &known).reason;
    assert_eq!(said(Said::Confirmed), CloudReason::Confirmed);
    assert_eq!(said(Said::HeldThere), CloudReason::Undecided);
    let (code, detail) = ("FORBIDDEN".to_owned(), "no".to_owned());
    let rejected = |settled: Option<&str>| Said::Rejected {
        code: code.clone(),
        detail: detail.clone(),
        settled: settled.map(str::to_owned),
    };
    let told = cloud(&subject(Here::Shown, rejected(None)), &known);
    assert!(matches!(
        told.reason,
        CloudReason::Rejected { settled: None, .. }
    ));
    assert!(told.sentence.contains("FORBIDDEN") && told.next_step.is_some());
    let here = &machines(&subject(Here::SetAside, rejected(None)), &known)[0];
    assert!(here.next_step.is_some(), "somebody has to look at it");
    for (settled, word) in [("fixed", "sent again"), ("discarded", "given up")] {
        let told = cloud(&subject(Here::Shown, rejected(Some(settled))), &known);
        let nothing_to_do = told.sentence.contains(word) && told.next_step.is_none();
        assert!(nothing_to_do, "{told:?}");
        let here = &machines(&subject(Here::SetAside, rejected(Some(settled))), &known)[0];
        assert_eq!((here.holds, &here.next_step), (true, &None));
    }
    let detail = "500".to_owned();
    let stuck = said(Said::Stuck {
        detail: detail.clone(),
    });
    assert_eq!(stuck, CloudReason::Stuck { detail });
    let aside = cloud(&subject(Here::SetAside, Said::Nothing), &known);
    assert_eq!(aside.reason, CloudReason::SetAside);
}

#[test]
fn without_a_cloud_nothing_waits_for_one() {
    let status = status(|_| {});
    let told = cloud(&subject(Here::Shown, Said::Nothing), &known(&status));
    assert_eq!(told.reason, CloudReason::NoCloud);
    assert_eq!(told.next_step, None);
}

/// Why the cloud has said nothing, with that gateway and that uplink.
fn waits(change: impl FnOnce(&mut Status), at_gateway: bool) -> CloudReason {
    let status = status(|status| {
        status.cloud.configured = true;
        change(status);
    });
    let mut known = known(&status);
    if at_gateway {
        known.holders.insert(device(OTHER));
    }
    cloud(&subject(Here::Shown, Said::Nothing), &known).reason
}

#[test]
fn with_a_gateway_it_lies_there_or_on_the_way_to_it() {
    let name = || "machine-2".to_owned();
    let with = |status: &mut Status| {
        status.gateway = Some(gateway(OTHER));
        status.peers = vec![peer(OTHER, 1)];
    };
    let expected = CloudReason::WithGateway { gateway: name() };
    assert_eq!(waits(with, true), expected);
    let expected = CloudReason::WaitingForGateway { gateway: name() };
    assert_eq!(waits(with, false), expected);
    let expected = CloudReason::GatewayUnreachable { gateway: name() };
    let far = |status: &mut Status| status.gateway = Some(gateway(OTHER));
    assert_eq!(waits(far, false), expected);
    let own = |status: &mut Status| status.gateway = Some(gateway(HERE));
    let gateway = "machine-1".to_owned();
    assert_eq!(waits(own, false), CloudReason::WithGateway { gateway });
}

#[test]
fn without_a_gateway_the_reason_is_what_this_machine_met() {
    let problem = || "no way".to_owned();
    let met = |reachable, authorised, told: Option<String>| {
        waits(
            |status| {
                (status.cloud.reachable, status.cloud.authorised) = (reachable, authorised);
                status.cloud.problem = told;
            },
            false,
        )
    };
    let unreachable = CloudReason::Unreachable { problem: problem() };
    assert_eq!(met(false, false, Some(problem())), unreachable);
    let paused = CloudReason::Paused { problem: problem() };
    assert_eq!(met(true, false, Some(problem())), paused);
    assert_eq!(met(true, true, Some(problem())), paused);
    assert_eq!(met(true, true, None), CloudReason::NoGateway);
}
