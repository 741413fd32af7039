//! Entries against lies, full disks and `kill -9`: the driver and the store that a node runs, without its network.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command as Process, Stdio};

use serde_json::{Map, Value as Json, json};
use studiovault_node::config::Region;
use studiovault_node::driver::{Driver, Event, Random, Setup, WriteError, WriteRequest, Written};
use studiovault_node::store::{EntityRow, Location, QuarantineRow, Store};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::bundle::{Bundle, Header, Seen};
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::Moment;
use studiovault_protocol::id::{Author, CommandId, DeviceId, EntityId, Epoch, Nonce, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Role, Roster, SignedRecord};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;

const STUDIO: StudioId = StudioId([7; 16]);
/// Set for the process that is killed: its data folder.
const TILL_FOLDER: &str = "STUDIOVAULT_TEST_TILL";

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn grant(n: u8) -> SignedRecord {
    let grant = Grant {
        device: DeviceId([n; 16]),
        key: key(n).public(),
        name: format!("till-{n}"),
        role: Role::Member,
        priority: i32::from(n),
        gateway_preference: 0,
        version: 1,
    };
    SignedRecord::by_root(STUDIO, grant, &key(99))
}

/// Machine `n` of a studio of two.
fn a_driver(n: u8, run: u64, store: Store) -> Driver {
    let mut roster = Roster::new(STUDIO, key(99).public()).expect("a key");
    for member in [1, 2] {
        roster.insert(grant(member)).expect("signed by the root");
    }
    let setup = Setup {
        identity: Identity {
            device: DeviceId([n; 16]),
            secret: key(n),
            run,
            fresh_epoch: Epoch(run),
        },
        roster,
        policy: Policy::default(),
        region: Region::default(),
        random: Random::seeded(run),
    };
    Driver::new(setup, store, Moment::default()).expect("a driver")
}

fn a_store() -> Store {
    Store::open(Location::Memory, &Policy::default()).expect("a store in memory")
}

fn sale() -> Mutation {
    let Json::Object(fields) = json!({"items": 1, "amount_cents": 500}) else {
        unreachable!("an object")
    };
    mutation("pos_order", fields)
}

fn mutation(entity_type: &str, fields: Map<String, Json>) -> Mutation {
    Mutation {
        entity_type: entity_type.into(),
        entity: None,
        op: Op::Create,
        fields,
        read: None,
        replaces: None,
    }
}

fn write(driver: &mut Driver, mutations: Vec<Mutation>) -> Result<Written, WriteError> {
    let request = WriteRequest {
        actor: "ines".into(),
        mutations,
        together: false,
        skip_existing: false,
    };
    let output = driver.step(Moment::default(), vec![Event::Write(1, request)]);
    output.answers.into_iter().next().expect("an answer").1
}

/// Sells once and gives the receipt's number.
fn sell(driver: &mut Driver) -> u64 {
    let written = write(driver, vec![sale()]).expect("sells");
    super::number(written.receipts[0].as_deref().expect("a receipt"))
}

#[test]
fn a_commit_that_fails_uses_no_number_up() {
    let mut driver = a_driver(1, 10, a_store());
    assert_eq!([sell(&mut driver), sell(&mut driver)], [1, 2]);
    driver.store().fill_disk().expect("a full disk");
    let mut refused = 0;
    while write(&mut driver, vec![sale(); 20]).is_err() {
        refused += 1;
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "there is no room");
    driver.store().free_disk().expect("room again");
    assert_eq!(sell(&mut driver), 3);
    // Too large for one bundle: refused by the engine, after the numbers were given.
    let mut large = sale();
    large
        .fields
        .insert("notes".into(), "x".repeat(16_000).into());
    assert!(write(&mut driver, vec![large; 30]).is_err());
    assert_eq!(sell(&mut driver), 4);
    // Power goes; the next run is another epoch of the same path.
    let store = driver
        .into_store()
        .crash(&Policy::default())
        .expect("restarts");
    let mut driver = a_driver(1, 11, store);
    assert_eq!([sell(&mut driver), sell(&mut driver)], [5, 6]);
    let store = driver
        .into_store()
        .crash(&Policy::default())
        .expect("restarts");
    assert_eq!(sell(&mut a_driver(1, 12, store)), 7);
}

