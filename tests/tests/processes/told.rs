//! What a person is told where only a person can help: a key or a store that is gone.

use super::*;

/// A machine with a client, stopped.
fn a_desk_that_ran(place: &Place) -> PathBuf {
    let desk = place.found("front-desk", None);
    let node = Running::node(&desk, &[]);
    put(&desk, &["client", "name=Silva"]);
    node.stop();
    desk
}

/// Takes the store away.
fn lose_store(desk: &Path) {
    for file in ["studio.db", "studio.db-wal", "studio.db-shm"] {
        // The last two are there only after a crash.
        let _ = fs::remove_file(desk.join(file));
    }
}

#[test]
fn a_folder_without_its_key_is_named_and_nothing_is_made_anew() {
    let place = Place::new();
    let desk = a_desk_that_ran(&place);
    fs::remove_file(desk.join("device.key")).expect("is there");
    let store = fs::read(desk.join("studio.db")).expect("a store");
    let again = ["init", "--name", "x", "--studio-name", "y"];
    for arguments in [
        &["run", "--silent"][..],
        &["verify"],
        &["bootstrap", "--lan"],
        &again,
    ] {
        let said = say(&desk, arguments);
        assert_ne!(said.code, 0, "{arguments:?}: {said:?}");
        let is_named =
            said.error.contains("device.key is missing") && said.error.contains("backup");
        assert!(is_named || arguments == again, "{arguments:?}: {said:?}");
    }
    assert!(!desk.join("device.key").exists());
    assert!(fs::read(desk.join("studio.db")).expect("a store") == store);
}

#[test]
fn a_store_that_is_gone_is_not_found_sound() {
    let place = Place::new();
    let desk = a_desk_that_ran(&place);
    lose_store(&desk);
    for command in ["verify", "rebuild"] {
        let said = say(&desk, &[command]);
        let is_told = said.error.contains("studio.db is not there or empty")
            && said.error.contains("bootstrap");
        assert!(said.code == 1 && is_told, "{command}: {said:?}");
    }
    assert!(!desk.join("studio.db").exists(), "one was made");
}

#[test]
fn a_machine_whose_store_is_gone_gives_no_receipt_number_a_second_time() {
    let place = Place::new();
    let desk = a_desk_that_ran(&place);
    for empty in [false, true] {
        lose_store(&desk);
        if empty {
            fs::write(desk.join("studio.db"), b"").expect("writes");
        }
        let said = say(&desk, &["run", "--silent"]);
        let is_told =
            said.error.contains("is gone or empty") && said.error.contains("studiovault bootstrap");
        assert!(said.code != 0 && is_told, "{said:?}");
    }
    // Whoever wants to begin with nothing says so.
    fs::remove_file(desk.join("ran")).expect("is there");
    Running::node(&desk, &[]).stop();
}

/// A token of that scope for the machine's studio, of a cloud that runs.
fn minted(cloud: &Running, desk: &Path, scope: &str) -> String {
    let studio = fs::read_to_string(desk.join("studio.json")).expect("a studio file");
    let studio: Value = serde_json::from_str(&studio).expect("JSON");
    let url = format!("{}/v1/tokens", text(&cloud.ready["url"]));
    let wish = json!({"studio": studio["studio"], "scopes": [scope]});
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build();
        let asked = client.expect("a client").post(url);
        let asked = asked.bearer_auth(text(&cloud.ready["token"])).json(&wish);
        let answer = asked.send().await.expect("answers");
        assert!(answer.status().is_success(), "{}", answer.status());
        let minted: Value = answer.json().await.expect("JSON");
        text(&minted["token"]).to_owned()
    })
}

#[test]
fn a_token_for_programs_is_none_for_a_machine_and_replaces_none() {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let desk = place.found("front-desk", Some(&cloud));
    let kept = || fs::read_to_string(desk.join("studio.json")).expect("a studio file");
    let before = kept();
    let of_program = minted(&cloud, &desk, "sync");
    let refused = say(&desk, &["login", "--token", &of_program]);
    let told = refused
        .error
        .contains("it is for programs (it allows sync)");
    assert!(refused.code == 4 && told, "{refused:?}");
    assert_eq!(kept(), before, "what was signed in stays");
    // One that came into the file another way is called by its name, once.
    give_token(&desk, &of_program);
    let node = Running::node(&desk, &[]);
    let told = || {
        let status = json(&desk, &["status"]);
        status["cloud"]["problem"]
            .as_str()
            .is_some_and(|words| words.contains("for programs"))
    };
    until(&desk, "the token's kind is told", told);
    assert_eq!(
        json(&desk, &["status"])["cloud"]["authorised"],
        json!(false)
    );
    let of_machine = minted(&cloud, &desk, "carry");
    let signed_in = done(&desk, &["login", "--token", &of_machine]);
    assert!(signed_in.contains("signed in"), "{signed_in}");
    node.stop();
}

#[test]
fn a_second_void_and_a_correction_of_a_voided_sale_stand_and_are_told() {
    let place = Place::new();
    let desk = place.found("front-desk", None);
    let node = Running::node(&desk, &[]);
    let sale = put(&desk, &["pos_order", "items=1", "amount_cents=500"]);
    let order = format!("order={sale}");
    let voids = ["put", "pos_void", &order, "reason=a slip"];
    let told = |words: &[&str]| {
        let said = say(&desk, words);
        assert_eq!(said.code, 0, "{said:?}");
        said.error
    };
    assert_eq!(told(&voids), "", "the first is nothing to talk about");
    assert!(told(&voids).contains("was void already"));
    let corrects = [
        "put",
        "pos_correction",
        &order,
        "amount_cents=-100",
        "reason=a slip",
    ];
    assert!(told(&corrects).contains("counts nothing"));
    node.stop();
}

#[test]
fn a_status_tells_of_every_write_that_was_answered_before() {
    let place = Place::new();
    let desk = place.found("front-desk", None);
    let node = Running::node(&desk, &[]);
    for written in 1..=20 {
        put(&desk, &["client", "name=Silva"]);
        let counts = &json(&desk, &["status"])["counts"];
        assert_eq!(counts["entities"], json!(written), "{counts}");
    }
    node.stop();
}
