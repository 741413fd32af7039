//! Where this machine's peers were last reached, and where it listened itself: a hint for its next start.
//!
//! Invariant: bounded, and nothing rests on it. A file that cannot be read is an empty one; who answers at an address must still
//! pass the handshake.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::limits;

use super::{ConfigError, pretty, secret};

/// Addresses kept of each peer, the latest first: the LANs on which a laptop usually meets it.
const EACH: usize = 4;

/// One peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Known {
    /// Which.
    pub device: DeviceId,
    /// Where it listened, the latest first.
    pub addresses: Vec<SocketAddr>,
}

/// The addresses of the peers met last, and this machine's own port.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AddressBook {
    /// Where this machine listened last; 0 if never.
    #[serde(default)]
    port: u16,
    /// The addresses that it had then.
    #[serde(default)]
    own: BTreeSet<IpAddr>,
    /// The peer met last is the last.
    #[serde(default)]
    peers: Vec<Known>,
}

impl AddressBook {
    /// Reads one; an empty one if there is none or it cannot be read.
    pub fn load(path: &Path) -> Self {
        let text = secret::read_text(path).unwrap_or_default();
        let mut book: Self = serde_json::from_str(&text).unwrap_or_default();
        book.bound();
        book
    }

    /// Writes it, for its owner alone.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        secret::write(path, pretty(self).as_bytes())
    }

    /// The port to listen on again, since others remember it: where this machine still has an address of then, which links its runs
    /// anyway. On another network it is 0, so that no stranger knows the machine again by its port.
    pub fn port_at(&self, own: &BTreeSet<IpAddr>) -> u16 {
        let same = own.is_empty() && self.own.is_empty() || !own.is_disjoint(&self.own);
        if same { self.port } else { 0 }
    }

    /// Those met before.
    pub fn peers(&self) -> &[Known] {
        &self.peers
    }

    /// This machine listens there; whether that is news.
    pub fn listens(&mut self, port: u16, own: BTreeSet<IpAddr>) -> bool {
        let before = (self.port, std::mem::replace(&mut self.own, own));
        self.port = port;
        before != (port, self.own.clone())
    }

    /// A peer was reached there; whether that is news.
    pub fn met(&mut self, device: DeviceId, address: SocketAddr) -> bool {
        let latest = self.peers.iter().find(|known| known.device == device);
        if latest.is_some_and(|known| known.addresses.first() == Some(&address)) {
            return false;
        }
        let at = self.peers.iter().position(|known| known.device == device);
        let mut known = at.map_or_else(
            || Known {
                device,
                addresses: Vec::new(),
            },
            |at| self.peers.remove(at),
        );
        known.addresses.retain(|known| *known != address);
        known.addresses.insert(0, address);
        self.peers.push(known);
        self.bound();
        true
    }

    fn bound(&mut self) {
        let excess = self.peers.len().saturating_sub(limits::PEERS);
        self.peers.drain(..excess);
        for known in &mut self.peers {
            known.addresses.truncate(EACH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn device(n: u8) -> DeviceId {
        DeviceId::from_random([n; 16])
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn a_book_reads_back_and_a_damaged_one_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("addresses.json");
        assert_eq!(AddressBook::load(&path), AddressBook::default());
        let mut book = AddressBook::default();
        assert!(book.met(device(1), at(1)) && book.listens(7, here(1)));
        assert!(
            !book.met(device(1), at(1)) && !book.listens(7, here(1)),
            "no news"
        );
        book.save(&path).expect("it is written");
        assert_eq!(AddressBook::load(&path), book);
        fs::write(&path, "{\"port\": 70000").expect("it is damaged");
        assert_eq!(AddressBook::load(&path), AddressBook::default());
    }

    fn here(n: u8) -> BTreeSet<IpAddr> {
        BTreeSet::from([IpAddr::from([10, 0, 0, n])])
    }

    #[test]
    fn the_port_is_kept_where_the_address_is_and_nowhere_else() {
        let mut book = AddressBook::default();
        book.listens(7, here(1));
        assert_eq!(book.port_at(&here(1)), 7);
        assert_eq!(book.port_at(&here(2)), 0);
        assert_eq!(book.port_at(&BTreeSet::new()), 0);
        book.listens(7, BTreeSet::new());
        assert_eq!(book.port_at(&BTreeSet::new()), 7, "loopback alone");
    }

    #[test]
    fn the_latest_address_is_first_and_everything_is_bounded() {
        let mut book = AddressBook::default();
        for port in 1..=9 {
            book.met(device(1), at(port));
        }
        book.met(device(1), at(8));
        assert_eq!(book.peers[0].addresses, [at(8), at(9), at(7), at(6)]);
        for n in 0..=255 {
            book.met(device(n), at(1));
        }
        assert_eq!(book.peers.len(), limits::PEERS);
        assert_eq!(
            book.peers.last().map(|known| known.device),
            Some(device(255))
        );
    }
}
