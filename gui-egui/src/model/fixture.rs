//! Studios with names, for tests: what a node would say of them.

use serde_json::{Value as Json, json};
use studiovault_protocol::api::{
    CloudStatus, ConflictView, Copies, Counts, FeedStatus, GatewayView, MemberView, NetworkState,
    NodeView, PeerView, PolicyStatus, SideView, Status,
};
use studiovault_protocol::id::{DeviceId, EntityId, StudioId};
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::{ConflictKind, SideState};
use studiovault_protocol::time::WallMs;

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
    });
    status.cloud = CloudStatus {
        configured: true,
        reachable: true,
        authorised: true,
        last_confirmed: Some(seconds_ago(3)),
        oldest_pending: Some(seconds_ago(20)),
        url: Some("https://cloud.example".to_owned()),
        problem: None,
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
        },
        network: NetworkState::Online,
        peers,
        members,
        gateway: None,
        cloud: CloudStatus::default(),
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
    conflict(
        "c-prices",
        "Album",
        "price_cents",
        [json!(12_000), json!(13_500)],
    )
}

/// A project that one machine deleted and another edited.
pub fn deleted_and_edited() -> ConflictView {
    let mut view = conflict("c-life", "Old catalog", "", [Json::Null, Json::Null]);
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
