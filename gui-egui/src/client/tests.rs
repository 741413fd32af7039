//! The client against a small HTTP server of the test's own: what it tells, asks and does when something is wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

use serde_json::json;
use studiovault_protocol::api::{
    ADDRESS_FILE, Choice, ConflictPage, DeadLetterPage, PolicyName, PolicyView, Problem,
    TOKEN_FILE, TxAnswer,
};

use studiovault_protocol::fault::FaultKind;

use super::*;
use crate::message::{Answer, Done, Making};
use crate::model::fixture::{three_machines, two_dates};

/// Longer than anything here takes; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// What the server answers, and what it was asked.
#[derive(Default)]
struct Script {
    status: String,
    conflicts: String,
    refusal: Option<Problem>,
    asked: Vec<String>,
    streams: Vec<TcpStream>,
}

/// A node of the test's own, with its data folder.
struct StageNode {
    folder: PathBuf,
    script: Arc<Mutex<Script>>,
}

impl StageNode {
    fn start(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("studiovault-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        fs::write(
            folder.join(ADDRESS_FILE),
            json!({ "port": port, "pid": 1 }).to_string(),
        )
        .unwrap();
        fs::write(folder.join(TOKEN_FILE), "secret").unwrap();
        let script = Arc::new(Mutex::new(Script {
            status: serde_json::to_string(&three_machines()).unwrap(),
            conflicts: page(0),
            ..Script::default()
        }));
        let shared = script.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let script = shared.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &script));
            }
        });
        Self { folder, script }
    }

    fn client(&self) -> Wires {
        let _ = rustls::crypto::ring::default_provider().install_default();
        start(Place::of(self.folder.clone()), || {}).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    fn send_event(&self, event: &Event) {
        let data = serde_json::to_string(event).unwrap();
        for stream in &mut self.script.lock().unwrap().streams {
            write!(stream, "event: {}\ndata: {data}\n\n", event.name()).unwrap();
        }
    }
}

impl Drop for StageNode {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn page(conflicts: usize) -> String {
    let page = ConflictPage {
        conflicts: vec![two_dates(); conflicts],
        vv: "v1".to_owned(),
    };
    serde_json::to_string(&page).unwrap()
}

fn letters() -> String {
    let dead_letters = Vec::new();
    serde_json::to_string(&DeadLetterPage { dead_letters }).unwrap()
}

fn policy() -> String {
    let view = PolicyView {
        name: PolicyName {
            version: 1,
            hash: "ab".to_owned(),
            signed: None,
        },
        document: "version = 1".to_owned(),
        beside: Vec::new(),
    };
    serde_json::to_string(&view).unwrap()
}

fn written() -> String {
    let answer = TxAnswer {
        bundle: None,
        ids: Vec::new(),
        receipts: Vec::new(),
        skipped: 0,
        notes: Vec::new(),
        vv: "v9".to_owned(),
    };
    serde_json::to_string(&answer).unwrap()
}

/// Reads one request and answers it; a stream of events stays open.
fn answer(mut stream: TcpStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    for line in reader.by_ref().lines() {
        match line {
            Ok(line) if !line.is_empty() => head.push(line),
            _ => break,
        }
    }
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let Some(first) = head.first().cloned() else {
        return;
    };
    let mut script = script.lock().unwrap();
    script
        .asked
        .push(format!("{first} {}", String::from_utf8_lossy(&body)));
    let authorised = head.iter().any(|line| line.ends_with("Bearer secret"));
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (code, text) = match path {
        _ if !authorised => ("401 Unauthorized", String::new()),
        "/local/v1/events" => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
            )
            .unwrap();
            script.streams.push(stream);
            return;
        }
        "/local/v1/status" => ("200 OK", script.status.clone()),
        "/local/v1/conflicts" => ("200 OK", script.conflicts.clone()),
        "/local/v1/dead-letters" => ("200 OK", letters()),
        "/local/v1/policy" => ("200 OK", policy()),
        _ => match &script.refusal {
            Some(problem) => ("409 Conflict", serde_json::to_string(problem).unwrap()),
            None => ("200 OK", written()),
        },
    };
    let length = text.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {code}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
}

fn next(wires: &Wires) -> Message {
    wires
        .messages
        .recv_timeout(LIMIT)
        .expect("the client tells something")
}

fn next_failure(wires: &Wires) -> Failure {
    loop {
        match next(wires) {
            Message::Lost(failure) => return failure,
            Message::Preferences(_) => {}
            other => panic!("no failure: {other:?}"),
        }
    }
}

fn resolve_request() -> Request {
    Request::Resolve(vec![Answer {
        conflict: two_dates(),
        choice: Choice::Side("a:12".to_owned()),
        copy: None,
    }])
}

/// What the client tells before anything is asked: how the window is wanted, then all there is.
fn arrive(wires: &Wires) {
    let mut told = Vec::new();
    while !matches!(told.last(), Some(Message::Policy(_))) {
        told.push(next(wires));
    }
    assert!(matches!(
        told[..],
        [
            Message::Preferences(_),
            Message::Status(_),
            Message::Conflicts(_),
            Message::Letters(_),
            Message::Policy(_)
        ]
    ));
}

#[test]
fn it_tells_status_and_conflicts_and_what_an_event_points_at() {
    let node = StageNode::start("events");
    let wires = node.client();
    arrive(&wires);
    node.change(|script| script.conflicts = page(1));
    node.send_event(&Event::Conflicts { open: 1 });
    assert!(matches!(next(&wires), Message::Conflicts(page) if page.conflicts.len() == 1));
}

