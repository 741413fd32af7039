//! The snapshot that is shown, what was applied since, and the way to wait until the one tells of the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use studiovault_protocol::api::Status;
use tokio::sync::watch;

/// Nobody waits longer for a snapshot: a step that takes this long is a disk that stands still.
const AT_MOST: Duration = Duration::from_secs(2);

/// What is shown. One thread changes it, everybody reads it.
#[derive(Debug)]
pub(super) struct Shown {
    status: RwLock<Arc<Status>>,
    applied: RwLock<Arc<str>>,
    /// How often something was applied.
    moves: AtomicU64,
    /// How many of these the snapshot tells of.
    told: watch::Sender<u64>,
}

impl Shown {
    /// A first snapshot.
    pub(super) fn new(status: Status) -> Self {
        Self {
            applied: RwLock::new(status.applied.as_str().into()),
            status: RwLock::new(Arc::new(status)),
            moves: AtomicU64::new(0),
            told: watch::Sender::new(0),
        }
    }

    /// The snapshot.
    pub(super) fn status(&self) -> Arc<Status> {
        let status = self.status.read().unwrap_or_else(PoisonError::into_inner);
        status.clone()
    }

    /// A snapshot that tells of everything that is applied now, or the last one if none comes.
    pub(super) async fn status_now(&self) -> Arc<Status> {
        let wanted = self.moves.load(Ordering::Acquire);
        let mut told = self.told.subscribe();
        // Whoever asks is answered in any case: no snapshot comes from a loop that has ended.
        let _ = tokio::time::timeout(AT_MOST, told.wait_for(|told| *told >= wanted)).await;
        self.status()
    }

    /// What is applied, sooner than the snapshot says it.
    pub(super) fn applied(&self) -> Arc<str> {
        let applied = self.applied.read().unwrap_or_else(PoisonError::into_inner);
        applied.clone()
    }

    /// Something was applied.
    pub(super) fn apply(&self, vv: &str) {
        *self.applied.write().unwrap_or_else(PoisonError::into_inner) = vv.into();
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    /// A snapshot of all that was applied.
    pub(super) fn show(&self, status: Status) {
        let vv = status.applied.as_str().into();
        *self.applied.write().unwrap_or_else(PoisonError::into_inner) = vv;
        *self.status.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(status);
        self.told.send_replace(self.moves.load(Ordering::Acquire));
    }
}
