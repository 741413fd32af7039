//! One link: the task that reads and writes frames on its stream.
//!
//! Invariant: the engine hears `Opened`, then frames in the order the peer sent them, then `Closed`, each once, because
//! this task alone speaks for the link. A frame is a little-endian u32 length and that many bytes. No timers on the way:
//! a frame is written when it arrives and flushed when nothing waits behind it.

use std::sync::Arc;

use bytes::Bytes;
use futures::{
    AsyncReadExt, AsyncWriteExt,
    io::{BufReader, ReadHalf, WriteHalf},
};
use libp2p::Stream;
use tokio::sync::mpsc;

use super::{
    CloseReason, LinkId, MeshEvent,
    bounds::{CLOSE_GRACE, MAX_FRAME_BYTES, READ_BUFFER_BYTES, WRITE_BATCH_BYTES},
    outgoing::{Outgoing, Turn},
};

/// A link's two ends: the stream to the peer, the channel to the engine.
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) events: mpsc::Sender<MeshEvent>,
}

impl Link {
    /// Carries frames until the link ends. Returns why; the stream is gone by then. `Closed` is the caller's to tell,
    /// after it has forgotten the link.
    pub(super) async fn carry(&self, stream: Stream) -> CloseReason {
        let (reader, writer) = stream.split();
        tokio::select! {
            reason = self.read(reader) => reason,
            reason = self.write(writer) => reason,
            reason = self.overdue() => reason,
        }
    }

    async fn read(&self, reader: ReadHalf<Stream>) -> CloseReason {
        let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
        loop {
            let mut header = [0; 4];
            if reader.read_exact(&mut header).await.is_err() {
                return self.reason_or(CloseReason::PeerGone);
            }
            let length = u32::from_le_bytes(header);
            if length as usize > MAX_FRAME_BYTES {
                return CloseReason::Malformed { length };
            }
            let mut frame = vec![0; length as usize];
            if reader.read_exact(&mut frame).await.is_err() {
                return self.reason_or(CloseReason::PeerGone);
            }
            let event = MeshEvent::Frame {
                link: self.id,
                bytes: Bytes::from(frame),
            };
            // Waiting here is the backpressure: the stream's window is not given back until the engine has room.
            if self.events.send(event).await.is_err() {
                return CloseReason::Requested;
            }
        }
    }

    async fn write(&self, mut writer: WriteHalf<Stream>) -> CloseReason {
        let mut buffer = Vec::new();
        loop {
            match self.outgoing.fill(&mut buffer).await {
                Turn::Write => {}
                Turn::End => {
                    let reason = self.outgoing.ended().await;
                    // The peer may be gone already; either way the link ends here.
                    let _ = writer.close().await;
                    return reason;
                }
            }
            if writer.write_all(&buffer).await.is_err() {
                return self.reason_or(CloseReason::PeerGone);
            }
            buffer.clear();
            // An idle link keeps no large buffer: 64 of them would hold tens of MiB for nothing.
            buffer.shrink_to(WRITE_BATCH_BYTES);
            if self.outgoing.is_empty() && writer.flush().await.is_err() {
                return self.reason_or(CloseReason::PeerGone);
            }
        }
    }

    /// Ends a link that was told to end but whose peer does not take what is queued; an overflown one at once.
    async fn overdue(&self) -> CloseReason {
        let reason = self.outgoing.ended().await;
        if reason != CloseReason::Overflow {
            tokio::time::sleep(CLOSE_GRACE).await;
        }
        reason
    }

    /// Both sides may end at the same moment: what we decided ourselves is the better explanation.
    fn reason_or(&self, otherwise: CloseReason) -> CloseReason {
        self.outgoing.told().unwrap_or(otherwise)
    }
}
