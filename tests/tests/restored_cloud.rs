//! A cloud truth whose database comes from yesterday's backup, with a real gateway: what was confirmed since is there again.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use studiovault_lab::processes::{Running, done, json, until};

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Writes a client and waits until the cloud has confirmed it.
fn confirmed(folder: &Path, name: &str) -> String {
    let answer = json(folder, &["put", "client", &format!("name={name}")]);
    let id = text(&answer["ids"][0]).to_owned();
    is_confirmed(folder, &id);
    id
}

fn is_confirmed(folder: &Path, id: &str) {
    until(folder, "the cloud confirms it", || {
        done(folder, &["get", "client", id]).contains("confirmed")
    });
}

/// A file alone may lack what lies beside it; this is what the README tells people to do.
fn back_up(database: &Path, copy: &Path) {
    let held = rusqlite::Connection::open(database).expect("opens");
    let copy = copy.to_str().expect("a path");
    held.execute("VACUUM INTO ?1", [copy]).expect("copies");
}

fn restart(folder: &Path, url: &str) -> Running {
    let listen = url.trim_start_matches("http://");
    Running::start(folder, &["cloud", "--plain", "--listen", listen])
}

#[test]
fn a_cloud_restored_from_yesterday_gets_its_feed_back_from_the_gateway_and_goes_on() {
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name);
    let cloud = Running::cloud(&path("cloud"));
    let (url, token) = (
        text(&cloud.ready["url"]).to_owned(),
        text(&cloud.ready["token"]).to_owned(),
    );
    let machine = path("front-desk");
    let kit = path("kit");
    done(
        &machine,
        &[
            "init",
            "--name",
            "front-desk",
            "--studio-name",
            "Lisbon",
            "--time-zone",
            "Europe/Lisbon",
            "--currency",
            "EUR",
            "--kit",
            kit.to_str().expect("a path"),
            "--cloud",
            &url,
            "--cloud-token",
            &token,
        ],
    );
    let node = Running::node(&machine, &[]);
    confirmed(&machine, "Silva");
    cloud.stop();
    let database = path("cloud").join("cloud.db");
    back_up(&database, &path("yesterday.db"));
    let cloud = restart(&path("cloud"), &url);
    let today = confirmed(&machine, "Sousa");
    cloud.stop();

    for name in ["cloud.db-wal", "cloud.db-shm"] {
        let _ = fs::remove_file(path("cloud").join(name));
    }
    fs::copy(path("yesterday.db"), &database).expect("copies");
    let cloud = restart(&path("cloud"), &url);
    let after = confirmed(&machine, "Lopes");
    is_confirmed(&machine, &today);
    is_confirmed(&machine, &after);
    let status = json(&machine, &["status"]);
    assert_eq!(
        status["queue"]["pending"].as_u64().unwrap_or(0),
        0,
        "{status}"
    );
    cloud.stop();
    node.stop();

    // What the cloud has in its own tables now, by its own word to a machine that knows nothing.
    let held = rusqlite::Connection::open(&database).expect("opens");
    let counts: (i64, i64) = held
        .query_row(
            "SELECT count(*), count(position) FROM command WHERE outcome IS NULL",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("a row");
    assert_eq!(counts, (3, 3));
}
