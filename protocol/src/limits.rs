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
/// Bytes of one feed page.
pub const PAGE_BYTES: usize = 200 * 1024;
/// Bytes of one policy document, so that it fits a frame beside its signature.
pub const POLICY_BYTES: usize = 128 * 1024;
/// Signed policies that a machine keeps, the highest: the one in force, its rivals and what a newer program wrote.
pub const POLICIES: usize = 8;
/// Types of one policy: each is a view of the store.
pub const POLICY_TYPES: usize = 256;
/// Fields of one type: each is a column of a view, and a command names at most [`COMMAND_FIELDS`].
pub const POLICY_FIELDS: usize = 256;
/// The most that a policy may allow for one text: a command with its other fields must fit.
pub const TEXT_BYTES: u32 = 48 * 1024;
/// Signed records of one roster.
pub const ROSTER_RECORDS: usize = 4096;
/// Records of a roster that only revocations and retirements may fill: no flood of grants keeps one out.
pub const ROSTER_RESERVE: usize = 512;
/// Encoded bytes of records in one frame; a single larger record still fits a frame.
pub const ROSTER_FRAME_BYTES: usize = 128 * 1024;
/// Records between a grant and the root key: admins who admitted admins.
pub const CHAIN: usize = 16;
/// Epochs that one cut names; a machine begins one at every start, so this is years of daily work. At most 20 bytes each.
pub const CUT_EPOCHS: usize = 4096;
/// Records that one cut leaves standing, 32 bytes each: with the epochs they fit a frame.
pub const CUT_KEEPS: usize = 2048;
/// Devices whose election state is remembered.
pub const STATUSES: usize = 256;
/// Commands sent to the cloud in one batch.
pub const BATCH_COMMANDS: usize = 5000;
/// Uncompressed bytes of one batch to the cloud.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A beat goes out this often, ms.
pub const BEAT_MS: u64 = 900;
/// A link on which nothing was heard for this long is dead, ms: nearly three beats, and with what a busy machine and the
/// status take on top, people see it within 3 s.
pub const LINK_DEAD_MS: u64 = 2_600;
/// A hello must arrive within this long after a link opened, ms.
pub const HELLO_MS: u64 = 5_000;
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
