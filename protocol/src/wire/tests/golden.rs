//! Golden vectors: one example of every wire type in hexadecimal. Whatever changes a byte of the wire fails here, and so does a
//! type or a variant without an example.

mod census;
mod names;
mod samples;

use std::fmt::Write as _;

use serde::de::DeserializeOwned;

use super::*;
use crate::cloud::{
    BatchAnswer, BatchRequest, CausalGap, Changes, ChangesRequest, GatewayStatus, Known, LogPart,
    Only, RefusedBundle, Rejection, Stuck, TailAnswer, TailRequest,
};
use crate::pack::Part;
use crate::snapshot::Manifest;
use names::Names;

const GOLDEN: &str = include_str!("golden.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text grows");
        text
    })
}

/// The vectors by name, and the names of all types and variants in them.
#[derive(Default)]
struct Vectors {
    lines: Vec<(String, String)>,
    names: Names,
}

impl Vectors {
    fn put_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.lines.push((name.to_owned(), hex(bytes)));
    }

    /// Of a type in its own encoding, which reads back as the same bytes.
    fn put<T: Serialize + DeserializeOwned>(&mut self, name: &str, value: &T) {
        let encode = |value: &T| postcard::to_stdvec(value).expect("wire types always encode");
        let bytes = encode(value);
        let back = postcard::from_bytes(&bytes).unwrap_or_else(|_| panic!("{name} is read"));
        assert_eq!(encode(&back), bytes, "{name}");
        self.names.note(value);
        self.put_bytes(name, &bytes);
    }

    fn put_json<T: Serialize + DeserializeOwned + PartialEq>(&mut self, name: &str, value: &T) {
        let bytes = serde_json::to_vec(value).expect("JSON always encodes");
        let back: T = serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{name} is read"));
        assert!(back == *value, "{name}");
        self.names.note(value);
        self.put_bytes(name, &bytes);
    }
}

fn frontier() -> Frontier {
    let found = frames().into_iter().find_map(|frame| match frame {
        Frame::Frontier(frontier) => Some(frontier),
        _ => None,
    });
    found.expect("one of the frames")
}

fn grants() -> Vec<SignedRecord> {
    let found = frames().into_iter().find_map(|frame| match frame {
        Frame::Hello(hello) => Some(hello.chain),
        _ => None,
    });
    found.expect("one of the frames")
}

fn known() -> Known {
    Known {
        roster: HashPrefix([7; 8]),
        policies: HashPrefix([8; 8]),
    }
}

fn policies() -> Vec<crate::policy::SignedPolicy> {
    let found = frames().into_iter().find_map(|frame| match frame {
        Frame::Policy(policy) => Some(vec![*policy]),
        _ => None,
    });
    found.expect("one of the frames")
}

fn changes() -> Changes {
    Changes {
        roster: grants(),
        policies: policies(),
        pages: vec![Packed(a_page().bytes().to_vec())],
        bundles: vec![Packed(a_bundle().bytes().to_vec())],
        more: true,
        head: 300,
        server_time: WallMs(-1),
    }
}

fn answer() -> BatchAnswer {
    let (gap, dot) = (author(2), author(1).at(300));
    BatchAnswer {
        changes: changes(),
        gaps: vec![CausalGap {
            author: gap,
            first: 300,
            missing: vec![dot],
        }],
        refused: vec![RefusedBundle {
            index: 3,
            detail: "no member's".into(),
        }],
        rejections: vec![Rejection {
            dot,
            command: CommandId([1; 16]),
            code: Code::DuplicateKey,
            detail: "taken".into(),
            fields: vec!["title".into()],
            latest: "{}".into(),
        }],
        gateway: GatewayStatus::Shared,
    }
}

fn batch() -> BatchRequest {
    BatchRequest {
        device: DeviceId([1; 16]),
        term: Some(300),
        since: 500,
        have: frontier(),
        known: known(),
        roster: grants(),
        policies: policies(),
        bundles: vec![Packed(a_bundle().bytes().to_vec())],
        only: Some(Only {
            author: author(3),
            counters: vec![300, 301],
        }),
        stuck: vec![Stuck {
            dot: author(3).at(300),
            detail: "broken".into(),
        }],
    }
}

/// The name of a frame's variant.
fn variant(frame: &Frame) -> String {
    let text = format!("{frame:?}");
    let name: String = text
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    format!("frame {name}")
}

