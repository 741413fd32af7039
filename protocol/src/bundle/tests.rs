//! Bundles read back as written, and nothing else is taken for one.

use super::*;
use crate::command::{Change, FieldWrite, Op};
use crate::id::{CommandId, DeviceId, EntityId, Epoch, Nonce};
use crate::value::Value;

fn a_bundle() -> (Bundle, SecretKey) {
    let key = SecretKey::from_seed([3; 32]);
    let author = Author {
        device: DeviceId([1; 16]),
        epoch: Epoch(300),
    };
    let command = |n: u8| Command {
        id: CommandId([n; 16]),
        entity_type: "client".into(),
        entity: EntityId([n; 16]),
        op: Op::Create,
        writes: vec![FieldWrite {
            field: "name".into(),
            change: Change::Write(Value::Text("Silva".into())),
        }],
        ctx: None,
        ts: WallMs(1_700_000_000_000),
        replaces: None,
        nonce: Nonce([n; 16]),
    };
    let header = Header {
        studio: StudioId([9; 16]),
        author,
        first_counter: 5,
        prev: Some(Hash([4; 32])),
        written_at: WallMs(1_700_000_000_000),
        actor: "ines".into(),
        saw: vec![],
        together: false,
    };
    (
        Bundle::seal(header, vec![command(1), command(2)], &key).expect("seals"),
        key,
    )
}

#[test]
fn a_bundle_reads_back_as_written() {
    let (bundle, key) = a_bundle();
    let again = Bundle::decode(bundle.bytes().clone()).expect("decodes");
    assert_eq!(again.hash(), bundle.hash());
    assert_eq!((again.first(), again.last()), (5, 6));
    again
        .verify(&VerifyKey::new(&key.public()).expect("a key"))
        .expect("verifies");
}

#[test]
fn any_changed_byte_is_refused() {
    let (bundle, key) = a_bundle();
    let key = VerifyKey::new(&key.public()).expect("a key");
    for at in 0..bundle.bytes().len() {
        let mut bytes = bundle.bytes().to_vec();
        bytes[at] ^= 0x01;
        let taken = Bundle::decode(bytes).and_then(|bundle| bundle.verify(&key));
        assert!(taken.is_err(), "byte {at} changed and nobody noticed");
    }
}

#[test]
fn a_second_encoding_is_refused() {
    let (bundle, _) = a_bundle();
    // `first_counter` 5 follows version, studio, device and a two-byte epoch; 0x85 0x00 decodes to 5 as well.
    let at = 1 + 16 + 16 + 2;
    let mut bytes = bundle.bytes().to_vec();
    assert_eq!(bytes[at], 5);
    bytes.splice(at..=at, [0x85, 0x00]);
    let refused = Bundle::decode(bytes).expect_err("refused");
    assert!(matches!(
        refused,
        BundleError::NotCanonical | BundleError::Malformed(_)
    ));
    let mut longer = bundle.bytes().to_vec();
    longer.push(0);
    assert!(Bundle::decode(longer).is_err());
}

#[test]
fn a_newer_envelope_is_held_in_its_place_and_only_as_its_author_signed_it() {
    let (bundle, key) = a_bundle();
    let header = bundle.header().clone();
    let bytes = Bundle::seal_newer((2, header), (3, b"what only version 2 reads"), &key);
    let newer = Bundle::decode(bytes.clone()).expect("its place can be read");
    assert_eq!((newer.newer(), newer.commands().len()), (Some(2), 0));
    assert_eq!(newer.first(), bundle.first());
    assert_eq!(newer.last(), bundle.first() + 2);
    assert_eq!(newer.bytes()[..], bytes[..]);
    let good = VerifyKey::new(&key.public()).expect("a key");
    assert_eq!(newer.verify(&good), Ok(()));
    for at in [bytes.len() - 70, bytes.len() - 1] {
        let mut bent = bytes.clone();
        bent[at] ^= 1;
        let bent = Bundle::decode(bent).expect("its place can be read");
        assert_eq!(bent.verify(&good), Err(BundleError::BadSignature));
    }
    for count in [0, 1_001] {
        let header = bundle.header().clone();
        let bytes = Bundle::seal_newer((2, header), (count, b""), &key);
        assert!(Bundle::decode(bytes).is_err(), "{count} commands");
    }
}
