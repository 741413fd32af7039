//! Manifests and chunks that were bent, cut, mixed, held back, or made by others.

use super::*;
use crate::id::Epoch;
use crate::pack::{Label, Part, Scope};
use crate::wire::Packed;

const STUDIO: StudioId = StudioId([1; 16]);
const CLOUD: DeviceId = DeviceId([2; 16]);
const NOW: WallMs = WallMs(1_790_000_000_000);
const DAY: i64 = 86_400_000;

fn key() -> SecretKey {
    SecretKey::from_seed([3; 32])
}

/// Three chunks as they are fetched; nothing is compressed here.
fn chunks() -> Vec<Vec<u8>> {
    (0..3u8)
        .map(|n| {
            let bundles = (0..=n).map(|k| Packed(vec![k; 40])).collect();
            join(&[
                Part::Bundles(bundles).encode(),
                Part::Pages(vec![Packed(vec![n; 9])]).encode(),
            ])
        })
        .collect()
}

fn body(position: u64) -> ManifestBody {
    let names: Vec<ChunkName> = chunks()
        .iter()
        .map(|raw| ChunkName::of(raw, raw.len()))
        .collect();
    let segment = |upto, name| Segment {
        upto,
        chunks: vec![name],
    };
    ManifestBody {
        studio: STUDIO,
        author: Author {
            device: CLOUD,
            epoch: Epoch(7),
        },
        position,
        head: Hash([5; 32]),
        sum: StateSum([1, 2, 3, 4]),
        fold: 1,
        issued: NOW,
        expires: WallMs(NOW.0 + 30 * DAY),
        segments: vec![
            segment(0, names[0]),
            segment(position - 1, names[1]),
            segment(position, names[2]),
        ],
    }
}

/// What a machine that has seen position 10 makes of these bytes.
fn taken(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    taken_at(bytes, NOW)
}

fn taken_at(bytes: &[u8], now: WallMs) -> Result<Manifest, ManifestError> {
    let key = VerifyKey::new(&key().public()).expect("a key");
    let manifest = Manifest::decode(bytes)?;
    let author = body(10).author;
    manifest.check(&Expected {
        studio: STUDIO,
        cloud: CLOUD,
        key: &key,
        seen: Some(Seen {
            author,
            position: 10,
        }),
        now,
    })?;
    Ok(manifest)
}

/// Numbers that are the same in every run.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a length")
    }
}

#[test]
fn a_manifest_reads_back_and_is_taken_at_the_position_that_was_seen_and_beyond() {
    for position in [10, 12] {
        let manifest = Manifest::seal(body(position), &key());
        let read = taken(manifest.bytes()).expect("it is sound");
        assert_eq!((read.body(), read.id()), (manifest.body(), manifest.id()));
        assert_eq!(read.chunks().count(), 3);
        assert_eq!(read.seen().position, position);
    }
}

#[test]
fn ten_thousand_tampered_manifests_are_all_refused() {
    let sound = Manifest::seal(body(12), &key()).bytes().to_vec();
    let other = Manifest::seal(body(14), &key()).bytes().to_vec();
    let mut drawn = Drawn(0x5eed);
    let mut refused = 0;
    for n in 0..10_000 {
        let mut bytes = sound.clone();
        match n % 5 {
            0 => {
                let at = drawn.below(bytes.len());
                bytes[at] ^= 1 << drawn.below(8);
            }
            1 => bytes.truncate(drawn.below(bytes.len())),
            2 => bytes.extend((0..=drawn.below(80)).map(|k| k as u8)),
            // A run of another one that the same cloud signed.
            3 => {
                let from = drawn.below(bytes.len() - 1);
                let to = from + 1 + drawn.below(bytes.len() - from - 1);
                bytes[from..to].copy_from_slice(&other[from..to]);
            }
            _ => {
                for _ in 0..=drawn.below(20) {
                    let at = drawn.below(bytes.len());
                    bytes[at] = drawn.below(256) as u8;
                }
            }
        }
        let is_whole = bytes == sound || bytes == other;
        assert_eq!(taken(&bytes).is_ok(), is_whole, "tampering {n}");
        refused += usize::from(!is_whole);
    }
    assert!(refused > 9_000, "most were really tampered with: {refused}");
}

#[test]
fn ten_thousand_tampered_chunks_are_all_refused() {
    let manifest = Manifest::seal(body(12), &key());
    let chunks = chunks();
    let mut drawn = Drawn(0xc0ffee);
    for n in 0..10_000 {
        let place = drawn.below(chunks.len());
        let name = manifest.chunks().nth(place).expect("it has three");
        assert!(name.names(&chunks[place]));
        let mut bytes = chunks[place].clone();
        match n % 4 {
            0 => {
                let at = drawn.below(bytes.len());
                bytes[at] ^= 1 << drawn.below(8);
            }
            1 => bytes.truncate(drawn.below(bytes.len())),
            2 => bytes.push(drawn.below(256) as u8),
            _ => bytes.clone_from(&chunks[(place + 1) % chunks.len()]),
        }
        assert!(!name.names(&bytes), "tampering {n}");
    }
}

