//! Making a snapshot: what the newest one holds already is named again, the rest is read run by run.

use std::sync::Arc;

use bytes::Bytes;
use studiovault_protocol::id::StudioId;
use studiovault_protocol::limits;
use studiovault_protocol::merge::FOLD;
use studiovault_protocol::snapshot::{self, ChunkName, LEVEL, Manifest, ManifestBody, Segment};
use studiovault_protocol::time::WallMs;

use super::{SnapshotError, Snapshots};
use crate::studio::{State, Studio};
use crate::truth::Truth;

/// Whoever meets a snapshot later than this takes a newer one, ms: 30 days, four times what it takes until the next is made by itself.
const LASTS_MS: i64 = 30 * 86_400_000;

/// A chunk that was made and is not kept yet.
type Fresh = (ChunkName, Bytes);

impl Snapshots {
    /// Makes a snapshot of a studio as it is now.
    pub async fn make(
        &self,
        truth: &Arc<Truth>,
        (id, now): (StudioId, WallMs),
    ) -> Result<Arc<Manifest>, SnapshotError> {
        let _turn = self.turn.lock().await;
        let (studio, state) = wait(truth, move |truth| {
            // Asked before the state is: other servers write on meanwhile.
            let known = truth.heads.of(id);
            let studio = truth.studio(id)?.ok_or(SnapshotError::NotEnrolled)?;
            let state = studio.state();
            if known > state.head.0 {
                return Err(SnapshotError::Behind);
            }
            Ok((studio, state))
        })
        .await?;
        let mut segments = vec![self.keep(id, (0, chunks(&state.signed_parts()))).await?];
        segments.extend(self.shared(truth, (&studio, &state)).await?);
        let (mut since, head) = (
            segments.last().map_or(0, |segment| segment.upto),
            state.head,
        );
        while since < head.0 {
            let studio = studio.clone();
            let (upto, fresh) = wait(truth, move |truth| {
                let run = studio.run(truth, (since, head.0))?;
                Ok((run.upto, chunks(&run.parts)))
            })
            .await?;
            if upto == since {
                return Err(SnapshotError::Behind);
            }
            segments.push(self.keep(id, (upto, fresh)).await?);
            since = upto;
        }
        if segments
            .iter()
            .map(|segment| segment.chunks.len())
            .sum::<usize>()
            > limits::SNAPSHOT_CHUNKS
        {
            return Err(SnapshotError::TooLarge);
        }
        let body = ManifestBody {
            studio: id,
            author: studio.cloud,
            position: head.0,
            head: head.1,
            sum: state.sum,
            fold: FOLD,
            issued: now,
            expires: WallMs(now.0.saturating_add(LASTS_MS)),
            segments,
        };
        let manifest = Manifest::seal(body, &truth.key);
        self.put_manifest(id, &manifest).await?;
        self.forget_old(id).await?;
        Ok(self.remember(id, manifest))
    }

    async fn keep(
        &self,
        studio: StudioId,
        (upto, fresh): (u64, Vec<Fresh>),
    ) -> Result<Segment, SnapshotError> {
        let mut chunks = Vec::with_capacity(fresh.len());
        for (name, bytes) in fresh {
            self.put_chunk(studio, (&name, bytes)).await?;
            chunks.push(name);
        }
        Ok(Segment { upto, chunks })
    }

    /// The segments of the newest snapshot that this one begins with: all but its last, which may not be full. None if it is of
    /// another history, as after a database was put back and went on.
    async fn shared(
        &self,
        truth: &Arc<Truth>,
        (studio, state): (&Arc<Studio>, &State),
    ) -> Result<Vec<Segment>, SnapshotError> {
        let Some(newest) = self.latest(studio.id).await? else {
            return Ok(Vec::new());
        };
        let (row, body) = (studio.row, newest.body().clone());
        if body.author != studio.cloud || body.position > state.head.0 {
            return Ok(Vec::new());
        }
        let (position, head) = (body.position, body.head);
        let held = wait(truth, move |truth| {
            let held = truth.store.read(|session| session.page_hash(row, position));
            Ok::<_, SnapshotError>(held?)
        })
        .await?;
        if held != Some(head) {
            return Ok(Vec::new());
        }
        let kept = self.chunks_held(studio.id).await?;
        let is_kept = |segment: &Segment| {
            let lengths = segment.chunks.iter();
            lengths
                .map(|name| (name.hash.to_string(), u64::from(name.packed)))
                .all(|(name, length)| kept.get(&name) == Some(&length))
        };
        let full = body.segments.len() - 1;
        let shared = body.segments.into_iter().take(full).skip(1);
        // What was lost on the way is made anew, and all behind it.
        Ok(shared.take_while(is_kept).collect())
    }
}

/// Runs `work` where it may wait for the disk and count.
async fn wait<T: Send + 'static>(
    truth: &Arc<Truth>,
    work: impl FnOnce(&Truth) -> Result<T, SnapshotError> + Send + 'static,
) -> Result<T, SnapshotError> {
    let truth = truth.clone();
    let done = tokio::task::spawn_blocking(move || work(&truth)).await;
    done.unwrap_or(Err(SnapshotError::Broken))
}

/// Parts as chunks.
fn chunks(parts: &[Vec<u8>]) -> Vec<Fresh> {
    snapshot::chunks(parts)
        .iter()
        .map(|raw| chunk(raw))
        .collect()
}

fn chunk(raw: &[u8]) -> Fresh {
    let packed = zstd::bulk::compress(raw, LEVEL).expect("compression into memory succeeds");
    (ChunkName::of(&packed, raw.len()), packed.into())
}
