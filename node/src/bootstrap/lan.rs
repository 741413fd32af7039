//! A new store from machines on the LAN, where there is no internet or no cloud truth: a node of its own beside the live store, which pulls
//! what the machines in reach hold as every machine does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use studiovault_protocol::api::Status;
use studiovault_protocol::policy::Policy;
use tokio::sync::broadcast::error::RecvError;

use super::loading::{Filled, Unfinished};
use super::{Bootstrap, BootstrapError, Loaded, Stage};
use crate::config::{Folder, Machine};
use crate::node::{Announce, Node, NodeConfig};
use crate::pack::Intake;
use crate::store::{Location, Store};

/// Nobody came in reach for so long: there is nobody.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the machines on the LAN are found.
#[derive(Clone, Debug)]
pub struct LanReach {
    /// Where the mesh listens.
    pub listen: Vec<SocketAddr>,
    /// Addresses to dial besides what is found.
    pub peers: Vec<SocketAddr>,
    /// Whether this machine announces itself meanwhile.
    pub announce: Announce,
}

impl Bootstrap {
    /// Makes the new store from what the machines in reach hold, and puts it in the old one's place.
    pub async fn load_from_lan(
        self,
        reach: LanReach,
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Loaded, BootstrapError> {
        let (folder, store) = self.fresh()?;
        let unfinished = Unfinished(folder.clone());
        drop(store);
        let mut studio = self.machine.studio.clone();
        studio.cloud = None;
        let machine = Machine {
            folder: Folder::at(&folder),
            studio,
            ..self.machine.clone()
        };
        let node = Node::start(NodeConfig {
            machine,
            listen: reach.listen,
            peers: reach.peers,
            announce: reach.announce,
        })
        .await?;
        let filled = fill(&node, told).await;
        node.shutdown().await;
        drop(node);
        let status = filled?;
        let store = Store::open(Location::Folder(folder.clone()), &Policy::default())?;
        let intake = Intake::beside(&self.machine, store)?;
        let loaded = Loaded {
            position: intake.driver().engine().feed().held(),
            commands: status.counts.commands,
            ..Loaded::default()
        };
        self.finish(Filled {
            unfinished,
            intake,
            loaded,
        })
    }
}

/// Waits until no machine in reach holds anything that is lacking here.
async fn fill(
    node: &Node,
    told: &mut dyn FnMut(Stage, u64, u64),
) -> Result<std::sync::Arc<Status>, BootstrapError> {
    let mut events = node.events();
    let (mut best, mut since) = (0, Instant::now());
    loop {
        let status = node.status();
        let lacking = status.peers.iter().map(|peer| peer.ahead).max();
        let held = status.counts.commands;
        // Links that are tried and refused are events as well, and no progress.
        if held > best {
            (best, since) = (held, Instant::now());
        }
        match lacking {
            Some(0) => return Ok(status),
            Some(lacking) => told(Stage::Filling, held, held + lacking),
            None => {}
        }
        let left = PATIENCE.saturating_sub(since.elapsed());
        match tokio::time::timeout(left, events.recv()).await {
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => return Err(BootstrapError::Alone),
        }
    }
}
