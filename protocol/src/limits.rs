//! Every bound on what a person, a peer or a file can make us hold, each with its unit and its reason.

/// Commands in one bundle. A transaction with more is refused: a receiver applies a bundle whole.
pub const BUNDLE_COMMANDS: usize = 1000;
/// Bytes of one encoded bundle, so that it fits a frame.
pub const BUNDLE_BYTES: usize = 240 * 1024;
/// Bytes of one encoded command; larger things are blobs.
pub const COMMAND_BYTES: usize = 64 * 1024;
/// Field writes in one command.
pub const COMMAND_FIELDS: usize = 256;
/// Bytes of a type's or a field's name.
pub const NAME_BYTES: usize = 64;
/// Bytes of the name of the person who acted.
pub const ACTOR_BYTES: usize = 128;
/// The highest counter, feed position or term that is taken from anybody: counting on from it can never overflow.
pub const COUNTER: u64 = u64::MAX / 4;
/// Bytes of one frame between peers: a bundle and its envelope.
pub const FRAME_BYTES: usize = 256 * 1024;
/// Uncompressed bytes of bundles in one block frame; compresses to well below a frame, and one larger bundle still fits. Some 200
/// commands: as much as a machine that is being written to takes between two local writes.
pub const BLOCK_BYTES: usize = 64 * 1024;
/// Bytes that may be under way to one peer before it has said that it holds them.
pub const IN_FLIGHT_BYTES: usize = 1024 * 1024;
/// Peers with a link at one time.
pub const PEERS: usize = 64;
/// Peers up to which a fresh bundle is pushed to each directly; beyond, gossip carries it.
pub const DIRECT_PUSH_PEERS: usize = 12;
/// Bytes of a bundle that gossip carries inline; larger ones are fetched.
pub const GOSSIP_INLINE_BYTES: usize = 32 * 1024;
/// Tips named in one frontier or vector: devices, and branches of them.
pub const TIPS: usize = 1024;
/// Earlier epochs named behind one tip, at doubling distances.
pub const TRAIL: usize = 24;
/// Feed pages held in memory while the bundles they name are missing.
pub const UNFOLDED_PAGES: usize = 256;
/// Ends of held feed pages that are remembered, to hold another machine's feed against.
pub const FEED_ENDS: usize = 256;
/// Bytes of one feed page.
pub const PAGE_BYTES: usize = 200 * 1024;
/// Bytes of one policy document, so that it fits a frame beside its signature.
pub const POLICY_BYTES: usize = 128 * 1024;
/// Signed policies that a machine keeps, the highest: the one in force, its rivals and what a newer program wrote.
pub const POLICIES: usize = 32;
/// Types of one policy: each is a view of the store.
pub const POLICY_TYPES: usize = 256;
/// Fields of one type: each is a column of a view, and a command names at most [`COMMAND_FIELDS`].
pub const POLICY_FIELDS: usize = 256;
/// The most that a policy may allow for one text: a command with its other fields must fit.
pub const TEXT_BYTES: u32 = 48 * 1024;
/// Signed records of one roster: some 1,800 machines that came and went, since whom a studio let in and out it remembers for good.
/// Whoever comes fetches and checks all of them, and each that comes or goes makes everybody work out anew what they come to: a few ms.
pub const ROSTER_RECORDS: usize = 4096;
/// Records of a roster that only revocations and retirements may fill: no flood of grants keeps one out.
pub const ROSTER_RESERVE: usize = 512;
/// Encoded bytes of records in one frame; a single larger record still fits a frame.
pub const ROSTER_FRAME_BYTES: usize = 128 * 1024;
/// Epochs of one device of which the roster says that they split, each with two signed headers (200 KiB at most). Nobody's memory image is
/// resumed so often; a liar that goes on is shut out by an admin.
pub const FORKS: usize = 64;
/// Bundles of others kept as evidence of each chain that splits; what a machine itself wrote is always kept.
pub const EVIDENCE: usize = 256;
/// Records between a grant and the root key: admins who admitted admins.
pub const CHAIN: usize = 16;
/// Epochs that one cut names; a machine begins one at every start, so this is years of daily work. At most 20 bytes each.
pub const CUT_EPOCHS: usize = 4096;
/// Records that one cut leaves standing, 32 bytes each: with the epochs they fit a frame.
pub const CUT_KEEPS: usize = 2048;
/// The highest number of a change of the mesh key: more than a studio makes in its life. What an admin that was shut out numbered beyond
/// half of it stands no more, so there is always room for a later change.
pub const REKEYS: u64 = 1_000_000;
/// Devices whose election state is remembered.
pub const STATUSES: usize = 256;
/// Commands sent to the cloud in one batch.
pub const BATCH_COMMANDS: usize = 5000;
/// Uncompressed bytes of one batch to the cloud.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of one part of a pack, unpacked: one frame's worth is gathered, and the longest single bundle, page or record still fits.
pub const PACK_PART_BYTES: usize = 2 * FRAME_BYTES + 4096;
/// Bytes of one part of a pack as it is sealed: what cannot be compressed grows a little.
pub const PACK_CHUNK_BYTES: usize = PACK_PART_BYTES + 4096;
/// Pages of the feed in one part of a pack: well below [`UNFOLDED_PAGES`], so that none of them finds no room.
pub const PACK_PAGES: usize = 64;

