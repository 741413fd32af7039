//! Machines that begin, or begin anew, from a snapshot of the cloud truth.

use super::*;
use studiovault_lab::lab::studiovault;

/// A cloud truth and a machine whose clients are all confirmed.
pub(crate) struct Studio {
    pub place: Place,
    pub cloud: Running,
    pub desk: PathBuf,
}

/// Clients with notes that do not compress, so that a snapshot of them has a few chunks.
fn clients(from: u64, count: u64) -> String {
    let mut text = "name,notes\n".to_owned();
    for n in from..from + count {
        let mut note = String::new();
        for at in 0..40 {
            note.push_str(&blake3::hash(&[n, at].map(u64::to_le_bytes).concat()).to_hex());
        }
        text.push_str(&format!("Client {n},{note}\n"));
    }
    text
}

impl Studio {
    pub fn new() -> Self {
        let place = Place::new();
        let cloud = Running::cloud(&place.path("cloud"));
        let desk = place.found("front-desk", Some(&cloud));
        Self { place, cloud, desk }
    }

    /// Takes clients up at the desk and waits until the cloud has decided on all of them.
    pub fn import(&self, (from, count): (u64, u64)) {
        let file = self.place.path("clients.csv");
        fs::write(&file, clients(from, count)).expect("writes");
        let node = Running::node(&self.desk, &[]);
        done(
            &self.desk,
            &["import", text(&json!(file)), "--type", "client"],
        );
        confirmed(&self.desk, from + count);
        node.stop();
    }

    pub fn snapshot(&self) -> Value {
        let made = json(&self.place.path("cloud"), &["cloud", "snapshot"]);
        made[0].clone()
    }
}

/// Waits until the cloud has accepted so many commands of the studio.
fn confirmed(folder: &Path, commands: u64) {
    until(folder, "all is confirmed", || {
        json(folder, &["status"])["counts"]["confirmed"] == json!(commands)
    });
}

pub(crate) fn verified(folder: &Path) -> Value {
    let found = json(folder, &["verify"]);
    assert_eq!(found["ok"], json!(true), "{found}");
    found
}

pub(crate) fn state(folder: &Path) -> Value {
    json(folder, &["status"])["state_hash"].clone()
}

#[test]
fn a_new_machine_begins_from_a_snapshot_and_catches_up_by_the_feed() {
    let studio = Studio::new();
    let none = say(&studio.desk, &["bootstrap"]);
    assert!(
        none.code == 5 && none.error.contains("cloud snapshot"),
        "{none:?}"
    );
    studio.import((0, 600));
    let made = studio.snapshot();
    assert!(made["chunks"].as_u64() > Some(2), "{made}");
    studio.import((600, 10));
    let laptop = studio.place.join("laptop", &studio.desk);
    let begun = json(&laptop, &["bootstrap"]);
    assert_eq!(begun["position"], made["position"]);
    assert_eq!(begun["carried_over"], json!(0));
    let found = verified(&laptop);
    assert_eq!(found["entities"], json!(600));
    let (desk, node) = (
        Running::node(&studio.desk, &[]),
        Running::node(&laptop, &[]),
    );
    until(&laptop, "it has caught up", || {
        state(&laptop) == state(&studio.desk)
    });
    let told = done(&laptop, &["audit", "--kind", "bootstrap"]);
    assert!(told.contains("begun anew from the snapshot"), "{told}");
    // The whole road works from there: its own writes are taken.
    let id = put(&laptop, &["client", "name=Reis"]);
    stands(&laptop, ("client", &id), "confirmed");
    let busy = say(&laptop, &["bootstrap"]);
    assert!(
        busy.code != 0 && busy.error.contains("stop it first"),
        "{busy:?}"
    );
    node.stop();
    desk.stop();
}