fn vectors() -> Vectors {
    let mut vectors = Vectors::default();
    for frame in frames() {
        vectors.put(&variant(&frame), &frame);
    }
    put_logs(&mut vectors);
    put_cloud(&mut vectors);
    for (name, record) in samples::records() {
        vectors.put(&format!("record {name}"), &record);
    }
    for (name, part) in samples::parts() {
        vectors.put(&format!("part {name}"), &part);
    }
    vectors.put_bytes("pack", &samples::pack());
    let manifest = samples::manifest();
    vectors.names.note(manifest.body());
    vectors.put_bytes("manifest", manifest.bytes());
    for (name, message) in samples::pairing() {
        vectors.put(&format!("pairing {name}"), &message);
    }
    vectors.put("pairing host", &samples::host());
    vectors.put("welcome", &samples::welcome());
    vectors.put("operations", &samples::operations());
    vectors.put("outcomes", &samples::outcomes());
    vectors.put("refusal kinds", &samples::refusals());
    vectors.put("entity state", &samples::entity());
    vectors.put("state sum", &samples::entity().state_sum());
    vectors.put("key share", &samples::key_share());
    vectors
}

/// Bundles, pages and what is in them.
fn put_logs(vectors: &mut Vectors) {
    let (bundle, page) = (a_bundle(), a_page());
    let dot = bundle.tip();
    let command = bundle.command(dot.counter).expect("its own");
    vectors.put_bytes("bundle", bundle.bytes());
    vectors.put_bytes("bundle hash", &bundle.hash().0);
    vectors.names.note(bundle.header());
    vectors.put("command", command);
    vectors.put_bytes("command hash", &command.hash(dot).0);
    vectors.put_bytes("page", page.bytes());
    vectors.put_bytes("page hash", &page.hash().0);
    vectors.names.note(page.body());
    vectors.put("grant", &grants()[0]);
    vectors.put("signed policy", &policies()[0]);
    vectors.put("frontier", &frontier());
    vectors.put("vector", &command.ctx);
}

/// What travels to the cloud and back.
fn put_cloud(vectors: &mut Vectors) {
    vectors.put("batch request", &batch());
    vectors.put("batch answer", &answer());
    let question = ChangesRequest {
        device: DeviceId([1; 16]),
        since: 300,
        have: frontier(),
        known: known(),
        wait_s: 30,
    };
    vectors.put("changes request", &question);
    vectors.put("changes", &changes());
    let bundles = vec![Packed(a_bundle().bytes().to_vec())];
    let part = LogPart {
        bundles: bundles.clone(),
        more: false,
    };
    vectors.put("log part", &part);
    let tail = TailRequest {
        device: DeviceId([1; 16]),
        roster: grants(),
        policies: policies(),
        pages: vec![Packed(a_page().bytes().to_vec())],
        bundles,
    };
    vectors.put("tail request", &tail);
    vectors.put("tail answer", &TailAnswer { head: 300 });
    let others = [
        GatewayStatus::Only,
        GatewayStatus::Shared,
        GatewayStatus::Stale,
    ];
    vectors.put("gateway statuses", &others.to_vec());
    vectors.put_bytes("proof", samples::proof().as_bytes());
    samples::json(vectors);
}

#[test]
fn every_wire_type_is_written_as_it_always_was() {
    let held: Vec<(&str, &str)> = GOLDEN
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .collect();
    let now = vectors().lines;
    let mut changed = String::new();
    for (name, text) in &now {
        if !held.contains(&(name, text)) {
            writeln!(changed, "{name} = {text}").expect("text grows");
        }
    }
    assert!(
        changed.is_empty() && held.len() == now.len(),
        "{} vectors are held, {} are written now. If the wire was meant to change, raise its version and put these lines into \
         protocol/src/wire/tests/golden.txt:\n{changed}",
        held.len(),
        now.len()
    );
}

#[test]
fn what_was_written_once_is_still_read() {
    for (name, text) in GOLDEN.lines().filter_map(|line| line.split_once(" = ")) {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        let bytes: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
        let reads = match name {
            "bundle" => Bundle::decode(bytes).is_ok(),
            "page" => Page::decode(bytes).is_ok(),
            "manifest" => Manifest::decode(bytes).is_ok(),
            "batch request" => postcard::from_bytes(&bytes) == Ok(batch()),
            "batch answer" => postcard::from_bytes(&bytes) == Ok(answer()),
            "changes" => postcard::from_bytes(&bytes) == Ok(changes()),
            name if name.starts_with("frame ") => Frame::decode(&bytes).is_ok(),
            name if name.starts_with("part ") => Part::decode(&bytes).is_ok(),
            _ => true,
        };
        assert!(reads, "{name}");
    }
}
