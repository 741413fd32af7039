//! Targets that read bytes: frames, bundles, feed pages, records, policies, and both sides of the cloud's signed form.

use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::{BatchAnswer, BatchRequest, Changes, ChangesRequest};
use studiovault_protocol::feed::Page;
use studiovault_protocol::membership::{MeshKey, SignedRecord};
use studiovault_protocol::pack::{
    CHUNK_HEAD_BYTES, HEAD_BYTES, Label, Opener, PackError, Part, Place, Scope, Sealer,
};
use studiovault_protocol::pairing::{Code, Message};
use studiovault_protocol::policy::{Policy, PolicyShelf, SignedPolicy};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::wire::{Frame, Packed};

use super::studio::{self, recording};
use super::{Eater, Target};

/// Never made anew: they keep nothing.
const FOR_EVER: usize = usize::MAX;

pub(super) fn targets() -> Vec<Target> {
    let target = |name, make, seeds| Target {
        name,
        make,
        meals: FOR_EVER,
        seeds,
        words: &[],
    };
    vec![
        target("frame", || stateless(frame), || recording().frames.clone()),
        target(
            "bundle",
            || stateless(bundle),
            || recording().bundles.clone(),
        ),
        target("page", || stateless(page), || recording().pages.clone()),
        Target {
            meals: 400,
            ..target("record", a_roster, || encoded(&studio::records()))
        },
        Target {
            meals: 400,
            ..target("policy", a_shelf, || encoded(&[studio::policy()]))
        },
        target(
            "batch",
            || stateless(whole::<BatchRequest>),
            || recording().batches.clone(),
        ),
        target(
            "answer",
            || stateless(whole::<BatchAnswer>),
            || recording().answers.clone(),
        ),
        target(
            "question",
            || stateless(whole::<ChangesRequest>),
            || recording().questions.clone(),
        ),
        target(
            "changes",
            || stateless(whole::<Changes>),
            || recording().changes.clone(),
        ),
        target("pairing", || stateless(whole::<Message>), messages),
        target("pack", || stateless(a_pack), || vec![sealed_pack()]),
        target("pack-part", || stateless(a_part), parts),
    ]
}

fn stateless(eat: fn(&[u8]) -> String) -> Eater {
    Box::new(eat)
}

fn encoded<T: Serialize>(all: &[T]) -> Vec<Vec<u8>> {
    let encode = |one| postcard::to_stdvec(one).expect("encodes");
    all.iter().map(encode).collect()
}

