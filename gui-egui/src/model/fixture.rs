//! Studios with names, for tests: what a node would say of them.

use serde_json::{Value as Json, json};
use studiovault_protocol::api::{
    ActivityPage, ActivityRow, CloudReason, CloudStatus, ConflictView, Copies, Counts, DeadLetter,
    DoctorStage, DoctorView, EntityView, FeedStatus, GatewayView, HistoryPage, HistoryRow,
    LanStatus, MachineReason, MemberView, NetworkState, NodeView, PeerView, PolicyStatus, SideView,
    Stage, StageOutcome, Status, SyncState, WhyCloud, WhyMachine, WhyView,
};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{DeviceId, EntityId, StudioId};
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::{ConflictKind, SideState};
use studiovault_protocol::time::WallMs;

use crate::message::{EntityFacts, SignInCode};

/// When all of this is seen.
pub const NOW: WallMs = WallMs(1_800_000_000_000);

/// A moment before [`NOW`].
pub fn seconds_ago(seconds: i64) -> WallMs {
    WallMs(NOW.0 - seconds * 1000)
}

/// Three machines and a cloud: this is `laptop`, `front-desk` is gateway and linked, `editor` was last seen 2 minutes ago.
pub fn three_machines() -> Status {
    let mut status = studio_of(3);
    for (at, name) in ["laptop", "front-desk", "editor"].into_iter().enumerate() {
        status.members[at].name = name.to_owned();
    }
    status.node.name = "laptop".to_owned();
    status.peers.truncate(1);
    status.peers[0].name = "front-desk".to_owned();
    status.members[2].online = false;
    status.members[2].last_seen = Some(seconds_ago(125));
    status.gateway = Some(GatewayView {
        device: status.members[1].device,
        name: "front-desk".to_owned(),
        term: 12,
    });
    status.members.push(MemberView {
        device: DeviceId([200; 16]),
        name: "cloud".to_owned(),
        role: Role::Cloud,
        standing: Default::default(),
        online: false,
        last_seen: None,
        priority: 0,
        gateway_preference: 0,
    });
    status.cloud = CloudStatus {
        configured: true,
        reachable: true,
        authorised: true,
        last_confirmed: Some(seconds_ago(3)),
        oldest_pending: Some(seconds_ago(20)),
        url: Some("https://cloud.example".to_owned()),
        problem: None,
        problem_kind: None,
        clock_offset_ms: Some(20),
    };
    status.counts.pending = 8;
    status.counts.confirmed = 184_212;
    status
}

/// A studio of `machines` machines without a cloud, all linked to this one.
pub fn studio_of(machines: usize) -> Status {
    let members: Vec<MemberView> = (0..machines)
        .map(|at| MemberView {
            device: DeviceId([at as u8 + 1; 16]),
            name: format!("machine-{at:02}"),
            role: if at == 0 { Role::Admin } else { Role::Member },
            standing: Default::default(),
            online: true,
            last_seen: Some(NOW),
            priority: 0,
            gateway_preference: 0,
        })
        .collect();
    let peers = members[1..].iter().map(|member| PeerView {
        device: member.device,
        name: member.name.clone(),
        address: "192.168.1.20:4001".to_owned(),
        since: seconds_ago(300),
        ahead: 0,
        behind: 0,
        round_trip_ms: Some(2),
        clock_offset_ms: 0,
    });
    let peers: Vec<PeerView> = peers.collect();
    Status {
        node: NodeView {
            device: members[0].device,
            name: members[0].name.clone(),
            studio: StudioId([7; 16]),
            studio_name: "Lisbon".to_owned(),
            time_zone: "Europe/Lisbon".to_owned(),
            currency: "EUR".to_owned(),
            version: "0.1.0".to_owned(),
            run: "00000000000000ab".to_owned(),
            started: seconds_ago(3600),
            listening: vec!["192.168.1.10:4001".to_owned()],
            venue: false,
        },
        network: NetworkState::Online,
        peers,
        members,
        gateway: None,
        cloud: CloudStatus::default(),
        lan: LanStatus::default(),
        policy: PolicyStatus::default(),
        counts: Counts {
            entities: 9_276,
            commands: 184_220,
            log_bytes: 38_000_000,
            ..Counts::default()
        },
        copies: Copies {
            on_machines_min: machines as u32,
            machines: machines as u32,
        },
        feed: FeedStatus {
            held: 184_220,
            folded: 184_220,
        },
        state_hash: "9f2c".repeat(16),
        applied: "0".to_owned(),
        warnings: Vec::new(),
        at: NOW,
    }
}