/// Bytes of one chunk of a snapshot, unpacked: a mebibyte is gathered, and one longest part still fits. What a machine has to hold of a
/// snapshot at one time.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1024 * 1024 + PACK_PART_BYTES + 4;
/// Bytes of one chunk of a snapshot as it is kept and fetched: what cannot be compressed grows a little.
pub const SNAPSHOT_CHUNK_PACKED_BYTES: usize = SNAPSHOT_CHUNK_BYTES + 16 * 1024;
/// Chunks of one snapshot: at a mebibyte each 64 GiB of logs.
pub const SNAPSHOT_CHUNKS: usize = 65_536;
/// Bytes of one manifest: all its chunks, each in a segment of its own.
pub const MANIFEST_BYTES: usize = SNAPSHOT_CHUNKS * 64 + 4096;
/// A snapshot lasts at most this long, ms: a year. Longer, and somebody who holds an old one back can pass it for the newest.
pub const SNAPSHOT_MS: i64 = 366 * 86_400_000;

/// Bytes of a manifest or a chunk in one frame between machines. Of each peer one question for such a piece waits at one time, and a later
/// one takes its place.
pub const PIECE_BYTES: usize = 128 * 1024;

/// Connections to the listener of an invite at one time; more wait in the system's queue.
pub const INVITE_CONNECTIONS: usize = 8;
/// Genuine instances that discovery remembers: a studio has 64 devices, and each restart is a new instance until the old one lapses. When
/// full the one seen longest ago makes room.
pub const DISCOVERED: usize = 256;
/// Addresses that discovery remembers of an instance, the latest first: two families on a handful of interfaces.
pub const DISCOVERED_ADDRESSES: usize = 16;
/// Connections that the local API holds at one time, of all its listeners: its 64 streams and as many programs again, thrice over.
pub const API_CONNECTIONS: usize = 256;
/// The head of its first request must be there within this, ms: who connects and says nothing makes room soon.
pub const API_HEAD_MS: u64 = 5_000;
/// A connection of the local API on which nothing moved for this long is closed, ms: longer than clients keep one for their next question.
pub const API_QUIET_MS: u64 = 120_000;

