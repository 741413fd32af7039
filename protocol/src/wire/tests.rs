//! Decoders against bent bytes: never a panic, and whatever is taken reads back as the very same bytes.

mod golden;
mod million;

use proptest::prelude::*;

use super::*;
use crate::bundle::{Bundle, Header, Seen};
use crate::command::{Change, Command, FieldWrite, Op};
use crate::feed::{Entry, Page, PageBody};
use crate::frontier::Tip;
use crate::id::{Author, CommandId, EntityId, Epoch, Nonce, Signature};
use crate::keys::SecretKey;
use crate::limits;
use crate::membership::{Grant, MeshKey, Role, SignedRecord, Signer};
use crate::merge::{Code, Outcome, StateSum};
use crate::refusal::RefusalKind;
use crate::value::Value;
use crate::vector::Vector;

fn key() -> SecretKey {
    SecretKey::from_seed([3; 32])
}

fn author(n: u8) -> Author {
    Author {
        device: DeviceId([n; 16]),
        epoch: Epoch(1 << 40),
    }
}

fn a_bundle() -> Bundle {
    let write = |field: &str, change| FieldWrite {
        field: field.into(),
        change,
    };
    let command = Command {
        id: CommandId([1; 16]),
        entity_type: "project".into(),
        entity: EntityId([2; 16]),
        op: Op::Update,
        writes: vec![
            write("title", Change::Write(Value::Text("Wedding".into()))),
            write(
                "tags",
                Change::Add(vec![Value::Int(-5), Value::Bool(true), Value::Null]),
            ),
            write(
                "tags",
                Change::Remove(vec![(Value::Ref(EntityId([4; 16])), vec![author(1).at(3)])]),
            ),
            write("print_credits", Change::Increment(-3)),
        ],
        ctx: Vector::from_tips(vec![author(1).at(200), author(2).at(3)]),
        replaces: Some(author(2).at(9)),
        ts: WallMs(-1),
        nonce: Nonce([5; 16]),
    };
    let header = Header {
        studio: StudioId([9; 16]),
        author: author(3),
        first_counter: 300,
        prev: Some(Hash([4; 32])),
        written_at: WallMs(1_700_000_000_000),
        actor: "ines".into(),
        saw: vec![Seen {
            dot: author(1).at(300),
            hash: Hash([6; 32]),
        }],
        together: true,
    };
    Bundle::seal(header, vec![command.clone(), command], &key()).expect("seals")
}

fn a_page() -> Page {
    let (hash, author) = (Hash([1; 32]), author(1));
    let detail = "taken before".to_owned();
    let lost = Outcome::Merged(vec![("title".into(), Code::ConflictUpdateUpdate)]);
    let rejected = Outcome::Rejected {
        code: Code::AppendOnly,
        detail,
    };
    let body = PageBody {
        studio: StudioId([9; 16]),
        author: self::author(7),
        first: 130,
        prev: Hash([2; 32]),
        at: WallMs(5),
        entries: vec![
            Entry::Genesis(vec![author.at(7)]),
            Entry::Bundle {
                author,
                first: 1,
                last: 300,
                hash,
            },
            Entry::Verdicts {
                author,
                first: 1,
                last: 300,
                hash,
                exceptions: vec![(2, lost), (299, rejected)],
            },
            Entry::Checkpoint(StateSum([1, 2, 3, u64::MAX])),
            Entry::AsItStands {
                author,
                first: 301,
                last: 302,
                hash,
            },
            Entry::Stuck {
                dot: author.at(303),
                detail: "broken".into(),
            },
        ],
    };
    Page::seal(body, &key())
}

fn frames() -> Vec<Frame> {
    let device = DeviceId([1; 16]);
    let grant = Grant {
        device,
        key: key().public(),
        name: "till".into(),
        role: Role::Member,
        priority: -4,
        gateway_preference: 2,
        version: 3,
    };
    let grant = SignedRecord::by_root(StudioId([9; 16]), grant, &key());
    let tip = Tip {
        author: author(1),
        counter: 300,
        hash: Hash([8; 32]).prefix(),
        trail: vec![(Epoch(5), 200), (Epoch(6), 100)],
    };
    let frontier = Frontier {
        tips: vec![tip],
        feed: 500,
    };
    let run = (WallMs(3), 4);
    let uplink = Uplink::default();
    let status = Status {
        device,
        run,
        sequence: 300,
        uplink,
        claim: Some(200),
    };
    let hello = Hello {
        protocol: (1, 1),
        studio: StudioId([9; 16]),
        chain: vec![grant.clone()],
        run: 300,
        roster: Hash([1; 32]),
        policy: Hash([2; 32]),
        policies: Hash([3; 32]),
        frontier: frontier.clone(),
        wall: WallMs(-70_000),
        port: 4_000,
    };
    let packed = vec![1, 2, 3, 200];
    vec![
        Frame::Hello(Box::new(hello)),
        Frame::Refuse(Refusal::new(RefusalKind::Version, "update the older one")),
        Frame::Roster(vec![grant]),
        Frame::Policy(Box::new(SignedPolicy {
            studio: StudioId([9; 16]),
            version: 300,
            text: "version = 300".into(),
            by: device,
            at: WallMs(-70_000),
            signer: Signer::Root,
            signature: Signature([7; 64]),
        })),
        Frame::Beat(Beat {
            frontier: Hash([1; 32]).prefix(),
            feed: FeedHead {
                position: 300,
                hash: Hash([3; 32]).prefix(),
            },
            claim: Some(1),
            policy: Hash([2; 32]).prefix(),
            roster: Hash([5; 32]).prefix(),
        }),
        Frame::Frontier(frontier.clone()),
        Frame::Links(vec![device]),
        Frame::Want {
            id: 300,
            frontier,
            devices: vec![device],
        },
        Frame::Block {
            id: 1,
            raw: 300,
            packed,
            done: false,
        },
        Frame::Credit { id: 1, bytes: 300 },
        Frame::Push(vec![Packed(a_bundle().bytes().to_vec())]),
        Frame::Held(vec![author(1).at(300)]),
        Frame::WantFeed(300),
        Frame::Pages(vec![Packed(a_page().bytes().to_vec())]),
        Frame::Statuses(vec![status]),
        Frame::Gone(Gone {
            device,
            run,
            sequence: 300,
        }),
        Frame::Rekey(Box::new(a_rekey())),
        Frame::Moved(vec![Moved {
            device,
            rekey: a_rekey().hash(),
            signature: Signature([7; 64]),
        }]),
        Frame::Offer(Offer {
            id: Hash([1; 32]),
            position: 300,
            manifest: 300,
        }),
        Frame::WantPiece {
            object: Hash([1; 32]),
            from: 300,
        },
        Frame::Piece {
            object: Hash([1; 32]),
            length: 303,
            from: 300,
            bytes: Packed(vec![1, 2, 3]),
        },
    ]
}