/// A machine of a studio by its name.
pub fn machine_named<'a>(status: &'a Status, name: &str) -> &'a MemberView {
    let found = status.members.iter().find(|member| member.name == name);
    found.expect("the fixture has this machine")
}

/// A code that stands for another ten minutes.
pub fn a_code() -> SignInCode {
    SignInCode {
        code: "BCDF-GHJK".to_owned(),
        page: "https://cloud.example/v1/oauth/device".to_owned(),
        until: seconds_ago(-600),
    }
}

/// Two machines that gave one shoot different dates.
pub fn two_dates() -> ConflictView {
    conflict(
        "c-dates",
        "Silva wedding",
        "shoot_date",
        [json!("2026-11-21"), json!("2026-11-22")],
    )
}

/// Two machines that gave one package different prices.
pub fn two_prices() -> ConflictView {
    let mut view = conflict(
        "c-prices",
        "Album",
        "price_cents",
        [json!(12_000), json!(13_500)],
    );
    view.entity = EntityId([8; 16]);
    view
}

/// The shoot of [`two_dates`], of which two machines also wrote different notes; a third machine has a date of its own.
pub fn two_fields_three_machines() -> Vec<ConflictView> {
    let mut dates = two_dates();
    dates.base = Some(json!("2026-11-20"));
    let mut third = dates.sides[1].clone();
    (third.dot, third.device) = ("c:3".to_owned(), "editor".to_owned());
    third.value = json!("2026-11-23");
    dates.sides.push(third);
    let mut notes = conflict(
        "c-notes",
        "Silva wedding",
        "notes",
        [json!("2 albums, +proofs"), json!("3 albums")],
    );
    notes.base = Some(json!("2 albums"));
    vec![dates, notes]
}

/// How the shoot of [`two_dates`] came to be: with tags that two machines added, and the cloud's word on the first command.
pub fn its_history() -> EntityFacts {
    let row = |dot, device, seconds, op, fields| written((dot, device), seconds, (op, fields));
    let whole = json!({"title": "Silva wedding", "shoot_date": "2026-11-20", "notes": "2 albums"});
    let mut rows = vec![
        row("b:1", "front-desk", 9000, Op::Create, whole.clone()),
        row(
            "a:12",
            "laptop",
            400,
            Op::Update,
            json!({"shoot_date": "2026-11-21"}),
        ),
        row(
            "a:13",
            "laptop",
            390,
            Op::Update,
            json!({"tags": {"add": ["outdoor"]}}),
        ),
        row(
            "b:7",
            "front-desk",
            276,
            Op::Update,
            json!({"shoot_date": "2026-11-22"}),
        ),
        row(
            "b:8",
            "front-desk",
            270,
            Op::Update,
            json!({"tags": {"add": ["vip"], "remove": ["draft"]}}),
        ),
    ];
    rows[0].verdict = "accepted".to_owned();
    rows[0].position = Some(184_102);
    let mut fields = whole.as_object().cloned().unwrap_or_default();
    fields.insert("tags".to_owned(), json!(["outdoor", "vip"]));
    EntityFacts {
        view: Some(EntityView {
            id: EntityId([9; 16]),
            entity_type: "project".to_owned(),
            fields,
            deleted: false,
            deletion: None,
            receipt: None,
            voided: false,
            corrections_cents: None,
            sync_state: SyncState::NeedsFixing,
            conflict: true,
            proposed: None,
            warnings: Vec::new(),
            needs_newer_version: false,
            vv: "v1".to_owned(),
        }),
        history: HistoryPage {
            entity: EntityId([9; 16]),
            rows,
            ledger: Vec::new(),
        },
    }
}