#[test]
fn what_another_key_signed_or_this_key_signed_for_something_else_is_refused() {
    let forged = Manifest::seal(body(12), &SecretKey::from_seed([4; 32]));
    assert_eq!(
        taken(forged.bytes()).expect_err("forged"),
        ManifestError::BadSignature
    );
    let mut bytes = Manifest::seal(body(12), &key()).bytes().to_vec();
    let end = bytes.len() - SIGNATURE_BYTES;
    let hash = Hash::of(&bytes[..end]);
    let borrowed = key().sign(Purpose::FeedPage, &hash);
    bytes[end..].copy_from_slice(&borrowed.0);
    assert_eq!(
        taken(&bytes).expect_err("borrowed"),
        ManifestError::BadSignature
    );
}

#[test]
fn what_the_cloud_signed_for_others_earlier_or_long_ago_is_refused() {
    let refused = |body: ManifestBody| {
        let manifest = Manifest::seal(body, &key());
        taken(manifest.bytes()).expect_err("it is refused")
    };
    let other_studio = ManifestBody {
        studio: StudioId([9; 16]),
        ..body(12)
    };
    assert_eq!(refused(other_studio), ManifestError::OtherStudio);
    let author = |device, epoch| Author {
        device: DeviceId([device; 16]),
        epoch: Epoch(epoch),
    };
    let other_cloud = ManifestBody {
        author: author(8, 7),
        ..body(12)
    };
    assert_eq!(refused(other_cloud), ManifestError::OtherStudio);
    let other_feed = ManifestBody {
        author: author(2, 8),
        ..body(12)
    };
    assert_eq!(refused(other_feed), ManifestError::OtherFeed);
    let rolled_back = ManifestError::RolledBack {
        position: 9,
        seen: 10,
    };
    assert_eq!(refused(body(9)), rolled_back);
    let sound = Manifest::seal(body(12), &key());
    let late = WallMs(NOW.0 + 30 * DAY);
    assert_eq!(
        taken_at(sound.bytes(), late).expect_err("late"),
        ManifestError::Expired
    );
}

#[test]
fn a_manifest_out_of_bounds_is_none_whoever_signed_it() {
    let bend: [fn(&mut ManifestBody); 10] = [
        |body| body.segments.clear(),
        |body| body.segments[0].upto = 1,
        |body| body.segments[1].upto = 0,
        |body| body.segments[1].upto = body.position,
        |body| body.position += 1,
        |body| body.segments[1].chunks.clear(),
        |body| body.segments[2].chunks[0].packed = u32::MAX,
        |body| body.segments[2].chunks[0].raw = 0,
        |body| body.expires = WallMs(i64::MAX),
        |body| (body.issued, body.expires) = (WallMs(i64::MIN), WallMs(i64::MAX)),
    ];
    for (n, bend) in bend.iter().enumerate() {
        let mut body = body(12);
        bend(&mut body);
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_stdvec(&body).expect("encodes"));
        let signature = key().sign(Purpose::Snapshot, &Hash::of(&bytes));
        bytes.extend_from_slice(&signature.0);
        assert_eq!(
            taken(&bytes).expect_err("bent"),
            ManifestError::Malformed,
            "bend {n}"
        );
    }
    let mut newer = Manifest::seal(body(12), &key()).bytes().to_vec();
    newer[0] = 2;
    assert_eq!(taken(&newer).expect_err("newer"), ManifestError::Newer(2));
}

#[test]
fn a_chunk_reads_back_and_one_that_is_cut_or_holds_what_has_no_place_in_it_does_not() {
    let raw = &chunks()[2];
    let parts = split(raw).expect("a chunk");
    assert_eq!(parts.len(), 2);
    for end in 1..raw.len() {
        // Cut between two parts it is a chunk of the first; that it is not the one meant shows by its name.
        assert!(
            split(&raw[..end]).is_ok_and(|parts| parts.len() == 1) || split(&raw[..end]).is_err()
        );
    }
    let label = Part::Label(Label {
        studio: STUDIO,
        device: CLOUD,
        name: "cloud".into(),
        at: NOW,
        scope: Scope::Everything,
        bundles: 0,
        pages: 0,
    });
    assert_eq!(split(&join(&[label.encode()])), Err(ChunkError));
    assert_eq!(split(&join(&[Part::End.encode()])), Err(ChunkError));
    assert_eq!(split(&[255, 255, 255, 255, 0]), Err(ChunkError));
    assert_eq!(
        split(&vec![0; limits::SNAPSHOT_CHUNK_BYTES + 1]),
        Err(ChunkError)
    );
}
