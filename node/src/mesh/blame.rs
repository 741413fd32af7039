//! Who misbehaved of late: a purse of patience for every peer and for every address, spent by faults and refilled by time.
//!
//! Invariant: at most [`BLAMED`] purses are kept; a full one is forgotten, because whoever is not listed has all our patience.
//! Plain data: knows neither sockets nor the clock.

use std::{collections::HashMap, hash::Hash, net::IpAddr};

use libp2p::PeerId;
use tokio::time::Instant;

use super::bounds::{ADDRESS_FAULTS, ADDRESS_FAULTS_PER_S, BLAMED, PEER_FAULT_S, PEER_FAULTS};

/// What is left of our patience with whom.
#[derive(Default)]
pub(super) struct Blame {
    peers: Purses<PeerId>,
    addresses: Purses<IpAddr>,
}

impl Blame {
    /// A peer past its handshake broke the protocol.
    pub(super) fn peer(&mut self, peer: PeerId, now: Instant) {
        self.peers.spend(peer, PEERS, now);
    }

    /// Somebody at that address did not get through the handshake.
    pub(super) fn address(&mut self, address: IpAddr, now: Instant) {
        self.addresses.spend(address, ADDRESSES, now);
    }

    /// Whether we still have patience with a peer.
    pub(super) fn bears_peer(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers.left(peer, PEERS, now) >= 1.0
    }

    /// Whether we still have patience with an address.
    pub(super) fn bears_address(&self, address: &IpAddr, now: Instant) -> bool {
        self.addresses.left(address, ADDRESSES, now) >= 1.0
    }
}

/// How much fits a purse, and how much comes back in a second.
#[derive(Clone, Copy)]
struct Measure {
    most: f64,
    per_s: f64,
}

const PEERS: Measure = Measure {
    most: PEER_FAULTS,
    per_s: 1.0 / PEER_FAULT_S,
};
const ADDRESSES: Measure = Measure {
    most: ADDRESS_FAULTS,
    per_s: ADDRESS_FAULTS_PER_S,
};

/// What was left at a moment, by whom.
struct Purses<K>(HashMap<K, (f64, Instant)>);

impl<K> Default for Purses<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Purses<K> {
    fn left(&self, key: &K, measure: Measure, now: Instant) -> f64 {
        self.0
            .get(key)
            .map_or(measure.most, |purse| refilled(*purse, measure, now))
    }

    fn spend(&mut self, key: K, measure: Measure, now: Instant) {
        let left = (self.left(&key, measure, now) - 1.0).max(0.0);
        if self.0.len() >= BLAMED && !self.0.contains_key(&key) {
            self.0
                .retain(|_, purse| refilled(*purse, measure, now) < measure.most);
        }
        // With so many at once nobody is told from the others; their handshakes are bounded all the same.
        if self.0.len() < BLAMED || self.0.contains_key(&key) {
            self.0.insert(key, (left, now));
        }
    }
}

fn refilled((left, at): (f64, Instant), measure: Measure, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(at).as_secs_f64();
    (left + passed * measure.per_s).min(measure.most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn patience_ends_after_some_faults_and_comes_back_one_by_one() {
        let (mut blame, peer, now) = (Blame::default(), PeerId::random(), Instant::now());
        for fault in 0..PEER_FAULTS as usize {
            assert!(blame.bears_peer(&peer, now), "after {fault} faults");
            blame.peer(peer, now);
        }
        assert!(!blame.bears_peer(&peer, now));
        assert!(blame.bears_peer(&PeerId::random(), now), "others are borne");
        let later = now + Duration::from_secs_f64(PEER_FAULT_S + 0.1);
        assert!(blame.bears_peer(&peer, later));
        blame.peer(peer, later);
        assert!(!blame.bears_peer(&peer, later), "only one came back");
        // Faults while there is no patience left cost no more than there is.
        (0..1000).for_each(|_| blame.peer(peer, later));
        assert!(blame.bears_peer(&peer, later + Duration::from_secs_f64(PEER_FAULT_S + 0.1)));
    }

    #[test]
    fn purses_are_bounded_and_full_ones_make_room() {
        let (mut blame, now) = (Blame::default(), Instant::now());
        let address = |n: usize| IpAddr::from((n as u128).to_be_bytes());
        (0..2 * BLAMED).for_each(|n| blame.address(address(n), now));
        assert_eq!(blame.addresses.0.len(), BLAMED);
        let later = now + Duration::from_secs(60);
        blame.address(address(2 * BLAMED), later);
        assert_eq!(blame.addresses.0.len(), 1);
    }
}