#[test]
fn two_copies_of_a_till_give_one_number_and_are_told_apart() {
    let [mut one, mut copy] = [20, 21].map(|run| a_driver(1, run, a_store()));
    let receipts = [&mut one, &mut copy].map(|driver| {
        let written = write(driver, vec![sale()]).expect("sells");
        written.receipts[0].clone().expect("a receipt")
    });
    assert_eq!(super::number(&receipts[0]), super::number(&receipts[1]));
    assert_ne!(receipts[0], receipts[1]);
}

/// What a killed till does until it is killed. Without the folder in the environment it is no test of its own.
#[test]
fn the_till_that_is_killed() {
    let Ok(folder) = std::env::var(TILL_FOLDER) else {
        return;
    };
    let store = Store::open(Location::Folder(folder.into()), &Policy::default());
    let mut driver = a_driver(
        1,
        u64::from(std::process::id()) + 1000,
        store.expect("a store"),
    );
    loop {
        println!("receipt {}", sell(&mut driver));
    }
}

#[test]
fn kill_9_leaves_no_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut acknowledged, mut runs) = (0, 0);
    while runs < 4 {
        runs += 1;
        let mut till = Process::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "entries::the_till_that_is_killed", "--nocapture"])
            .env(TILL_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let told = BufReader::new(till.stdout.take().expect("piped")).lines();
        let numbers = told.map_while(Result::ok).filter_map(|line| {
            let (_, number) = line.split_once("receipt ")?;
            number.trim().parse::<u64>().ok()
        });
        let mut first = None;
        for number in numbers {
            first.get_or_insert(number);
            acknowledged = number;
            if number >= first.unwrap_or(0) + 7 + runs {
                break;
            }
        }
        till.kill().expect("kill -9");
        till.wait().expect("ends");
    }
    let store = Store::open(Location::Folder(folder.path().into()), &Policy::default());
    let store = store.expect("opens");
    let rows = store
        .view()
        .query("SELECT _receipt FROM app_pos_order", &[])
        .expect("asks")
        .rows;
    let held: BTreeSet<u64> = rows
        .iter()
        .map(|row| super::number(row[0].as_str().expect("one")))
        .collect();
    let last = rows.len() as u64;
    assert_eq!(held, (1..=last).collect(), "no gap and no number twice");
    assert!(
        acknowledged >= 32 && last >= acknowledged,
        "nothing acknowledged is lost"
    );
    assert_eq!(sell(&mut a_driver(1, 5, store)), last + 1);
}

#[test]
fn a_correction_or_a_void_of_what_is_no_sale_here_is_refused_before_any_log() {
    let mut driver = a_driver(1, 10, a_store());
    let written = write(&mut driver, vec![sale()]).expect("sells");
    let client = mutation("client", Map::from_iter([("name".into(), json!("Silva"))]));
    let client = write(&mut driver, vec![client]).expect("writes").ids[0];
    let naming = |entity_type: &str, order: EntityId| {
        let Json::Object(mut fields) = json!({"order": order, "reason": "a slip"}) else {
            unreachable!("an object")
        };
        if entity_type == "pos_correction" {
            fields.insert("amount_cents".into(), json!(-100));
        }
        mutation(entity_type, fields)
    };
    let before = driver.store().counts().expect("counts").commands;
    for entity_type in ["pos_correction", "pos_void"] {
        for order in [client, EntityId([9; 16])] {
            let refused = write(&mut driver, vec![naming(entity_type, order)]);
            let Err(WriteError::Refused(refusal)) = refused else {
                panic!("{entity_type} of {order}: {refused:?}");
            };
            assert_eq!(
                (refusal.code, refusal.field.as_deref()),
                ("UNKNOWN_SALE", Some("order"))
            );
            assert!(
                refusal.detail.contains("; look the sale up"),
                "{}",
                refusal.detail
            );
        }
    }
    assert_eq!(driver.store().counts().expect("counts").commands, before);
    // Of a sale that is here, and of one that the same transaction makes.
    write(&mut driver, vec![naming("pos_void", written.ids[0])]).expect("voids");
    let mut new = sale();
    new.entity = Some(EntityId::from_random([8; 16]));
    let correction = naming("pos_correction", EntityId::from_random([8; 16]));
    write(&mut driver, vec![new, correction]).expect("corrects");
}

