//! What the mesh tells: frames and links go to the driver, and whom this machine met without a link coming of it is remembered.
//!
//! Invariant: at most [`CONTACTS`] meetings and [`LINKS`] addresses of links are kept, the newest; a link that stands ends what was
//! remembered of its address.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use studiovault_protocol::event::LinkId;
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::id::{DeviceId, PublicKey};
use studiovault_protocol::refusal::{Refusal, RefusalKind, RefusedBy};
use studiovault_protocol::time::WallMs;

use super::Runner;
use crate::clock;
use crate::driver::Event;
use crate::mesh::{MeshCommand, MeshEvent, Obstacle};

/// Meetings kept.
const CONTACTS: usize = 64;
/// Links whose address is kept for a word that comes when they are gone.
const LINKS: usize = 256;

/// How a meeting ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Met {
    /// A dial came to nothing.
    Dialled(Obstacle),
    /// One side turned the other away.
    Turned(RefusedBy, RefusalKind),
}

/// A meeting of which no link came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// Where; of somebody who came here the port is 0.
    pub address: SocketAddr,
    /// When it was last so.
    pub at: WallMs,
    /// How it ended.
    pub met: Met,
    /// The same in words.
    pub words: String,
}

/// Somebody whom this machine dials whenever there is no link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Where.
    pub addresses: Vec<SocketAddr>,
    /// A person named the address; else it was found by multicast.
    pub named: bool,
    /// There is a link.
    pub linked: bool,
}

/// Others on the network as this machine met them.
#[derive(Clone, Debug, Default)]
pub struct Neighbourhood {
    /// Meetings of which no link came.
    pub contacts: Vec<Contact>,
    /// Whom it dials.
    pub candidates: Vec<Candidate>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    met: BTreeMap<SocketAddr, Contact>,
    links: BTreeMap<LinkId, SocketAddr>,
}

impl Contacts {
    /// Whether somebody who turned this machine away is still without a link.
    fn are_refused(&self) -> bool {
        let mut met = self.met.values();
        met.any(|contact| matches!(contact.met, Met::Turned(RefusedBy::Them, _)))
    }

    fn opened(&mut self, link: LinkId, address: SocketAddr) {
        self.links.insert(link, address);
        while self.links.len() > LINKS {
            self.links.pop_first();
        }
    }

    fn note(&mut self, address: SocketAddr, met: Met, words: String) {
        let at = clock::wall();
        let contact = Contact {
            address,
            at,
            met,
            words,
        };
        self.met.insert(address, contact);
        while self.met.len() > CONTACTS {
            let oldest = self.met.values().min_by_key(|contact| contact.at);
            let Some(oldest) = oldest.map(|contact| contact.address) else {
                return;
            };
            self.met.remove(&oldest);
        }
    }

    fn forget(&mut self, address: SocketAddr) {
        self.met.remove(&address);
        self.met.remove(&SocketAddr::new(address.ip(), 0));
    }
}

impl Runner {
    /// Takes what the mesh tells.
    pub(super) async fn mesh_event(&mut self, event: MeshEvent, events: &mut Vec<Event>) {
        match event {
            MeshEvent::Listening(address) => {
                events.push(Event::Listening(address.port()));
                self.presence.listens(address);
                self.keep_port(address.port());
                self.shown.stale = true;
            }
            MeshEvent::Opened {
                link,
                key,
                address,
                earlier_key,
                dialed,
            } => {
                self.links.insert(link, address);
                self.presence.adapters.opened(link, address);
                self.board.link_opened();
                let ip = address.ip().to_canonical();
                let port = if dialed { address.port() } else { 0 };
                let contacts = &mut self.presence.contacts;
                contacts.opened(link, SocketAddr::new(ip, port));
                events.push(Event::Opened(link, PublicKey(key)));
                events.extend(earlier_key.then_some(Event::Restrict(link)));
            }
            MeshEvent::Frame { link, bytes } => events.push(Event::Frame(link, bytes)),
            MeshEvent::Closed { link, reason } => {
                tracing::info!(link = link.0, ?reason, "link closed");
                self.links.remove(&link);
                self.presence.adapters.closed(link);
                events.push(Event::Closed(link));
                self.shown.stale = true;
            }
            MeshEvent::DialFailed {
                address,
                obstacle,
                reason,
            } => {
                tracing::debug!(%address, reason, "dial failed");
                self.presence.dialer.failed(address, self.clock.now().mono);
                if obstacle != Obstacle::NotTried {
                    self.board.dial_failed();
                    let met = Met::Dialled(obstacle);
                    self.presence.contacts.note(address, met, reason);
                }
            }
            MeshEvent::Heard { bytes, .. } => events.push(Event::Gossip(bytes)),
        }
    }

    /// A link was not served.
    pub(super) fn turned(&mut self, link: LinkId, by: RefusedBy, refusal: Refusal) {
        let contacts = &mut self.presence.contacts;
        if let Some(address) = contacts.links.get(&link).copied() {
            contacts.note(address, Met::Turned(by, refusal.kind), refusal.words);
        }
    }

    /// A link with a machine stands.
    pub(super) fn met(&mut self, device: DeviceId) {
        let member = self.driver.engine().roster().member(device);
        if let Some(key) = member.map(|member| member.grant.key.0) {
            self.order(MeshCommand::Admit(key));
        }
        let mut sessions = self.driver.engine().sessions();
        let Some((link, session)) = sessions.find(|(_, session)| session.device == device) else {
            return;
        };
        let contacts = &mut self.presence.contacts;
        if let Some(address) = contacts.links.get(&link).copied() {
            contacts.forget(address);
            contacts.forget(SocketAddr::new(address.ip(), session.greeting.port));
        }
        if !contacts.are_refused() {
            self.board.fault_over(FaultKind::Refused);
        }
    }

    /// Others on the network as this machine met them.
    pub(super) fn neighbourhood(&self) -> Neighbourhood {
        let linked = self.linked();
        let candidate = |(named, addresses): (bool, &[SocketAddr])| Candidate {
            linked: addresses
                .iter()
                .any(|at| linked.iter().any(|(_, there)| there == at)),
            addresses: addresses.to_vec(),
            named,
        };
        Neighbourhood {
            contacts: self.presence.contacts.met.values().cloned().collect(),
            candidates: self.presence.dialer.targets().map(candidate).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    #[test]
    fn meetings_and_links_are_bounded_and_a_link_that_stands_ends_them() {
        let mut contacts = Contacts::default();
        for n in 0..1000 {
            let met = Met::Dialled(Obstacle::Silent);
            contacts.note(address(n), met, String::new());
            contacts.opened(LinkId(u64::from(n)), address(n));
        }
        assert_eq!(
            (contacts.met.len(), contacts.links.len()),
            (CONTACTS, LINKS)
        );
        assert_eq!(contacts.links.get(&LinkId(999)), Some(&address(999)));
        let kept = *contacts.met.keys().last().expect("some are kept");
        contacts.forget(kept);
        assert!(!contacts.met.contains_key(&kept));
    }
}
