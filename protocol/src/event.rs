//! The border of the engine: one closed [`Input`] in, one [`Effects`] out.
//!
//! The driver carries out effects in field order: writes in one transaction, then sends, then reads, then notices. A new
//! effect cannot be forgotten, since the driver takes [`Effects`] apart without `..`.

use std::sync::Arc;

use crate::bundle::Bundle;
use crate::cloud::{BatchAnswer, Changes, Only, Stuck};
use crate::command::Command;
use crate::fault::{Fault, FaultKind};
use crate::feed::{FeedHead, Page};
use crate::frontier::{Frontier, Range};
use crate::id::{Author, DeviceId, Dot, Hash, PublicKey};
use crate::membership::{Keyring, Rekey, SignedRecord};
use crate::pack::{Part, Taken};
use crate::policy::SignedPolicy;
use crate::refusal::{Refusal, RefusedBy};
use crate::time::Now;
use crate::vector::Vector;
use crate::wire::{Frame, Offer};

/// One connection to a peer, named by the driver; never reused within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// The moment at which an input is handled, and randomness drawn for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moment {
    /// Both clocks.
    pub now: Now,
    /// Fresh random bits.
    pub entropy: u64,
}

/// What the driver tells the engine.
#[derive(Debug)]
pub enum Input {
    /// A timer that the engine asked for, or just time passing.
    Tick,
    /// A transaction of this machine whose commands were validated against the entities' state.
    Write(Transaction),
    /// A link opened.
    Opened {
        /// The new link.
        link: LinkId,
        /// The key that the encryption layer proved.
        key: PublicKey,
    },
    /// A link closed.
    Closed(LinkId),
    /// The link that just opened was made under an earlier key of the mesh.
    Restrict(LinkId),
    /// The keys of the mesh as this machine kept them.
    Keyring(Box<Keyring>),
    /// A person at this machine changes the key of the mesh.
    Rekey(Box<Rekey>),
    /// A frame came (any but a block).
    Frame {
        /// From where.
        link: LinkId,
        /// What.
        frame: Box<Frame>,
    },
    /// A block of a transfer came, already unpacked.
    Block {
        /// From where.
        link: LinkId,
        /// Which transfer.
        id: u32,
        /// Bundles as bytes.
        bundles: Vec<Arc<[u8]>>,
        /// Uncompressed bytes, for the credit.
        raw: u32,
        /// Nothing follows.
        done: bool,
    },
    /// A malformed frame came.
    Malformed {
        /// From where.
        link: LinkId,
        /// What was wrong.
        reason: &'static str,
    },
    /// Gossip brought bundles beyond the direct peers.
    Gossip(Vec<Arc<[u8]>>),
    /// The driver has sent one block of a transfer.
    BlockSent {
        /// To where.
        link: LinkId,
        /// Which transfer.
        id: u32,
        /// Uncompressed bytes of it.
        raw: u32,
        /// Where the next block goes on.
        cursor: u64,
        /// Nothing follows.
        done: bool,
    },
    /// What came of an order to the uplink.
    Uplink(UplinkEvent),
    /// The machine slept: its monotonic clock and its wall clock disagree.
    Woke,
    /// The LAN was switched off or on by a person.
    Network(Network),
    /// The mesh listens on this TCP port.
    Listening(u16),
    /// A record of the roster to take in (from a file).
    Record(Box<SignedRecord>),
    /// A policy to take in (from a person at this machine).
    Policy(Box<SignedPolicy>),
    /// A part of a pack (from a file). The ticket names the answer.
    Part {
        /// Names the answer.
        ticket: u64,
        /// What it holds.
        part: Box<Part>,
    },
    /// The snapshot that this machine holds whole now.
    Offer(Option<Offer>),
    /// A manifest or a chunk to be asked of peers. Another that is asked for is given up.
    Obtain(Wanted),
    /// The driver has worded a batch: the bundles in it, in order.
    Batched(Vec<Range>),
    /// What is held where a bundle begins that was to be compared, and that bundle.
    Compared {
        /// What is held.
        ours: Box<Bundle>,
        /// What came.
        theirs: Box<Bundle>,
        /// By which link.
        from: Option<LinkId>,
    },
    /// Folded pages name these bundles, by their first commands, and others are held in their places.
    Misnamed(Vec<Dot>),
}

