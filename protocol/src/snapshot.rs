//! A snapshot: a studio's logs and feed up to one position, in chunks that are named by their hash, under one signed manifest.
//!
//! It is cut into segments of the feed, so that a later snapshot shares all but the last of them with an earlier one, and whoever
//! holds the feed up to some position fetches only the segments beyond it. Nothing here fetches, unpacks or keeps anything: a
//! manifest is believed only after [`Manifest::check`], a chunk only if the manifest names it, and what is in it is then judged by the
//! engine like anything that peers and the cloud bring.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod chunk;
mod gather;

pub use chunk::{ChunkError, ChunkName, join, split};
pub use gather::{LEVEL, RunParts, chunks};

use crate::id::{Author, DeviceId, Hash, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;
use crate::merge::StateSum;
use crate::time::WallMs;

/// The version of the format; the first byte of every manifest.
const VERSION: u8 = 1;
/// Bytes of the signature at the end.
const SIGNATURE_BYTES: usize = 64;

/// A run of the feed: its pages, and before each page the bundles that it names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// The position of its last page's last entry. The first segment has no page but the signed records, and says 0.
    pub upto: u64,
    /// Its chunks in order.
    pub chunks: Vec<ChunkName>,
}

/// What is encoded and signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ManifestBody {
    /// Which studio.
    pub studio: StudioId,
    /// The cloud truth as an author; its epoch is the feed's.
    pub author: Author,
    /// The last position of the feed that is in it.
    pub position: u64,
    /// The hash of the page that ends there.
    pub head: Hash,
    /// The sum over all entities there.
    pub sum: StateSum,
    /// The number of the fold that made the sum.
    pub fold: u32,
    /// When it was made, by the cloud's wall clock.
    pub issued: WallMs,
    /// Who meets it later than this takes a newer one.
    pub expires: WallMs,
    /// The signed records, then the feed from its beginning.
    pub segments: Vec<Segment>,
}

/// A decoded manifest with its bytes.
#[derive(Clone, Debug)]
pub struct Manifest {
    bytes: Arc<[u8]>,
    hash: Hash,
    body: ManifestBody,
    signature: Signature,
}

/// How far a machine has ever seen a feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The feed.
    pub author: Author,
    /// Its highest position.
    pub position: u64,
}

/// What a machine knows when it is given a manifest.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Its studio.
    pub studio: StudioId,
    /// The studio's cloud truth.
    pub cloud: DeviceId,
    /// What that signs with.
    pub key: &'a VerifyKey,
    /// What it has seen before.
    pub seen: Option<Seen>,
    /// Its wall clock.
    pub now: WallMs,
}

/// Why a manifest is refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The giver's: not a manifest, or one out of bounds.
    #[error("these bytes are no manifest of a snapshot")]
    Malformed,
    /// The person's: made by a newer program.
    #[error("this manifest is of format {0}, and this program reads format {VERSION}")]
    Newer(u8),
    /// The giver's: of another studio or another cloud.
    #[error("a snapshot of another studio or another cloud")]
    OtherStudio,
    /// The giver's: not signed by the studio's cloud truth.
    #[error("a snapshot that the studio's cloud truth did not sign")]
    BadSignature,
    /// The giver's: a feed that is not the one known here.
    #[error("a snapshot of another feed than the one known here")]
    OtherFeed,
    /// The giver's: it would take this machine back.
    #[error("a snapshot at position {position}, and this machine has seen the feed up to {seen}")]
    RolledBack {
        /// The snapshot's.
        position: u64,
        /// This machine's.
        seen: u64,
    },
    /// The giver's, or this machine's clock.
    #[error("a snapshot that has expired")]
    Expired,
}

