//! This machine on the LAN: whether it is there, where it listens, how it is found and whom it knows.

use std::net::SocketAddr;

use studiovault_protocol::event::Network;
use studiovault_protocol::time::MonoMs;
use tokio::sync::mpsc;

use super::contacts::Contacts;
use super::dialer::{Dialer, Linked, YIELD_MS};
use super::{KeyKeeper, Reachability};
use crate::adapters::{Adapters, own_addresses};
use crate::discovery::{self, DiscoveryConfig, DiscoveryEvent, DiscoveryHandle};
use crate::node::Announce;

/// A running discovery and its events.
type Discovery = (DiscoveryHandle, mpsc::Receiver<DiscoveryEvent>);

/// The state of this machine's presence.
pub(super) struct Presence {
    pub(super) network: Network,
    pub(super) listening: Vec<SocketAddr>,
    pub(super) dialer: Dialer,
    pub(super) contacts: Contacts,
    pub(super) adapters: Adapters,
    reach: Reachability,
    discovery: Option<Discovery>,
}

impl Presence {
    /// On the LAN, not listening yet.
    pub(super) fn new(reach: Reachability) -> Self {
        Self {
            network: Network::Online,
            listening: Vec::new(),
            dialer: Dialer::new(reach.peers.clone(), reach.addresses.peers()),
            contacts: Contacts::default(),
            adapters: Adapters::default(),
            reach,
            discovery: None,
        }
    }

    /// Who keeps the keys of the mesh.
    pub(super) fn keeper(&self) -> &KeyKeeper {
        &self.reach.keeper
    }

    /// Whether this machine announces itself.
    pub(super) fn announces(&self) -> Announce {
        self.reach.announce
    }

    /// Announces this machine from now on, or hides it: then it knows those whom it is linked with, and whom a person named.
    pub(super) async fn set_announce(&mut self, announce: Announce, linked: &[Linked]) {
        self.reach.announce = announce;
        match announce {
            Announce::Silent => {
                if let Some((handle, _)) = self.discovery.take() {
                    handle.stop().await;
                }
                self.dialer.forget_found();
                for (_, at) in linked {
                    self.dialer.know(&at.to_string(), vec![*at]);
                }
            }
            Announce::Mdns => {
                if let Some(port) = self.listening.first().map(SocketAddr::port) {
                    self.announce(port);
                }
            }
        }
    }

    /// Announces under other keys from now on, and finds who announces under them.
    pub(super) fn rekey(&mut self, keys: Vec<[u8; 32]>) {
        self.reach.discovery_keys = keys;
        // The goodbye under the keys before is said behind.
        self.discovery = None;
        self.dialer.forget_found();
        if let Some(port) = self.listening.first().map(SocketAddr::port) {
            self.announce(port);
        }
    }

    /// The next word of discovery; never, while there is none.
    pub(super) async fn next_found(&mut self) -> Option<DiscoveryEvent> {
        match &mut self.discovery {
            Some((_, events)) => events.recv().await,
            None => std::future::pending().await,
        }
    }

    /// A machine was reached at an address; whether that is news.
    pub(super) fn remember(&mut self, (device, address): Linked, now: MonoMs) -> bool {
        if !self.reach.addresses.met(device, address) {
            return false;
        }
        let peers = self.reach.addresses.peers();
        if let Some(known) = peers.iter().find(|known| known.device == device) {
            self.dialer.remember(device, known.addresses.clone(), now);
        }
        true
    }

    /// This machine listens on a port; whether that is news.
    pub(super) fn keep_port(&mut self, port: u16) -> bool {
        self.reach.addresses.listens(port, own_addresses())
    }

    /// Keeps the addresses for the next start.
    pub(super) fn save_addresses(&self) {
        if let Err(error) = self.reach.addresses.save(&self.reach.addresses_file) {
            // Discovery finds them as well; a full disk is told elsewhere.
            tracing::debug!(%error, "the peers' addresses cannot be kept");
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
        let keys = self.reach.discovery_keys.clone();
        let port = Some(port);
        match discovery::start(DiscoveryConfig { keys, port }) {
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