fn a_rekey() -> Rekey {
    Rekey {
        studio: StudioId([9; 16]),
        number: 300,
        key: MeshKey([5; 32]),
        endings: vec![Hash([2; 32]), Hash([3; 32])],
        by: Signer::Holder(Hash([4; 32])),
        signature: Signature([6; 64]),
    }
}

#[derive(Clone, Debug)]
enum Bend {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Max(prop::sample::Index),
}

fn bends() -> impl Strategy<Value = Vec<Bend>> {
    let place = any::<prop::sample::Index>;
    let bend = prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Bend::Set(at, byte)),
        1 => place().prop_map(Bend::Cut),
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| Bend::Insert(at, byte)),
        2 => place().prop_map(Bend::Max),
    ];
    proptest::collection::vec(bend, 0..4)
}

fn bend(mut bytes: Vec<u8>, bends: &[Bend]) -> Vec<u8> {
    for bend in bends {
        if bytes.is_empty() {
            break;
        }
        match bend {
            Bend::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Bend::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Bend::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Bend::Max(at) => {
                // A number as large as it gets.
                let at = at.index(bytes.len());
                bytes.splice(at..=at, [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_bent_frame_is_refused_or_is_another_frame(which in 0..18usize, bends in bends()) {
        let bytes = bend(frames().swap_remove(which).encode(), &bends);
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(frame.encode(), bytes);
        }
    }

    #[test]
    fn a_bent_bundle_is_refused_or_reads_back_as_its_own_bytes(bends in bends()) {
        let whole = a_bundle();
        let bytes = bend(whole.bytes().to_vec(), &bends);
        if let Ok(bundle) = Bundle::decode(bytes.clone()) {
            prop_assert_eq!(&bundle.bytes()[..], &bytes[..]);
            let seen = bundle.header().saw.iter().map(|seen| seen.dot.counter);
            prop_assert!(seen.chain([bundle.last()]).all(|counter| counter <= 2 * limits::COUNTER));
            let taken = bundle.verify(&crate::keys::VerifyKey::new(&key().public()).expect("a key")).is_ok();
            prop_assert_eq!(taken, bytes == whole.bytes()[..], "only the signed bytes are signed");
        }
    }

    #[test]
    fn a_bent_page_is_refused_or_reads_back_as_its_own_bytes(bends in bends()) {
        let bytes = bend(a_page().bytes().to_vec(), &bends);
        if let Ok(page) = Page::decode(bytes.clone()) {
            prop_assert_eq!(&page.bytes()[..], &bytes[..]);
            prop_assert!(page.last() >= page.body().first);
        }
    }
}

#[test]
fn every_frame_reads_back_as_sent() {
    for frame in frames() {
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    }
}

#[test]
fn a_number_that_nobody_could_count_on_from_is_refused() {
    let claim = Status {
        device: DeviceId([1; 16]),
        run: (WallMs(0), 0),
        sequence: 0,
        uplink: Uplink::default(),
        claim: Some(u64::MAX),
    };
    let last = author(1).at(u64::MAX);
    let frames = [
        Frame::WantFeed(u64::MAX),
        Frame::Held(vec![last]),
        Frame::Statuses(vec![claim]),
    ];
    for frame in frames {
        assert!(Frame::decode(&frame.encode()).is_err(), "{frame:?}");
    }
}

#[test]
fn a_block_weighs_what_it_unpacks_to_and_any_other_frame_its_own_bytes() {
    let block = Frame::Block {
        id: 300,
        raw: 120_000,
        packed: vec![9; 40],
        done: false,
    };
    assert_eq!(Frame::weight(&block.encode()), 120_000);
    let (push, pages) = (vec![Packed(vec![7; 90])], vec![Packed(vec![8; 20])]);
    let bringing = [Frame::Push(push), Frame::Pages(pages)];
    let others = [Frame::WantFeed(1), Frame::Held(Vec::new())];
    for frame in bringing.iter().chain(&others) {
        assert_eq!(Frame::weight(&frame.encode()), frame.encode().len());
    }
    let bringing = bringing.iter().chain([&block]);
    assert!(
        bringing
            .map(Frame::encode)
            .all(|bytes| Frame::brings(&bytes))
    );
    assert!(!others.iter().any(|frame| Frame::brings(&frame.encode())));
    assert_eq!(Frame::weight(&[]), 0);
}
