//! Targets that read snapshots: a manifest that says anything, and an unpacked chunk.

use studiovault_protocol::id::{Author, Epoch, Hash};
use studiovault_protocol::keys::VerifyKey;
use studiovault_protocol::merge::StateSum;
use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::{
    ChunkName, Expected, Manifest, ManifestBody, ManifestError, Seen, Segment, join, split,
};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::wire::Packed;

use super::Target;
use super::studio::{self, recording};

/// When the fuzzed machine looks.
const NOW: WallMs = WallMs(1_790_000_000_000);

pub(super) fn targets() -> Vec<Target> {
    let target = |name, make, seeds| Target {
        name,
        make,
        meals: usize::MAX,
        seeds,
        words: &[],
    };
    vec![
        target("manifest", || Box::new(manifest), manifests),
        target("chunk", || Box::new(chunk), chunks),
    ]
}

fn cloud() -> Author {
    Author {
        device: studio::device(9),
        epoch: Epoch(3),
    }
}

fn chunks() -> Vec<Vec<u8>> {
    let packed = |all: &[Vec<u8>]| all.iter().take(2).cloned().map(Packed).collect();
    let signed = Part::Signed {
        records: studio::records(),
        policies: Vec::new(),
    };
    let recorded = recording();
    let (bundles, pages) = (packed(&recorded.bundles), packed(&recorded.pages));
    let feed = [Part::Bundles(bundles).encode(), Part::Pages(pages).encode()];
    vec![join(&[signed.encode()]), join(&feed)]
}

/// Two manifests, one of which this machine has outgrown. They name chunks that there need not be: what was signed here once
/// and lies in the corpus stays what is signed here, however records are written later.
fn manifests() -> Vec<Vec<u8>> {
    let seal = |position: u64| {
        let names: Vec<ChunkName> = [[1; 40], [2; 40]]
            .iter()
            .map(|raw| ChunkName::of(raw, raw.len()))
            .collect();
        let segment = |upto, name: ChunkName| Segment {
            upto,
            chunks: vec![name],
        };
        let body = ManifestBody {
            studio: studio::STUDIO,
            author: cloud(),
            position,
            head: Hash([4; 32]),
            sum: StateSum::default(),
            fold: 1,
            issued: WallMs(NOW.0 - 1000),
            expires: WallMs(NOW.0 + 1000),
            segments: vec![segment(0, names[0]), segment(position, names[1])],
        };
        Manifest::seal(body, &studio::key(9)).bytes().to_vec()
    };
    vec![seal(40), seal(60)]
}

fn manifest(bytes: &[u8]) -> String {
    let read = match Manifest::decode(bytes) {
        Ok(read) => read,
        Err(ManifestError::Newer(_)) => return "newer".to_owned(),
        Err(error) => return error.to_string(),
    };
    assert_eq!(&read.bytes()[..], bytes, "another encoding was taken");
    let key = VerifyKey::new(&studio::key(9).public()).expect("a key");
    let expected = Expected {
        studio: studio::STUDIO,
        cloud: cloud().device,
        key: &key,
        seen: Some(Seen {
            author: cloud(),
            position: 50,
        }),
        now: NOW,
    };
    match read.check(&expected) {
        Ok(()) => {
            assert!(
                manifests().iter().any(|sound| sound == bytes),
                "nobody signed this"
            );
            format!("sound, {} chunks", read.chunks().count())
        }
        // How far back it would take this machine is no class of its own.
        Err(ManifestError::RolledBack { .. }) => "rolled back".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn chunk(bytes: &[u8]) -> String {
    match split(bytes) {
        Ok(parts) => {
            let encoded: Vec<Vec<u8>> = parts.iter().map(Part::encode).collect();
            assert!(
                join(&encoded).len() <= bytes.len(),
                "grew while it was read"
            );
            format!("{} parts", parts.len().min(4))
        }
        Err(error) => error.to_string(),
    }
}
