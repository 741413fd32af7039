//! Pairing: a machine is admitted by a short spoken code, over the LAN and with no internet.
//!
//! Plain functions and state machines; sockets, clock and randomness are the node's.

mod code;
mod drawn;
mod handshake;
mod invite;
mod words;

pub use code::{Code, CodeError};
pub use handshake::{
    Answered, Checking, Greeted, Host, Introduction, Message, Offered, PAIRING, PairingError,
    Proved, Welcome,
};
pub use invite::{Closed, INVITE_MS, Invite, MISSES, OFFERS, TurnedAway};

/// Bytes of one message before both sides have proved that they know the code.
pub const SHORT_MESSAGE: usize = 1024;
/// Bytes of a welcome: the roster is its bulk.
pub const LONG_MESSAGE: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests;
