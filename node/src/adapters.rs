//! This machine's addresses: which there are, when they come or go, and from which one it reaches another.
//!
//! Looked at twice a second, beside discovery: it knows what changes also where nothing is announced and multicast does not work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use studiovault_protocol::event::LinkId;
use studiovault_protocol::time::MonoMs;

/// Between two looks, ms: a cable or Wi-Fi that returns is used within this time. One look takes some 50 microseconds.
pub const LOOK_MS: u64 = 500;

/// One address of an adapter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Address {
    ip: IpAddr,
    /// The adapter carries something: its cable is in, its Wi-Fi joined.
    up: bool,
}

/// What a look showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// Addresses came or went, or an adapter that has one.
    pub changed: bool,
    /// Links from an address that this machine no longer has: nothing comes back on them.
    pub stranded: Vec<LinkId>,
}

/// The addresses at the last look, and from which of them each link goes out.
#[derive(Debug, Default)]
pub struct Adapters {
    known: Option<BTreeSet<Address>>,
    looked_at: MonoMs,
    links: BTreeMap<LinkId, IpAddr>,
}

impl Adapters {
    /// When to look next: together with whatever else is done every second.
    pub fn next_look(&self) -> MonoMs {
        MonoMs((self.looked_at.0 / LOOK_MS + 1) * LOOK_MS)
    }

    /// Looks, if it is time.
    pub fn look(&mut self, now: MonoMs) -> Change {
        if self.known.is_some() && now < self.next_look() {
            return Change::default();
        }
        self.looked_at = now;
        match if_addrs::get_if_addrs() {
            Ok(found) => self.compare(addresses(&found)),
            Err(error) => {
                tracing::debug!(%error, "the adapters cannot be listed");
                Change::default()
            }
        }
    }

    /// A link stands; from which address it goes out is asked of the system.
    pub fn opened(&mut self, link: LinkId, to: SocketAddr) {
        if let Some(source) = source_towards(to) {
            self.links.insert(link, source);
        }
    }

    /// A link ended.
    pub fn closed(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    fn compare(&mut self, found: BTreeSet<Address>) -> Change {
        let here = |ip: &IpAddr| ip.is_loopback() || found.iter().any(|address| address.ip == *ip);
        let links = self.links.iter();
        let stranded = links.filter(|(_, source)| !here(source));
        let stranded: Vec<LinkId> = stranded.map(|(link, _)| *link).collect();
        for link in &stranded {
            self.links.remove(link);
        }
        let before = self.known.replace(found);
        Change {
            changed: before.is_some() && before != self.known,
            stranded,
        }
    }
}

/// The addresses of this machine that others on a network see; none if the system does not tell.
pub fn own_addresses() -> BTreeSet<IpAddr> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    addresses(&found).iter().map(|address| address.ip).collect()
}

/// Loopback never changes, and an IPv6 link-local address is of no use to anybody here.
fn addresses(found: &[if_addrs::Interface]) -> BTreeSet<Address> {
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let interfaces = found.iter().filter(|interface| usable(&interface.ip()));
    let address = |interface: &if_addrs::Interface| Address {
        ip: interface.ip(),
        up: interface.is_oper_up(),
    };
    interfaces.map(address).collect()
}

/// The address from which this machine would speak to another; nothing is sent.
fn source_towards(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ips: &[&str]) -> BTreeSet<Address> {
        let parse = |ip: &&str| Address {
            ip: ip.parse().expect("an address"),
            up: true,
        };
        ips.iter().map(parse).collect()
    }

    #[test]
    fn a_link_from_an_address_that_went_is_stranded_once_and_the_others_stand() {
        let mut adapters = Adapters::default();
        let first = adapters.compare(at(&["10.0.0.1", "10.1.0.1"]));
        assert_eq!(first, Change::default(), "the first look is no change");
        let sources = ["10.0.0.1", "10.1.0.1", "127.0.0.1"];
        for (link, source) in (1..).zip(sources) {
            let source = source.parse().expect("an address");
            adapters.links.insert(LinkId(link), source);
        }
        let moved = adapters.compare(at(&["10.0.0.9", "10.1.0.1"]));
        assert!(moved.changed);
        assert_eq!(moved.stranded, [LinkId(1)]);
        let same = adapters.compare(at(&["10.0.0.9", "10.1.0.1"]));
        assert_eq!(same, Change::default());
    }

    #[test]
    fn a_cable_that_is_pulled_is_a_change_and_strands_nothing() {
        let mut adapters = Adapters::default();
        adapters.compare(at(&["10.0.0.1"]));
        let ip: IpAddr = "10.0.0.1".parse().expect("an address");
        adapters.links.insert(LinkId(1), ip);
        let down = adapters.compare(BTreeSet::from([Address { ip, up: false }]));
        assert!(down.changed && down.stranded.is_empty(), "{down:?}");
    }

    #[test]
    fn the_source_towards_this_machine_is_loopback() {
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(source_towards(to), Some(to.ip()));
    }

    #[test]
    fn it_looks_twice_a_second() {
        let mut adapters = Adapters::default();
        adapters.look(MonoMs(0));
        assert_eq!(adapters.next_look(), MonoMs(LOOK_MS));
        adapters.look(MonoMs(LOOK_MS - 1));
        assert_eq!(adapters.looked_at, MonoMs(0));
    }
}
