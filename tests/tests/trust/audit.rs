//! The audit log of real nodes: what people do to the studio stands in it, at every machine that it reaches, and no secret does.

use serde_json::{Value, json};
use studiovault_lab::served::{Served, answer, studio};

/// The sentences of one kind, the newest first.
async fn told(served: &Served, kind: &str) -> Vec<String> {
    let (status, page) = answer(served.get(&format!("/local/v1/audit?kind={kind}"))).await;
    assert_eq!(status.as_u16(), 200, "{page}");
    let lines = page["audit"].as_array().expect("lines").iter();
    lines
        .map(|line| line["what"].as_str().expect("a sentence").to_owned())
        .collect()
}

/// Waits until a line of one kind that holds `words` stands in the log.
async fn tells(served: &Served, kind: &str, words: &str) {
    let mut events = served.node.events();
    while !told(served, kind)
        .await
        .iter()
        .any(|what| what.contains(words))
    {
        let _ = events.recv().await;
    }
}

/// The id of a machine, once the status knows it by its name.
async fn listed(served: &Served, name: &str) -> String {
    let mut events = served.node.events();
    loop {
        let (_, page) = answer(served.get("/local/v1/devices")).await;
        let mut devices = page["devices"].as_array().expect("devices").iter();
        if let Some(device) = devices.find(|device| device["name"] == name) {
            return device["device"].as_str().expect("an id").to_owned();
        }
        let _ = events.recv().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_stands_in_the_log_of_the_machine_that_did_it_and_of_one_that_heard_of_it() {
    let mut made = studio(&["front-desk", "till", "laptop"]).into_iter();
    let mut next = || made.next().expect("three machines");
    let desk = Served::run(next(), Vec::new()).await;
    let till = Served::run(next(), vec![desk.listening().await]).await;
    let laptop = Served::run(next(), vec![desk.listening().await]).await;
    assert_eq!(
        told(&desk, "bootstrap").await,
        ["this folder became the machine front-desk"]
    );
    let admitted = "laptop was admitted as admin";
    tells(&desk, "role", admitted).await;
    tells(&till, "role", admitted).await;
    let id = listed(&desk, "laptop").await;
    let path = format!("/local/v1/devices/{id}/revoke");
    assert_eq!(answer(desk.post(&path, &json!({}))).await.0.as_u16(), 200);
    tells(&desk, "revocation", "laptop was shut out").await;
    tells(&till, "revocation", "laptop was shut out").await;
    let (_, page) = answer(till.get("/local/v1/audit?kind=revocation")).await;
    assert_eq!(page["audit"][0]["by"], "front-desk");
    for served in [desk, till, laptop] {
        served.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_invites_and_the_switch_of_the_lan_stand_in_the_log_and_the_code_does_not() {
    let served = Served::start().await;
    let (status, invite) =
        answer(served.post("/local/v1/pairing", &json!({"role": "member"}))).await;
    assert_eq!(status.as_u16(), 200, "{invite}");
    let code = invite["code"].as_str().expect("a code").to_owned();
    answer(served.post("/local/v1/pairing/withdraw", &json!({}))).await;
    answer(served.post("/local/v1/network", &json!({"network": "offline"}))).await;
    tells(&served, "pairing", "an invite was shown, as member").await;
    tells(&served, "pairing", "the invite was taken back").await;
    tells(&served, "network", "taken off the network").await;
    let (_, page) = answer(served.get("/local/v1/audit")).await;
    let text = page.to_string();
    assert!(
        !text.contains(&code) && !text.contains(&served.token),
        "{text}"
    );
    let before: &Value = &page["audit"][0]["id"];
    let (_, earlier) =
        answer(served.get(&format!("/local/v1/audit?before={before}&limit=1"))).await;
    assert_eq!(earlier["audit"].as_array().map(Vec::len), Some(1));
    let (status, problem) = answer(served.get("/local/v1/audit?kind=secrets")).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (400, &json!("MALFORMED"))
    );
    // A restart writes no second beginning.
    let made = served.stop().await;
    let again = Served::run(made, Vec::new()).await;
    assert_eq!(told(&again, "bootstrap").await.len(), 1);
    again.stop().await;
}