#[test]
fn a_mended_sale_keeps_the_number_on_its_receipt_and_uses_none_up() {
    let mut driver = a_driver(1, 10, a_store());
    let written = write(&mut driver, vec![sale(), sale(), sale()]).expect("sells");
    let (author, first, _) = written.bundle.expect("a bundle");
    let held = shown(&driver, written.ids[0]).expect("the sale").fields;
    let receipt = held["receipt"].as_str().expect("a number").to_owned();
    let mended = |receipt: Option<&str>, replaces| {
        let mut fields = held.clone();
        fields.remove("receipt");
        fields.insert("amount_cents".into(), json!(700));
        if let Some(receipt) = receipt {
            fields.insert("receipt".into(), json!(receipt));
        }
        let mut mended = mutation("pos_order", fields);
        (mended.entity, mended.replaces) = (Some(written.ids[0]), Some(replaces));
        mended
    };
    for wrong in [None, Some("A-000777")] {
        let refused = write(&mut driver, vec![mended(wrong, author.at(first))]);
        assert!(
            matches!(&refused, Err(WriteError::Refused(refusal)) if refusal.code == "RECEIPT_IS_NUMBERED"),
            "{refused:?}"
        );
    }
    // Mended, and what mended it mended again: the paper that the customer has says the same all along.
    let mut letter = author.at(first);
    for _ in 0..2 {
        let again = write(&mut driver, vec![mended(Some(&receipt), letter)]).expect("mends");
        letter = again
            .bundle
            .map(|(author, at, _)| author.at(at))
            .expect("a bundle");
    }
    assert_eq!(
        sell(&mut driver),
        4,
        "no number is used up, and none comes twice"
    );
    // The first stands until the cloud has decided; what stands in its place is no lie about it.
    assert_eq!(
        shown(&driver, written.ids[0]).expect("the sale").fields,
        held
    );
    assert_eq!(driver.store().view().quarantine(10).expect("lists"), []);
}

/// A member that lies: it seals whatever it likes with its own key.
struct Liar {
    next: u64,
    prev: Option<studiovault_protocol::id::Hash>,
}

impl Liar {
    const AUTHOR: Author = Author {
        device: DeviceId([2; 16]),
        epoch: Epoch(66),
    };

    fn say(&mut self, commands: Vec<Command>, saw: Vec<Seen>) -> Bundle {
        let header = Header {
            studio: STUDIO,
            author: Self::AUTHOR,
            first_counter: self.next,
            prev: self.prev,
            written_at: WallMs(0),
            actor: "mallory".into(),
            saw,
            together: false,
        };
        let bundle = Bundle::seal(header, commands, &key(2)).expect("a bundle");
        (self.next, self.prev) = (bundle.last() + 1, Some(bundle.hash()));
        bundle
    }

    fn command(
        &self,
        op: Op,
        (entity_type, entity): (&str, EntityId),
        field: (&str, Value),
    ) -> Command {
        Command {
            id: CommandId::from_random([self.next as u8; 16]),
            entity_type: entity_type.into(),
            entity,
            op,
            writes: vec![FieldWrite {
                field: field.0.into(),
                change: Change::Write(field.1),
            }],
            ctx: None,
            ts: WallMs(9_000_000_000_000),
            replaces: None,
            nonce: Nonce([1; 16]),
        }
    }
}

fn hear(driver: &mut Driver, bundle: &Bundle) {
    let bytes = bytes::Bytes::copy_from_slice(bundle.bytes());
    let _ = driver.step(Moment::default(), vec![Event::Gossip(bytes)]);
}

fn shown(driver: &Driver, id: EntityId) -> Option<EntityRow> {
    driver.store().view().entity(id).expect("reads")
}

/// A machine with one sale, and a liar that knows of it.
fn a_sale_and_a_liar() -> (Driver, EntityId, Liar, Vec<Seen>) {
    let mut driver = a_driver(1, 10, a_store());
    let written = write(&mut driver, vec![sale()]).expect("sells");
    let (author, first, _) = written.bundle.expect("a bundle");
    let chain = driver.engine().log().chain(author).expect("a chain");
    let saw = vec![Seen {
        dot: author.at(first),
        hash: chain.held.1,
    }];
    let liar = Liar {
        next: 1,
        prev: None,
    };
    (driver, written.ids[0], liar, saw)
}

