//! The product as people run it: processes and commands, from the first word to what they print.
#![cfg(target_os = "linux")]

#[path = "processes/bootstrap.rs"]
mod bootstrap;
#[path = "processes/buckets.rs"]
mod buckets;
#[path = "processes/doctor.rs"]
mod doctor;
#[cfg(target_os = "linux")]
#[path = "processes/keychain.rs"]
mod keychain;
#[path = "processes/packs.rs"]
mod packs;
#[path = "processes/recovery.rs"]
mod recovery;
#[path = "processes/relay.rs"]
mod relay;
#[path = "processes/restored.rs"]
mod restored;
#[path = "processes/service.rs"]
mod service;
#[path = "processes/told.rs"]
mod told;
#[path = "processes/why.rs"]
mod why;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use serde_json::{Value, json};
use tempfile::TempDir;

use studiovault_lab::lab::till;
use studiovault_lab::processes::{Running, Said, done, give_token, json, say, until};
use studiovault_node::config::{Folder, Kit, Machine, Region};
use studiovault_node::driver::{Driver, Event, Random, Setup};
use studiovault_node::snapshots::{Shelf, make_segment};
use studiovault_node::store::{Location, Reader, Store};
use studiovault_protocol::bundle::{Bundle, Header, Seen};
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::Moment;
use studiovault_protocol::id::{Author, CommandId, EntityId, Epoch, Nonce};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value as Says;

