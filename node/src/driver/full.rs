//! A full disk: for a while nothing that others have is taken in, so that own writes and what others ask for go on.
//!
//! Whatever is kept out is held by whoever sent it and is asked for again.

use studiovault_protocol::event::{OrderKind, UplinkEvent, UplinkFailure};
use studiovault_protocol::wire::Frame;

use super::Event;

/// How long others' bundles and pages are kept out after a write failed for want of room, ms.
pub(super) const PAUSE_MS: u64 = 30_000;

/// The event, or what is left of it while the disk is full.
pub(super) fn kept_out(is_full: bool, event: Event) -> Option<Event> {
    if !is_full {
        return Some(event);
    }
    let failed = |order| {
        let failure = UplinkFailure::Busy {
            retry_after_ms: PAUSE_MS,
            detail: "the disk of this machine is full; make room on it".into(),
        };
        Some(Event::Uplink(UplinkEvent::Failed { order, failure }))
    };
    match event {
        Event::Gossip(_) | Event::Pack(..) => None,
        Event::Frame(_, bytes) if Frame::brings(&bytes) => None,
        Event::Uplink(UplinkEvent::Answered(_)) => failed(OrderKind::Batch),
        Event::Uplink(UplinkEvent::Changed(_)) => failed(OrderKind::Changes),
        other => Some(other),
    }
}