/// Every way to rewrite a sale, each beside something innocent; how many there were.
fn lie_in_every_way(
    driver: &mut Driver,
    id: EntityId,
    (liar, mut saw): (&mut Liar, Vec<Seen>),
) -> usize {
    let (before, mut count) = (shown(driver, id), 0);
    let name = |text: &str| ("name", Value::Text(text.into()));
    for op in [Op::Update, Op::Delete, Op::Restore, Op::Resolve, Op::Create] {
        for (entity_type, field) in [
            ("pos_order", ("amount_cents", Value::Int(1))),
            ("client", name("x")),
        ] {
            let innocent_id = EntityId::from_random([liar.next as u8 + 100; 16]);
            let innocent = liar.command(Op::Create, ("client", innocent_id), name("Costa"));
            let rewrite = liar.command(op, (entity_type, id), field);
            let bundle = liar.say(vec![innocent, rewrite], std::mem::take(&mut saw));
            hear(driver, &bundle);
            count += 1;
            assert_eq!(shown(driver, id), before, "{op:?} as {entity_type}");
            assert_eq!(shown(driver, innocent_id), None, "nothing of it is applied");
            let held = driver.engine().log().is_applied(bundle.tip());
            assert!(held, "held and relayed like any other");
        }
    }
    count
}

#[test]
fn a_lying_members_bundle_is_set_aside_whole_and_shown() {
    let (mut driver, id, mut liar, saw) = a_sale_and_a_liar();
    let before = shown(&driver, id);
    let count = lie_in_every_way(&mut driver, id, (&mut liar, saw));
    let rows = driver.store().view().quarantine(100).expect("lists");
    assert_eq!(rows.len(), count);
    let told = |row: &QuarantineRow| row.whole && row.entity == id && row.actor == "mallory";
    assert!(rows.iter().all(told));
    let counts = driver.store().counts().expect("counts");
    assert_eq!(counts.quarantined, count as u64);
    // What comes after is heard again.
    let fine_id = EntityId::from_random([77; 16]);
    let name = ("name", Value::Text("Reis".into()));
    let fine = liar.command(Op::Create, ("client", fine_id), name);
    hear(&mut driver, &liar.say(vec![fine], Vec::new()));
    assert!(shown(&driver, fine_id).is_some());
    // All of it stands the checks of the store, and a rebuild comes to the same.
    let sum = driver.store().state_sum();
    let roster = driver.engine().roster().clone();
    let mut store = driver.into_store();
    let found = store.verify(&roster, &Policy::default()).expect("verifies");
    assert!(found.is_sound(), "{:?}", found.faults);
    let rebuilt = store.rebuild(&Policy::default(), &roster.priorities(), &mut |_, _| {});
    rebuilt.expect("rebuilds");
    assert_eq!(store.state_sum(), sum);
    assert_eq!(store.view().entity(id).expect("reads"), before);
    assert_eq!(store.view().quarantine(100).expect("lists").len(), count);
}

#[test]
fn a_rival_create_that_says_it_knew_nothing_is_set_aside_on_every_machine() {
    let mut one = a_driver(1, 10, a_store());
    let written = write(&mut one, vec![sale()]).expect("sells");
    let id = written.ids[0];
    let mut liar = Liar {
        next: 1,
        prev: None,
    };
    let rival = liar.command(
        Op::Create,
        ("pos_order", id),
        ("amount_cents", Value::Int(1)),
    );
    let rival = liar.say(vec![rival], Vec::new());
    let before = one
        .store()
        .view()
        .entity(id)
        .expect("reads")
        .expect("the sale");
    hear(&mut one, &rival);
    let after = one
        .store()
        .view()
        .entity(id)
        .expect("reads")
        .expect("the sale");
    assert_eq!(
        (after.fields, after.receipt),
        (before.fields.clone(), before.receipt.clone())
    );
    let rows = one.store().view().quarantine(10).expect("lists");
    assert!(matches!(&rows[..], [row] if !row.whole && row.dot == Liar::AUTHOR.at(1)));
    // A machine that heard the rival first comes to the same.
    let mut other = a_driver(2, 30, a_store());
    hear(&mut other, &rival);
    let ranges = vec![studiovault_protocol::frontier::Range {
        author: written.bundle.expect("a bundle").0,
        after: 0,
        upto: 1,
    }];
    for bytes in one
        .store()
        .batch_for_cloud(&ranges, 100, 1 << 20)
        .expect("reads")
        .bundles
    {
        let _ = other.step(
            Moment::default(),
            vec![Event::Gossip(bytes::Bytes::copy_from_slice(&bytes))],
        );
    }
    let there = other
        .store()
        .view()
        .entity(id)
        .expect("reads")
        .expect("the sale");
    assert_eq!(
        (there.fields, there.receipt),
        (before.fields, before.receipt)
    );
    assert_eq!(one.store().state_sum(), other.store().state_sum());
    assert_eq!(other.store().view().quarantine(10).expect("lists").len(), 1);
}
