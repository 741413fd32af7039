//! Snapshots that nobody asks for: by what was written since the last one, and by its age.

use std::sync::Arc;
use std::time::Duration;

use studiovault_protocol::id::StudioId;
use studiovault_protocol::time::WallMs;
use tokio::sync::watch;

use super::SnapshotError;
use crate::clock::wall_now;
use crate::truth::Truth;

/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_secs(600);
/// Entries of the feed after which the next one is due: catching up with so many takes a machine a second or two.
const ENTRIES: u64 = 10_000;
/// Age at which the next one is due, ms: 7 days, so that the newest is never near its end.
const AGE_MS: i64 = 7 * 86_400_000;

/// Makes snapshots when they are due, until the server stops.
pub async fn keep_up(truth: Arc<Truth>, mut closing: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(error) = make_due(&truth, wall_now()).await {
            tracing::warn!(%error, "a snapshot that was due could not be made");
        }
    }
}

/// Makes every snapshot that is due; how many.
pub async fn make_due(truth: &Arc<Truth>, now: WallMs) -> Result<usize, SnapshotError> {
    let reading = truth.clone();
    let read = tokio::task::spawn_blocking(move || reading.store.read(|session| session.heads()));
    let heads: Vec<(StudioId, u64)> = read.await.map_err(|_| SnapshotError::Broken)??;
    let mut made = 0;
    for (studio, head) in heads {
        let newest = truth.snapshots.latest(studio).await?;
        let is_due = newest.is_none_or(|newest| {
            let (body, age) = (newest.body(), now.0.saturating_sub(newest.body().issued.0));
            head.saturating_sub(body.position) >= ENTRIES || age >= AGE_MS
        });
        if is_due {
            truth.snapshots.make(truth, (studio, now)).await?;
            made += 1;
        }
    }
    Ok(made)
}
