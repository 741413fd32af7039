//! This machine on the LAN: whether it is there, where it listens, how it is found and whom it knows.

use std::net::SocketAddr;

use studiovault_protocol::event::Network;
use studiovault_protocol::time::MonoMs;
use tokio::sync::mpsc;

use super::Reachability;
use super::dialer::{Dialer, YIELD_MS};
use crate::discovery::{self, DiscoveryConfig, DiscoveryEvent, DiscoveryHandle};
use crate::node::Announce;

/// A running discovery and its events.
type Discovery = (DiscoveryHandle, mpsc::Receiver<DiscoveryEvent>);

/// The state of this machine's presence.
pub(super) struct Presence {
    pub(super) network: Network,
    pub(super) listening: Vec<SocketAddr>,
    pub(super) dialer: Dialer,
    reach: Reachability,
    discovery: Option<Discovery>,
}

impl Presence {
    /// On the LAN, not listening yet.
    pub(super) fn new(reach: Reachability) -> Self {
        Self {
            network: Network::Online,
            listening: Vec::new(),
            dialer: Dialer::new(reach.peers.clone()),
            reach,
            discovery: None,
        }
    }

    /// The next word of discovery; never, while there is none.
    pub(super) async fn next_found(&mut self) -> Option<DiscoveryEvent> {
        match &mut self.discovery {
            Some((_, events)) => events.recv().await,
            None => std::future::pending().await,
        }
    }

    /// The mesh listens at an address.
    pub(super) fn listens(&mut self, address: SocketAddr) {
        if !self.listening.contains(&address) {
            self.listening.push(address);
        }
        self.announce(address.port());
    }

    fn announce(&mut self, port: u16) {
        let silent = self.reach.announce == Announce::Silent || self.network == Network::Offline;
        if silent || self.discovery.is_some() {
            return;
        }
        let key = self.reach.discovery_key;
        let port = Some(port);
        match discovery::start(DiscoveryConfig { key, port }) {
            Ok(discovery) => self.discovery = Some(discovery),
            Err(error) => tracing::warn!(%error, "not announced on this network"),
        }
    }

    /// Leaves the LAN: says goodbye and forgets whom discovery told of.
    pub(super) async fn leave(&mut self) {
        if let Some((handle, _)) = self.discovery.take() {
            handle.stop().await;
        }
        self.listening.clear();
        self.dialer.forget_found();
    }

    /// Discovery spoke, or ended (`None`) and is begun anew.
    pub(super) fn found(&mut self, event: Option<DiscoveryEvent>, now: MonoMs) {
        match event {
            Some(DiscoveryEvent::Found {
                instance,
                addresses,
                dial_first,
            }) => {
                let due = if dial_first { now } else { now.plus(YIELD_MS) };
                self.dialer.found(instance, addresses, due);
            }
            Some(DiscoveryEvent::Lost { instance }) => self.dialer.lost(&instance),
            Some(DiscoveryEvent::InterfacesChanged) => self.dialer.retry_all(now),
            None => {
                self.discovery = None;
                if let Some(port) = self.listening.first().map(SocketAddr::port) {
                    self.announce(port);
                }
            }
        }
    }
}