/// The name of an enum's variant, or of a struct.
fn variant(what: &impl std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

fn frame(bytes: &[u8]) -> String {
    let (weight, brings) = (Frame::weight(bytes), Frame::brings(bytes));
    match Frame::decode(bytes) {
        Ok(frame) => {
            assert_eq!(
                frame.encode(),
                bytes,
                "another encoding of the same frame was taken"
            );
            assert!(weight >= bytes.len());
            format!("{} {brings}", variant(&frame))
        }
        Err(error) => error.to_string(),
    }
}

fn bundle(bytes: &[u8]) -> String {
    match Bundle::decode(bytes) {
        Ok(bundle) => {
            assert_eq!(&bundle.bytes()[..], bytes);
            let verified = studiovault_protocol::keys::VerifyKey::new(&studio::key(2).public())
                .is_some_and(|key| bundle.verify(&key).is_ok());
            let ops = bundle.commands().map(|(_, command)| variant(&command.op));
            format!(
                "bundle {verified} {:?}",
                ops.collect::<std::collections::BTreeSet<_>>()
            )
        }
        Err(error) => error.to_string(),
    }
}

fn page(bytes: &[u8]) -> String {
    match Page::decode(bytes) {
        Ok(page) => {
            assert_eq!(&page.bytes()[..], bytes);
            "page".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// Bodies of the cloud's interface and messages of a pairing are read as postcard with nothing left over.
fn whole<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> String {
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, [])) => {
            let again = postcard::to_stdvec(&value).expect("what was read is written");
            assert!(again.len() <= bytes.len(), "grew while it was read");
            format!("read {}", again == bytes)
        }
        Ok(_) => "left over".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn a_roster() -> Eater {
    let mut roster = studio::roster();
    Box::new(
        move |bytes| match postcard::take_from_bytes::<SignedRecord>(bytes) {
            Ok((record, [])) => match roster.insert(record) {
                Ok(new) => format!("taken {new}"),
                Err(error) => error.to_string(),
            },
            _ => "no record".to_owned(),
        },
    )
}

fn a_shelf() -> Eater {
    let roster = studio::roster();
    let mut shelf = PolicyShelf::new(studio::STUDIO, Policy::default());
    Box::new(
        move |bytes| match postcard::take_from_bytes::<SignedPolicy>(bytes) {
            Ok((policy, [])) => match shelf.insert(policy, &roster) {
                Ok(shelved) => format!("{shelved:?}"),
                Err(error) => error.to_string(),
            },
            _ => "no policy".to_owned(),
        },
    )
}

/// The key of the fuzzed studio's packs.
const PACK_KEY: MeshKey = MeshKey([5; 32]);

/// Some parts of a pack.
fn parts() -> Vec<Vec<u8>> {
    let packed = |all: &[Vec<u8>]| all.iter().take(3).cloned().map(Packed).collect();
    let label = Label {
        studio: studio::STUDIO,
        device: studio::device(2),
        name: "front-desk".into(),
        at: WallMs(7),
        scope: Scope::For("editor".into()),
        bundles: 3,
        pages: 3,
    };
    let signed = Part::Signed {
        records: studio::records(),
        policies: Vec::new(),
    };
    let recorded = recording();
    let parts = [
        Part::Label(label),
        signed,
        Part::Bundles(packed(&recorded.bundles)),
        Part::Pages(packed(&recorded.pages)),
        Part::End,
    ];
    parts.iter().map(Part::encode).collect()
}

/// A pack of short chunks.
fn sealed_pack() -> Vec<u8> {
    let (mut sealer, head) = Sealer::new(&PACK_KEY, [6; 32]);
    let mut pack = head.to_vec();
    for content in [&b"label"[..], b"bundles", b"pages"] {
        pack.extend(sealer.chunk(content, Place::Middle));
    }
    pack.extend(sealer.chunk(b"", Place::Last));
    pack
}

/// Reads a pack as a file is read: how many chunks opened, how many did not, and how it ended.
fn a_pack(mut bytes: &[u8]) -> String {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return "short".to_owned();
    };
    let mut opener = match Opener::new(head, &[PACK_KEY]) {
        Ok(opener) => opener,
        Err(PackError::Newer(_)) => return "newer".to_owned(),
        Err(error) => return error.to_string(),
    };
    bytes = rest;
    let (mut opened, mut damaged) = (0u32, 0u32);
    while let Some((head, rest)) = bytes.split_first_chunk::<CHUNK_HEAD_BYTES>() {
        let Ok(head) = opener.chunk_head(*head) else {
            return format!("{opened} {damaged} nonsense");
        };
        if head.length > rest.len() {
            break;
        }
        let (sealed, rest) = rest.split_at(head.length);
        match opener.chunk(head, sealed) {
            Ok(_) if head.place == Place::Last => return format!("{opened} {damaged} whole"),
            Ok(_) => opened += 1,
            Err(_) => damaged = (damaged + 1).min(3),
        }
        bytes = rest;
    }
    format!("{opened} {damaged} cut off")
}

fn a_part(bytes: &[u8]) -> String {
    Part::decode(bytes).map_or_else(|error| error.to_string(), |part| variant(&part))
}

fn messages() -> Vec<Vec<u8>> {
    let code = Code::from_random([1, 2, 3, 4]);
    let offer = Message::Offer {
        version: 1,
        plate: 1,
        half: vec![0x4a; 33],
    };
    encoded(&[
        offer,
        Message::Answer {
            half: vec![0x42; 33],
            commitment: studiovault_protocol::id::Hash([5; 32]),
        },
        Message::Proof {
            confirm: [3; 32],
            sealed: vec![7; 180],
        },
        Message::Reply {
            confirm: [4; 32],
            sealed: vec![8; 180],
        },
        Message::Welcome(vec![9; 600]),
        Message::Kept,
        Message::Refuse(format!("the code {code} is over")),
    ])
}
