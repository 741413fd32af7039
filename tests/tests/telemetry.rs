//! Telemetry with real processes: nothing leaves a machine before a person says so, then exactly what was shown, and no name in it.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use studiovault_lab::processes::{self, Running, done, until};

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A machine of a studio with a cloud truth, all on loopback.
struct Scene {
    _place: tempfile::TempDir,
    desk: PathBuf,
    truth: PathBuf,
    cloud: Running,
    made: Value,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let path = |name: &str| place.path().join(name);
        let (desk, truth, kit) = (path("desk"), path("cloud"), path("kit"));
        let cloud = Running::cloud(&truth);
        let (url, token) = (text(&cloud.ready["url"]), text(&cloud.ready["token"]));
        let who = [
            "init",
            "--name",
            "thornbury",
            "--studio-name",
            "Marlinspike",
        ];
        let region = ["--time-zone", "Europe/Lisbon", "--currency", "EUR"];
        let kit = ["--kit", kit.to_str().expect("a path")];
        let how = ["--cloud", &url, "--cloud-token", &token];
        let made = processes::json(&desk, &[&who[..], &region, &kit, &how].concat());
        Self {
            _place: place,
            desk,
            truth,
            cloud,
            made,
        }
    }

    /// Writes a client and waits for the cloud's word on it, the `all`th of the studio.
    fn confirmed(&self, name: &str, all: u64) {
        let name = format!("name={name}");
        processes::json(&self.desk, &["put", "client", &name]);
        self.settled(all);
    }

    /// Waits until the cloud has confirmed so many commands, and the machine shows it.
    fn settled(&self, all: u64) {
        until(&self.desk, "the cloud confirms all", || {
            let report: Value = serde_json::from_str(&self.shown()).expect("JSON");
            report["counts"]["confirmed"] == all && report["counts"]["pending"] == 0
        });
    }

    fn shown(&self) -> String {
        done(&self.desk, &["telemetry", "show"])
    }

    /// What the cloud has of all machines, as it came.
    fn told(&self) -> Vec<String> {
        let database = rusqlite::Connection::open(self.truth.join("cloud.db")).expect("opens");
        let rows = database.prepare("SELECT report FROM telemetry");
        let mut rows = rows.expect("a table");
        let reports = rows.query_map([], |row| row.get(0)).expect("asks");
        reports.map(|report| report.expect("a row")).collect()
    }

    /// Whether anybody ever asked the cloud to take a report.
    fn was_asked(&self) -> bool {
        let url = format!("{}/v1/metrics", text(&self.cloud.ready["url"]));
        page(&url, &text(&self.cloud.ready["token"])).contains("telemetry")
    }
}

fn page(url: &str, token: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // Another provider that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build();
        let request = client.expect("a client").get(url).bearer_auth(token);
        let answer = request.send().await.expect("answers");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.text().await.expect("text")
    })
}

/// The node's page for Prometheus.
fn metrics(desk: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(desk.join(name)).expect("reads");
    let address: Value = serde_json::from_str(&read("api.json")).expect("JSON");
    let url = format!("http://127.0.0.1:{}/metrics", address["port"]);
    page(&url, read("api.token").trim())
}

#[test]
fn nothing_is_told_before_a_person_says_so_and_then_byte_for_byte_what_was_shown() {
    let scene = Scene::new();
    let desk = &scene.desk;
    let node = Running::node(desk, &[]);
    scene.confirmed("Silva", 1);
    node.stop();
    // A start is when a machine that may tell looks whether it is time.
    let node = Running::node(desk, &[]);
    scene.confirmed("Sousa", 2);
    let shown = scene.shown();
    assert_eq!(scene.told(), Vec::<String>::new());
    assert!(!scene.was_asked(), "nobody said yes");

    done(desk, &["telemetry", "on"]);
    assert_eq!(scene.told(), [shown]);
    let view = processes::json(desk, &["telemetry", "show"]);
    assert_eq!(view["state"], "on");
    assert_eq!(view["sent"]["report"], Value::from(scene.told()[0].clone()));

    let told = scene.told();
    scene.confirmed("Lopes", 3);
    assert_ne!(scene.shown(), told[0]);
    done(desk, &["telemetry", "on"]);
    assert_eq!(scene.told(), told, "it told twice in a day");
    done(desk, &["telemetry", "off"]);
    node.stop();
    let node = Running::node(desk, &[]);
    let view = processes::json(desk, &["telemetry", "show"]);
    assert_eq!(view["state"], "off", "a no outlives a restart");
    assert_eq!(scene.told(), told);
    node.stop();
}

#[test]
fn what_a_killed_node_left_behind_keeps_no_word_from_being_kept() {
    let scene = Scene::new();
    let node = Running::node(&scene.desk, &[]);
    node.signal("KILL");
    drop(node);
    assert!(scene.desk.join("api.json").exists(), "it said no goodbye");
    done(&scene.desk, &["telemetry", "on"]);
    let kept = std::fs::read_to_string(scene.desk.join("telemetry.json")).expect("is kept");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!(kept["state"], "on");
}

#[test]
fn of_fifty_names_and_every_id_none_is_in_what_is_told_or_measured() {
    let scene = Scene::new();
    let desk = &scene.desk;
    let node = Running::node(desk, &[]);
    let mut planted = vec![
        "thornbury".to_owned(),
        "Marlinspike".into(),
        "Lisbon".into(),
    ];
    for n in 0..50 {
        let name = format!("Quixano{n:02}");
        let fields = [format!("name={name}"), format!("notes=of {name}")];
        let put = ["put", "client", &fields[0], &fields[1]];
        planted.extend([name, text(&processes::json(desk, &put)["ids"][0])]);
    }
    scene.settled(50);
    planted.extend([text(&scene.made["studio"]), text(&scene.made["device"])]);
    planted.push(text(&scene.cloud.ready["url"]));
    done(desk, &["telemetry", "on"]);
    let told = scene.told();
    assert_eq!(told.len(), 1);
    let report: Value = serde_json::from_str(&told[0]).expect("JSON");
    assert_eq!(report["counts"]["confirmed"], 50);
    let writes = report["writes"].as_array().expect("steps");
    assert_eq!(writes.iter().filter_map(Value::as_u64).sum::<u64>(), 50);
    let measured = metrics(desk);
    assert!(measured.contains("studiovault_write_seconds_count 50"));
    for name in &planted {
        let name = name.trim_start_matches("http://");
        assert!(!told[0].contains(name), "{name} in {}", told[0]);
        assert!(!measured.contains(name), "{name} in {measured}");
    }
    node.stop();
}
