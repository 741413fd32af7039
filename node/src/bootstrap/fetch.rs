//! Fetching a snapshot from the cloud truth: what is here already is not fetched again, and what the network breaks is asked again.

use std::time::Duration;

use studiovault_protocol::snapshot::{ChunkName, Manifest};

use super::{Bootstrap, BootstrapError, Stage};
use crate::uplink::{CloudClient, UplinkError};

/// How often a chunk is asked for while the network breaks it, each time after twice the wait.
const TRIES: u32 = 6;
/// The first wait.
const WAIT: Duration = Duration::from_millis(200);

/// Fetches the newest snapshot, all of it.
pub async fn fetch(
    bootstrap: &Bootstrap,
    client: &CloudClient,
    told: &mut dyn FnMut(Stage, u64, u64),
) -> Result<Manifest, BootstrapError> {
    bootstrap.check_cloud()?;
    let bytes = match client.snapshot().await {
        // It has not heard of this machine yet: a signed roster says that it belongs.
        Err(UplinkError::Unknown(_)) => {
            let records: Vec<_> = bootstrap.roster.records().cloned().collect();
            client
                .introduce(bootstrap.roster.studio(), &records)
                .await?;
            client.snapshot().await
        }
        bytes => bytes,
    };
    let bytes = match bytes {
        Err(UplinkError::Missing(_)) => return Err(BootstrapError::NoSnapshot),
        bytes => bytes?,
    };
    let manifest = bootstrap.check(bytes)?;
    let missing = bootstrap.missing(&manifest)?;
    let all = manifest.packed_bytes();
    let lacking: u64 = missing.iter().map(|(_, name)| u64::from(name.packed)).sum();
    let mut done = all - lacking;
    told(Stage::Fetching, done, all);
    for (place, name) in missing {
        let bytes = chunk(client, (&manifest, place), &name).await?;
        bootstrap.keep(&name, &bytes)?;
        done += u64::from(name.packed);
        told(Stage::Fetching, done, all);
    }
    Ok(manifest)
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