#[test]
fn what_a_machine_wrote_and_nobody_else_has_goes_over_and_arrives_once() {
    let studio = Studio::new();
    studio.import((0, 30));
    let laptop = studio.place.join("laptop", &studio.desk);
    let node = Running::node(&laptop, &[]);
    let known = put(&laptop, &["client", "name=Known"]);
    stands(&laptop, ("client", &known), "confirmed");
    studio.snapshot();
    studio.cloud.signal("STOP");
    let unsent = put(&laptop, &["client", "name=Unsent"]);
    put(&laptop, &["client", &known, "name=Renamed"]);
    node.stop();
    studio.cloud.signal("CONT");
    let begun = json(&laptop, &["bootstrap"]);
    assert_eq!(begun["carried_over"], json!(2), "{begun}");
    verified(&laptop);
    let node = Running::node(&laptop, &[]);
    assert_eq!(
        json(&laptop, &["get", "client", &unsent])["fields"]["name"],
        json!("Unsent")
    );
    stands(&laptop, ("client", &unsent), "confirmed");
    let desk = Running::node(&studio.desk, &[]);
    until(&studio.desk, "the desk shows it", || {
        say(&studio.desk, &["get", "client", &unsent]).code == 0
    });
    let shown = json(&studio.desk, &["get", "client", &known]);
    assert_eq!(shown["fields"]["name"], json!("Renamed"));
    until(&studio.desk, "both show the same", || {
        state(&studio.desk) == state(&laptop)
    });
    // It goes on as the one machine it is: the fourth command after its own third.
    put(&laptop, &["client", "name=After"]);
    let held = json(&laptop, &["frontier"])["held"].clone();
    let mut tips = held.as_array().expect("a list").iter().map(text);
    assert!(tips.any(|dot| dot.ends_with(".4")), "{held}");
    desk.stop();
    node.stop();
}

#[test]
fn a_snapshot_that_was_held_back_is_refused_and_the_store_is_as_it_was() {
    let studio = Studio::new();
    studio.import((0, 20));
    studio.snapshot();
    let (objects, kept) = (
        studio.place.path("cloud/objects"),
        studio.place.path("kept"),
    );
    let copied = Process::new("cp")
        .arg("-a")
        .args([&objects, &kept])
        .status();
    assert!(copied.expect("cp is there").success());
    studio.import((20, 20));
    let newer = studio.snapshot();
    let laptop = studio.place.join("laptop", &studio.desk);
    assert_eq!(json(&laptop, &["bootstrap"])["position"], newer["position"]);
    // It is opened once more, as it is by whoever begins.
    verified(&laptop);
    let before = fs::read(laptop.join("studio.db")).expect("a store");
    fs::remove_dir_all(&objects).expect("is there");
    fs::rename(&kept, &objects).expect("moves");
    let refused = say(&laptop, &["bootstrap"]);
    assert!(
        refused.code == 4 && refused.error.contains("has seen the feed up to"),
        "{refused:?}"
    );
    assert!(fs::read(laptop.join("studio.db")).expect("a store") == before);
    verified(&laptop);
}

#[test]
fn a_machine_that_was_away_fetches_what_is_new_alone_and_all_of_it_if_its_log_is_damaged() {
    let studio = Studio::new();
    studio.import((0, 900));
    studio.snapshot();
    let laptop = studio.place.join("laptop", &studio.desk);
    let begun = json(&laptop, &["bootstrap"]);
    assert_eq!(begun["own_position"], json!(0));
    studio.import((900, 10));
    let made = studio.snapshot();
    let whole = made["bytes"].as_u64().expect("a number");
    let begun = json(&laptop, &["bootstrap"]);
    assert_eq!(begun["position"], made["position"]);
    assert!(begun["own_position"].as_u64() > Some(0), "{begun}");
    let fetched = begun["fetched_bytes"].as_u64().expect("a number");
    assert!(fetched < whole / 2, "{fetched} of {whole}");
    assert_eq!(verified(&laptop)["entities"], json!(910));
    let file = rusqlite::Connection::open(laptop.join("studio.db")).expect("opens");
    let bent = "UPDATE log_bundle SET bytes = zeroblob(length(bytes)) WHERE position = 3";
    assert_eq!(file.execute(bent, []).expect("writes"), 1);
    drop(file);
    assert_ne!(say(&laptop, &["verify"]).code, 0);
    let begun = json(&laptop, &["bootstrap"]);
    assert_eq!(
        (&begun["own_position"], &begun["fetched_bytes"]),
        (&json!(0), &json!(whole))
    );
    assert_eq!(verified(&laptop)["entities"], json!(910));
}

