//! A studio that is the same in every run, and what its two machines and its cloud truth say to each other: where targets begin.

use std::sync::OnceLock;

use studiovault_cloud::{BareTruth, Founding};
use studiovault_node::config::Region;
use studiovault_node::driver::{Driver, Event, Output, Random, Request, Setup, WriteRequest};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::cloud::EnrolRequest;
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::{LinkId, Moment, UplinkEvent};
use studiovault_protocol::id::{Author, DeviceId, Epoch, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Authority, Grant, Role, Roster, SignedRecord};
use studiovault_protocol::policy::{Policy, SignedPolicy};
use studiovault_protocol::time::{MonoMs, Now, WallMs};

use crate::writes::{create, transaction};

/// The wall clock of the first round.
const WALL: i64 = 1_790_000_000_000;
/// Rounds of the recorded conversation, a second each.
const ROUNDS: u64 = 24;

/// Its id.
pub(super) const STUDIO: StudioId = StudioId([7; 16]);
/// The link between its machines, at both ends.
pub(super) const LINK: LinkId = LinkId(1);

/// The root key.
pub(super) fn root() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

/// The key of a machine, or with 9 of the cloud truth.
pub(super) fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// Its device id.
pub(super) fn device(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

fn cloud() -> Author {
    Author {
        device: device(9),
        epoch: Epoch(99),
    }
}

/// The grants of two machines, a guest and the cloud truth.
pub(super) fn records() -> Vec<SignedRecord> {
    let grants = [
        (2, "front-desk", Role::Admin),
        (3, "editor", Role::Admin),
        (4, "assistant", Role::Guest),
        (9, "cloud", Role::Cloud),
    ];
    let record = |(n, name, role): (u8, &str, Role)| {
        let grant = Grant {
            device: device(n),
            key: key(n).public(),
            name: name.to_owned(),
            role,
            priority: i32::from(n),
            gateway_preference: 0,
            version: 1,
        };
        SignedRecord::by_root(STUDIO, grant, &root())
    };
    grants.map(record).into()
}

/// The roster of those.
pub(super) fn roster() -> Roster {
    let mut roster = Roster::new(STUDIO, root().public()).expect("a root key");
    roster.extend(records());
    roster
}

/// A moment some seconds in.
pub(super) fn moment(second: u64) -> Moment {
    Moment {
        now: Now {
            wall: WallMs(WALL + second.cast_signed() * 1000),
            mono: MonoMs(1000 + second * 1000),
        },
        entropy: second,
    }
}

/// A machine with an empty store in memory.
pub(super) fn driver(n: u8) -> Driver {
    let store = Store::open(Location::Memory, &Policy::default()).expect("a store");
    let setup = Setup {
        identity: Identity {
            device: device(n),
            secret: key(n),
            run: u64::from(n),
            fresh_epoch: Epoch(u64::from(n) * 11),
        },
        roster: roster(),
        policy: Policy::default(),
        region: Region::default(),
        random: Random::seeded(u64::from(n)),
    };
    Driver::new(setup, store, moment(0)).expect("starts")
}

/// The cloud truth.
pub(super) fn truth() -> BareTruth {
    let founding = Founding {
        studio: EnrolRequest {
            studio: STUDIO,
            name: "Studio".into(),
            root: root().public(),
            genesis: Vec::new(),
        },
        key: key(9),
        cloud: cloud(),
        at: WallMs(WALL),
    };
    BareTruth::new(founding).expect("a truth in memory")
}

/// A policy that an admin signed.
pub(super) fn policy() -> SignedPolicy {
    let text = Policy::default()
        .text()
        .replacen("version = 1", "version = 2", 1);
    let next = Policy::parse(&text).expect("a policy");
    let root = Authority::root(root());
    SignedPolicy::seal((STUDIO, &root), &next, (device(2), WallMs(WALL)))
}

/// What was said, as bytes.
#[derive(Default)]
pub(super) struct Recording {
    pub frames: Vec<Vec<u8>>,
    pub bundles: Vec<Vec<u8>>,
    pub pages: Vec<Vec<u8>>,
    pub batches: Vec<Vec<u8>>,
    pub answers: Vec<Vec<u8>>,
    pub questions: Vec<Vec<u8>>,
    pub changes: Vec<Vec<u8>>,
}

/// The conversation of two machines and their cloud.
pub(super) fn recording() -> &'static Recording {
    static RECORDING: OnceLock<Recording> = OnceLock::new();
    RECORDING.get_or_init(|| {
        let mut stage = Stage {
            machines: [driver(2), driver(3)],
            inboxes: [
                vec![Event::Opened(LINK, key(3).public())],
                vec![Event::Opened(LINK, key(2).public())],
            ],
            truth: truth(),
            heard: Recording::default(),
        };
        for round in 0..ROUNDS {
            stage.round(round);
        }
        stage.heard
    })
}

