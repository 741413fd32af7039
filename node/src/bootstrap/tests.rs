//! Snapshots that were tampered with, against a store that has something to lose; and what goes over to the new one.

use studiovault_protocol::cloud::EnrolAnswer;
use studiovault_protocol::feed::{Entry, PageBody};
use studiovault_protocol::id::{DeviceId, Epoch, Hash};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::{FOLD, StateSum};
use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::{ChunkName, ManifestBody, Segment, join};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::wire::Packed;

use super::*;
use crate::config::{Admission, Folder, Founder, Kit, Region};

mod delta;

/// A machine of a studio with a cloud truth whose key the test has.
struct Scene {
    folder: tempfile::TempDir,
    machine: Machine,
    cloud: Author,
    key: SecretKey,
}

fn a_scene() -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let founder = Founder {
        name: "Lisbon".to_owned(),
        region: Region::of_system(),
        cloud: None,
    };
    let mut kit = Kit::found(founder).expect("a studio");
    let (device, key) = (DeviceId([9; 16]), SecretKey::from_seed([9; 32]));
    kit.admit_cloud(EnrolAnswer {
        device,
        key: key.public(),
    });
    let admission = Admission {
        name: "front-desk".to_owned(),
        role: Role::Member,
        priority: 0,
        gateway_preference: 0,
    };
    let made = Machine::make(Folder::at(folder.path()), &mut kit, admission);
    let epoch = Epoch(1);
    Scene {
        folder,
        machine: made.expect("a machine"),
        cloud: Author { device, epoch },
        key,
    }
}

impl Scene {
    /// A feed of nothing but its beginning, whose bytes are padded by a genesis of so many authors.
    fn page(&self, authors: u64) -> Page {
        let genesis = (1..=authors).map(|n| {
            let epoch = Epoch(n);
            Author {
                device: DeviceId([7; 16]),
                epoch,
            }
            .at(1)
        });
        let body = PageBody {
            studio: self.machine.studio.studio,
            author: self.cloud,
            first: 1,
            prev: Hash::default(),
            at: clock::wall(),
            entries: vec![Entry::Genesis(genesis.collect())],
        };
        Page::seal(body, &self.key)
    }

    /// The page after another one, of the same feed.
    fn page_after(&self, page: &Page) -> Page {
        let body = PageBody {
            first: page.last() + 1,
            prev: page.hash(),
            entries: vec![Entry::Checkpoint(StateSum::default())],
            ..page.body().clone()
        };
        Page::seal(body, &self.key)
    }

    /// A snapshot of the feed of that page: its manifest and its chunks.
    fn snapshot(
        &self,
        page: &Page,
        bend: impl FnOnce(&mut ManifestBody),
    ) -> (Manifest, Vec<Vec<u8>>) {
        self.snapshot_of(&[page], bend)
    }

    /// A snapshot of these pages, each in a segment of its own.
    fn snapshot_of(
        &self,
        pages: &[&Page],
        bend: impl FnOnce(&mut ManifestBody),
    ) -> (Manifest, Vec<Vec<u8>>) {
        let signed = Part::Signed {
            records: self.machine.studio.records.clone(),
            policies: Vec::new(),
        };
        let packed = |page: &&Page| {
            let part = Part::Pages(vec![Packed(page.bytes().to_vec())]);
            (page.last(), part)
        };
        let parts = [(0, signed)].into_iter();
        let (mut segments, mut chunks) = (Vec::new(), Vec::new());
        for (upto, part) in parts.chain(pages.iter().map(packed)) {
            let raw = join(&[part.encode()]);
            let chunk = zstd::bulk::compress(&raw, 3).expect("packs");
            segments.push(Segment {
                upto,
                chunks: vec![ChunkName::of(&chunk, raw.len())],
            });
            chunks.push(chunk);
        }
        let (last, now) = (pages.last().expect("a page"), clock::wall());
        let mut body = ManifestBody {
            studio: self.machine.studio.studio,
            author: self.cloud,
            position: last.last(),
            head: last.hash(),
            sum: StateSum::default(),
            fold: FOLD,
            issued: now,
            expires: WallMs(now.0 + 3_600_000),
            segments,
        };
        bend(&mut body);
        (Manifest::seal(body, &self.key), chunks)
    }

    fn begin(&self) -> Bootstrap {
        Bootstrap::begin(self.machine.clone()).expect("the folder is free")
    }

    /// Loads a snapshot whose manifest and chunks are sound.
    fn load(&self, (manifest, chunks): (Manifest, Vec<Vec<u8>>)) -> Result<Loaded, BootstrapError> {
        let bootstrap = self.begin();
        let manifest = bootstrap.check(manifest.bytes().to_vec())?;
        let base = bootstrap.base(&manifest)?;
        for (place, name) in bootstrap.missing(&manifest, base)? {
            bootstrap.keep(&name, &chunks[place])?;
        }
        let filled = bootstrap.fill((&manifest, base), &mut |_, _, _| {})?;
        bootstrap.finish(filled)
    }

