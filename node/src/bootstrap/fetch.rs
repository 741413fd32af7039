//! Fetching a snapshot from the cloud truth: what is here already is not fetched again, and what the network breaks is asked again.

use std::time::Duration;

use studiovault_protocol::snapshot::{ChunkName, Manifest};

use super::delta::Base;
use super::{Bootstrap, BootstrapError, Loaded, Stage};
use crate::uplink::{CloudClient, UplinkError};

/// How often a chunk is asked for while the network breaks it, each time after twice the wait.
const TRIES: u32 = 6;
/// The first wait.
const WAIT: Duration = Duration::from_millis(200);

impl Bootstrap {
    /// Begins this machine anew from the cloud's newest snapshot, of which only what its own store cannot stand in for is fetched.
    pub async fn load_from_cloud(
        self,
        client: &CloudClient,
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Loaded, BootstrapError> {
        let manifest = self.newest(client).await?;
        let base = self.base(&manifest)?;
        self.fetch(client, (&manifest, base), told).await?;
        let filled = match self.fill((&manifest, base), told) {
            // The store is damaged, or the feed was put back and went on another way: nothing of it stands in.
            Err(BootstrapError::Refused(reason)) if base.is_some() => {
                tracing::info!(
                    reason,
                    "the store is no base; all of the snapshot is fetched"
                );
                self.fetch(client, (&manifest, Base::default()), told)
                    .await?;
                self.fill((&manifest, Base::default()), told)?
            }
            filled => filled?,
        };
        self.finish(filled)
    }

    /// The newest manifest, which may be loaded.
    async fn newest(&self, client: &CloudClient) -> Result<Manifest, BootstrapError> {
        self.check_cloud()?;
        let bytes = match client.snapshot().await {
            // It has not heard of this machine yet: a signed roster says that it belongs.
            Err(UplinkError::Unknown(_)) => {
                let records: Vec<_> = self.roster.records().cloned().collect();
                client.introduce(self.roster.studio(), &records).await?;
                client.snapshot().await
            }
            bytes => bytes,
        };
        match bytes {
            Err(UplinkError::Missing(_)) => Err(BootstrapError::NoSnapshot),
            bytes => self.check(bytes?),
        }
    }

    /// Fetches every chunk beyond the base that is not here.
    async fn fetch(
        &self,
        client: &CloudClient,
        (manifest, base): (&Manifest, Base),
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<(), BootstrapError> {
        let missing = self.missing(manifest, base)?;
        let all = base.packed_bytes(manifest);
        let lacking: u64 = missing.iter().map(|(_, name)| u64::from(name.packed)).sum();
        let mut done = all - lacking;
        told(Stage::Fetching, done, all);
        for (place, name) in missing {
            let bytes = chunk(client, (manifest, place), &name).await?;
            self.keep(&name, &bytes)?;
            done += u64::from(name.packed);
            told(Stage::Fetching, done, all);
        }
        Ok(())
    }
}

async fn chunk(
    client: &CloudClient,
    (manifest, place): (&Manifest, usize),
    name: &ChunkName,
) -> Result<Vec<u8>, BootstrapError> {
    let mut wait = WAIT;
    for _ in 1..TRIES {
        match client.snapshot_chunk(manifest.id(), place).await {
            Ok(bytes) if name.names(&bytes) => return Ok(bytes),
            // Cut off or bent on the way: it is asked for again, and refused if it comes so again.
            Ok(_) | Err(UplinkError::Unreachable(_) | UplinkError::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Ok(client.snapshot_chunk(manifest.id(), place).await?)
}
