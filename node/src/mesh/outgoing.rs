//! The frames waiting to be written on each link, bounded in bytes.
//!
//! Invariant: a link's queue never holds more than [`LINK_QUEUE_BYTES`]; a link that has been told to end takes no more
//! frames. Sending never waits and never goes through the mesh task, so a frame costs one wake-up of its own link.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use studiovault_protocol::sabotage::Bug;
use tokio::sync::Notify;

use super::{
    CloseReason, LinkId, MeshRefused,
    bounds::{FRAME_OVERHEAD_BYTES, LINK_QUEUE_BYTES, MAX_FRAME_BYTES, WRITE_BATCH_BYTES},
};

/// What the writer does next.
pub(super) enum Turn {
    Write,
    /// Nothing is left to write and the link is to end.
    End,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    end: Option<CloseReason>,
}

/// One link's queue.
#[derive(Default)]
pub(super) struct Outgoing {
    state: Mutex<State>,
    /// For the writer: frames came or the end was set.
    work: Notify,
    /// For the supervisor of the link: the end was set.
    ended: Notify,
}

impl Outgoing {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in this file panics while holding the lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, frame: Bytes) -> Result<(), MeshRefused> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(MeshRefused::FrameTooLong {
                length: frame.len(),
            });
        }
        let mut state = self.state();
        if state.end.is_some() {
            return Err(MeshRefused::NoSuchLink);
        }
        let cost = frame.len() + FRAME_OVERHEAD_BYTES;
        if state.bytes + cost > LINK_QUEUE_BYTES && !Bug::EndlessQueue.is_on() {
            // What is queued is lost with the link; the engine's next session on a new link finds what is missing.
            state.frames.clear();
            state.bytes = 0;
            drop(state);
            self.end(CloseReason::Overflow);
            return Err(MeshRefused::Overflow);
        }
        state.bytes += cost;
        state.frames.push_back(frame);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Tells the link to end once its queue is written. The first reason stays.
    pub(super) fn end(&self, reason: CloseReason) {
        self.state().end.get_or_insert(reason);
        self.work.notify_one();
        self.ended.notify_one();
    }

    /// Why the link was told to end, if it was.
    pub(super) fn told(&self) -> Option<CloseReason> {
        self.state().end
    }

    /// Waits until the link is told to end.
    pub(super) async fn ended(&self) -> CloseReason {
        loop {
            if let Some(reason) = self.told() {
                return reason;
            }
            self.ended.notified().await;
        }
    }

    /// Moves waiting frames, each behind its length, into `buffer` until the batch is full; waits for the first.
    pub(super) async fn fill(&self, buffer: &mut Vec<u8>) -> Turn {
        loop {
            {
                let mut state = self.state();
                while buffer.len() < WRITE_BATCH_BYTES
                    && let Some(frame) = state.frames.pop_front()
                {
                    state.bytes -= frame.len() + FRAME_OVERHEAD_BYTES;
                    let length = u32::try_from(frame.len()).expect("push checked the length");
                    buffer.extend_from_slice(&length.to_le_bytes());
                    buffer.extend_from_slice(&frame);
                }
                if !buffer.is_empty() {
                    return Turn::Write;
                }
                if state.end.is_some() {
                    return Turn::End;
                }
            }
            self.work.notified().await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().frames.is_empty()
    }
}

/// The queues of all open links, shared by the handle, the mesh task and the links.
#[derive(Default)]
pub(super) struct Links(Mutex<BTreeMap<LinkId, Arc<Outgoing>>>);

impl Links {
    fn map(&self) -> MutexGuard<'_, BTreeMap<LinkId, Arc<Outgoing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, link: LinkId) -> Arc<Outgoing> {
        let outgoing = Arc::new(Outgoing::default());
        self.map().insert(link, outgoing.clone());
        outgoing
    }

    pub(super) fn remove(&self, link: LinkId) {
        self.map().remove(&link);
    }

    pub(super) fn send(&self, link: LinkId, frame: Bytes) -> Result<(), MeshRefused> {
        let outgoing = self.map().get(&link).cloned();
        outgoing.ok_or(MeshRefused::NoSuchLink)?.push(frame)
    }

    pub(super) fn end(&self, link: LinkId, reason: CloseReason) -> Result<(), MeshRefused> {
        let outgoing = self.map().get(&link).cloned();
        outgoing.ok_or(MeshRefused::NoSuchLink)?.end(reason);
        Ok(())
    }

    pub(super) fn end_all(&self, reason: CloseReason) {
        for outgoing in self.map().values() {
            outgoing.end(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden vectors: how frames stand on the stream of a link. What is in them has its own, in the protocol.
    #[tokio::test]
    async fn a_frame_goes_out_behind_its_length_in_four_bytes_the_lowest_first() {
        let outgoing = Outgoing::default();
        for frame in [&b"\x01\x02\x03"[..], b"", &[0xab; 258]] {
            let frame = Bytes::copy_from_slice(frame);
            outgoing.push(frame).expect("there is room");
        }
        let mut buffer = Vec::new();
        assert!(matches!(outgoing.fill(&mut buffer).await, Turn::Write));
        let hex: String = buffer.iter().map(|byte| format!("{byte:02x}")).collect();
        let golden = ["03000000010203", "00000000", "02010000", &"ab".repeat(258)];
        assert_eq!(hex, golden.concat());
    }
}
