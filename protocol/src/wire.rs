//! Every message between two machines of a studio, and nothing else.
//!
//! A frame is a postcard-encoded [`Frame`]; the mesh adds a length. Bundles and pages travel as their stored bytes.

use serde::{Deserialize, Serialize};

use crate::feed::FeedHead;
use crate::frontier::Frontier;
use crate::id::{DeviceId, Dot, Hash, HashPrefix, StudioId};
use crate::limits;
use crate::membership::{Grant, Moved, Rekey, SignedRecord};
use crate::policy::SignedPolicy;
use crate::refusal::Refusal;
use crate::time::WallMs;

/// The numbers under which [`Frame::Block`], [`Frame::Push`] and [`Frame::Pages`] are encoded.
const BLOCK: u32 = 8;
const PUSH: u32 = 10;
const PAGES: u32 = 13;

/// The newest protocol version spoken; both sides must share one. With 2 came the snapshots that machines hand on.
pub const PROTOCOL: u16 = 2;
/// The oldest one spoken.
pub const OLDEST_PROTOCOL: u16 = 1;
/// Who speaks less is sent nothing of snapshots.
pub const SNAPSHOTS: u16 = 2;

/// The first frame on every link, in both directions. Nothing else is served until it checks out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The lowest and highest protocol version spoken.
    pub protocol: (u16, u16),
    /// Which studio.
    pub studio: StudioId,
    /// The sender's certificate: its grant and those that it rests on, the one that the root key signed first.
    pub chain: Vec<SignedRecord>,
    /// Random per run of a process, so that a restart is told from a second link.
    pub run: u64,
    /// The digest of the roster held.
    pub roster: Hash,
    /// The hash of the policy in force.
    pub policy: Hash,
    /// The digest of the signed policies held.
    pub policies: Hash,
    /// What is held.
    pub frontier: Frontier,
    /// The sender's wall clock.
    pub wall: WallMs,
    /// The TCP port on which the sender listens, so that who was dialled can dial back; 0 if unknown.
    pub port: u16,
}

/// How a machine reaches the cloud.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Uplink {
    /// A probe came back.
    pub reachable: bool,
    /// The cloud takes its token.
    pub authorised: bool,
    /// Bytes cost money here.
    pub metered: bool,
    /// On battery.
    pub battery: bool,
    /// It broke lately, and lets others go first.
    pub shaky: bool,
}

/// One machine's uplink and claim, relayed through the whole mesh.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Whose.
    pub device: DeviceId,
    /// When its process started and a random tie-breaker: a later run replaces an earlier one.
    pub run: (WallMs, u64),
    /// Grows with every change and repeat within a run.
    pub sequence: u64,
    /// Its uplink.
    pub uplink: Uplink,
    /// The term in which it claims to be the gateway.
    pub claim: Option<u64>,
}

/// Up to where a device's status is void.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gone {
    /// Whose.
    pub device: DeviceId,
    /// The run of its newest status known.
    pub run: (WallMs, u64),
    /// The sequence of that status.
    pub sequence: u64,
}

/// The heartbeat of a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Beat {
    /// Of all held logs.
    pub frontier: HashPrefix,
    /// The end of the held feed.
    pub feed: FeedHead,
    /// The sender's claim, if it is the gateway.
    pub claim: Option<u64>,
    /// Of the policy in force.
    pub policy: HashPrefix,
    /// Of the roster held.
    pub roster: HashPrefix,
}

/// The snapshot that a machine holds whole, and hands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The manifest's.
    pub id: Hash,
    /// Up to where it holds the feed.
    pub position: u64,
    /// Bytes of the manifest.
    pub manifest: u32,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Frame {
    /// Who is there and what it holds.
    Hello(Box<Hello>),
    /// Why the link is closed.
    Refuse(Refusal),
    /// Signed records that the other side may lack.
    Roster(Vec<SignedRecord>),
    /// A signed policy that the other side may lack. Travels before bundles, as records do.
    Policy(Box<SignedPolicy>),
    /// Alive.
    Beat(Beat),
    /// What is held now.
    Frontier(Frontier),
    /// The devices that the sender has links with: what it pushes, they get from it.
    Links(Vec<DeviceId>),
    /// Asks for everything of these devices that the frontier lacks.
    Want {
        /// Names the transfer in answers.
        id: u32,
        /// What the asker holds.
        frontier: Frontier,
        /// Whose logs are asked of this peer.
        devices: Vec<DeviceId>,
    },
    /// A part of a transfer.
    Block {
        /// Which transfer.
        id: u32,
        /// Uncompressed bytes.
        raw: u32,
        /// Length-prefixed bundles, zstd-compressed.
        #[serde(with = "serde_packed")]
        packed: Vec<u8>,
        /// Nothing follows.
        done: bool,
    },
    /// This many more uncompressed bytes may follow.
    Credit {
        /// Which transfer.
        id: u32,
        /// Bytes.
        bytes: u32,
    },
    /// Fresh bundles, in order.
    Push(Vec<Packed>),
    /// These tips are held now.
    Held(Vec<Dot>),
    /// Asks for feed pages after a position.
    WantFeed(u64),
    /// Feed pages in order.
    Pages(Vec<Packed>),
    /// Election states that changed.
    Statuses(Vec<Status>),
    /// The link to a device closed: its status up to this one is void. Who still hears it tells it so, and it speaks up anew.
    Gone(Gone),
    /// The newest change of the key under the mesh; never to whom it leaves out.
    Rekey(Box<Rekey>),
    /// Who uses that key.
    Moved(Vec<Moved>),
    /// The sender holds this snapshot. This and the two below go to whoever speaks [`SNAPSHOTS`].
    Offer(Offer),
    /// Asks for bytes of a manifest, by its id, or of a chunk, by its hash.
    WantPiece {
        /// Which.
        object: Hash,
        /// From which byte on.
        from: u32,
    },
    /// Bytes of it.
    Piece {
        /// Of which.
        object: Hash,
        /// How many it has in all; 0: it is not held.
        length: u32,
        /// Where these begin.
        from: u32,
        /// They.
        bytes: Packed,
    },
}