impl Manifest {
    /// Signs and encodes a manifest. Its maker keeps the bounds.
    pub fn seal(body: ManifestBody, key: &SecretKey) -> Self {
        assert!(body.is_in_range(), "a manifest is made within its bounds");
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_stdvec(&body).expect("wire types always encode"));
        let hash = Hash::of(&bytes);
        let signature = key.sign(Purpose::Snapshot, &hash);
        bytes.extend_from_slice(&signature.0);
        Self {
            bytes: bytes.into(),
            hash,
            body,
            signature,
        }
    }

    /// Decodes a manifest, checking form and bounds but nothing that it says.
    pub fn decode(bytes: impl Into<Arc<[u8]>>) -> Result<Self, ManifestError> {
        let bytes: Arc<[u8]> = bytes.into();
        let end = bytes.len().saturating_sub(SIGNATURE_BYTES);
        if end < 2 || bytes.len() > limits::MANIFEST_BYTES {
            return Err(ManifestError::Malformed);
        }
        match bytes[0] {
            VERSION => {}
            0 => return Err(ManifestError::Malformed),
            newer => return Err(ManifestError::Newer(newer)),
        }
        let (body, rest) = postcard::take_from_bytes::<ManifestBody>(&bytes[1..end])
            .map_err(|_| ManifestError::Malformed)?;
        let again = postcard::to_stdvec(&body).expect("wire types always encode");
        if !rest.is_empty() || again != bytes[1..end] || !body.is_in_range() {
            return Err(ManifestError::Malformed);
        }
        let mut signature = Signature([0; SIGNATURE_BYTES]);
        signature.0.copy_from_slice(&bytes[end..]);
        let hash = Hash::of(&bytes[..end]);
        Ok(Self {
            bytes,
            hash,
            body,
            signature,
        })
    }

    /// Whether a machine may load it.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), ManifestError> {
        let body = &self.body;
        if !self.is_signed_by(expected.key) {
            return Err(ManifestError::BadSignature);
        }
        if body.studio != expected.studio || body.author.device != expected.cloud {
            return Err(ManifestError::OtherStudio);
        }
        if let Some(seen) = expected.seen {
            if body.author != seen.author {
                return Err(ManifestError::OtherFeed);
            }
            if body.position < seen.position {
                return Err(ManifestError::RolledBack {
                    position: body.position,
                    seen: seen.position,
                });
            }
        }
        if expected.now >= body.expires {
            return Err(ManifestError::Expired);
        }
        Ok(())
    }

    /// Whether that key signed it.
    pub fn is_signed_by(&self, key: &VerifyKey) -> bool {
        key.verify(Purpose::Snapshot, &self.hash, &self.signature)
    }

    /// The bytes that are stored and relayed.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
    /// What names it.
    pub fn id(&self) -> Hash {
        self.hash
    }
    /// What it says.
    pub fn body(&self) -> &ManifestBody {
        &self.body
    }
    /// How far whoever has loaded it has seen the feed.
    pub fn seen(&self) -> Seen {
        Seen {
            author: self.body.author,
            position: self.body.position,
        }
    }
    /// All chunks in order; their places are what they are fetched by.
    pub fn chunks(&self) -> impl Iterator<Item = &ChunkName> {
        let segments = self.body.segments.iter();
        segments.flat_map(|segment| &segment.chunks)
    }
    /// Bytes of all chunks.
    pub fn packed_bytes(&self) -> u64 {
        self.chunks().map(|chunk| u64::from(chunk.packed)).sum()
    }
}

impl ManifestBody {
    fn is_in_range(&self) -> bool {
        let Some((signed, feed)) = self.segments.split_first() else {
            return false;
        };
        let mut upto = 0;
        let ascends = feed.iter().all(|segment| {
            let is_beyond = segment.upto > upto;
            upto = segment.upto;
            is_beyond
        });
        let mut chunks = self.segments.iter().flat_map(|segment| &segment.chunks);
        let count = chunks.clone().count();
        let is_full = |segment: &Segment| !segment.chunks.is_empty();
        let spans = self
            .expires
            .0
            .checked_sub(self.issued.0)
            .is_some_and(|span| (1..=limits::SNAPSHOT_MS).contains(&span));
        signed.upto == 0
            && ascends
            && upto == self.position
            && (1..=limits::COUNTER).contains(&self.position)
            && self.segments.iter().all(is_full)
            && count <= limits::SNAPSHOT_CHUNKS
            && chunks.all(ChunkName::is_in_range)
            && spans
    }
}

#[cfg(test)]
mod tests;
