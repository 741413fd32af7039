//! Pairing and membership between real nodes on loopback: invite and join end to end, misses, a guesser, a flood, and what a
//! revocation does to a machine that is linked.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use studiovault_lab::served::{Made, Served, answer, studio};
use studiovault_node::config::{Folder, Machine};
use studiovault_node::pairing::{Greeting, JoinError, Wish, join};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const PAIRING: &str = "/local/v1/pairing";

/// Shows an invite; its code and the address of its listener.
async fn invite(host: &Served, request: Value) -> (String, SocketAddr) {
    let (status, view) = answer(host.post(PAIRING, &request)).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    let port = view["port"].as_u64().expect("a port");
    let code = view["code"].as_str().expect("a code").to_owned();
    let port = u16::try_from(port).expect("a port");
    (code, SocketAddr::from(([127, 0, 0, 1], port)))
}

async fn view(host: &Served) -> Value {
    answer(host.get(PAIRING)).await.1
}

/// Begins to join; the words as soon as they are shown, and how it ends.
fn joining(
    folder: &tempfile::TempDir,
    (code, at): (&str, SocketAddr),
    name: &str,
) -> (
    oneshot::Receiver<Greeting>,
    tokio::task::JoinHandle<Result<Machine, JoinError>>,
) {
    let (sender, greeting) = oneshot::channel();
    let wish = Wish {
        code: code.parse().expect("a code"),
        name: name.into(),
        at: vec![at],
    };
    let folder = Folder::at(folder.path());
    let task =
        tokio::spawn(
            async move { join(folder, wish, |greeting| drop(sender.send(greeting))).await },
        );
    (greeting, task)
}

/// Another code than that one.
fn wrong(code: &str) -> String {
    let (head, last) = code.rsplit_once('-').expect("words");
    format!("{head}-{}", if last == "acorn" { "tiger" } else { "acorn" })
}