/// Bytes that postcard copies as one run instead of one by one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Packed(#[serde(with = "serde_packed")] pub Vec<u8>);

mod serde_packed {
    //! Byte runs as byte runs.
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<u8>;
            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// Why bytes are no frame. The peer's fault: it is counted and disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(pub &'static str);

impl Hello {
    /// The grant that the sender shows; `None` if it shows none.
    pub fn grant(&self) -> Option<&Grant> {
        self.chain.last()?.grant()
    }
}

impl Frame {
    /// The bytes of this frame.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("wire types always encode")
    }

    /// Bytes of work in an encoded frame, without reading it: for a block, those that it says it unpacks to.
    pub fn weight(bytes: &[u8]) -> usize {
        match postcard::take_from_bytes::<(u32, u32, u32)>(bytes) {
            Ok(((BLOCK, _, raw), _)) => bytes.len().max(raw as usize),
            _ => bytes.len(),
        }
    }

    /// Whether an encoded frame brings bundles or pages to store.
    pub fn brings(bytes: &[u8]) -> bool {
        let number = postcard::take_from_bytes::<u32>(bytes);
        matches!(number, Ok((BLOCK | PUSH | PAGES, _)))
    }

    /// Reads a frame and checks its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > limits::FRAME_BYTES {
            return Err(FrameError("a frame over 256 KiB"));
        }
        let (frame, rest) = postcard::take_from_bytes::<Self>(bytes)
            .map_err(|_| FrameError("a frame that cannot be decoded"))?;
        if !rest.is_empty() {
            return Err(FrameError("a frame with trailing bytes"));
        }
        let within = match &frame {
            Self::Hello(hello) => {
                hello.frontier.is_canonical() && hello.chain.len() <= limits::CHAIN + 1
            }
            Self::Frontier(frontier) => frontier.is_canonical(),
            Self::Want {
                frontier, devices, ..
            } => frontier.is_canonical() && devices.len() <= limits::TIPS,
            Self::Links(devices) => devices.len() <= limits::PEERS * 4,
            Self::Moved(words) => words.len() <= limits::ROSTER_RECORDS,
            Self::Held(dots) => {
                dots.len() <= limits::TIPS && dots.iter().all(|dot| dot.counter <= limits::COUNTER)
            }
            Self::Policy(record) => record.text.len() <= limits::POLICY_BYTES,
            Self::Beat(beat) => beat.feed.position <= limits::COUNTER,
            Self::WantFeed(after) => *after <= limits::COUNTER,
            Self::Statuses(statuses) => {
                let claims = || statuses.iter().filter_map(|status| status.claim);
                statuses.len() <= limits::STATUSES
                    && claims().all(|term| term <= limits::COUNTER)
                    && statuses
                        .iter()
                        .all(|status| status.sequence <= limits::COUNTER)
            }
            Self::Block { raw, .. } => *raw as usize <= limits::FRAME_BYTES * 2,
            Self::Offer(offer) => {
                offer.position <= limits::COUNTER
                    && offer.manifest as usize <= limits::MANIFEST_BYTES
            }
            Self::WantPiece { from, .. } => *from as usize <= limits::MANIFEST_BYTES,
            Self::Piece {
                length,
                from,
                bytes,
                ..
            } => {
                let end = u64::from(*from) + bytes.0.len() as u64;
                bytes.0.len() <= limits::PIECE_BYTES
                    && *length as usize <= limits::MANIFEST_BYTES
                    && end <= u64::from(*length)
            }
            _ => true,
        };
        if !within {
            return Err(FrameError("a frame with a list or a number out of bounds"));
        }
        if frame.encode() != bytes {
            return Err(FrameError(
                "a frame that is not in its one canonical encoding",
            ));
        }
        Ok(frame)
    }
}

#[cfg(test)]
mod tests;
