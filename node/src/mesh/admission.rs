//! Who may connect: counts handshakes, peers and connections, and refuses above the bounds or while offline.
//!
//! Invariant: every place taken is given back exactly once, when its connection fails or closes. Plain data: knows
//! neither sockets nor time.

use std::{collections::HashMap, net::IpAddr};

use libp2p::{PeerId, swarm::ConnectionId};
use thiserror::Error;
use tokio::time::Instant;

use super::{
    blame::Blame,
    bounds::{MAX_CONNECTIONS_PER_PEER, MAX_HANDSHAKES, MAX_HANDSHAKES_PER_ADDRESS, MAX_PEERS},
};

/// Why a connection was not let in. Nobody's fault; nothing changed; it may be tried again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Denied {
    #[error("this node is offline; bring it online to connect")]
    Offline,
    #[error("{MAX_HANDSHAKES} handshakes are already under way; try again in a moment")]
    Handshakes,
    #[error("too many handshakes from one address; try again in a moment")]
    HandshakesOfAddress,
    #[error("it sent what makes no sense, and too often; try again in a minute")]
    Blamed,
    #[error("{MAX_PEERS} peers are already connected; disconnect one first")]
    Peers,
    #[error(
        "{MAX_CONNECTIONS_PER_PEER} connections to this peer already exist; try again in a moment"
    )]
    ConnectionsOfPeer,
}

/// The counts.
#[derive(Default)]
pub(super) struct Admission {
    offline: bool,
    handshakes: HashMap<ConnectionId, Option<IpAddr>>,
    connections: HashMap<PeerId, usize>,
    /// Who misbehaved of late.
    pub(super) blame: Blame,
}

impl Admission {
    pub(super) fn close(&mut self) {
        self.offline = true;
    }

    pub(super) fn open(&mut self) {
        self.offline = false;
    }

    /// Takes a handshake's place for an inbound connection.
    pub(super) fn begin(
        &mut self,
        connection: ConnectionId,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Denied> {
        if self.offline {
            return Err(Denied::Offline);
        }
        if address.is_some_and(|address| !self.blame.bears_address(&network(address), now)) {
            return Err(Denied::Blamed);
        }
        if self.handshakes.len() >= MAX_HANDSHAKES {
            return Err(Denied::Handshakes);
        }
        let address = address.map(network);
        // Loopback is exempt: several nodes of one machine dial each other at the same moment.
        let same = self.handshakes.values().filter(|a| **a == address).count();
        let loopback = address.is_some_and(|a| a.is_loopback());
        if !loopback && same >= MAX_HANDSHAKES_PER_ADDRESS {
            return Err(Denied::HandshakesOfAddress);
        }
        self.handshakes.insert(connection, address);
        Ok(())
    }

    /// Gives a handshake's place back, however it ended. Unknown ids are ignored.
    pub(super) fn end(&mut self, connection: ConnectionId) {
        self.handshakes.remove(&connection);
    }

    /// A handshake from that address failed. Loopback is exempt, as above.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        let address = network(address);
        if !address.is_loopback() {
            self.blame.address(address, now);
        }
    }

    /// Asks whether an authenticated connection of `peer` may stay.
    pub(super) fn check(&self, peer: &PeerId, now: Instant) -> Result<(), Denied> {
        if self.offline {
            return Err(Denied::Offline);
        }
        if !self.blame.bears_peer(peer, now) {
            return Err(Denied::Blamed);
        }
        match self.connections.get(peer) {
            None if self.connections.len() >= MAX_PEERS => Err(Denied::Peers),
            Some(&count) if count >= MAX_CONNECTIONS_PER_PEER => Err(Denied::ConnectionsOfPeer),
            _ => Ok(()),
        }
    }

    pub(super) fn opened(&mut self, peer: PeerId) {
        *self.connections.entry(peer).or_default() += 1;
    }

    pub(super) fn closed(&mut self, peer: &PeerId) {
        if let Some(count) = self.connections.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(peer);
            }
        }
    }
}

