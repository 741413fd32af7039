//! Chunks: parts as packs have them, one behind the other, compressed by whoever keeps or fetches them.

use serde::{Deserialize, Serialize};

use crate::id::Hash;
use crate::limits;
use crate::pack::Part;

/// Names a chunk and bounds what it takes to fetch and to unpack it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChunkName {
    /// BLAKE3 of its bytes as they are kept and fetched.
    pub hash: Hash,
    /// How many these are.
    pub packed: u32,
    /// How many they unpack to.
    pub raw: u32,
}

/// Why a chunk is no chunk. Its maker's fault; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no chunk of a snapshot")]
pub struct ChunkError;

impl ChunkName {
    /// The name of a chunk that unpacks to `raw` bytes.
    pub fn of(packed: &[u8], raw: usize) -> Self {
        let bounded = |bytes: usize| u32::try_from(bytes).expect("chunks are bounded");
        Self {
            hash: Hash::of(packed),
            packed: bounded(packed.len()),
            raw: bounded(raw),
        }
    }

    /// Whether these bytes are the chunk.
    pub fn names(&self, packed: &[u8]) -> bool {
        packed.len() == self.packed as usize && Hash::of(packed) == self.hash
    }

    pub(super) fn is_in_range(&self) -> bool {
        let within = |bytes: u32, most: usize| (1..=most).contains(&(bytes as usize));
        within(self.packed, limits::SNAPSHOT_CHUNK_PACKED_BYTES)
            && within(self.raw, limits::SNAPSHOT_CHUNK_BYTES)
    }
}

/// Encoded parts, each behind its length (u32, little end first).
pub fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        let length = u32::try_from(part.len()).expect("a part is bounded");
        raw.extend_from_slice(&length.to_le_bytes());
        raw.extend_from_slice(part);
    }
    raw
}

/// Takes an unpacked chunk apart. Only what has a place in a snapshot is a part of it.
pub fn split(mut raw: &[u8]) -> Result<Vec<Part>, ChunkError> {
    if raw.len() > limits::SNAPSHOT_CHUNK_BYTES {
        return Err(ChunkError);
    }
    let mut parts = Vec::new();
    while !raw.is_empty() {
        let (length, rest) = raw.split_first_chunk::<4>().ok_or(ChunkError)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (part, rest) = rest.split_at_checked(length).ok_or(ChunkError)?;
        let part = Part::decode(part).map_err(|_| ChunkError)?;
        if matches!(part, Part::Label(_) | Part::End) {
            return Err(ChunkError);
        }
        parts.push(part);
        raw = rest;
    }
    Ok(parts)
}
