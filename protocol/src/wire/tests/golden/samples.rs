//! One of everything that is no frame: records of the roster, packs, pairing, the words of the cloud, the state that is hashed.

use super::*;
use crate::cloud::{EnrolAnswer, EnrolRequest, Pong, PongHead, Proof, Prover, Summary, Target};
use crate::membership::{Act, Authority, Cut, Double};
use crate::merge::{
    ElementSet, Entity, Field, KeyClaim, KeyHash, Life, LifeKind, LifeWrite, LostLife, LostSide,
    Register, Sibling, Survivor, Top,
};
use crate::pack::{Label, Part, Place, Scope, Sealer};
use crate::pairing::{Answered, Code as Spoken, Host, Message, Offered, Welcome};
use crate::snapshot::{ChunkName, Manifest, ManifestBody, Segment};

const STUDIO: StudioId = StudioId([9; 16]);

/// A snapshot of one chunk of records and one of the feed.
pub(super) fn manifest() -> Manifest {
    let segment = |upto, packed: &[u8]| Segment {
        upto,
        chunks: vec![ChunkName::of(packed, 300)],
    };
    let body = ManifestBody {
        studio: STUDIO,
        author: author(3),
        position: 300,
        head: Hash([1; 32]),
        sum: entity().state_sum(),
        fold: 2,
        issued: WallMs(70_000),
        expires: WallMs(140_000),
        segments: vec![segment(0, b"records"), segment(300, b"feed")],
    };
    Manifest::seal(body, &key())
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// One record of every kind, by the root key and by an admin, and every role.
pub(super) fn records() -> Vec<(&'static str, SignedRecord)> {
    let grant = |role| Grant {
        device: DeviceId([1; 16]),
        key: key().public(),
        name: "till".into(),
        role,
        priority: 4,
        gateway_preference: -2,
        version: 3,
    };
    let cut = || Cut {
        device: DeviceId([2; 16]),
        stands: vec![(Epoch(5), 200), (Epoch(6), 0)],
        keeps: vec![Hash([3; 32])],
        at: WallMs(-70_000),
    };
    let acts = [
        ("grant Admin", Act::Grant(grant(Role::Admin))),
        ("grant Cloud", Act::Grant(grant(Role::Cloud))),
        ("lower", Act::Lower(grant(Role::Guest), vec![Hash([4; 32])])),
        (
            "readmit",
            Act::Readmit(grant(Role::Member), vec![Hash([5; 32])]),
        ),
        ("revoke", Act::Revoke(cut())),
        ("retire", Act::Retire(cut())),
        ("lost", Act::Lost(vec![(author(1), 300), (author(2), 1)])),
        ("double", Act::Double(Box::new(double()))),
    ];
    let holder = Authority::holder(Hash([6; 32]), key());
    let mut records = acts.map(|(name, act)| (name, SignedRecord::seal(STUDIO, act, &holder)));
    let (_, readmit) = &mut records[3];
    *readmit = SignedRecord::by_root(STUDIO, readmit.act.clone(), &key());
    records.into()
}

/// Two bundles that begin one epoch.
fn double() -> Double {
    let one = a_bundle();
    let header = Header {
        actor: "another".into(),
        ..one.header().clone()
    };
    let commands = one.commands().map(|(_, command)| command.clone()).collect();
    let other = Bundle::seal(header, commands, &key()).expect("it fits");
    Double::of(&one, &other).expect("two at one place")
}

/// One part of every kind.
pub(super) fn parts() -> Vec<(&'static str, Part)> {
    let label = |scope| {
        Part::Label(Label {
            studio: STUDIO,
            device: DeviceId([1; 16]),
            name: "till".into(),
            at: WallMs(-1),
            scope,
            bundles: 300,
            pages: 2,
        })
    };
    vec![
        ("label everything", label(Scope::Everything)),
        ("label for", label(Scope::For("laptop".into()))),
        ("label since", label(Scope::Since)),
        (
            "signed",
            Part::Signed {
                records: grants(),
                policies: policies(),
            },
        ),
        (
            "bundles",
            Part::Bundles(vec![Packed(a_bundle().bytes().to_vec())]),
        ),
        (
            "pages",
            Part::Pages(vec![Packed(a_page().bytes().to_vec())]),
        ),
        ("end", Part::End),
    ]
}

/// A whole pack of two chunks as it lies on a stick.
pub(super) fn pack() -> Vec<u8> {
    let (mut sealer, head) = Sealer::new(&MeshKey([7; 32]), [8; 32]);
    let mut bytes = head.to_vec();
    bytes.extend(sealer.chunk(&parts()[0].1.encode(), Place::Middle));
    bytes.extend(sealer.chunk(&Part::End.encode(), Place::Last));
    bytes
}

/// What a newcomer is told.
pub(super) fn welcome() -> Welcome {
    Welcome {
        root: secret(9).public(),
        mesh_key: [5; 32],
        discovery_key: [6; 32],
        time_zone: "Europe/Lisbon".into(),
        currency: "EUR".into(),
        cloud: Some(("https://cloud".into(), Some("pin".into()), "token".into())),
        records: grants(),
        port: 4_000,
    }
}

/// Every message of one pairing, in the order in which they are sent; both sides drew fixed numbers.
pub(super) fn pairing() -> Vec<(&'static str, Message)> {
    let code = Spoken::from_random([42, 1, 20, 30]);
    let own = (DeviceId([1; 16]), secret(1), "laptop".to_owned());
    let (offered, offer) = Offered::begin(&code, own, [3; 32]);
    let (answered, answer) = Answered::begin(&code, &offer, host(), [4; 32]).expect("one plate");
    let Message::Answer { half, commitment } = &answer else {
        unreachable!("an answer")
    };
    let (_, proof) = offered.handle_answer(half, *commitment).expect("a half");
    let (checking, reply) = answered.handle_proof(&proof, &secret(2)).expect("one code");
    let welcome = checking.welcome(&welcome());
    vec![
        ("Offer", offer),
        ("Answer", answer),
        ("Proof", proof),
        ("Reply", reply),
        ("Welcome", welcome),
        ("Kept", Message::Kept),
        ("Refuse", Message::Refuse("the invite is closed".into())),
    ]
}

/// The host of a pairing by itself; it travels sealed.
pub(super) fn host() -> Host {
    Host {
        studio: STUDIO,
        studio_name: "Silva".into(),
        device: DeviceId([2; 16]),
        key: secret(2).public(),
        name: "desk".into(),
    }
}

/// The header of a request that a machine proves.
pub(super) fn proof() -> String {
    let prover = Prover::Device(DeviceId([1; 16]));
    let target = Target {
        method: "POST",
        path: "/v1/sync/batch",
    };
    Proof::new(prover, "0a1b".into(), target, &key()).to_string()
}

/// Every code with its verdict.
pub(super) fn outcomes() -> Vec<Outcome> {
    let codes = [
        Code::ConflictUpdateUpdate,
        Code::ConflictDeleteUpdate,
        Code::ConflictUpdateDelete,
        Code::DuplicateKey,
        Code::ValidationFailed,
        Code::EntityNotFound,
        Code::ImmutableField,
        Code::AppendOnly,
        Code::Forbidden,
        Code::IdempotencyMismatch,
        Code::DependsOnRejected,
        Code::Withdrawn,
        Code::Internal,
        Code::DeviceRevoked,
    ];
    let rejected = codes.map(|code| Outcome::Rejected {
        code,
        detail: code.word().to_lowercase(),
    });
    let lost = vec![("title".to_owned(), Code::DuplicateKey)];
    let others = [Outcome::Accepted, Outcome::Merged(lost)];
    rejected.into_iter().chain(others).collect()
}

/// Every operation under its number.
pub(super) fn operations() -> Vec<Op> {
    vec![
        Op::Create,
        Op::Update,
        Op::Delete,
        Op::Restore,
        Op::Resolve,
        Op::Discard,
        Op::Newer(200),
    ]
}

/// Every kind of refusal under its number.
pub(super) fn refusals() -> Vec<RefusalKind> {
    vec![
        RefusalKind::Version,
        RefusalKind::Studio,
        RefusalKind::ShutOut,
        RefusalKind::Certificate,
        RefusalKind::Itself,
        RefusalKind::Full,
        RefusalKind::Other(200),
    ]
}

/// An entity with everything that the state hash covers.
pub(super) fn entity() -> Entity {
    let (dot, ts) = (author(1).at(300), WallMs(-1));
    let life = |kind| LifeWrite {
        dot,
        ts,
        kind,
        accepted: Some(300),
        survivors: vec![Survivor {
            dot,
            ts,
            accepted: true,
        }],
    };
    let register = Register {
        siblings: vec![Sibling {
            dot,
            ts,
            value: Value::Text("Wedding".into()),
            accepted: Some(300),
            leads: true,
        }],
        lost: vec![LostSide {
            dot,
            ts,
            value: Value::Null,
            code: Code::DuplicateKey,
            rejected: true,
        }],
        top: Some(Top {
            position: 300,
            dot,
            beside: vec![dot],
        }),
    };
    let set = ElementSet {
        elements: vec![(Value::Int(-5), vec![dot])],
    };
    let fields = [
        ("title", Field::Register(register)),
        ("tags", Field::Set(set)),
        ("print_credits", Field::Counter(-3)),
    ];
    let kinds = [LifeKind::Created, LifeKind::Deleted, LifeKind::Restored];
    Entity {
        entity_type: "project".into(),
        id: EntityId([2; 16]),
        life: Life {
            writes: kinds.map(life).into(),
            lost: vec![LostLife {
                dot,
                ts,
                code: Code::ConflictUpdateDelete,
            }],
        },
        fields: fields.map(|(name, field)| (name.to_owned(), field)).into(),
        opaque: false,
    }
}

/// What a shared natural key adds to the state hash.
pub(super) fn key_share() -> StateSum {
    let claim = KeyClaim {
        entity: EntityId([2; 16]),
        accepted: Some(300),
        dot: author(1).at(300),
        ts: WallMs(-1),
        values: vec![Value::Text("Wedding".into())],
    };
    claim.share(KeyHash([4; 16]))
}

/// What travels to the cloud and back as JSON.
pub(super) fn json(into: &mut Vectors) {
    into.put_json(
        "enrol request",
        &EnrolRequest {
            studio: STUDIO,
            name: "Silva".into(),
            root: key().public(),
            genesis: vec![author(1).at(300)],
        },
    );
    into.put_json(
        "enrol answer",
        &EnrolAnswer {
            device: DeviceId([1; 16]),
            key: key().public(),
        },
    );
    let head = Some(PongHead {
        position: 300,
        hash: Hash([1; 32]),
    });
    into.put_json(
        "pong",
        &Pong {
            nonce: "0a1b".into(),
            server_time: WallMs(-1),
            head,
            scopes: None,
        },
    );
    into.put_json(
        "summary",
        &Summary {
            commands: 300,
            confirmed: 298,
            rejected: 2,
            entities: 4,
            pos_gross_cents: -5,
            pos_voided_cents: 6,
            head: 7,
            state_hash: "00".into(),
        },
    );
}
