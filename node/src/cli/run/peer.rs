//! `run --peer HOST:PORT`: a name is asked for again and again, since networks come later than a node starts and addresses change.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use studiovault_node::node::Node;

/// Between two questions for one name.
const AGAIN: Duration = Duration::from_secs(10);

/// Where a peer is, as a person wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place(String);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = text
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse()));
        match port {
            Some((host, Ok(1u16..))) if !host.is_empty() => Ok(Self(text.to_owned())),
            _ => Err("write HOST:PORT, such as studio-desk.local:4001 or 192.168.1.20:4001"),
        }
    }
}

/// Those that are addresses already, and the names.
pub(super) fn sorted(places: Vec<Place>) -> (Vec<SocketAddr>, Vec<Place>) {
    let (mut addresses, mut names) = (Vec::new(), Vec::new());
    for place in places {
        match place.0.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(place),
        }
    }
    (addresses, names)
}

/// Tells the node where the names lead, for as long as it runs.
pub(super) async fn resolve(node: Node, names: Vec<Place>) {
    let mut known = BTreeMap::new();
    while !names.is_empty() {
        for Place(name) in &names {
            match tokio::net::lookup_host(name).await {
                Ok(found) => {
                    let found: Vec<SocketAddr> = found.collect();
                    if known.insert(name, found.clone()).as_ref() != Some(&found) {
                        node.know_peer(name, found).await;
                    }
                }
                Err(error) => tracing::debug!(name, %error, "a peer's name is not known here"),
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        for good in ["desk.local:4001", "192.168.1.20:1", "[2001:db8::1]:65535"] {
            assert!(good.parse::<Place>().is_ok(), "{good}");
        }
        for bad in [
            "desk.local",
            "desk:0",
            "desk:65536",
            ":4001",
            "desk:port",
            "",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
