//! What the doctor looked at: plain data, no judgement.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use studiovault_protocol::api::Status;
use studiovault_protocol::time::WallMs;

use crate::clock;
use crate::runner::Neighbourhood;

/// All that was looked at.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The machine's addresses.
    pub adapters: Vec<Adapter>,
    /// Whether multicast goes out and comes in.
    pub multicast: Multicast,
    /// The data folder's disk.
    pub disk: Disk,
    /// The node, if one runs.
    pub node: Option<Running>,
    /// The way to the cloud truth, if the studio has one.
    pub cloud: Option<CloudFacts>,
    /// When.
    pub at: WallMs,
}

/// An address of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adapter {
    /// Of which adapter.
    pub name: String,
    /// Which.
    pub address: IpAddr,
    /// Bits that its network shares.
    pub shared_bits: u8,
}

impl Adapter {
    /// Whether an address is on the same network.
    fn reaches(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = !u32::MAX.checked_shr(self.shared_bits.into()).unwrap_or(0);
                !own.is_loopback() && own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// A question to all on the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Multicast {
    /// Nothing was sent, and why.
    NotTried(String),
    /// A question went out.
    Tried {
        /// By which adapters.
        asked: Vec<Ask>,
        /// Other machines that were heard meanwhile.
        heard: Vec<IpAddr>,
    },
}

/// A question by one adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Which, with its address.
    pub adapter: String,
    /// Whether it went out.
    pub sent: Result<(), String>,
    /// This machine heard itself.
    pub came_back: bool,
}

/// The data folder's disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The folder.
    pub folder: PathBuf,
    /// Room on it, if the system tells.
    pub free_bytes: Option<u64>,
    /// How long it took to write a file and sync it, or why it could not be.
    pub wrote_ms: Result<u64, String>,
}

/// What came of trying a TCP port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reached {
    /// Somebody took the connection.
    Answers,
    /// Somebody said that nothing listens there.
    Refuses,
    /// Nothing came back.
    Silent,
    /// There is no way there.
    NoWay,
}

/// One of the mesh's own ports, tried from this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    /// What came of trying it.
    pub reached: Reached,
}

/// What a running node knows.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its status.
    pub status: Arc<Status>,
    /// Whom it met.
    pub neighbourhood: Neighbourhood,
    /// Its own ports.
    pub doors: Vec<Door>,
    /// The ports of those whom it dials and has no link with.
    pub tried: BTreeMap<SocketAddr, Reached>,
}

impl Running {
    /// Whether nobody but this machine can come here.
    pub fn is_on_loopback_alone(&self) -> bool {
        let mut listening = self.status.node.listening.iter();
        let on_loopback = |address: &String| {
            let address = address.parse::<SocketAddr>();
            address.is_ok_and(|address| address.ip().is_loopback())
        };
        !self.status.node.listening.is_empty() && listening.all(on_loopback)
    }

    /// How many of the studio's machines were found by multicast.
    pub fn found(&self) -> usize {
        let candidates = self.neighbourhood.candidates.iter();
        candidates.filter(|candidate| !candidate.named).count()
    }
}

impl Facts {
    /// Of a machine that could not be looked at.
    pub fn unseen(folder: &Path) -> Self {
        Self {
            adapters: Vec::new(),
            multicast: Multicast::NotTried("the machine could not be looked at".into()),
            disk: Disk {
                folder: folder.to_owned(),
                free_bytes: None,
                wrote_ms: Err("it could not be looked at".into()),
            },
            node: None,
            cloud: None,
            at: clock::wall(),
        }
    }

    /// Linked machines on one network with this one.
    pub fn near_peers(&self) -> Vec<String> {
        let Some(node) = &self.node else {
            return Vec::new();
        };
        let near = |address: &str| {
            let address = address.parse::<SocketAddr>();
            let ip = address.map(|address| address.ip().to_canonical());
            ip.is_ok_and(|ip| {
                self.adapters
                    .iter()
                    .any(|own| own.reaches(ip) && own.address != ip)
            })
        };
        let peers = node.status.peers.iter();
        peers
            .filter(|peer| near(&peer.address))
            .map(|peer| peer.name.clone())
            .collect()
    }

    /// Whether a machine was heard by multicast just now; if nothing was asked, whether it was found so before.
    pub fn was_heard(&self, ip: IpAddr) -> bool {
        if let Multicast::Tried { heard, .. } = &self.multicast {
            return heard.contains(&ip);
        }
        self.node.iter().any(|node| {
            let candidates = node.neighbourhood.candidates.iter();
            let mut found = candidates.filter(|candidate| !candidate.named);
            found.any(|candidate| candidate.addresses.iter().any(|known| known.ip() == ip))
        })
    }
}

/// The way to the cloud truth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudFacts {
    /// Its address.
    pub url: String,
    /// The addresses of its name, or why there are none.
    pub dns: Result<Vec<IpAddr>, String>,
    /// The address that took a connection, or why none did.
    pub tcp: Result<SocketAddr, String>,
    /// What came of a question.
    pub answer: CloudAnswer,
    /// Who answers without TLS in its place, if anybody does.
    pub impostor: Option<String>,
}

/// What came of a question to the cloud truth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CloudAnswer {
    /// It was not asked: nobody is there.
    NotAsked,
    /// It is the cloud, and takes the token.
    Echoed {
        /// Its clock minus this machine's, ms.
        offset_ms: i64,
        /// How long it took, ms.
        took_ms: u64,
    },
    /// It is the cloud, and does not take the token.
    SignIn(String),
    /// It is the cloud, and this machine no longer belongs to the studio.
    ShutOut(String),
    /// It is there and cannot answer now.
    Busy(String),
    /// The certificate is not the one that it should have, or there is no TLS at all.
    Tls(String),
    /// Something answers that is not the cloud.
    Somebody(String),
    /// Nothing came back.
    Silent(String),
}
