//! Why a record is not everywhere: each machine that lacks it with the reason, and the cloud with its own.

use super::*;

/// What is said of a machine about a record.
fn of_machine(folder: &Path, id: &str, machine: &str) -> Value {
    let why = json(folder, &["why", id]);
    let machines = why["machines"].as_array().expect("machines");
    let named = machines.iter().find(|said| said["name"] == machine);
    named.cloned().unwrap_or(Value::Null)
}

fn at_the_cloud(folder: &Path, id: &str) -> Value {
    json(folder, &["why", id])["cloud"].clone()
}

#[test]
fn why_counts_as_every_list_does_and_gives_each_machine_its_reason() {
    let place = Place::new();
    let desk = place.found("front-desk", None);
    let laptop = place.join("laptop", &desk);
    let node = Running::node(&desk, &[]);
    let id = put(&desk, &["client", "name=Silva"]);
    let alone = json(&desk, &["why", &id]);
    assert_eq!(alone["sync_state"], json!({"state": "saved_here"}));
    assert_eq!((&alone["on"], &alone["of"]), (&json!(1), &json!(1)));
    assert_eq!(alone["machines"][0]["reason"], json!("here"));
    assert_eq!(alone["cloud"]["state"], json!("no_cloud"));
    until(&desk, "it listens", || {
        json(&desk, &["status"])["node"]["listening"][0].is_string()
    });
    let status = json(&desk, &["status"]);
    let address = text(&status["node"]["listening"][0]).to_owned();
    let other = Running::node(&laptop, &[&address]);
    stands(&desk, ("client", &id), "on 2 of 2 machines");
    let both = json(&desk, &["why", &id]);
    assert_eq!((&both["on"], &both["of"]), (&json!(2), &json!(2)));
    assert_eq!(of_machine(&desk, &id, "laptop")["reason"], json!("holds"));
    // A transaction is asked for by the dot of any of its changes.
    let history = json(&desk, &["history", &id]);
    let dot = text(&history["rows"][0]["dot"]).to_owned();
    // Each machine learns for itself what the other holds.
    until(&laptop, "it knows that the desk holds it", || {
        of_machine(&laptop, &dot, "front-desk")["reason"] == "holds"
    });
    let told = done(&laptop, &["why", &dot]);
    assert!(told.contains("on 2 of 2 machines"), "{told}");
    other.stop();
    until(&desk, "the laptop is gone", || {
        of_machine(&desk, &id, "laptop")["reason"] == "not_linked"
    });
    let gone = of_machine(&desk, &id, "laptop");
    assert!(gone["last_seen"].is_i64(), "{gone}");
    let told = done(&desk, &["why", &id]);
    let stands_now = standing(&desk, "client", &id);
    assert_eq!(stands_now, "saved here");
    assert!(told.contains("saved here, on 1 of 2 machines"), "{told}");
    assert!(told.contains("last seen"), "{told}");
    done(&desk, &["revoke", "laptop"]);
    until(&desk, "it shows", || {
        of_machine(&desk, &id, "laptop")["reason"] == "left"
    });
    assert_eq!(json(&desk, &["why", &id])["of"], json!(1));
    let never = dot.rsplit_once('.').expect("a counter").0.to_owned() + ".9999";
    for nothing in ["00000000-0000-4000-8000-000000000000", &never] {
        let nothing = say(&desk, &["why", nothing]);
        assert_eq!(nothing.code, 5, "{nothing:?}");
        assert!(nothing.error.contains("there is no such"), "{nothing:?}");
        assert!(
            nothing.error.contains("where it was written"),
            "{nothing:?}"
        );
    }
    let nonsense = say(&desk, &["why", "not.a.dot"]);
    assert_eq!(nonsense.code, 4, "{nonsense:?}");
    node.stop();
}

#[test]
fn why_tells_what_the_cloud_refused_with_its_code() {
    let place = Place::new();
    let (cloud, laptop) = a_machine_with_an_old_policy(&place);
    cloud.signal("STOP");
    let node = Running::node(&laptop, &[]);
    let notes = format!("notes={}", "n".repeat(100));
    let id = put(&laptop, &["client", "name=Costa", &notes]);
    cloud.signal("CONT");
    stands(&laptop, ("client", &id), "needs fixing");
    let said = at_the_cloud(&laptop, &id);
    assert_eq!(said["state"], json!("rejected"), "{said}");
    assert_eq!(said["code"], json!("VALIDATION_FAILED"), "{said}");
    // Given up it stays what it is, although the cloud took the giving up.
    until(&laptop, "the status says so", || {
        done(&laptop, &["status"]).contains("the cloud did not take 1")
    });
    let letters = json(&laptop, &["dead-letters"]);
    let letter = text(&letters["dead_letters"][0]["dot"]).to_owned();
    done(
        &laptop,
        &["dead-letters", "discard", &letter, "--reason", "a try"],
    );
    stands(&laptop, ("client", &id), "rejected");
    until(&laptop, "the cloud took that it was given up", || {
        json(&laptop, &["status"])["counts"]["pending"] == 0
    });
    assert_eq!(at_the_cloud(&laptop, &id)["state"], json!("rejected"));
    let fine = put(&laptop, &["client", "name=Reis"]);
    stands(&laptop, ("client", &fine), "confirmed");
    assert_eq!(at_the_cloud(&laptop, &fine)["state"], json!("confirmed"));
    node.stop();
}

#[test]
fn why_tells_a_cloud_out_of_reach_from_one_that_refuses_the_token() {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let office = place.found("office", Some(&cloud));
    give_token(&office, "wrong");
    let node = Running::node(&office, &[]);
    let id = put(&office, &["client", "name=Silva"]);
    until(&office, "the token is refused", || {
        at_the_cloud(&office, &id)["state"] == "paused"
    });
    let paused = at_the_cloud(&office, &id);
    assert!(text(&paused["problem"]).contains("token"), "{paused}");
    cloud.stop();
    until(&office, "nobody is there", || {
        at_the_cloud(&office, &id)["state"] == "unreachable"
    });
    let told = done(&office, &["why", &id]);
    assert!(told.contains("cannot be reached"), "{told}");
    node.stop();
}

#[test]
fn a_running_node_is_verified_and_what_makes_no_sense_is_refused_by_its_name() {
    let place = Place::new();
    let desk = place.found("front-desk", None);
    let node = Running::node(&desk, &[]);
    put(&desk, &["client", "name=Silva"]);
    let found = json(&desk, &["verify"]);
    assert_eq!(found["ok"], json!(true), "{found}");
    assert!(found["commands"].as_u64() >= Some(1), "{found}");
    let twice = say(&desk, &["put", "client", "name=Ana", "name=Eva"]);
    assert_eq!(twice.code, 2, "{twice:?}");
    assert!(twice.error.contains("`name`"), "{twice:?}");
    let none = say(&desk, &["audit", "--limit", "0"]);
    assert_eq!(none.code, 4, "{none:?}");
    let missing = say(&desk, &["resolve", "none", "--suggested"]);
    assert_eq!(missing.code, 5, "{missing:?}");
    assert!(!missing.error.contains("/local/v1"), "{missing:?}");
    node.stop();
}

#[test]
fn completions_end_quietly_when_nobody_reads_on() {
    let program = studiovault_lab::lab::studiovault().expect("a program");
    let line = format!("{} completions bash | head -c 1", program.display());
    let output = Process::new("sh").args(["-c", &line]).output();
    let output = output.expect("it runs");
    assert_eq!(output.stdout.len(), 1);
    assert!(output.stderr.is_empty(), "{output:?}");
}