/// A folder for a cloud truth and for machines.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The first machine of a studio, with the cloud that runs or without one.
    fn found(&self, name: &str, cloud: Option<&Running>) -> PathBuf {
        let folder = self.path(name);
        let mut words = vec!["init", "--name", name, "--studio-name", "Lisbon"];
        words.extend(["--time-zone", "Europe/Lisbon", "--currency", "EUR"]);
        let kit = folder.with_extension("kit");
        words.extend(["--kit", kit.to_str().expect("a path")]);
        let ready = cloud.map(|cloud| &cloud.ready);
        if let Some(ready) = ready {
            words.extend(["--cloud", text(&ready["url"])]);
            words.extend(["--cloud-token", text(&ready["token"])]);
        }
        done(&folder, &words);
        folder
    }

    /// One more machine of the same studio.
    fn join(&self, name: &str, first: &Path) -> PathBuf {
        let folder = self.path(name);
        studiovault_lab::processes::join(&folder, first).expect("a machine");
        folder
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn put(folder: &Path, words: &[&str]) -> String {
    let answer = json(folder, &[&["put"], words].concat());
    text(&answer["ids"][0]).to_owned()
}

/// Where a record stands, as people read it.
fn standing(folder: &Path, entity_type: &str, id: &str) -> String {
    let told = done(folder, &["get", entity_type, id]);
    let last = told.lines().last().expect("a line");
    last.to_owned()
}

fn stands(folder: &Path, (entity_type, id): (&str, &str), words: &str) {
    until(folder, words, || standing(folder, entity_type, id) == words);
}

#[test]
fn a_record_says_on_which_machines_it_is_and_what_the_cloud_said() {
    let place = Place::new();
    let first = place.found("front-desk", None);
    let second = place.join("laptop", &first);
    let node = Running::node(&first, &[]);
    let id = put(&first, &["client", "name=Silva"]);
    assert_eq!(standing(&first, "client", &id), "saved here");
    until(&first, "it listens", || {
        json(&first, &["status"])["node"]["listening"][0].is_string()
    });
    let status = json(&first, &["status"]);
    let address = text(&status["node"]["listening"][0]).to_owned();
    let other = Running::node(&second, &[&address]);
    stands(&first, ("client", &id), "on 2 of 2 machines");
    stands(&second, ("client", &id), "on 2 of 2 machines");
    other.stop();
    stands(&first, ("client", &id), "saved here");
    node.stop();
    // With a cloud truth; while it does not answer, what waits for it lies with the gateway.
    let cloud = Running::cloud(&place.path("cloud"));
    let office = place.found("office", Some(&cloud));
    let node = Running::node(&office, &[]);
    let id = put(&office, &["client", "name=Costa"]);
    stands(&office, ("client", &id), "confirmed");
    cloud.signal("STOP");
    put(&office, &["client", &id, "name=Reis"]);
    assert_eq!(standing(&office, "client", &id), "with the gateway");
    cloud.signal("CONT");
    stands(&office, ("client", &id), "confirmed");
    node.stop();
}

#[test]
fn a_wrong_token_stops_the_way_to_the_cloud_and_login_opens_it_without_a_restart() {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let office = place.found("office", Some(&cloud));
    let studio = || -> Value {
        let bytes = fs::read(office.join("studio.json")).expect("a studio file");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let token = text(&studio()["cloud"]["token"]).to_owned();
    // Before the node runs the file is changed, while it runs the node changes it.
    give_token(&office, "wrong-from-the-start");
    assert_eq!(studio()["cloud"]["token"], json!("wrong-from-the-start"));
    let node = Running::node(&office, &[]);
    let id = put(&office, &["client", "name=Silva"]);
    let refused = || json(&office, &["status"])["cloud"]["authorised"] == json!(false);
    until(&office, "the cloud refuses the token", refused);
    assert_ne!(standing(&office, "client", &id), "confirmed");
    assert!(json(&office, &["dead-letters"])["dead_letters"] == json!([]));
    let refused = |said: Said| {
        let told = said.error.contains("nothing was kept");
        assert!(said.code == 4 && told, "{said:?}");
        assert_eq!(studio()["cloud"]["token"], json!("wrong-from-the-start"));
    };
    refused(say(&office, &["login", "--token", "wrong-once-more"]));
    let said = done(&office, &["login", "--token", &token]);
    assert!(said.contains("signed in"), "{said}");
    stands(&office, ("client", &id), "confirmed");
    assert_eq!(studio()["cloud"]["token"], json!(token));
    // What the refusal was told as is over, and the cloud's clock is known.
    let status = json(&office, &["status"]);
    let mut warnings = status["warnings"].as_array().expect("a list").iter();
    assert!(warnings.all(|one| one["code"] != "FAULT"), "{status}");
    assert_eq!(status["cloud"]["problem"], Value::Null);
    let offset = status["cloud"]["clock_offset_ms"].as_i64();
    assert!(offset.is_some_and(|ms| ms.abs() < 60_000), "{status}");
    let empty = say(&office, &["login", "--token", " "]);
    assert_ne!(empty.code, 0);
    node.stop();
    cloud.stop();
    // A slip of the pen costs no sign-in while nobody can say that it is one; with none to lose it is kept.
    let untried = say(&office, &["login", "--token", "mistyped"]);
    let told = untried.error.contains("the sign-in of before stays");
    assert!(untried.code == 1 && told, "{untried:?}");
    assert_eq!(studio()["cloud"]["token"], json!(token));
    give_token(&office, "");
    let untried = done(&office, &["login", "--token", "of-later"]);
    assert!(untried.contains("was not tried"), "{untried}");
    assert_eq!(studio()["cloud"]["token"], json!("of-later"));
    let alone = place.found("alone", None);
    let nobody = say(&alone, &["login", "--token", "x"]);
    assert!(
        nobody.code == 4 && nobody.error.contains("no cloud truth"),
        "{nobody:?}"
    );
}

#[test]
fn a_studio_that_gets_its_cloud_late_has_all_that_stood_confirmed() {
    let place = Place::new();
    let office = place.found("office", None);
    let node = Running::node(&office, &[]);
    let before = put(&office, &["client", "name=Silva"]);
    let cloud = Running::cloud(&place.path("cloud"));
    let ready = &cloud.ready;
    let words = [
        "enrol",
        "--cloud",
        text(&ready["url"]),
        "--cloud-token",
        text(&ready["token"]),
    ];
    let busy = say(&office, &words);
    assert_ne!(busy.code, 0, "not while the node runs: {busy:?}");
    node.stop();
    let said = done(&office, &words);
    assert!(said.contains("Start the node again"), "{said}");
    let again = say(&office, &words);
    assert!(
        again.code == 4 && again.error.contains("already"),
        "{again:?}"
    );
    let node = Running::node(&office, &[]);
    stands(&office, ("client", &before), "confirmed");
    let history = json(&office, &["history", &before]);
    assert_eq!(history["rows"][0]["verdict"], json!("accepted"));
    let after = put(&office, &["client", "name=Costa"]);
    stands(&office, ("client", &after), "confirmed");
    node.stop();
}

#[test]
fn a_policy_is_shown_checked_and_set_from_the_command_line() {
    let place = Place::new();
    let office = place.found("office", None);
    let node = Running::node(&office, &[]);
    let shown = done(&office, &["policy", "show"]);
    assert!(shown.starts_with("# version 1, hash "), "{shown}");
    let file = place.path("policy.toml");
    let name = file.to_str().expect("a path");
    let write = |document: &str| fs::write(&file, document).expect("writes");
    let next = shown.replace("version = 1", "version = 2");
    write(&next.replace(
        "[type.invoice]",
        "[type.invoice]\nappend_only = \"perhaps\"",
    ));
    for verb in ["check", "set"] {
        let refused = say(&office, &["policy", verb, name]);
        let told = &refused.error;
        assert!(
            refused.code == 4 && told.contains("policy.toml:"),
            "{refused:?}"
        );
    }
    write(text(&json(&office, &["policy", "show"])["document"]));
    let same = done(&office, &["policy", "check", name]);
    assert!(same.contains("it is the one in force"), "{same}");
    write(&format!(
        "{next}\n[type.lens.field]\nname = {{ kind = \"text\", required = true }}\n"
    ));
    let fits = done(&office, &["policy", "check", name]);
    assert!(fits.contains("it may follow version 1"), "{fits}");
    let unknown = say(&office, &["put", "lens", "name=50mm"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    let set = done(&office, &["policy", "set", name]);
    assert!(
        set.starts_with("version 2,") && set.contains("signed on office"),
        "{set}"
    );
    put(&office, &["lens", "name=50mm"]);
    assert_eq!(json(&office, &["policy", "show"])["version"], json!(2));
    let late = say(&office, &["policy", "set", name]);
    assert!(
        late.code == 4 && late.error.contains("version = 3"),
        "{late:?}"
    );
    node.stop();
}

/// A cloud truth whose policy takes short notes only, and a machine that never heard of that policy.
fn a_machine_with_an_old_policy(place: &Place) -> (Running, PathBuf) {
    let cloud = Running::cloud(&place.path("cloud"));
    let office = place.found("office", Some(&cloud));
    let laptop = place.join("laptop", &office);
    let node = Running::node(&office, &[]);
    let file = place.path("policy.toml");
    let shown = done(&office, &["policy", "show"]);
    let next = shown.replace("version = 1", "version = 2");
    let short = next.replace("max_bytes = 16384", "max_bytes = 64");
    fs::write(&file, short).expect("writes");
    done(&office, &["policy", "set", file.to_str().expect("a path")]);
    let id = put(&office, &["client", "name=Silva"]);
    stands(&office, ("client", &id), "confirmed");
    node.stop();
    (cloud, laptop)
}

#[test]
fn what_the_cloud_refuses_is_a_letter_to_be_mended_or_given_up() {
    let place = Place::new();
    let (cloud, laptop) = a_machine_with_an_old_policy(&place);
    // The policy in force comes with the cloud's first word.
    cloud.signal("STOP");
    let node = Running::node(&laptop, &[]);
    let none = done(&laptop, &["dead-letters"]);
    assert!(none.contains("nothing needs fixing"), "{none}");
    let notes = format!("notes={}", "n".repeat(100));
    let [mended, given_up] =
        ["Costa", "Reis"].map(|name| put(&laptop, &["client", &format!("name={name}"), &notes]));
    cloud.signal("CONT");
    for id in [&mended, &given_up] {
        stands(&laptop, ("client", id), "needs fixing");
    }
    let listed = json(&laptop, &["dead-letters", "list"]);
    let letters = listed["dead_letters"].as_array().expect("letters");
    assert_eq!(letters.len(), 2);
    let dot = |id: &str| {
        let letter = letters.iter().find(|letter| letter["entity"] == json!(id));
        text(&letter.expect("a letter of it")["dot"]).to_owned()
    };
    let table = done(&laptop, &["dead-letters"]);
    assert!(
        table.contains("VALIDATION_FAILED") && table.contains("notes"),
        "{table}"
    );
    let shown = done(&laptop, &["dead-letters", "show", &dot(&mended)]);
    assert!(
        shown.contains("written on laptop") && shown.contains("Costa"),
        "{shown}"
    );
    let fixed = done(
        &laptop,
        &["dead-letters", "fix", &dot(&mended), "notes=short"],
    );
    assert!(fixed.contains("sent again in its place"), "{fixed}");
    stands(&laptop, ("client", &mended), "confirmed");
    let silent = say(
        &laptop,
        &["dead-letters", "discard", &dot(&given_up), "--reason", " "],
    );
    assert!(
        silent.code == 4 && silent.error.contains("reason"),
        "{silent:?}"
    );
    let gone = [
        "dead-letters",
        "discard",
        &dot(&given_up),
        "--reason",
        "a slip",
    ];
    done(&laptop, &gone);
    stands(&laptop, ("client", &given_up), "rejected");
    let twice = say(&laptop, &gone);
    assert!(
        twice.code != 0 && twice.error.contains("already"),
        "{twice:?}"
    );
    let left = done(&laptop, &["dead-letters"]);
    assert!(left.contains("nothing needs fixing"), "{left}");
    node.stop();
}

/// The driver of a machine that does not run, in a studio that `knows` of all its members.
fn a_driver(folder: &Path, knows: &Machine) -> Driver {
    let machine = Machine::load(Folder::at(folder)).expect("a machine");
    let device = machine.identity.device;
    let identity = Identity {
        device,
        secret: machine.key.clone(),
        run: 1,
        fresh_epoch: Epoch(1),
    };
    let setup = Setup {
        identity,
        roster: knows.studio.roster().expect("a roster"),
        policy: Policy::default(),
        region: Region::default(),
        random: Random::seeded(1),
    };
    let store = Store::open(Location::Folder(folder.to_owned()), &Policy::default());
    Driver::new(setup, store.expect("a store"), Moment::default()).expect("a driver")
}

/// A bundle of `liar` that makes a sale of its own out of one that it had seen.
fn a_lie(liar: &Machine, sale: EntityId, saw: Seen) -> Bundle {
    let author = Author {
        device: liar.identity.device,
        epoch: Epoch(66),
    };
    let header = Header {
        studio: liar.studio.studio,
        author,
        first_counter: 1,
        prev: None,
        written_at: WallMs(0),
        actor: "mallory".into(),
        saw: vec![saw],
        together: false,
    };
    let command = Command {
        id: CommandId([1; 16]),
        entity_type: "pos_order".into(),
        entity: sale,
        op: Op::Update,
        writes: vec![FieldWrite {
            field: "amount_cents".into(),
            change: Change::Write(Says::Int(1)),
        }],
        ctx: None,
        ts: WallMs(0),
        replaces: None,
        nonce: Nonce([1; 16]),
    };
    Bundle::seal(header, vec![command], &liar.key).expect("a bundle")
}

#[test]
fn what_would_rewrite_a_sale_is_told_by_quarantine_with_who_and_what() {
    let place = Place::new();
    let office = place.found("office", None);
    let liar = place.join("till-2", &office);
    let liar = Machine::load(Folder::at(liar)).expect("a machine");
    let node = Running::node(&office, &[]);
    let none = done(&office, &["quarantine"]);
    assert!(none.contains("nothing was set aside"), "{none}");
    let sale = put(&office, &["pos_order", "items=1", "amount_cents=500"]);
    node.stop();
    let mut driver = a_driver(&office, &liar);
    let tip = driver.engine().log().applied().tips()[0];
    let chain = driver.engine().log().chain(tip.author).expect("a chain");
    let hash = chain.held.1;
    let lie = a_lie(&liar, sale.parse().expect("an id"), Seen { dot: tip, hash });
    let bytes = bytes::Bytes::copy_from_slice(lie.bytes());
    let _ = driver.step(Moment::default(), vec![Event::Gossip(bytes)]);
    drop(driver);
    let node = Running::node(&office, &[]);
    let told = done(&office, &["quarantine"]);
    for part in ["mallory", "till-2", "pos_order"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let shown = json(&office, &["get", "pos_order", &sale]);
    assert_eq!(shown["fields"]["amount_cents"], json!(500));
    let status = json(&office, &["status"]);
    assert_eq!(status["counts"]["quarantined"], json!(1));
    node.stop();
}

#[test]
fn the_till_sells_as_a_process_of_its_own() {
    let place = Place::new();
    let office = place.found("office", None);
    let sell = |cents: &str| {
        let mut till = Process::new(till().expect("the example is built"));
        let output = till.arg(&office).arg(cents).output().expect("runs");
        let out = String::from_utf8(output.stdout).expect("text");
        (output.status.success(), out)
    };
    assert!(!sell("100").0, "no node runs yet");
    let node = Running::node(&office, &[]);
    for (cents, number, day) in [("1250", "-000001-", 1250), ("990", "-000002-", 2240)] {
        let (sold, out) = sell(cents);
        assert!(sold && out.contains(number), "{out}");
        assert!(out.contains(&format!("today   {day} cents")), "{out}");
    }
    let totals = done(&office, &["pos", "totals"]);
    assert!(totals.contains("22.40"), "{totals}");
    node.stop();
}

#[test]
fn what_cannot_be_written_or_found_is_said_with_the_rule_and_the_next_step() {
    let place = Place::new();
    let office = place.found("office", None);
    let node = Running::node(&office, &[]);
    let client = put(&office, &["client", "name=Silva"]);
    let nil = "00000000-0000-0000-0000-000000000000";
    let order = format!("order={client}");
    let cases: [(&[&str], i32, [&str; 2]); 5] = [
        (
            &["get", "nosuch", &client],
            5,
            ["no type `nosuch`", "client"],
        ),
        (&["list", "nosuch"], 5, ["no type `nosuch`", "client"]),
        (
            &["put", "client", nil, "--new", "name=x"],
            4,
            ["the id of all zeros", "leave `id` out"],
        ),
        (
            &["put", "pos_void", &order, "reason=x"],
            4,
            ["`order` of a pos_void names a sale", "list pos_order"],
        ),
        (
            &["put", "client", &client, "shoe=4"],
            4,
            ["no field `shoe`", "use one of"],
        ),
    ];
    for (words, code, told) in cases {
        let said = say(&office, words);
        assert_eq!(said.code, code, "{words:?}: {said:?}");
        for part in told {
            assert!(said.error.contains(part), "{words:?}: {said:?}");
        }
    }
    done(&office, &["delete", "client", &client]);
    let told = done(&office, &["get", "client", &client]);
    assert!(
        told.contains("Client was deleted on this machine"),
        "{told}"
    );
    let late = say(&office, &["put", "client", &client, "name=Costa"]);
    assert!(late.error.contains("Client was deleted"), "{late:?}");
    let history = json(&office, &["history", &client]);
    let rows = history["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "what was refused left no trace: {history}");
    let voids = json(&office, &["list", "pos_void"]);
    assert_eq!(voids["entities"], json!([]));
    node.stop();
}

#[test]
fn after_an_update_of_the_program_its_first_start_folds_the_state_anew() {
    let place = Place::new();
    let office = place.found("office", None);
    let node = Running::node(&office, &[]);
    let id = put(&office, &["client", "name=Silva"]);
    node.stop();
    // As an older program would have left it: of another number, and without what it could not read.
    let store = rusqlite::Connection::open(office.join("studio.db")).expect("opens");
    store
        .execute_batch("UPDATE meta SET value = x'00' WHERE key = 'fold'; UPDATE entity SET shown = '{}', opaque = 1")
        .expect("changes");
    drop(store);
    let node = Running::node(&office, &[]);
    let client = json(&office, &["get", "client", &id]);
    assert_eq!(client["fields"], json!({"name": "Silva"}));
    assert_eq!(client["needs_newer_version"], json!(false));
    node.stop();
    let rebuilt = say(&office, &["rebuild"]);
    assert!(
        rebuilt.out.contains("1 entities") && rebuilt.error.contains("100 %"),
        "{rebuilt:?}"
    );
}

/// One kill of 10,000 met a machine between making its socket's folder and moving the socket: it never started again.
#[test]
fn whatever_a_start_was_killed_at_the_next_one_serves() {
    let place = Place::new();
    let office = place.found("office", None);
    let node = Running::node(&office, &[]);
    let id = put(&office, &["client", "name=Silva"]);
    drop(node);
    // All that a start makes is made under a name of its own first; some of it stays behind.
    for left in ["api.sock.new", "api.new"] {
        fs::create_dir(office.join(left)).expect("makes");
        fs::write(office.join(left).join("s"), "").expect("writes");
    }
    for left in ["api.token.new", "api.json.new", "studio.json.new"] {
        fs::write(office.join(left), "half of it").expect("writes");
    }
    let node = Running::node(&office, &[]);
    let address = fs::read_to_string(office.join("api.json")).expect("an address");
    let address: Value = serde_json::from_str(&address).expect("JSON");
    assert!(address["socket"].is_string(), "{address}");
    let client = json(&office, &["get", "client", &id]);
    assert_eq!(client["fields"], json!({"name": "Silva"}));
    assert!(!office.join("api.token.new").exists() && !office.join("api.sock.new").exists());
    node.stop();
}
