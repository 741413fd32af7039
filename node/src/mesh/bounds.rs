//! Everything a peer or a stranger can make the mesh hold, with unit and reason.
//!
//! Invariant: no queue, table or timer of the mesh grows past a number in this file.

use std::time::Duration;

use studiovault_protocol::limits;

/// Longest frame, bytes: the protocol's, and 1 KiB of envelope. A peer that announces more is malformed and is cut.
pub const MAX_FRAME_BYTES: usize = limits::FRAME_BYTES + 1024;

/// Frames waiting to be written on one link, bytes. The engine keeps far below this; a link that reaches it is closed,
/// because its peer has stopped reading and holding more would only hide that.
pub const LINK_QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// What each waiting frame costs besides its bytes, so that a flood of empty frames is bounded too.
pub(super) const FRAME_OVERHEAD_BYTES: usize = 64;

/// Waiting frames are gathered up to this many bytes before one write: two noise messages' worth. Larger gains nothing.
pub(super) const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// Read buffer of one link, bytes: a burst of small frames costs one lock of the stream, not one each.
pub(super) const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Events waiting for the engine. With the longest frames this is 32 MiB; then readers pause and TCP slows the peers.
pub(super) const EVENT_QUEUE: usize = 128;

/// Commands (other than frames) waiting for the mesh task.
pub(super) const COMMAND_QUEUE: usize = 256;

/// Events of the mesh task itself waiting behind a slow engine. Hints beyond it are dropped, and the network is not
/// polled again until it has drained.
pub(super) const OUTBOX: usize = 256;

/// Peers connected at the same time: what one studio has, with room.
pub const MAX_PEERS: usize = 64;

/// Connections to one peer at the same time: both dial each other, and an old one may linger until it is noticed.
pub(super) const MAX_CONNECTIONS_PER_PEER: usize = 4;

/// Inbound connections that have not finished their handshake. A stranger holds one for [`HANDSHAKE_TIMEOUT`] at most.
pub(super) const MAX_HANDSHAKES: usize = 16;

/// Of these, from one address that is not loopback: one stranger alone cannot keep members out.
pub(super) const MAX_HANDSHAKES_PER_ADDRESS: usize = 4;

/// Outgoing connection attempts under way at the same time; further addresses wait for their turn.
pub(super) const MAX_DIALS: usize = 16;

/// Addresses waiting to be dialled. Beyond it a dial fails at once.
pub(super) const MAX_DIALS_WAITING: usize = 256;

/// Next address of the same peer while the first has not answered (RFC 8305 recommends 250 ms).
pub(super) const DIAL_STAGGER: Duration = Duration::from_millis(250);

/// TCP, pre-shared key, Noise and yamux together; also the time for a connection to open its link stream.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a link that we close may still write what it has queued, and a connection say goodbye.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Streams on one connection: the link, two of gossipsub, and room for a negotiation. One more ends the connection.
pub(super) const MAX_STREAMS: usize = 8;

/// Receive window of one connection, bytes: 256 KiB a stream, the least yamux allows, and no growth. At a LAN's
/// round trip (0.3 to 5 ms) 256 KiB carries 50 to 800 MB/s. The default would be 1 GiB per connection.
pub(super) const CONNECTION_WINDOW_BYTES: usize = MAX_STREAMS * 256 * 1024;

/// Largest data frame of yamux, bytes. Each is one noise message and one write; above 32 KiB throughput stays the same.
pub(super) const YAMUX_SPLIT_BYTES: usize = 32 * 1024;

/// Longest gossip message, bytes. Larger payloads go over links.
pub const MAX_HINT_BYTES: usize = 64 * 1024;

/// Gossip messages waiting for one slow peer: 4 MiB of the longest, instead of the default 312 MiB.
pub(super) const GOSSIP_QUEUE: usize = 64;
