//! What goes into one step: local writes together, and frames in portions, so that neither keeps the other waiting.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Runner;
use crate::driver::Event;

/// Local writes that share one step at most: a commit costs the same for one or many.
const WRITES_A_STEP: usize = 256;
/// Bytes of frames, unpacked, after which a step takes no more while people write here: with a block some 300 commands, a few
/// milliseconds, so that a local write never waits long.
const FRAME_BYTES_BESIDE_WRITES: usize = 32 * 1024;
/// The same while nobody does: about 30 milliseconds. Each step writes most pages of the indexes once, however much it takes.
const FRAME_BYTES_A_STEP: usize = 512 * 1024;
/// How long after a local write the next one is expected.
const WRITES_GO_ON: Duration = Duration::from_secs(1);
/// How long a step waits for as many local writes as the last one had: writers that were answered together write again
/// together, and a commit costs the same for one or many.
const GROUP_WAIT: Duration = Duration::from_micros(100);
/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    /// Local writes of the last step.
    group: usize,
    /// The last step left frames waiting for the sake of local writes.
    frames_wait: bool,
    /// When the last local write came.
    written: Option<Instant>,
}

impl Turns {
    fn frame_bytes(&self) -> usize {
        match self.written {
            Some(written) if written.elapsed() < WRITES_GO_ON => FRAME_BYTES_BESIDE_WRITES,
            _ => FRAME_BYTES_A_STEP,
        }
    }
}

impl Runner {
    /// Takes the local writes that wait, and for a moment those about to come.
    pub(super) async fn gather_writes(
        &mut self,
        events: &mut Vec<Event>,
    ) -> Option<oneshot::Sender<()>> {
        let began = Instant::now();
        while self.tickets.len() < WRITES_A_STEP {
            match self.channels.local.try_recv() {
                Ok(local) => {
                    if let Some(done) = self.local(local, events).await {
                        return Some(done);
                    }
                }
                Err(_) if self.tickets.is_empty() || self.tickets.len() >= self.turns.group => {
                    break;
                }
                Err(_) if began.elapsed() >= GROUP_WAIT => break,
                Err(_) => std::thread::yield_now(),
            }
        }
        self.turns.group = self.tickets.len();
        if self.turns.group > 0 {
            self.turns.written = Some(Instant::now());
        }
        None
    }

    /// Takes frames that wait, up to a few milliseconds of work. Every other step leaves them to local writes, if there are any.
    pub(super) async fn gather_frames(&mut self, events: &mut Vec<Event>) {
        self.turns.frames_wait = self.turns.group > 0 && !self.turns.frames_wait;
        if self.turns.frames_wait {
            return;
        }
        let most = self.turns.frame_bytes();
        let mut bytes: usize = events.iter().map(Event::weight).sum();
        while bytes < most {
            let Ok(event) = self.channels.mesh_events.try_recv() else {
                break;
            };
            let before = events.len();
            self.mesh_event(event, events).await;
            bytes += events[before..].iter().map(Event::weight).sum::<usize>();
        }
    }
}
