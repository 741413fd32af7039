//! Dialling: whom this machine knows of and has no link with, what changes about that when an adapter does or it hides on a
//! network, and what is remembered for the next start.

use std::net::SocketAddr;

use studiovault_protocol::event::Network;
use studiovault_protocol::id::DeviceId;

use super::Runner;
use super::dialer::{Linked, YIELD_MS};
use crate::driver::Event;
use crate::mesh::MeshCommand;
use crate::node::Announce;

impl Runner {
    /// With whom there is a link, and where they listen.
    pub(super) fn linked(&self) -> Vec<Linked> {
        self.driver
            .engine()
            .sessions()
            .filter_map(|(link, session)| {
                let address = self.links.get(&link)?;
                let port = if session.greeting.port == 0 {
                    address.port()
                } else {
                    session.greeting.port
                };
                let at = SocketAddr::new(address.ip().to_canonical(), port);
                Some((session.device, at))
            })
            .collect()
    }

    /// Dials whom we know of and have no link with.
    pub(super) fn dial(&mut self) {
        if self.presence.network == Network::Offline {
            return;
        }
        let now = self.clock.now().mono;
        if !self.presence.dialer.is_due(now) {
            return;
        }
        let linked = self.linked();
        for addresses in self.presence.dialer.due(now, &linked) {
            self.order(MeshCommand::Dial(addresses));
        }
    }

    /// Announces this machine, or hides it; links that stand stay.
    pub(super) async fn hide(&mut self, announce: Announce) {
        let linked = self.linked();
        self.presence.set_announce(announce, &linked).await;
        self.shown.stale = true;
    }

    /// Adapters came, went or changed address: everybody is dialled at once, and a link from an address that is gone is over.
    pub(super) fn look_at_adapters(&mut self, events: &mut Vec<Event>) {
        let now = self.clock.now().mono;
        let change = self.presence.adapters.look(now);
        if change.changed {
            tracing::info!("an adapter or its address changed");
            self.presence.dialer.retry_all(now);
            if let Some(port) = self.presence.listening.first().map(SocketAddr::port) {
                self.keep_port(port);
            }
        }
        for link in change.stranded {
            self.order(MeshCommand::Close(link));
            // Nothing can be written to it any more: not worth the wait for the mesh's word.
            events.push(Event::Closed(link));
        }
    }

    /// The last link with a machine ended: of the two, the lower device tries again at once.
    pub(super) fn parted(&mut self, device: DeviceId) {
        let now = self.clock.now().mono;
        let due = if self.driver.engine().identity().device < device {
            now
        } else {
            now.plus(YIELD_MS)
        };
        self.presence.dialer.parted(device, (now, due));
    }

    /// A link with a machine stands: where it listens is kept for the next start.
    pub(super) fn remember(&mut self, device: DeviceId) {
        let now = self.clock.now().mono;
        let linked = self.linked();
        let Some((_, address)) = linked.iter().find(|(linked, _)| *linked == device) else {
            return;
        };
        if !self.presence.remember((device, *address), now) {
            return;
        }
        self.presence.save_addresses();
    }

    /// This machine listens there: the same port is asked for again at the next start on this network.
    pub(super) fn keep_port(&mut self, port: u16) {
        if self.presence.keep_port(port) {
            self.presence.save_addresses();
        }
    }

    /// Whoever was shut out or left is not dialled where it was met.
    pub(super) fn forget_outsiders(&mut self) {
        let roster = self.driver.engine().roster();
        let outsiders = roster.members().filter(|member| !member.is_active());
        let outsiders: Vec<DeviceId> = outsiders.map(|member| member.grant.device).collect();
        for device in outsiders {
            self.presence.dialer.forget(device);
        }
    }
}
