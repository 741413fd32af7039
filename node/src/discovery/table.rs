//! The members seen on the network, and at which addresses it makes sense to dial them.
//!
//! Invariant: at most [`MAX_INSTANCES`] instances with [`MAX_ADDRESSES`] addresses each; of ourselves, none. Plain data but
//! for one question to the machine: whether an address is its own.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use studiovault_protocol::limits::{
    DISCOVERED as MAX_INSTANCES, DISCOVERED_ADDRESSES as MAX_ADDRESSES,
};

use super::DiscoveryEvent;

/// One resolved record: where an instance says it can be reached.
pub(super) struct Sighting {
    pub(super) port: u16,
    pub(super) addresses: Vec<IpAddr>,
}

struct Instance {
    port: u16,
    addresses: Vec<IpAddr>,
    /// It once named an address of this machine. Stays: when that address goes away, loopback still works.
    runs_here: bool,
    last_seen: u64,
}

/// The table.
pub(super) struct Table {
    own: String,
    instances: BTreeMap<String, Instance>,
    sightings: u64,
    is_ours: fn(IpAddr) -> bool,
}

impl Table {
    pub(super) fn new(own: String) -> Self {
        Self {
            own,
            instances: BTreeMap::new(),
            sightings: 0,
            is_ours: belongs_to_this_machine,
        }
    }

    /// Takes a genuine record in; tells only what is new in it.
    pub(super) fn seen(&mut self, instance: &str, sighting: Sighting) -> Option<DiscoveryEvent> {
        if instance == self.own {
            return None;
        }
        let before = self.found(instance);
        self.make_room_for(instance);
        self.sightings += 1;
        let entry = self
            .instances
            .entry(instance.to_owned())
            .or_insert(Instance {
                port: sighting.port,
                addresses: Vec::new(),
                runs_here: false,
                last_seen: 0,
            });
        entry.last_seen = self.sightings;
        if entry.port != sighting.port {
            entry.port = sighting.port;
            entry.addresses.clear();
        }
        // Addresses come one interface and family at a time: added to those known, the latest first.
        let mut addresses = sighting.addresses;
        addresses.retain(is_dialable);
        addresses.sort_unstable();
        addresses.dedup();
        let is_ours = self.is_ours;
        entry.runs_here |= addresses.iter().any(|ip| !ip.is_loopback() && is_ours(*ip));
        entry.addresses.retain(|known| !addresses.contains(known));
        addresses.append(&mut entry.addresses);
        addresses.truncate(MAX_ADDRESSES);
        entry.addresses = addresses;
        let after = self.found(instance);
        if is_same_set(before.as_ref(), after.as_ref()) {
            return None;
        }
        after
    }

    /// Forgets an instance; tells if it was known.
    pub(super) fn lost(&mut self, instance: &str) -> Option<DiscoveryEvent> {
        self.instances.remove(instance)?;
        let instance = instance.to_owned();
        Some(DiscoveryEvent::Lost { instance })
    }

    /// Everyone known, told anew.
    pub(super) fn all(&self) -> Vec<DiscoveryEvent> {
        let found = self.instances.keys().map(|instance| self.found(instance));
        found.flatten().collect()
    }

    fn make_room_for(&mut self, instance: &str) {
        if self.instances.len() < MAX_INSTANCES || self.instances.contains_key(instance) {
            return;
        }
        let oldest = self.instances.iter().min_by_key(|(_, i)| i.last_seen);
        if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
            self.instances.remove(&oldest);
        }
    }

    /// What to tell of an instance; nothing while no address of it can be dialled.
    fn found(&self, instance: &str) -> Option<DiscoveryEvent> {
        let known = self.instances.get(instance)?;
        let (loopback, others): (Vec<IpAddr>, Vec<IpAddr>) =
            known.addresses.iter().partition(|ip| ip.is_loopback());
        // A loopback address is the peer's own unless it runs on this machine; there it is the best one.
        let mut chosen = if known.runs_here || others.is_empty() {
            loopback
        } else {
            Vec::new()
        };
        chosen.extend(others);
        if chosen.is_empty() {
            return None;
        }
        Some(DiscoveryEvent::Found {
            instance: instance.to_owned(),
            addresses: chosen
                .into_iter()
                .map(|ip| SocketAddr::new(ip, known.port))
                .collect(),
            dial_first: self.own.as_str() < instance,
        })
    }
}

/// Whether two findings name the same addresses: their order alone is no news.
fn is_same_set(before: Option<&DiscoveryEvent>, after: Option<&DiscoveryEvent>) -> bool {
    let addresses = |event: Option<&DiscoveryEvent>| match event {
        Some(DiscoveryEvent::Found { addresses, .. }) => {
            let mut sorted = addresses.clone();
            sorted.sort_unstable();
            sorted
        }
        _ => Vec::new(),
    };
    addresses(before) == addresses(after)
}