    /// The bytes of the store, all of them in one file.
    fn bytes(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("studio.db")).expect("a store")
    }
}

/// Numbers that are the same in every run.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end as u64).expect("below a length")
    }

    /// The same bytes, bent, cut or longer.
    fn tamper(&mut self, sound: &[u8]) -> Vec<u8> {
        let mut bytes = sound.to_vec();
        match self.below(3) {
            0 => {
                let at = self.below(bytes.len());
                bytes[at] ^= 1 << self.below(8);
            }
            1 => bytes.truncate(self.below(bytes.len())),
            _ => bytes.extend((0..=self.below(40)).map(|n| n as u8)),
        }
        bytes
    }
}

#[test]
fn ten_thousand_tampered_manifests_and_chunks_leave_the_store_as_it_was() {
    let scene = a_scene();
    let (manifest, chunks) = scene.snapshot(&scene.page(5), |_| {});
    let bootstrap = scene.begin();
    let before = scene.bytes();
    let mut drawn = Drawn(7);
    for n in 0..10_000 {
        let bytes = drawn.tamper(manifest.bytes());
        assert!(bootstrap.check(bytes).is_err(), "manifest {n}");
    }
    let sound = bootstrap
        .check(manifest.bytes().to_vec())
        .expect("it is sound");
    assert_eq!(
        bootstrap
            .missing(&sound, Base::default())
            .expect("looks")
            .len(),
        2
    );
    let names: Vec<ChunkName> = sound.chunks().copied().collect();
    for n in 0..10_000 {
        let place = n % names.len();
        let kept = bootstrap.keep(&names[place], &drawn.tamper(&chunks[place]));
        assert!(matches!(kept, Err(BootstrapError::Chunk)), "chunk {n}");
    }
    assert_eq!(
        bootstrap
            .missing(&sound, Base::default())
            .expect("looks")
            .len(),
        2,
        "none of them was kept"
    );
    assert!(scene.bytes() == before, "the store was touched");
}

#[test]
fn a_chunk_that_was_bent_on_the_disk_is_fetched_again() {
    let scene = a_scene();
    let (manifest, chunks) = scene.snapshot(&scene.page(5), |_| {});
    let bootstrap = scene.begin();
    let missing = bootstrap
        .missing(&manifest, Base::default())
        .expect("looks");
    for (place, name) in missing {
        bootstrap.keep(&name, &chunks[place]).expect("is kept");
    }
    assert_eq!(
        bootstrap
            .missing(&manifest, Base::default())
            .expect("looks"),
        Vec::new()
    );
    let second = *manifest.chunks().nth(1).expect("it has two");
    let path = scene
        .folder
        .path()
        .join("bootstrap/chunks")
        .join(second.hash.to_string());
    let mut bytes = fs::read(&path).expect("is there");
    bytes[3] ^= 1;
    fs::write(&path, bytes).expect("writes");
    fs::write(path.with_extension("part"), b"half").expect("writes");
    assert_eq!(
        bootstrap
            .missing(&manifest, Base::default())
            .expect("looks"),
        vec![(1, second)]
    );
    assert!(!path.with_extension("part").exists());
    let before = scene.bytes();
    let filled = bootstrap.fill((&manifest, Base::default()), &mut |_, _, _| {});
    assert!(matches!(filled, Err(BootstrapError::Chunk)));
    assert!(scene.bytes() == before);
}

#[test]
fn what_a_sound_manifest_names_and_the_engine_refuses_is_not_loaded() {
    let scene = a_scene();
    let begun = scene.begin();
    drop(begun);
    let before = scene.bytes();
    let page = scene.page(5);
    let other_end = scene.snapshot(&page, |body| body.head = Hash([1; 32]));
    let refused = scene.load(other_end);
    assert!(
        matches!(&refused, Err(BootstrapError::Refused(why)) if why.contains("end")),
        "{refused:?}"
    );
    let other_state = scene.snapshot(&page, |body| body.sum = StateSum([1; 4]));
    let refused = scene.load(other_state);
    assert!(
        matches!(refused, Err(BootstrapError::OtherState)),
        "{refused:?}"
    );
    let left = scene.folder.path().join("bootstrap/store");
    assert!(!left.exists(), "half a store was left behind");
    let mut forged = page.body().clone();
    forged.at = WallMs(1);
    let forged = Page::seal(forged, &SecretKey::from_seed([8; 32]));
    let refused = scene.load(scene.snapshot(&forged, |_| {}));
    assert!(
        matches!(refused, Err(BootstrapError::Refused(_))),
        "{refused:?}"
    );
    assert!(scene.bytes() == before, "the store was touched");
}

