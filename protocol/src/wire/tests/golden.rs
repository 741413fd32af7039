//! Golden vectors: one example of every wire type in hexadecimal. Whatever changes a byte of the wire fails here.

use std::fmt::Write as _;

use super::*;
use crate::cloud::{
    BatchAnswer, BatchRequest, CausalGap, Changes, ChangesRequest, GatewayStatus, Known, LogPart,
    Only, RefusedBundle, Rejection, Stuck,
};

const GOLDEN: &str = include_str!("golden.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text grows");
        text
    })
}

fn encoded<T: Serialize>(value: &T) -> String {
    hex(&postcard::to_stdvec(value).expect("wire types always encode"))
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

fn vectors() -> Vec<(String, String)> {
    let mut vectors: Vec<(String, String)> = frames()
        .iter()
        .map(|frame| (variant(frame), hex(&frame.encode())))
        .collect();
    let question = ChangesRequest {
        device: DeviceId([1; 16]),
        since: 300,
        have: frontier(),
        known: known(),
        wait_s: 30,
    };
    let part = LogPart {
        bundles: vec![Packed(a_bundle().bytes().to_vec())],
        more: false,
    };
    let bundle = a_bundle();
    let dot = bundle.tip();
    let command = bundle.command(dot.counter).expect("its own");
    let others = [
        ("bundle", hex(bundle.bytes())),
        ("bundle hash", hex(&bundle.hash().0)),
        ("command", encoded(command)),
        ("command hash", hex(&command.hash(dot).0)),
        ("page", hex(a_page().bytes())),
        ("page hash", hex(&a_page().hash().0)),
        ("grant", encoded(&grants()[0])),
        ("signed policy", encoded(&policies()[0])),
        ("frontier", encoded(&frontier())),
        ("vector", encoded(&command.ctx)),
        ("batch request", encoded(&batch())),
        ("batch answer", encoded(&answer())),
        ("changes request", encoded(&question)),
        ("changes", encoded(&changes())),
        ("log part", encoded(&part)),
    ];
    vectors.extend(others.map(|(name, text)| (name.to_owned(), text)));
    vectors
}

#[test]
fn every_wire_type_is_written_as_it_always_was() {
    let held: Vec<(&str, &str)> = GOLDEN
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .collect();
    let now = vectors();
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
            "batch request" => postcard::from_bytes(&bytes) == Ok(batch()),
            "batch answer" => postcard::from_bytes(&bytes) == Ok(answer()),
            "changes" => postcard::from_bytes(&bytes) == Ok(changes()),
            name if name.starts_with("frame ") => Frame::decode(&bytes).is_ok(),
            _ => true,
        };
        assert!(reads, "{name}");
    }
}
