//! Chunks made of the machine's own log and feed: the same bytes as the cloud's, so that they need not be fetched.

use std::collections::BTreeMap;

use studiovault_protocol::feed::Page;
use studiovault_protocol::snapshot::{ChunkName, LEVEL, Manifest, RunParts, chunks};

use crate::store::{Reader, SliceRoom, StoreError};

/// Pages that are read at one time.
const ROOM: SliceRoom = SliceRoom {
    bytes: 1024 * 1024,
    items: 256,
};

/// Why chunks were not made here. They can be fetched.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The chunks of one segment of a manifest, as far as this machine's log and feed come to the very bytes that it names.
pub fn make_segment(
    reader: &Reader,
    manifest: &Manifest,
    segment: usize,
) -> Result<BTreeMap<usize, Vec<u8>>, MakeError> {
    let segments = &manifest.body().segments;
    let none = BTreeMap::new();
    // The first has the signed records, in the order in which the cloud heard of them.
    let (Some(before), Some(wanted)) = (segment.checked_sub(1), segments.get(segment)) else {
        return Ok(none);
    };
    let since = segments[before].upto;
    let Some(parts) = run(reader, (since, wanted.upto))? else {
        return Ok(none);
    };
    let mut made = BTreeMap::new();
    for (at, (raw, name)) in chunks(&parts).iter().zip(&wanted.chunks).enumerate() {
        let packed = zstd::bulk::compress(raw, LEVEL).expect("compression into memory succeeds");
        if ChunkName::of(&packed, raw.len()) == *name {
            made.insert(at, packed);
        }
    }
    Ok(made)
}

/// The parts of the feed after one position and up to another; `None` where not all of it is held.
fn run(reader: &Reader, (since, upto): (u64, u64)) -> Result<Option<Vec<Vec<u8>>>, MakeError> {
    let (mut run, mut at) = (RunParts::default(), since);
    while at < upto {
        let slice = reader.read(|view| view.feed_slice((at, upto), ROOM))?;
        if slice.items.is_empty() {
            return Ok(None);
        }
        for bytes in slice.items {
            let Ok(page) = Page::decode(bytes) else {
                return Ok(None);
            };
            if page.body().first != at + 1 {
                return Ok(None);
            }
            for named in page.named() {
                let held = reader.read(|view| view.bundle_bytes(named.author, named.first))?;
                let Some(bytes) = held else {
                    return Ok(None);
                };
                run.bundle(bytes);
            }
            at = page.last();
            run.page(page.bytes().to_vec());
        }
    }
    Ok(Some(run.end()))
}
