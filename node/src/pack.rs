//! Packs as files: what leaves a folder as one, and what comes into a folder from one.
//!
//! A pack is written whole or not at all, and read a part at a time: what is in memory does not grow with it. Nothing here judges
//! what a part holds; that is the driver's, as with whatever peers and the cloud bring.

mod incoming;
mod intake;
mod outgoing;

pub use incoming::{Ending, Incoming, Piece, ReadError};
pub use intake::Intake;
pub use outgoing::{ExportError, Outgoing, Overwrite, Wanted};

/// Level 3 packs the log to about a fourth at some 600 MB/s, many times what a stick writes.
const LEVEL: i32 = 3;
