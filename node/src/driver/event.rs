//! What a driver is told: one thing that happened outside, and what it weighs.
//!
//! The weight decides how many of them share a step, so a flood of the shortest frames weighs something too.

use bytes::Bytes;
use studiovault_protocol::engine::RosterChange;
use studiovault_protocol::event::{LinkId, Network, UplinkEvent, Wanted};
use studiovault_protocol::id::PublicKey;
use studiovault_protocol::membership::{Keyring, Rekey};
use studiovault_protocol::pack::Part;
use studiovault_protocol::policy::SignedPolicy;
use studiovault_protocol::wire::{Frame, Offer};

use super::WriteRequest;
use crate::store::AuditLine;

/// What every frame weighs besides its bytes.
const FRAME_WORK: usize = 256;

/// Something that happened outside.
#[derive(Debug)]
pub enum Event {
    /// A person or a program wants to write. The ticket names the answer.
    Write(u64, WriteRequest),
    /// A link opened: its name and the key that it proved.
    Opened(LinkId, PublicKey),
    /// A link closed.
    Closed(LinkId),
    /// The link that just opened was made under an earlier key of the mesh.
    Restrict(LinkId),
    /// The keys of the mesh as they were kept.
    Keyring(Box<Keyring>),
    /// A person at this machine changes the key of the mesh.
    Rekey(Box<Rekey>),
    /// A frame came.
    Frame(LinkId, Bytes),
    /// Gossip came: one bundle.
    Gossip(Bytes),
    /// The uplink answered.
    Uplink(UplinkEvent),
    /// The mesh listens on this TCP port.
    Listening(u16),
    /// A person signed a policy at this machine.
    Policy(Box<SignedPolicy>),
    /// A person changes the roster at this machine. The ticket names the answer.
    Change(u64, Box<RosterChange>),
    /// A part of a pack came from a file. The ticket names the answer.
    Pack(u64, Box<Part>),
    /// The snapshot that this machine holds has changed.
    Offer(Option<Offer>),
    /// A manifest or a chunk is asked of peers.
    Obtain(Wanted),
    /// The machine slept.
    Woke,
    /// The LAN was switched.
    Network(Network),
    /// Something for the audit log.
    Audit(Box<AuditLine>),
}

impl Event {
    /// Bytes of work that it brings: for a block, those that it unpacks to.
    pub fn weight(&self) -> usize {
        match self {
            Self::Frame(_, bytes) => Frame::weight(bytes) + FRAME_WORK,
            Self::Gossip(bytes) => bytes.len(),
            _ => 0,
        }
    }
}
