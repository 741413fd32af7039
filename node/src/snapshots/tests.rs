//! What stands on a shelf, and what of it is given.

use studiovault_protocol::id::{Author, DeviceId, Epoch, Hash, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::limits;
use studiovault_protocol::merge::{FOLD, StateSum};
use studiovault_protocol::snapshot::{ChunkName, Manifest, ManifestBody, Segment};
use studiovault_protocol::time::WallMs;

use super::*;

fn author() -> Author {
    Author {
        device: DeviceId([9; 16]),
        epoch: Epoch(1),
    }
}

/// A manifest of these chunks, each in a segment of its own.
fn a_manifest(chunks: &[&[u8]]) -> Manifest {
    let segments = (0..).zip(chunks).map(|(upto, bytes)| Segment {
        upto,
        chunks: vec![ChunkName::of(bytes, bytes.len())],
    });
    let body = ManifestBody {
        studio: StudioId([7; 16]),
        author: author(),
        position: chunks.len() as u64 - 1,
        head: Hash([1; 32]),
        sum: StateSum::default(),
        fold: FOLD,
        issued: WallMs(1),
        expires: WallMs(2),
        segments: segments.collect(),
    };
    Manifest::seal(body, &SecretKey::from_seed([9; 32]))
}

/// A folder whose shelf holds these chunks.
fn a_shelf(chunks: &[&[u8]]) -> (tempfile::TempDir, Shelf, Manifest) {
    let folder = tempfile::tempdir().expect("a folder");
    let (shelf, manifest) = (Shelf::of(folder.path()), a_manifest(chunks));
    shelf.prepare().expect("writes");
    for (name, bytes) in manifest.chunks().zip(chunks) {
        shelf.chunks().keep(name, bytes).expect("keeps");
    }
    shelf.hold(&manifest).expect("holds");
    (folder, shelf, manifest)
}

#[test]
fn a_piece_is_of_what_stands_there_and_ends_with_it() {
    let long = vec![5; limits::PIECE_BYTES + 3];
    let (_folder, shelf, manifest) = a_shelf(&[b"signed", &long]);
    let chunk = Hash::of(&long);
    let length = long.len() as u32;
    let first = (length, vec![5; limits::PIECE_BYTES]);
    assert_eq!(shelf.piece(chunk, 0), Some(first));
    let rest = shelf.piece(chunk, limits::PIECE_BYTES as u32);
    assert_eq!(rest, Some((length, vec![5; 3])));
    for beyond in [length, length + 1, u32::MAX] {
        assert_eq!(shelf.piece(chunk, beyond), None);
    }
    assert_eq!(shelf.piece(Hash([3; 32]), 0), None);
    let bytes = manifest.bytes().to_vec();
    let whole = (bytes.len() as u32, bytes);
    assert_eq!(shelf.piece(manifest.id(), 0), Some(whole));
    assert_eq!(shelf.offer().map(|offer| offer.id), Some(manifest.id()));
}

#[test]
fn a_chunk_of_another_name_is_not_kept_and_what_no_manifest_names_goes() {
    let (_folder, shelf, manifest) = a_shelf(&[b"signed", b"first", b"last"]);
    let names: Vec<_> = manifest.chunks().copied().collect();
    let bent = shelf.chunks().keep(&names[1], b"firsT");
    assert!(matches!(bent, Err(FileError::Chunk)), "{bent:?}");
    let next = a_manifest(&[b"signed", b"first", b"other"]);
    let other = next.chunks().last().expect("a chunk");
    shelf.chunks().keep(other, b"other").expect("keeps");
    shelf.hold(&next).expect("holds");
    assert!(shelf.chunks().read(&names[1]).is_ok());
    assert!(shelf.chunks().read(&names[2]).is_err(), "nobody names it");
    assert_eq!(shelf.offer().map(|offer| offer.id), Some(next.id()));
}

#[test]
fn a_damaged_chunk_is_read_by_nobody() {
    let (_folder, shelf, manifest) = a_shelf(&[b"signed", b"first"]);
    let name = manifest.chunks().last().expect("a chunk");
    for damage in [&b"firsT"[..], b"fir", b""] {
        std::fs::write(shelf.chunks().path(name.hash), damage).expect("writes");
        assert!(shelf.chunks().read(name).is_err());
    }
    shelf.chunks().keep(name, b"first").expect("keeps");
    assert_eq!(shelf.chunks().read(name).expect("reads"), b"first");
}