/// Moments of a bootstrap as the folder shows them.
fn moments(laptop: &Path) -> Vec<Box<dyn Fn() -> bool + '_>> {
    let files = |folder: PathBuf| fs::read_dir(folder).map_or(0, Iterator::count);
    let fetched = move |least: usize| -> Box<dyn Fn() -> bool + '_> {
        Box::new(move || files(laptop.join("bootstrap/chunks")) >= least)
    };
    let fresh = |least: u64| -> Box<dyn Fn() -> bool + '_> {
        let length = |name: &str| {
            let path = laptop.join("bootstrap/store").join(name);
            fs::metadata(path).map_or(0, |file| file.len())
        };
        Box::new(move || length("studio.db") + length("studio.db-wal") >= least)
    };
    let chunks = [1, 2, 3].map(fetched);
    let grown = [1, 200_000, 1_000_000, 2_000_000, 3_000_000].map(fresh);
    chunks.into_iter().chain(grown).collect()
}

#[test]
fn whenever_a_bootstrap_is_killed_the_machine_is_whole_and_the_next_one_ends_it() {
    let studio = Studio::new();
    studio.import((0, 600));
    let made = studio.snapshot();
    let laptop = studio.place.join("laptop", &studio.desk);
    // Something of its own that no snapshot has.
    studio.cloud.signal("STOP");
    let node = Running::node(&laptop, &[]);
    let unsent = put(&laptop, &["client", "name=Unsent"]);
    node.stop();
    studio.cloud.signal("CONT");
    let mut killed = 0;
    for moment in moments(&laptop) {
        let mut child = Process::new(studiovault().expect("the product is built"))
            .args(["--json", "--data"])
            .args([&laptop])
            .arg("bootstrap")
            .env("STUDIOVAULT_KEYS", "file")
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        let running = loop {
            if moment() {
                break true;
            }
            if child.try_wait().expect("is a child").is_some() {
                break false;
            }
            std::thread::yield_now();
        };
        child.kill().expect("is a child");
        child.wait().expect("ends");
        killed += usize::from(running);
        let found = verified(&laptop);
        let whole = [json!(1), json!(601)];
        assert!(whole.contains(&found["entities"]), "{found}");
    }
    assert!(killed >= 5, "only {killed} moments were met");
    let begun = json(&laptop, &["bootstrap"]);
    assert_eq!(begun["position"], made["position"]);
    assert_eq!(verified(&laptop)["entities"], json!(601));
    let node = Running::node(&laptop, &[]);
    stands(&laptop, ("client", &unsent), "confirmed");
    node.stop();
}

#[test]
fn a_machine_begins_anew_from_the_lan_alone_and_keeps_what_only_it_has() {
    let place = Place::new();
    let desk = place.found("front-desk", None);
    let laptop = place.join("laptop", &desk);
    let own = Running::node(&laptop, &[]);
    let unsent = put(&laptop, &["client", "name=Unsent"]);
    own.stop();
    let none = say(&laptop, &["bootstrap"]);
    assert!(
        none.code == 4 && none.error.contains("bootstrap --lan"),
        "{none:?}"
    );
    let node = Running::node(&desk, &[]);
    let file = place.path("clients.csv");
    fs::write(&file, clients(0, 300)).expect("writes");
    done(&desk, &["import", text(&json!(file)), "--type", "client"]);
    until(&desk, "it listens", || {
        json(&desk, &["status"])["node"]["listening"][0].is_string()
    });
    let status = json(&desk, &["status"]);
    let address = text(&status["node"]["listening"][0]);
    let lan = [
        "bootstrap",
        "--lan",
        "--silent",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        address,
    ];
    let begun = json(&laptop, &lan);
    assert_eq!(begun["commands"], json!(300), "{begun}");
    assert_eq!(begun["carried_over"], json!(1), "{begun}");
    assert_eq!(verified(&laptop)["entities"], json!(301));
    let again = Running::node(&laptop, &[address]);
    until(&desk, "the desk has it too", || {
        say(&desk, &["get", "client", &unsent]).code == 0
    });
    until(&desk, "both show the same", || {
        state(&desk) == state(&laptop)
    });
    again.stop();
    node.stop();
}