/// Beats go out this often, ms; to all peers at once, since a processor is woken once for all of them.
pub const BEAT_MS: u64 = 900;
/// Beyond this many peers they go out less often: what a machine sends and hears while nothing happens grows with every one of them.
pub const BEAT_PEERS: usize = 8;
/// For each peer beyond, ms.
pub const BEAT_STRETCH_MS: u64 = 25;
/// Beats never go out less often than this, ms: two of them, and a pause of some hundred milliseconds, within [`LINK_DEAD_MS`].
pub const BEAT_MOST_MS: u64 = 1_200;
/// A link on which nothing was heard for this long is dead, ms: nearly three beats of a few machines, two of many, and with what a busy
/// machine and the status take on top, people see it within 3 s.
pub const LINK_DEAD_MS: u64 = 2_600;
/// A hello must arrive within this long after a link opened, ms.
pub const HELLO_MS: u64 = 5_000;
/// A link that was made under an earlier key of the mesh ends this long after it opened, ms: long enough to tell the roster and the key.
pub const EARLIER_KEY_MS: u64 = 1_500;
/// A transfer that brought nothing for this long is asked of somebody else, ms.
pub const TRANSFER_STALL_MS: u64 = 3_000;
/// Frontiers are sent to one peer at most this often, ms.
pub const FRONTIER_MS: u64 = 400;
/// Tolerance within which wall clocks count as equal in the pick, ms.
pub const TOLERANCE_MS: i64 = 120_000;
/// A sibling this far ahead of all others marks its conflict "clock suspect", ms.
pub const CLOCK_SUSPECT_MS: i64 = 86_400_000;
/// A better candidate takes the crown over only after being better for this long, ms.
pub const HOLD_MS: u64 = 5_000;
/// A broken uplink lets others go first for the hold time, doubled with every break, this often at most: 11 minutes.
pub const HOLD_DOUBLINGS: u32 = 7;
/// An uplink that worked for so long without a break has one break forgiven, ms.
pub const STEADY_MS: u64 = 600_000;
/// A relayed claim not heard again for this long is dead, ms: three relays of 10 s and a little.
pub const CLAIM_DEAD_MS: u64 = 31_000;
/// The whole roster is told again to a peer whose beats show another one at most this often, ms.
pub const ROSTER_REPEAT_MS: u64 = 3_000;
/// Uplink states are told again this often, ms.
pub const STATUS_REPEAT_MS: u64 = 10_000;
/// A pending command this old while the gateway makes no progress is forwarded by its own node, ms.
pub const ESCAPE_MS: u64 = 30_000;
/// Bytes of what the cloud said of a command that it broke on.
pub const DETAIL_BYTES: usize = 300;
/// Stuck commands told in one batch.
pub const STUCK_A_BATCH: usize = 100;
/// Authors that a genesis names; a machine begins one at every start, so this is years of daily work on many machines.
pub const GENESIS_AUTHORS: usize = 4096;
/// Tries of a single command on which the cloud breaks, while it accepts others, before the command counts as stuck.
pub const MAX_RETRIES: u32 = 5;
/// The content of a deleted entity stays this long, ms: 90 days. Shorter, and whoever was away a season finds nothing to restore.
pub const TOMBSTONE_MS: i64 = 90 * 86_400_000;
/// Deleted entities are looked through for old ones this often, ms.
pub const COLLECT_MS: u64 = 3_600_000;

/// What the mesh holds for peers and strangers: no queue, table or timer of it grows past a number in here.
pub mod mesh {
    use std::time::Duration;

    /// Longest frame, bytes: the protocol's, and 1 KiB of envelope. A peer that announces more is malformed and is cut.
    pub const MAX_FRAME_BYTES: usize = super::FRAME_BYTES + 1024;

    /// Frames waiting to be written on one link, bytes. The engine keeps far below this; a link that reaches it is closed,
    /// because its peer has stopped reading and holding more would only hide that.
    pub const LINK_QUEUE_BYTES: usize = 4 * 1024 * 1024;

    /// What each waiting frame costs besides its bytes, so that a flood of empty frames is bounded too.
    pub const FRAME_OVERHEAD_BYTES: usize = 64;

    /// Waiting frames are gathered up to this many bytes before one write: two noise messages' worth. Larger gains nothing.
    pub const WRITE_BATCH_BYTES: usize = 64 * 1024;