/// What one stranger surely has: a single IPv4 address, or the 64 bits of an IPv6 network in which anybody takes as many addresses as
/// they like (RFC 4291, section 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn stranger(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn one_stranger_cannot_take_every_handshake() {
        let mut admission = Admission::default();
        for number in 0..MAX_HANDSHAKES_PER_ADDRESS {
            assert_eq!(
                admission.begin(id(number), stranger(1), Instant::now()),
                Ok(())
            );
        }
        assert_eq!(
            admission.begin(id(90), stranger(1), Instant::now()),
            Err(Denied::HandshakesOfAddress)
        );
        assert_eq!(admission.begin(id(91), stranger(2), Instant::now()), Ok(()));
        admission.end(id(0));
        assert_eq!(admission.begin(id(92), stranger(1), Instant::now()), Ok(()));
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one_stranger() {
        let address = |text: &str| Some(text.parse().expect("an address"));
        let mut admission = Admission::default();
        for number in 0..MAX_HANDSHAKES_PER_ADDRESS {
            let own = address(&format!("2001:db8:0:1::{number:x}"));
            assert_eq!(admission.begin(id(number), own, Instant::now()), Ok(()));
        }
        assert_eq!(
            admission.begin(id(90), address("2001:db8:0:1:ffff::9"), Instant::now()),
            Err(Denied::HandshakesOfAddress)
        );
        assert_eq!(
            admission.begin(id(91), address("2001:db8:0:2::1"), Instant::now()),
            Ok(())
        );
        for number in 0..MAX_HANDSHAKES_PER_ADDRESS {
            assert_eq!(
                admission.begin(id(100 + number), address("::1"), Instant::now()),
                Ok(())
            );
        }
        assert_eq!(
            admission.begin(id(110), address("::1"), Instant::now()),
            Ok(())
        );
    }

    #[test]
    fn handshakes_are_bounded_in_total() {
        let mut admission = Admission::default();
        for number in 0..MAX_HANDSHAKES {
            let address = stranger(u8::try_from(number).expect("small"));
            assert_eq!(admission.begin(id(number), address, Instant::now()), Ok(()));
        }
        assert_eq!(
            admission.begin(id(99), stranger(99), Instant::now()),
            Err(Denied::Handshakes)
        );
    }

    #[test]
    fn peers_and_their_connections_are_bounded_and_places_come_back() {
        let mut admission = Admission::default();
        let first = PeerId::random();
        for _ in 0..MAX_CONNECTIONS_PER_PEER {
            assert_eq!(admission.check(&first, Instant::now()), Ok(()));
            admission.opened(first);
        }
        assert_eq!(
            admission.check(&first, Instant::now()),
            Err(Denied::ConnectionsOfPeer)
        );
        for _ in 1..MAX_PEERS {
            admission.opened(PeerId::random());
        }
        assert_eq!(
            admission.check(&PeerId::random(), Instant::now()),
            Err(Denied::Peers)
        );
        for _ in 0..MAX_CONNECTIONS_PER_PEER {
            admission.closed(&first);
        }
        assert_eq!(admission.check(&PeerId::random(), Instant::now()), Ok(()));
    }

    #[test]
    fn who_broke_the_protocol_too_often_is_kept_out_and_loopback_never_for_handshakes() {
        let (mut admission, now) = (Admission::default(), Instant::now());
        let peer = PeerId::random();
        (0..9).for_each(|_| admission.blame.peer(peer, now));
        assert_eq!(admission.check(&peer, now), Err(Denied::Blamed));
        assert_eq!(admission.check(&PeerId::random(), now), Ok(()));
        let near = IpAddr::from([127, 0, 0, 1]);
        let far = stranger(1).expect("an address");
        for address in [near, far] {
            (0..99).for_each(|_| admission.failed(address, now));
        }
        assert_eq!(admission.begin(id(1), Some(far), now), Err(Denied::Blamed));
        assert_eq!(admission.begin(id(2), Some(near), now), Ok(()));
    }

    #[test]
    fn offline_admits_nobody_until_opened_again() {
        let mut admission = Admission::default();
        admission.close();
        assert_eq!(
            admission.begin(id(1), stranger(1), Instant::now()),
            Err(Denied::Offline)
        );
        assert_eq!(
            admission.check(&PeerId::random(), Instant::now()),
            Err(Denied::Offline)
        );
        admission.open();
        assert_eq!(admission.begin(id(1), stranger(1), Instant::now()), Ok(()));
    }
}