fn written((dot, device): (&str, &str), seconds: i64, (op, fields): (Op, Json)) -> HistoryRow {
    HistoryRow {
        dot: dot.to_owned(),
        device: device.to_owned(),
        actor: "Ines".to_owned(),
        op,
        fields: fields.as_object().cloned().unwrap_or_default(),
        ts: seconds_ago(seconds),
        verdict: "tentative".to_owned(),
        code: None,
        position: None,
        detail: None,
    }
}

/// A project with a day that the cloud did not take.
pub fn a_bad_day() -> DeadLetter {
    DeadLetter {
        dot: "a:20".to_owned(),
        device: "laptop".to_owned(),
        stuck: false,
        entity: EntityId([5; 16]),
        entity_type: "project".to_owned(),
        op: Op::Create,
        fields: json!({"title": "Costa portraits", "shoot_date": "tomorrow"})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        code: "VALIDATION_FAILED".to_owned(),
        detail: "`shoot_date` takes a day, as 2026-11-20".to_owned(),
        ts: seconds_ago(600),
        settled: None,
        label: "Costa portraits".to_owned(),
        waiting: Some(2),
    }
}

/// A sale that the cloud breaks on.
pub fn a_stuck_sale() -> DeadLetter {
    DeadLetter {
        dot: "a:21".to_owned(),
        stuck: true,
        entity: EntityId([6; 16]),
        entity_type: "pos_order".to_owned(),
        fields: json!({"total_cents": 2500})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        code: "STUCK".to_owned(),
        detail: "internal error".to_owned(),
        label: "A-000123".to_owned(),
        waiting: Some(0),
        ..a_bad_day()
    }
}

/// What happened: `rows` changes, the newest first.
pub fn what_happened(rows: usize) -> ActivityPage {
    let row = |at: usize| ActivityRow {
        dot: format!("a:{}", rows - at),
        device: ["laptop", "front-desk", "editor"][at % 3].to_owned(),
        actor: "Ines".to_owned(),
        op: Op::Update,
        entity: EntityId([(at % 250) as u8 + 1; 16]),
        entity_type: "client".to_owned(),
        label: format!("client {at}"),
        fields: json!({"notes": format!("note {at}")})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        ts: seconds_ago(at as i64 * 60),
        sync_state: match at % 3 {
            0 => SyncState::OnMachines { n: 2, m: 3 },
            1 => SyncState::Confirmed,
            _ => SyncState::WithGateway,
        },
        voided: false,
        code: None,
    };
    ActivityPage {
        rows: (0..rows).map(row).collect(),
        next: None,
    }
}

/// A machine whose firewall is shut and whose cloud is behind the sign-in page of a network.
pub fn a_checkup() -> DoctorView {
    let stage = |stage, outcome, evidence: &str, next_step: Option<&str>| DoctorStage {
        stage,
        outcome,
        evidence: evidence.to_owned(),
        next_step: next_step.map(str::to_owned),
    };
    let (ok, failed, unknown) = (
        StageOutcome::Ok,
        StageOutcome::Failed,
        StageOutcome::Unknown,
    );
    let rows = [
        (Stage::Adapter, ok, "wlan0 192.168.1.23", None),
        (
            Stage::MulticastOut,
            ok,
            "a question on UDP port 5353; wlan0: sent",
            None,
        ),
        (
            Stage::MulticastBack,
            ok,
            "machines of the studio found: 2",
            None,
        ),
        (
            Stage::Firewall,
            failed,
            "no answer at 192.168.1.23:4017, this machine's own",
            Some(
                "Allow incoming TCP on that port, or for the program studiovault, in this machine's firewall.",
            ),
        ),
        (Stage::Tcp, unknown, "rests on firewall", None),
        (Stage::Encryption, ok, "a link stands with front-desk", None),
        (Stage::Studio, ok, "front-desk belongs to Lisbon", None),
        (Stage::Clock, ok, "front-desk 0.2 s off", None),
        (
            Stage::Disk,
            ok,
            "212,000 MiB free; a file was written and synced in 3 ms",
            None,
        ),
        (
            Stage::CloudDns,
            ok,
            "cloud.example.org is 203.0.113.7",
            None,
        ),
        (
            Stage::CloudPortal,
            failed,
            "something else answers in the cloud's place",
            Some("Open a page in the browser and sign in to this network."),
        ),
        (Stage::CloudSignIn, unknown, "rests on cloud: portal", None),
    ];
    DoctorView {
        node_runs: true,
        ok: false,
        stages: rows.map(|(a, b, c, d)| stage(a, b, c, d)).into(),
        at: seconds_ago(5),
    }
}