    /// Read buffer of one link, bytes: a burst of small frames costs one lock of the stream, not one each.
    pub const READ_BUFFER_BYTES: usize = 16 * 1024;

    /// Events waiting for the engine. With the longest frames this is 32 MiB; then readers pause and TCP slows the peers.
    pub const EVENT_QUEUE: usize = 128;

    /// Commands (other than frames) waiting for the mesh task.
    pub const COMMAND_QUEUE: usize = 256;

    /// Events of the mesh task itself waiting behind a slow engine. Hints beyond it are dropped, and the network is not
    /// polled again until it has drained.
    pub const OUTBOX: usize = 256;

    /// Peers connected at the same time: what one studio has, with room.
    pub const MAX_PEERS: usize = 64;

    /// Connections to one peer at the same time: both dial each other, and an old one may linger until it is noticed.
    pub const MAX_CONNECTIONS_PER_PEER: usize = 4;

    /// Inbound connections that have not finished their handshake. A stranger holds one for [`HANDSHAKE_TIMEOUT`] at most.
    pub const MAX_HANDSHAKES: usize = 16;

    /// Of these, from one address that is not loopback: one stranger alone cannot keep members out.
    pub const MAX_HANDSHAKES_PER_ADDRESS: usize = 4;

    /// Outgoing connection attempts under way at the same time; further addresses wait for their turn.
    pub const MAX_DIALS: usize = 16;

    /// Addresses waiting to be dialled. Beyond it a dial fails at once.
    pub const MAX_DIALS_WAITING: usize = 256;

    /// Next address of the same peer while the first has not answered (RFC 8305 recommends 250 ms).
    pub const DIAL_STAGGER: Duration = Duration::from_millis(250);

    /// TCP, pre-shared key, Noise and yamux together; also the time for a connection to open its link stream.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

    /// How long a link that we close may still write what it has queued, and a connection say goodbye.
    pub const CLOSE_GRACE: Duration = Duration::from_secs(1);

    /// Streams on one connection: the link, two of gossipsub, and room for a negotiation. One more ends the connection.
    pub const MAX_STREAMS: usize = 8;

    /// Receive window of one connection, bytes: 256 KiB a stream, the least yamux allows, and no growth. At a LAN's
    /// round trip (0.3 to 5 ms) 256 KiB carries 50 to 800 MB/s. The default would be 1 GiB per connection.
    pub const CONNECTION_WINDOW_BYTES: usize = MAX_STREAMS * 256 * 1024;

    /// Largest data frame of yamux, bytes. Each is one noise message and one write; above 32 KiB throughput stays the same.
    pub const YAMUX_SPLIT_BYTES: usize = 32 * 1024;

    /// Longest gossip message, bytes. Larger payloads go over links.
    pub const MAX_HINT_BYTES: usize = 64 * 1024;

    /// Gossip messages waiting for one slow peer: 4 MiB of the longest, instead of the default 312 MiB.
    pub const GOSSIP_QUEUE: usize = 64;

    /// Keys under the mesh that are known at one time: the newest, and earlier ones until every machine has moved on.
    pub const MESH_KEYS: usize = 4;

    /// Faults of one peer past its handshake before it is kept out for a while: a bug may be met more than once.
    pub const PEER_FAULTS: f64 = 4.0;

    /// After so many seconds one more fault is borne of it.
    pub const PEER_FAULT_S: f64 = 10.0;

    /// Failed handshakes from one address (that is not loopback) before it is kept out for a moment: a studio's machines that have not
    /// all heard of a change may fail a few times in a row.
    pub const ADDRESS_FAULTS: f64 = 20.0;

    /// So many more are borne of it each second.
    pub const ADDRESS_FAULTS_PER_S: f64 = 2.0;

    /// Peers, and addresses, whose faults are remembered: 1,024 times some 100 bytes.
    pub const BLAMED: usize = 1024;
}