/// Waits until nobody listens there.
async fn closed(at: SocketAddr) {
    for _ in 0..1000 {
        if TcpStream::connect(at).await.is_err() {
            return;
        }
        // The listener looks every 100 ms whether its invite still stands.
        let pause = std::future::pending::<()>();
        let _ = tokio::time::timeout(Duration::from_millis(20), pause).await;
    }
    panic!("{at} still listens");
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_joins_by_a_code_and_two_words_and_gets_what_the_studio_holds() {
    let host = Served::start().await;
    let create =
        json!({"mutations": [{"type": "client", "op": "create", "fields": {"name": "Silva"}}]});
    let (_, written) = answer(host.post("/local/v1/tx", &create)).await;
    let vv = written["vv"].as_str().expect("a token").to_owned();
    let (code, at) = invite(&host, json!({"role": "guest", "gateway_preference": 3})).await;
    let home = folder();
    let (greeting, task) = joining(&home, (&code, at), "laptop");
    let greeting = greeting.await.expect("words");
    assert_eq!(
        (greeting.studio.as_str(), greeting.host.as_str()),
        ("Lisbon", "front-desk")
    );
    assert_eq!(view(&host).await["state"], "checking");
    assert_eq!(view(&host).await["applicant"], "laptop");
    let words = json!({"words": greeting.words.to_uppercase()});
    let (status, admitted) = answer(host.post("/local/v1/pairing/words", &words)).await;
    assert_eq!(
        (status, &admitted["state"]),
        (StatusCode::OK, &json!("admitted"))
    );
    let machine = task.await.expect("runs").expect("joins");
    closed(at).await;
    // Whoever has the newcomer's folder has no key that could admit others.
    let studio_file = std::fs::read_to_string(machine.folder.studio_path()).expect("reads");
    assert!(!studio_file.contains("seed"), "no root key");
    let peer = host.listening().await;
    let laptop = Served::run(Made::of(machine, home), vec![peer]).await;
    laptop.applied(&vv).await;
    let devices = laptop.node.status().members.clone();
    let own = devices.iter().find(|device| device.name == "laptop");
    assert_eq!(own.expect("a member").role.word(), "guest");
    // Its role was chosen by the admitting side, and is kept to at its own API.
    let (status, refused) = answer(laptop.post("/local/v1/tx", &create)).await;
    assert_eq!(
        (status.as_u16(), &refused["code"]),
        (422, &json!("FORBIDDEN"))
    );
    let (status, refused) = answer(laptop.post(PAIRING, &json!({}))).await;
    assert_eq!(
        (status.as_u16(), &refused["code"]),
        (403, &json!("NOT_ADMIN"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_wrong_codes_close_the_invite_and_each_mints_a_new_one() {
    let host = Served::start().await;
    let (mut code, at) = invite(&host, json!({})).await;
    for left in [2, 1, 0] {
        let home = folder();
        let (_, task) = joining(&home, (&wrong(&code), at), "thief");
        let refused = task.await.expect("runs").expect_err("a wrong code");
        assert!(matches!(refused, JoinError::Refused(_)), "{refused}");
        assert!(!Folder::at(home.path()).is_made());
        let shown = view(&host).await;
        assert_eq!(shown["misses_left"], left);
        if left > 0 {
            let next = shown["code"].as_str().expect("a new code").to_owned();
            assert_ne!(next, code);
            code = next;
        }
    }
    assert_eq!(view(&host).await["state"], "missed");
    closed(at).await;
    let home = folder();
    let (_, task) = joining(&home, (&code, at), "late");
    assert!(matches!(
        task.await.expect("runs"),
        Err(JoinError::Unreachable)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_admit_nobody_and_cost_a_miss() {
    let host = Served::start().await;
    let (code, at) = invite(&host, json!({})).await;
    let home = folder();
    let (greeting, task) = joining(&home, (&code, at), "laptop");
    greeting.await.expect("words");
    let words = json!({"words": "acorn acorn acorn"});
    let (status, refused) = answer(host.post("/local/v1/pairing/words", &words)).await;
    assert_eq!(
        (status.as_u16(), &refused["code"]),
        (403, &json!("WRONG_WORDS"))
    );
    assert!(matches!(
        task.await.expect("runs"),
        Err(JoinError::Refused(_))
    ));
    let shown = view(&host).await;
    assert_eq!(
        (&shown["state"], &shown["misses_left"]),
        (&json!("open"), &json!(2))
    );
    assert_ne!(shown["code"], json!(code));
    let (status, _) = answer(host.post("/local/v1/pairing/words", &words)).await;
    assert_eq!(status, StatusCode::CONFLICT, "nobody waits");
    assert_eq!(host.node.status().members.len(), 1);
    let (_, taken_back) = answer(host.post("/local/v1/pairing/withdraw", &json!({}))).await;
    assert_eq!(taken_back["state"], "withdrawn");
    closed(at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_nonsense_costs_no_miss_and_an_honest_machine_still_gets_in() {
    let host = Served::start().await;
    let (code, at) = invite(&host, json!({})).await;
    for round in 0u32..200 {
        let mut stranger = TcpStream::connect(at).await.expect("connects");
        let bytes = [&(round * 77).to_le_bytes()[..], &[round as u8; 64]].concat();
        // It may be cut off in the middle.
        let _ = stranger.write_all(&bytes).await;
    }
    let mut joined = None;
    for _ in 0..50 {
        let home = folder();
        let (greeting, task) = joining(&home, (&code, at), "laptop");
        if let Ok(greeting) = greeting.await {
            let words = json!({"words": greeting.words});
            answer(host.post("/local/v1/pairing/words", &words)).await;
            joined = Some(task.await.expect("runs").expect("joins"));
            break;
        }
        // The places were taken; those who say nothing lose theirs.
        let _ = task.await;
    }
    assert!(joined.is_some());
    assert_eq!(view(&host).await["misses_left"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_machine_loses_its_link_and_writes_nothing_more_here() {
    let mut made = studio(&["front-desk", "laptop"]);
    let laptop = made.pop().expect("two");
    let desk = Served::run(made.pop().expect("one"), Vec::new()).await;
    let laptop = Served::run(laptop, vec![desk.listening().await]).await;
    let linked = |served: &Served| served.node.status().peers.len();
    until(&desk, || linked(&desk) == 1 && linked(&laptop) == 1).await;
    let id = laptop.node.status().node.device;
    let revoke = format!("/local/v1/devices/{id}/revoke");
    let (status, body) = answer(desk.post(&revoke, &json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    until(&desk, || linked(&desk) == 0).await;
    let shut = |served: &Served| {
        let members = served.node.status().members.clone();
        let device = members.into_iter().find(|member| member.device == id);
        device.is_some_and(|member| member.standing.word() == "shut out")
    };
    until(&desk, || shut(&desk)).await;
    let (status, again) = answer(desk.post(&revoke, &json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{again}");
    // It hears of it, says so, and takes no write that everybody would set aside.
    until(&laptop, || shut(&laptop)).await;
    let create =
        json!({"mutations": [{"type": "client", "op": "create", "fields": {"name": "x"}}]});
    let (status, refused) = answer(laptop.post("/local/v1/tx", &create)).await;
    assert_eq!(
        (status.as_u16(), &refused["code"]),
        (422, &json!("NOT_A_MEMBER"))
    );
}

/// Waits until something is so; the status events of the machine tell when to look.
async fn until(served: &Served, is_so: impl Fn() -> bool) {
    let mut events = served.node.events();
    let wait = async {
        while !is_so() {
            let _ = tokio::time::timeout(Duration::from_millis(50), events.recv()).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.expect("it comes about");
}