/// A record that one machine holds, one lacks for want of a link, and that waits for the gateway.
pub fn why_not_everywhere() -> WhyView {
    let status = three_machines();
    let machine = |at: usize, reason, sentence: &str, next_step: Option<&str>| WhyMachine {
        device: status.members[at].device,
        name: status.members[at].name.clone(),
        holds: matches!(reason, MachineReason::Here | MachineReason::Holds),
        reason,
        sentence: sentence.to_owned(),
        next_step: next_step.map(str::to_owned),
    };
    let last_seen = Some(seconds_ago(125));
    WhyView {
        id: "01010101-0101-0101-0101-010101010101".to_owned(),
        entity_type: Some("project".to_owned()),
        sync_state: Some(SyncState::OnMachines { n: 2, m: 3 }),
        on: 2,
        of: 3,
        machines: vec![
            machine(0, MachineReason::Here, "this machine shows it", None),
            machine(1, MachineReason::Holds, "holds it", None),
            machine(
                2,
                MachineReason::NotLinked { last_seen },
                "no link, so what it holds is not known; last seen 2 minutes ago",
                Some("See that it is on and on the same network."),
            ),
        ],
        cloud: WhyCloud {
            reason: CloudReason::WithGateway {
                gateway: "front-desk".to_owned(),
            },
            sentence: "front-desk has it and carries it there".to_owned(),
            next_step: None,
        },
        at: seconds_ago(2),
    }
}

/// A project that one machine deleted and another edited.
pub fn deleted_and_edited() -> ConflictView {
    let mut view = conflict("c-life", "Old catalog", "", [Json::Null, Json::Null]);
    view.entity = EntityId([7; 16]);
    view.field = None;
    view.kind = ConflictKind::DeleteUpdate;
    view.deletion = Some("Project was deleted remotely, by front-desk".to_owned());
    view
}

fn conflict(id: &str, label: &str, field: &str, values: [Json; 2]) -> ConflictView {
    let [mine, theirs] = values;
    let side = |dot: &str, device: &str, seconds, value| SideView {
        dot: dot.to_owned(),
        device: device.to_owned(),
        ts: seconds_ago(seconds),
        value,
        state: SideState::Tentative,
        code: None,
        entity: EntityId([9; 16]),
        proposed: None,
        deed: None,
    };
    ConflictView {
        id: id.to_owned(),
        entity: EntityId([9; 16]),
        entity_type: "project".to_owned(),
        label: label.to_owned(),
        field: Some(field.to_owned()),
        kind: ConflictKind::UpdateUpdate,
        deletion: None,
        base: None,
        sides: vec![
            side("a:12", "laptop", 400, mine),
            side("b:7", "front-desk", 276, theirs),
        ],
        suggested: "b:7".to_owned(),
        rule: "The edits are more than 2 minutes apart: the later one is shown.".to_owned(),
        clock_suspect: false,
        vv: "v1".to_owned(),
    }
}