/// Whether this machine takes part in the LAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// Listeners, links and announcements are closed.
    Offline,
    /// Normal life.
    Online,
}

/// A local transaction, ready to be sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// Names the answer.
    pub ticket: u64,
    /// The person.
    pub actor: String,
    /// Validated commands, 1 to 1000.
    pub commands: Vec<Command>,
    /// The cloud takes all of them or none.
    pub together: bool,
}

/// What came of an order to the uplink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UplinkEvent {
    /// A probe came back from the cloud itself, which takes the token.
    Probed {
        /// Where its feed ends, if it said so.
        head: Option<FeedHead>,
    },
    /// A batch was answered.
    Answered(Box<BatchAnswer>),
    /// A question for changes was answered.
    Changed(Box<Changes>),
    /// The cloud has a part of its own feed back.
    Returned {
        /// The feed's head there now.
        head: u64,
    },
    /// A request failed as a whole.
    Failed {
        /// Which order.
        order: OrderKind,
        /// How.
        failure: UplinkFailure,
    },
}

/// How a request to the cloud failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UplinkFailure {
    /// Nobody there: retry with backoff.
    Unreachable(String),
    /// Something that is not the cloud answers: the same.
    Portal(String),
    /// Overloaded or broken: retry with backoff, not before this many ms.
    Busy {
        /// From `Retry-After`, 0 if none.
        retry_after_ms: u64,
        /// In words.
        detail: String,
    },
    /// The cloud broke on this very request (500): retry, then find out what it breaks on.
    Broken(String),
    /// The token is refused: the uplink pauses until a person signs in.
    Unauthorised(String),
    /// This machine no longer belongs: the uplink pauses.
    ShutOut(String),
    /// The cloud was put back to an earlier point: it decides nothing until it has its own feed back.
    Behind {
        /// The last position that it holds.
        held: u64,
        /// In words.
        detail: String,
    },
    /// The batch is too large: halve it.
    TooLarge,
    /// The cloud said something that makes no sense.
    Nonsense(String),
}

/// Which order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderKind {
    /// A probe.
    Probe,
    /// A batch.
    Batch,
    /// Changes.
    Changes,
    /// The return of the feed's tail.
    Tail,
}

/// An order to the uplink. At most one of a kind is under way; a batch ends a waiting question for changes unanswered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Is the cloud there, and does it know us?
    Probe,
    /// Give the cloud its own feed back. The driver reads pages and the bundles that they name from the store.
    Tail {
        /// The last position that the cloud holds.
        after: u64,
        /// The last position whose bundles are all held here.
        upto: u64,
    },
    /// Send bundles that the cloud lacks. The driver reads them from the store in log order.
    Batch {
        /// The term, `None` outside of it.
        term: Option<u64>,
        /// The last held feed position.
        since: u64,
        /// What is held here.
        have: Frontier,
        /// What the cloud lacks, as far as we know.
        ranges: Vec<Range>,
        /// Commands at most.
        limit: usize,
        /// Decide only these; `None`: all that is sent.
        only: Option<Only>,
        /// Commands to be told as stuck.
        stuck: Vec<Stuck>,
    },
    /// Ask for what is new.
    Changes {
        /// The last held feed position.
        since: u64,
        /// What is held here.
        have: Frontier,
        /// Seconds to wait at most.
        wait_s: u8,
    },
}

/// One change of the store. All of a step happen in one transaction.
#[derive(Clone, Debug)]
pub enum Write {
    /// A new bundle: append its bytes; apply comes as a write of its own.
    Store {
        /// The bundle.
        bundle: Bundle,
        /// Written by this machine: its commands enter the queue if there is a cloud.
        own: bool,
    },
    /// Apply a stored bundle to the entities.
    Apply {
        /// The bundle.
        bundle: Bundle,
        /// All that its author had seen of others.
        past: Vector,
    },
    /// Append a feed page.
    Page(Page),
    /// Take up the verdicts of a stored page.
    Fold(Page),
    /// Keep a record of the roster.
    Record(SignedRecord),
    /// Keep a bundle as evidence against its author; it is no part of the log.
    Evidence(Bundle),
    /// Keep a signed policy. If it is in force, everything that follows is folded by it.
    Policy(SignedPolicy),
}