#[test]
fn an_unchanged_status_wakes_nobody() {
    let node = StageNode::start("unchanged");
    let wires = node.client();
    arrive(&wires);
    let mut later = three_machines();
    later.at = WallMs(later.at.0 + 5000);
    node.change(|script| script.status = serde_json::to_string(&later).unwrap());
    node.send_event(&Event::Status);
    node.send_event(&Event::Fault {
        sentence: "the last one".to_owned(),
        kind: FaultKind::Other,
    });
    let told = Message::Fault(FaultKind::Other, "the last one".to_owned());
    assert_eq!(next(&wires), told);
    later.counts.pending = 0;
    node.change(|script| script.status = serde_json::to_string(&later).unwrap());
    node.send_event(&Event::Status);
    assert!(matches!(next(&wires), Message::Status(status) if status.counts.pending == 0));
}

#[test]
fn an_answer_goes_out_as_the_api_takes_it_and_a_refusal_comes_back_in_sentences() {
    let node = StageNode::start("resolve");
    let wires = node.client();
    arrive(&wires);
    wires.requests.try_send(resolve_request()).unwrap();
    let done = Message::Answered {
        request: resolve_request(),
        outcome: Ok(Done {
            vv: Some("v9".to_owned()),
            ..Done::default()
        }),
    };
    assert_eq!(next(&wires), done);
    let sent = node.script.lock().unwrap().asked.iter().any(|asked| {
        asked.starts_with("POST /local/v1/conflicts/c-dates/resolve")
            && asked.ends_with(r#"{"choice":{"side":"a:12"},"actor":null,"read":"v1"}"#)
    });
    assert!(sent, "{:?}", node.script.lock().unwrap().asked);
    let problem = Problem::new(
        409,
        "SIDES_CHANGED",
        "another side came".to_owned(),
        "look again",
    );
    node.change(|script| script.refusal = Some(problem));
    wires.requests.try_send(resolve_request()).unwrap();
    let outcome = loop {
        if let Message::Answered { outcome, .. } = next(&wires) {
            break outcome;
        }
    };
    let refused = outcome.unwrap().refusals;
    assert_eq!(refused, [(0, "Another side came. Look again.".to_owned())]);
}

#[test]
fn a_refused_token_is_called_that() {
    let node = StageNode::start("token");
    fs::write(node.folder.join(TOKEN_FILE), "stale").unwrap();
    let failure = next_failure(&node.client());
    assert!(
        matches!(failure, Failure::TokenRefused { file } if Path::new(&file).ends_with(TOKEN_FILE))
    );
}

#[test]
fn a_status_of_another_version_names_both_versions() {
    let node = StageNode::start("version");
    node.change(|script| script.status = json!({ "node": { "version": "9.4.1" } }).to_string());
    let expected = Failure::WrongVersion {
        node: "9.4.1".to_owned(),
        window: env!("CARGO_PKG_VERSION").to_owned(),
    };
    assert_eq!(next_failure(&node.client()), expected);
}

#[test]
fn a_node_that_comes_later_is_found() {
    let node = StageNode::start("later");
    let address = node.folder.join(ADDRESS_FILE);
    let aside = node.folder.join("aside");
    fs::rename(&address, &aside).unwrap();
    let wires = node.client();
    assert!(matches!(next_failure(&wires), Failure::NotRunning { .. }));
    fs::rename(&aside, &address).unwrap();
    let found = loop {
        match next(&wires) {
            Message::Lost(_) => {}
            found => break found,
        }
    };
    assert!(matches!(found, Message::Status(_)));
}

#[test]
fn a_port_where_nobody_listens_is_a_node_that_does_not_run() {
    let node = StageNode::start("stale");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    fs::write(
        node.folder.join(ADDRESS_FILE),
        json!({ "port": port }).to_string(),
    )
    .unwrap();
    assert!(matches!(
        next_failure(&node.client()),
        Failure::NotRunning { .. }
    ));
}

#[test]
fn a_connection_that_breaks_is_told_and_made_again() {
    let node = StageNode::start("breaks");
    let wires = node.client();
    arrive(&wires);
    node.change(|script| {
        for stream in script.streams.drain(..) {
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        }
    });
    assert!(matches!(next_failure(&wires), Failure::NotRunning { .. }));
    assert!(matches!(next(&wires), Message::Status(_)));
}

#[test]
fn the_kit_of_a_studio_that_was_founded_is_shown_at_every_start_until_it_is_kept() {
    let folder = env::temp_dir().join(format!("studiovault-kit-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let kit = folder.join("recovery-kit");
    fs::write(&kit, "words of the root key").unwrap();
    let begin = || {
        let place = Place {
            folder: folder.clone(),
            command: Err("There is none.".to_owned()),
        };
        start(place, || {}).unwrap()
    };
    let shown = |wires: &Wires| {
        let mut told = (0..3).map(|_| next(wires));
        told.any(|told| told == Message::Making(Making::Kit("words of the root key".to_owned())))
    };
    assert!(!shown(&begin()), "of a studio that was not made");
    fs::write(folder.join("node.json"), "{}").unwrap();
    assert!(shown(&begin()), "the window that founded it was killed");
    let wires = begin();
    assert!(shown(&wires));
    wires.requests.try_send(Request::KitKept).unwrap();
    let answered = std::iter::repeat_with(|| next(&wires));
    let mut answered = answered.map(|told| {
        matches!(
            told,
            Message::Answered {
                request: Request::KitKept,
                ..
            }
        )
    });
    assert!(answered.any(|is_meant| is_meant));
    assert!(!kit.exists());
    fs::remove_dir_all(folder).unwrap();
}