#[test]
fn once_a_snapshot_was_seen_an_older_one_and_another_feed_are_refused_also_after_the_store_is_gone()
{
    let scene = a_scene();
    let (page, ahead) = (scene.page(5), scene.page(6));
    let bend = |body: &mut ManifestBody| {
        (body.position, body.segments[1].upto) = (2, 2);
    };
    let (newer, _) = scene.snapshot(&ahead, bend);
    scene
        .begin()
        .check(newer.bytes().to_vec())
        .expect("it is sound");
    fs::remove_file(scene.folder.path().join("studio.db")).expect("is there");
    let (older, _) = scene.snapshot(&page, |_| {});
    let refused = scene.begin().check(older.bytes().to_vec());
    let back = ManifestError::RolledBack {
        position: 1,
        seen: 2,
    };
    assert!(matches!(refused, Err(BootstrapError::Manifest(error)) if error == back));
    let (other, _) = scene.snapshot(&ahead, |body| {
        bend(body);
        body.author.epoch = Epoch(2);
    });
    let refused = scene.begin().check(other.bytes().to_vec());
    assert!(matches!(
        refused,
        Err(BootstrapError::Manifest(ManifestError::OtherFeed))
    ));
}

#[test]
fn the_newest_snapshot_is_taken_also_behind_the_store_and_no_other_feed_in_its_place() {
    let scene = a_scene();
    let page = scene.page(0);
    scene.load(scene.snapshot(&page, |_| {})).expect("loads");
    let ahead = || Bootstrap {
        held: Some(Seen {
            author: scene.cloud,
            position: 9,
        }),
        ..scene.begin()
    };
    let (newest, _) = scene.snapshot(&page, |_| {});
    let taken = ahead().check(newest.bytes().to_vec());
    assert!(taken.is_ok(), "{taken:?}");
    let (other, _) = scene.snapshot(&page, |body| body.head = Hash([1; 32]));
    let refused = ahead().check(other.bytes().to_vec());
    assert!(matches!(
        refused,
        Err(BootstrapError::Manifest(ManifestError::RolledBack {
            position: 1,
            seen: 9
        }))
    ));
    // A newer snapshot was seen: this one is held back by somebody.
    let mut seen = ahead();
    seen.noted = seen.held;
    let refused = seen.check(newest.bytes().to_vec());
    assert!(matches!(
        refused,
        Err(BootstrapError::Manifest(ManifestError::RolledBack { .. }))
    ));
}

#[test]
fn what_is_no_file_in_the_place_of_one_is_named_and_nothing_is_read_of_it() {
    let scene = a_scene();
    let (manifest, _) = scene.snapshot(&scene.page(0), |_| {});
    let chunks = scene.folder.path().join("bootstrap/chunks");
    let name = manifest.chunks().next().expect("it has two").hash;
    fs::create_dir_all(chunks.join(name.to_string())).expect("makes");
    let refused = scene.begin().missing(&manifest, Base::default());
    assert!(
        matches!(refused, Err(BootstrapError::NoFile(_))),
        "{refused:?}"
    );
    let noted = scene.folder.path().join("snapshot-seen.json");
    fs::create_dir(&noted).expect("makes");
    let refused = Bootstrap::begin(scene.machine.clone()).map(drop);
    let words = refused.expect_err("it is a folder").to_string();
    assert!(words.contains("snapshot-seen.json is no file"), "{words}");
}

#[test]
fn a_store_that_was_exchanged_has_the_feed_and_the_audit_log_and_is_taken_back_by_no_older_one() {
    let scene = a_scene();
    let loaded = scene
        .load(scene.snapshot(&scene.page(0), |_| {}))
        .expect("loads");
    assert_eq!((loaded.position, loaded.pages, loaded.bundles), (1, 1, 0));
    assert!(!scene.folder.path().join("bootstrap").exists());
    let again = scene.begin();
    assert_eq!(
        again.held,
        Some(Seen {
            author: scene.cloud,
            position: 1
        })
    );
    drop(again);
    let lines = Reader::open(scene.folder.path())
        .expect("opens")
        .read(|view| {
            view.audit(&crate::store::AuditQuestion {
                limit: 10,
                ..Default::default()
            })
        });
    let lines = lines.expect("reads");
    assert!(
        lines.iter().any(|line| line.what.contains("position 1")),
        "{lines:?}"
    );
    // It may be done again: the same snapshot is no older one.
    let loaded = scene.load(scene.snapshot(&scene.page(0), |_| {}));
    assert!(loaded.is_ok(), "{loaded:?}");
}

#[test]
fn what_stopped_it_is_said_with_what_a_person_does_next_and_nobody_else_tries_again() {
    let gone = UplinkError::Unreachable("connection refused".into());
    let told = BootstrapError::from(gone).to_string();
    assert_eq!(
        told,
        "the cloud cannot be reached: connection refused; nothing was changed: run this again when the cloud is in reach"
    );
    let missing = UplinkError::Missing("this chunk is gone".into());
    let told = BootstrapError::from(missing).to_string();
    assert!(told.starts_with("this chunk is gone; nothing was changed: have a new snapshot made"));
    let told = BootstrapError::from(PackRefused::NotKept).to_string();
    assert!(
        told.contains("make room on the disk") && !told.contains("snapshot"),
        "{told}"
    );
}
