//! Looking: adapters, the disk, and TCP ports of this machine and of others. Nothing is judged here.
//!
//! Every look ends within a few seconds, whatever it meets, and leaves nothing behind.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::multicast::ask;
use super::{Adapter, Disk, Facts, Multicast, Reached};
use crate::clock;

/// A port that has not answered by then is silent.
const PORT_WAIT: Duration = Duration::from_millis(1_500);
/// Ports tried in one look.
const PORTS: usize = 32;
/// Bytes written to see whether the disk takes them.
const TRIAL_BYTES: usize = 64 * 1024;

/// What can be seen of the machine itself; multicast is asked only if it may be. Blocks for about a second.
pub fn at_machine(folder: &Path, may_ask: Result<(), String>) -> Facts {
    let adapters = adapters();
    let multicast = match may_ask {
        Ok(()) => ask(&adapters),
        Err(why) => Multicast::NotTried(why),
    };
    Facts {
        multicast,
        adapters,
        disk: disk(folder),
        node: None,
        cloud: None,
        at: clock::wall(),
    }
}

fn adapters() -> Vec<Adapter> {
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::debug!(%error, "the adapters cannot be listed");
        Vec::new()
    });
    let adapter = |interface: if_addrs::Interface| Adapter {
        shared_bits: match &interface.addr {
            if_addrs::IfAddr::V4(v4) => v4.prefixlen,
            if_addrs::IfAddr::V6(v6) => v6.prefixlen,
        },
        address: interface.ip(),
        name: interface.name,
    };
    found.into_iter().map(adapter).collect()
}

fn disk(folder: &Path) -> Disk {
    Disk {
        folder: folder.to_owned(),
        free_bytes: free_bytes(folder),
        wrote_ms: wrote(folder).map_err(|error| error.to_string()),
    }
}

/// What is free for this user on the disk of a folder; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let told = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(told.blocks_available().saturating_mul(told.fragment_size()))
}

/// As above.
#[cfg(not(target_os = "linux"))]
pub fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

/// Writes a file, syncs it and takes it away.
fn wrote(folder: &Path) -> std::io::Result<u64> {
    // Several may look at once, also in one process.
    static TRIALS: AtomicU64 = AtomicU64::new(0);
    let trial = TRIALS.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("doctor.{}.{trial}", std::process::id()));
    let began = Instant::now();
    let written = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(&[0; TRIAL_BYTES])?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed)?;
    Ok(began.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
}

/// Tries TCP ports, all at once.
pub async fn at_ports(
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> BTreeMap<SocketAddr, Reached> {
    let tries = addresses.into_iter().take(PORTS).map(|address| async move {
        let connected = tokio::net::TcpStream::connect(address);
        let reached = match tokio::time::timeout(PORT_WAIT, connected).await {
            Ok(Ok(_)) => Reached::Answers,
            Ok(Err(error)) => match error.kind() {
                ErrorKind::ConnectionRefused => Reached::Refuses,
                ErrorKind::TimedOut => Reached::Silent,
                _ => Reached::NoWay,
            },
            Err(_) => Reached::Silent,
        };
        (address, reached)
    });
    join_all(tries).await.into_iter().collect()
}

/// Whether an address is one that can be tried without naming an adapter.
pub fn is_own_door(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_look_at_one_disk_at_once_and_each_finds_it_sound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        std::thread::scope(|scope| {
            let looks: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..8).try_for_each(|_| wrote(path).map(drop))))
                .collect();
            for look in looks {
                look.join().expect("no panic").expect("a sound disk");
            }
        });
        assert_eq!(path.read_dir().expect("a folder").count(), 0);
    }
}