/// A block to be read from the store and sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockRead {
    /// To whom.
    pub link: LinkId,
    /// Which transfer.
    pub id: u32,
    /// What the peer lacked when it asked, by device; rows beyond belong to it as well if their device is listed.
    pub ranges: Vec<Range>,
    /// The devices whose logs are sent.
    pub devices: Vec<DeviceId>,
    /// The log position after which to go on; `None` at the start.
    pub cursor: Option<u64>,
    /// Uncompressed bytes at most (at least one bundle is sent).
    pub max_bytes: usize,
}

/// Feed pages to be read and sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PagesRead {
    /// To whom.
    pub link: LinkId,
    /// The last position that the peer holds.
    pub after: u64,
    /// Bytes at most (at least one page is sent).
    pub max_bytes: usize,
}

/// A piece of a snapshot to be read and sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceRead {
    /// To whom.
    pub link: LinkId,
    /// Which manifest or chunk.
    pub object: Hash,
    /// From which byte on.
    pub from: u32,
}

/// A manifest or a chunk that is asked of peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Names the answer.
    pub ticket: u64,
    /// A manifest's id, or a chunk's hash.
    pub object: Hash,
    /// Its bytes at most.
    pub most: u32,
}

/// Something that people or applications may want to hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A local transaction is durable.
    Written {
        /// Which.
        ticket: u64,
        /// Its author.
        author: Author,
        /// The counter of its first command.
        first: u64,
        /// The counter of its last command.
        last: u64,
        /// What is applied with it.
        applied: Vector,
    },
    /// A local transaction was refused by the engine; nothing changed.
    Refused {
        /// Which.
        ticket: u64,
        /// Why and what to do.
        detail: String,
    },
    /// A part of a pack was taken in.
    TookPart {
        /// Which.
        ticket: u64,
        /// What became of it.
        taken: Taken,
    },
    /// What was asked of peers is here, and is what it was asked for by; `None`: no peer in reach has it.
    Obtained {
        /// Which.
        ticket: u64,
        /// Its bytes.
        bytes: Option<Arc<[u8]>>,
    },
    /// Bundles of others were applied.
    Applied,
    /// A peer is ready.
    PeerReady(DeviceId),
    /// A peer is gone.
    PeerGone(DeviceId),
    /// The gateway is now this device.
    Gateway(Option<DeviceId>),
    /// Something about the feed does not fit, or does again.
    FeedDoubted,
    /// The uplink's state changed.
    UplinkChanged,
    /// The roster has new records.
    RosterChanged,
    /// Another policy is in force.
    PolicyChanged,
    /// The key of the mesh changed, or who is known to use it.
    Rekeyed,
    /// The feed was folded up to here.
    Folded(u64),
    /// A link was not served.
    Turned {
        /// Which.
        link: LinkId,
        /// Who said so.
        by: RefusedBy,
        /// Why.
        refusal: Refusal,
    },
    /// A peer, the cloud or the disk did something wrong.
    Fault(Fault),
}

impl Notice {
    /// A fault of its parts.
    pub fn fault(kind: FaultKind, words: impl ToString) -> Self {
        let words = words.to_string();
        Self::Fault(Fault { kind, words })
    }
}

/// All that an input brought about.
#[must_use]
#[derive(Debug, Default)]
pub struct Effects {
    /// In one transaction, in order; nothing below happens if it fails.
    pub writes: Vec<Write>,
    /// Frames, in order per link.
    pub sends: Vec<(LinkId, Frame)>,
    /// Bundles for gossip, beyond the direct peers.
    pub gossip: Vec<Arc<[u8]>>,
    /// Bundles to hold against what is held where they begin, and the links by which they came.
    pub compares: Vec<(Bundle, Option<LinkId>)>,
    /// Links to close, with the reason.
    pub closes: Vec<(LinkId, String)>,
    /// Blocks to read and send.
    pub blocks: Vec<BlockRead>,
    /// Pages to read and send.
    pub pages: Vec<PagesRead>,
    /// Pieces of a snapshot to read and send.
    pub pieces: Vec<PieceRead>,
    /// Orders to the uplink.
    pub orders: Vec<Order>,
    /// For people.
    pub notices: Vec<Notice>,
}