struct Stage {
    machines: [Driver; 2],
    inboxes: [Vec<Event>; 2],
    truth: BareTruth,
    heard: Recording,
}

impl Stage {
    fn round(&mut self, round: u64) {
        for at in 0..2 {
            let mut events = std::mem::take(&mut self.inboxes[at]);
            if round.is_multiple_of(4) {
                events.push(Event::Write(round, write(round, at)));
            }
            if round == 9 && at == 0 {
                events.push(Event::Policy(Box::new(policy())));
            }
            let output = self.machines[at].step(moment(round), events);
            self.deliver(at, round, output);
        }
    }

    fn deliver(&mut self, at: usize, round: u64, output: Output) {
        assert!(output.closes.is_empty(), "{:?}", output.closes);
        for (_, frame) in output.sends {
            self.heard.frames.push(frame.to_vec());
            self.inboxes[1 - at].push(Event::Frame(LINK, frame));
        }
        for request in output.requests {
            let heard = self.ask(round, request);
            self.inboxes[at].push(Event::Uplink(heard));
        }
    }

    fn ask(&mut self, round: u64, request: Request) -> UplinkEvent {
        let at = moment(round).now.wall;
        match request {
            Request::Probe(_) => UplinkEvent::Probed { head: None },
            Request::Tail(_) => panic!("this cloud was never put back"),
            Request::Batch(request) => {
                let answer = self.truth.batch(&request, at).expect("is taken");
                let bundles = request.bundles.iter().map(|packed| packed.0.clone());
                self.heard.bundles.extend(bundles);
                let pages = answer.changes.pages.iter().map(|packed| packed.0.clone());
                self.heard.pages.extend(pages);
                let bytes = postcard::to_stdvec(&request).expect("encodes");
                self.heard.batches.push(bytes);
                let bytes = postcard::to_stdvec(&answer).expect("encodes");
                self.heard.answers.push(bytes);
                UplinkEvent::Answered(Box::new(answer))
            }
            Request::Changes(request) => {
                let changes = self.truth.changes(&request, at).expect("are told");
                let bytes = postcard::to_stdvec(&request).expect("encodes");
                self.heard.questions.push(bytes);
                let bytes = postcard::to_stdvec(&changes).expect("encodes");
                self.heard.changes.push(bytes);
                UplinkEvent::Changed(Box::new(changes))
            }
        }
    }
}

/// A client, and every other time a project.
fn write(round: u64, at: usize) -> WriteRequest {
    let (entity_type, fields) = if round.is_multiple_of(8) {
        let name = format!("Client {round} of {at}");
        (
            "client",
            serde_json::json!({"name": name, "tags": ["vip", "wedding"]}),
        )
    } else {
        (
            "project",
            serde_json::json!({"title": format!("Wedding {round}/{at}"), "notes": "church, then garden"}),
        )
    };
    transaction("mara", vec![create(entity_type, fields)])
}