/// Whether TCP can connect there at all. IPv6 link-local needs an interface, which our dialling cannot name.
fn is_dialable(address: &IpAddr) -> bool {
    let special = address.is_unspecified() || address.is_multicast();
    match address {
        IpAddr::V4(ip) => !special && !ip.is_broadcast(),
        IpAddr::V6(ip) => !special && !ip.is_unicast_link_local(),
    }
}

/// A socket can be bound to an address exactly if it is one of this machine's.
fn belongs_to_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: &str = "192.0.2.7";

    fn table() -> Table {
        Table {
            is_ours: |ip| ip == IpAddr::from([192, 0, 2, 1]),
            ..Table::new("m".to_owned())
        }
    }

    fn at(addresses: &[&str]) -> Sighting {
        let parse = |text: &&str| text.parse().expect("an address");
        Sighting {
            port: 4000,
            addresses: addresses.iter().map(parse).collect(),
        }
    }

    fn found(addresses: &[&str], dial_first: bool) -> Option<DiscoveryEvent> {
        let parse = |text: &&str| SocketAddr::new(text.parse().expect("an address"), 4000);
        Some(DiscoveryEvent::Found {
            instance: if dial_first { "z" } else { "a" }.to_owned(),
            addresses: addresses.iter().map(parse).collect(),
            dial_first,
        })
    }

    #[test]
    fn addresses_of_several_records_are_merged_and_repeats_are_no_news() {
        let mut table = table();
        assert_eq!(table.seen("z", at(&[LAN])), found(&[LAN], true));
        assert_eq!(table.seen("z", at(&[LAN])), None);
        let both = found(&["2001:db8::7", LAN], true);
        assert_eq!(table.seen("z", at(&["2001:db8::7"])), both);
        assert_eq!(
            table.seen("z", at(&[LAN])),
            None,
            "another order is no news"
        );
        assert_eq!(
            table.all(),
            vec![found(&[LAN, "2001:db8::7"], true).expect("known")]
        );
    }

    #[test]
    fn exactly_one_of_two_dials_first() {
        let mut table = table();
        assert_eq!(table.seen("z", at(&[LAN])), found(&[LAN], true));
        assert_eq!(table.seen("a", at(&[LAN])), found(&[LAN], false));
    }

    #[test]
    fn link_local_and_foreign_loopback_addresses_are_not_dialled() {
        let mut table = table();
        let seen = table.seen(
            "z",
            at(&["fe80::1", "127.0.0.1", LAN, "224.0.0.251", "0.0.0.0"]),
        );
        assert_eq!(seen, found(&[LAN], true));
        assert_eq!(table.seen("a", at(&["fe80::1"])), None);
    }

    #[test]
    fn peers_on_this_machine_are_dialled_over_loopback_first() {
        let mut table = table();
        let alone = table.seen("z", at(&["127.0.0.1"]));
        assert_eq!(alone, found(&["127.0.0.1"], true));
        let shared = table.seen("z", at(&["192.0.2.1"]));
        assert_eq!(shared, found(&["127.0.0.1", "192.0.2.1"], true));
        table.is_ours = |_| false;
        let kept = table.seen("z", at(&[LAN]));
        assert_eq!(kept, found(&["127.0.0.1", LAN, "192.0.2.1"], true));
    }

    #[test]
    fn a_new_port_replaces_the_old_addresses() {
        let mut table = table();
        table.seen("z", at(&[LAN]));
        let mut moved = at(&["192.0.2.8"]);
        moved.port = 5000;
        let Some(DiscoveryEvent::Found { addresses, .. }) = table.seen("z", moved) else {
            panic!("a move is news");
        };
        assert_eq!(
            addresses,
            vec!["192.0.2.8:5000".parse().expect("an address")]
        );
    }

    #[test]
    fn we_never_find_ourselves_and_lose_only_whom_we_knew() {
        let mut table = table();
        assert_eq!(table.seen("m", at(&[LAN])), None);
        assert_eq!(table.lost("z"), None);
        table.seen("z", at(&[LAN]));
        let instance = "z".to_owned();
        assert_eq!(table.lost("z"), Some(DiscoveryEvent::Lost { instance }));
        assert!(table.all().is_empty());
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_was_seen_longest_ago() {
        let mut table = table();
        for number in 0..MAX_INSTANCES {
            table.seen(&format!("p{number}"), at(&[LAN]));
        }
        table.seen("p0", at(&[LAN]));
        table.seen("late", at(&[LAN]));
        assert_eq!(table.instances.len(), MAX_INSTANCES);
        assert!(table.instances.contains_key("p0") && !table.instances.contains_key("p1"));
        for last in 0..=255 {
            table.seen("late", at(&[&format!("192.0.2.{last}")]));
        }
        assert_eq!(table.instances["late"].addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn this_machines_addresses_are_told_from_others() {
        assert!(belongs_to_this_machine(IpAddr::from([127, 0, 0, 1])));
        assert!(!belongs_to_this_machine(IpAddr::from([192, 0, 2, 99])));
    }
}
