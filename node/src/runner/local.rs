//! What the facade asks of the loop, and how others of this process add to the audit log.

use std::net::SocketAddr;

use studiovault_protocol::engine::{ChangeRefused, RosterChange};
use studiovault_protocol::event::Network;
use studiovault_protocol::pack::{Part, Taken};
use studiovault_protocol::policy::SignedPolicy;
use tokio::sync::{mpsc, oneshot};

use super::{Neighbourhood, Relay, Runner};
use crate::config::system_user;
use crate::driver::{Event, WriteError, WriteRequest, Written};
use crate::mesh::MeshCommand;
use crate::node::Announce;
use crate::store::{AuditKind, AuditLine};

/// What the facade asks of the loop.
#[derive(Debug)]
pub enum Local {
    /// Write.
    Write(WriteRequest, oneshot::Sender<Result<Written, WriteError>>),
    /// Take a policy that was signed here.
    Policy(Box<SignedPolicy>, oneshot::Sender<()>),
    /// Change the roster.
    Change(RosterChange, oneshot::Sender<Result<(), ChangeRefused>>),
    /// Take a part of a pack in; the answer is `None` if it could not be kept.
    Pack(Box<Part>, oneshot::Sender<Option<Taken>>),
    /// Switch the LAN.
    Network(Network, oneshot::Sender<()>),
    /// Give the mesh another key.
    Rekey(oneshot::Sender<Result<(), ChangeRefused>>),
    /// Announce this machine, or hide it.
    Venue(Announce, oneshot::Sender<()>),
    /// Dial a peer that a person named, at these addresses.
    Know(String, Vec<SocketAddr>),
    /// Tell whom this machine met on the network.
    Neighbourhood(oneshot::Sender<Neighbourhood>),
    /// Add a line to the audit log.
    Audit(Box<AuditLine>),
    /// Snapshots of peers, and the one held here.
    Relay(Relay),
    /// Stop.
    Shutdown(oneshot::Sender<()>),
}

/// Adds lines to the audit log of a running node. It does not keep the node running.
#[derive(Clone, Debug)]
pub struct Journal(mpsc::WeakSender<Local>);

impl Journal {
    /// Of the node that listens behind `local`.
    pub fn new(local: &mpsc::Sender<Local>) -> Self {
        Self(local.downgrade())
    }

    /// Adds a line on behalf of the person at this machine. One that the loop has no room for stands in the log of the process
    /// alone.
    pub fn note(&self, kind: AuditKind, what: impl Into<String>) {
        let what = what.into();
        let line = AuditLine {
            kind,
            device: None,
            actor: system_user(),
            what,
        };
        let Some(local) = self.0.upgrade() else {
            return;
        };
        if let Err(error) = local.try_send(Local::Audit(Box::new(line))) {
            tracing::warn!(%error, kind = kind.word(), "a line of the audit log found no room");
        }
    }
}

impl Runner {
    pub(super) async fn switch(&mut self, network: Network, events: &mut Vec<Event>) {
        (self.presence.network, self.shown.stale) = (network, true);
        events.push(Event::Network(network));
        let command = match network {
            Network::Offline => {
                self.presence.leave().await;
                MeshCommand::Offline
            }
            Network::Online => MeshCommand::Online,
        };
        self.order(command);
    }
}
