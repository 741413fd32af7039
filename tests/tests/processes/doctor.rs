//! The doctor on one computer: what works is ok, and what was broken is named by its own stage.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;

use super::*;

/// What the doctor says, and how it ended.
fn examined(folder: &Path) -> (Value, i32) {
    let said = say(folder, &["--json", "doctor"]);
    let view = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    (view, said.code)
}

fn stage<'v>(view: &'v Value, name: &str) -> &'v Value {
    let stages = view["stages"].as_array().expect("stages");
    let named = stages.iter().find(|stage| stage["stage"] == name);
    named.unwrap_or_else(|| panic!("no {name}: {view}"))
}

fn outcome(view: &Value, name: &str) -> String {
    text(&stage(view, name)["outcome"]).to_owned()
}

#[test]
fn two_linked_machines_and_a_cloud_are_healthy_stage_by_stage() {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let desk = place.found("front-desk", Some(&cloud));
    let laptop = place.join("laptop", &desk);
    let node = Running::node(&desk, &[]);
    let id = put(&desk, &["client", "name=Silva"]);
    stands(&desk, ("client", &id), "confirmed");
    until(&desk, "it listens", || {
        json(&desk, &["status"])["node"]["listening"][0].is_string()
    });
    let status = json(&desk, &["status"]);
    let address = text(&status["node"]["listening"][0]).to_owned();
    let other = Running::node(&laptop, &[&address]);
    stands(&laptop, ("client", &id), "confirmed");
    until(&laptop, "its status shows it", || {
        let status = json(&laptop, &["status"]);
        status["node"]["listening"][0].is_string() && status["peers"][0].is_object()
    });
    let (view, code) = examined(&laptop);
    assert_eq!((&view["ok"], code), (&json!(true), 0), "{view}");
    for name in [
        "adapter",
        "firewall",
        "tcp",
        "encryption",
        "studio",
        "revocation",
        "version",
        "policy",
        "clock",
        "frontier",
        "disk",
        "cloud_dns",
        "cloud_tcp",
        "cloud_tls",
        "cloud_portal",
        "cloud_sign_in",
    ] {
        assert_eq!(outcome(&view, name), "ok", "{}", stage(&view, name));
    }
    let told = done(&laptop, &["doctor"]);
    assert!(told.contains("linked with 1 of 1: front-desk"), "{told}");
    other.stop();
    node.stop();
}

#[test]
fn a_cloud_that_is_gone_and_one_that_refuses_the_token_are_told_apart() {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let office = place.found("office", Some(&cloud));
    give_token(&office, "wrong");
    let node = Running::node(&office, &[]);
    let (view, code) = examined(&office);
    assert_eq!(code, 1);
    assert_eq!(outcome(&view, "cloud_portal"), "ok");
    assert_eq!(outcome(&view, "cloud_sign_in"), "failed", "{view}");
    let step = text(&stage(&view, "cloud_sign_in")["next_step"]);
    assert!(step.contains("studiovault login"), "{step}");
    cloud.stop();
    let (view, code) = examined(&office);
    assert_eq!((outcome(&view, "cloud_tcp").as_str(), code), ("failed", 1));
    assert_eq!(outcome(&view, "cloud_sign_in"), "unknown");
    let said = say(&office, &["doctor"]);
    assert!(said.error.contains("failed: cloud: TCP"), "{said:?}");
    node.stop();
    // Without a node the same way is looked at, and the stages of the LAN are not.
    let (view, code) = examined(&office);
    assert_eq!((&view["node_runs"], code), (&json!(false), 1));
    assert_eq!(outcome(&view, "cloud_tcp"), "failed");
    assert_eq!(outcome(&view, "tcp"), "unknown");
    assert_eq!(outcome(&view, "disk"), "ok");
    let nobody = say(&place.path("nowhere"), &["doctor"]);
    assert_eq!(nobody.code, 5, "{nobody:?}");
}

/// Answers every question for a ping as the cloud would, with a clock that is off.
fn a_cloud_whose_clock_is_off_by(ms: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("two ends")).lines();
            // A connection that only knocks asks nothing.
            let Some(Ok(asked)) = lines.next() else {
                continue;
            };
            let nonce = asked.split("nonce=").nth(1).unwrap_or_default();
            let nonce = nonce.split(' ').next().unwrap_or_default();
            let server_time = studiovault_node::clock::wall().0 + ms;
            let body = json!({"nonce": nonce, "server_time": server_time}).to_string();
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
            // Whoever asked may be gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_clock_ten_minutes_off_the_clouds_is_told_with_the_minutes() {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let office = place.found("office", Some(&cloud));
    cloud.stop();
    let path = office.join("studio.json");
    let told = fs::read(&path).expect("a studio file");
    let mut studio: Value = serde_json::from_slice(&told).expect("JSON");
    for (ms, expected) in [(600_000, "failed"), (1_000, "ok")] {
        studio["cloud"]["url"] = json!(a_cloud_whose_clock_is_off_by(ms));
        fs::write(&path, studio.to_string()).expect("writes");
        let (view, _) = examined(&office);
        assert_eq!(outcome(&view, "cloud_sign_in"), "ok", "{view}");
        assert_eq!(outcome(&view, "clock"), expected, "{view}");
    }
    studio["cloud"]["url"] = json!(a_cloud_whose_clock_is_off_by(-600_000));
    fs::write(&path, studio.to_string()).expect("writes");
    let (view, _) = examined(&office);
    let clock = stage(&view, "clock");
    let evidence = text(&clock["evidence"]);
    assert!(evidence.ends_with("minutes behind"), "{clock}");
}
