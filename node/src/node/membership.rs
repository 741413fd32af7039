//! Who belongs, changed by a person at this machine: invites, roles, revocations, its own retirement.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use studiovault_protocol::api::{
    InviteRequest, InviteView, MemberView, NetworkState, RoleRequest, VenueState,
};
use studiovault_protocol::engine::{ChangeRefused, Place, RosterChange};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::{Authority, Role, Roster, SignedRecord, Signer};
use studiovault_protocol::pairing::{LONG_MESSAGE, Welcome};
use tokio::sync::oneshot;

use super::{Announce, Node, NodeError};
use crate::config::StudioFile;
use crate::pairing::InviteError;
use crate::runner::Local;
use crate::store::AuditKind;

/// Bytes of a welcome that records may take; the mesh brings the rest.
const RECORDS_BYTES: usize = LONG_MESSAGE / 2;

/// Why who belongs was not changed. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The studio's rules.
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
    /// The invite.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The person's: nobody could come.
    #[error("this machine is off the network; put it back with `studiovault network on`")]
    Offline,
    /// The node is shutting down.
    #[error("the node is stopping; start it and try again")]
    Stopping,
}

impl Node {
    /// Changes the roster; durable and told to every peer when it returns.
    pub async fn change(&self, change: RosterChange) -> Result<(), MembershipError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.inner.local.send(Local::Change(change, answer)).await;
        sent.map_err(|_| MembershipError::Stopping)?;
        let answered = answered.await.map_err(|_| MembershipError::Stopping)?;
        Ok(answered?)
    }

    /// Gives the mesh another key; signed, kept and told to every peer that belongs when it returns.
    pub async fn rekey(&self) -> Result<(), MembershipError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.inner.local.send(Local::Rekey(answer)).await;
        sent.map_err(|_| MembershipError::Stopping)?;
        answered.await.map_err(|_| MembershipError::Stopping)??;
        let what = "the network was given a new key";
        self.inner.journal.note(AuditKind::Network, what);
        Ok(())
    }

    /// Hides this machine on its network, now and at every later start, or ends that.
    pub async fn set_venue(&self, state: VenueState) -> Result<(), NodeError> {
        self.inner.folder.set_venue(state)?;
        let (announce, what) = match state {
            VenueState::On => (Announce::Silent, "this machine hides on its network"),
            VenueState::Off => (Announce::Mdns, "this machine hides no more"),
        };
        let (done, finished) = oneshot::channel();
        let sent = self.inner.local.send(Local::Venue(announce, done)).await;
        sent.map_err(|_| NodeError::Stopping)?;
        finished.await.map_err(|_| NodeError::Stopping)?;
        self.inner.journal.note(AuditKind::Network, what);
        Ok(())
    }

    /// Gives a device another place; what is not said stays.
    pub async fn set_role(
        &self,
        device: DeviceId,
        request: &RoleRequest,
    ) -> Result<(), MembershipError> {
        let roster = self.inner.board.roster();
        let member = roster.member(device).ok_or(ChangeRefused::NoSuchDevice)?;
        let place = Place {
            role: request.role.unwrap_or(member.grant.role),
            priority: request.priority.unwrap_or(member.grant.priority),
            gateway_preference: request
                .gateway_preference
                .unwrap_or(member.grant.gateway_preference),
        };
        self.change(RosterChange::Place(device, place)).await
    }

    /// What this machine signs with as an admin.
    pub(super) fn authority(&self) -> Option<Authority> {
        match self.inner.board.roster().signer(self.inner.device)? {
            Signer::Root => None,
            Signer::Holder(grant) => Some(Authority::holder(grant, self.inner.key.clone())),
        }
    }

    /// Shows an invite; the one before is taken back.
    pub async fn invite(&self, request: InviteRequest) -> Result<InviteView, MembershipError> {
        if self.authority().is_none() {
            return Err(ChangeRefused::NotAdmin.into());
        }
        if request.role == Role::Cloud {
            return Err(ChangeRefused::Role.into());
        }
        if self.status().network == NetworkState::Offline {
            return Err(MembershipError::Offline);
        }
        let on = SocketAddr::new(self.inner.invites_on, 0);
        let announce = if self.status().node.venue {
            Announce::Silent
        } else {
            Announce::Mdns
        };
        Ok(self.inner.desk.invite(request, (on, announce)).await?)
    }

    /// The roster as it is held.
    pub fn roster(&self) -> Arc<Roster> {
        self.inner.board.roster()
    }

    /// The machines of the studio, for people.
    pub fn members(&self) -> Vec<MemberView> {
        self.inner.board.members()
    }

    /// The invite as it stands.
    pub fn invited(&self) -> Option<InviteView> {
        self.inner.desk.view()
    }

    /// Takes the invite back.
    pub fn withdraw_invite(&self) {
        self.inner.desk.withdraw();
    }

    /// Compares the words that a person typed here; if they are right, the newcomer is admitted.
    pub async fn say_words(&self, words: &str) -> Result<InviteView, MembershipError> {
        let passed = self.inner.desk.compare(words)?;
        let applicant = passed.checking.applicant.clone();
        let change = RosterChange::Admit {
            device: applicant.device,
            key: applicant.key,
            name: applicant.name,
            place: Place {
                role: passed.request.role,
                priority: passed.request.priority,
                gateway_preference: passed.request.gateway_preference,
            },
        };
        let admitted = self.change(change).await;
        let outcome = match &admitted {
            Ok(()) => Ok(passed.checking.welcome(&self.welcome(applicant.device))),
            Err(error) => Err(error.to_string()),
        };
        self.inner.desk.conclude(passed, outcome);
        admitted?;
        self.invited().ok_or(MembershipError::Stopping)
    }

    /// What makes a machine one of this studio.
    fn welcome(&self, newcomer: DeviceId) -> Welcome {
        let roster = self.inner.board.roster();
        let mut records: Vec<SignedRecord> = roster.chain_of(newcomer);
        let mut bytes = 0;
        for record in roster.records() {
            bytes += postcard::to_stdvec(record).map_or(0, |bytes| bytes.len());
            if bytes <= RECORDS_BYTES && !records.contains(record) {
                records.push(record.clone());
            }
        }
        // The token may have been replaced since the start.
        let studio = StudioFile::load(&self.inner.folder.studio_path());
        let studio = studio.unwrap_or_else(|_| self.inner.studio.clone());
        let listening = self.status().node.listening.clone();
        let port = listening
            .iter()
            .find_map(|address| address.parse::<SocketAddr>().ok())
            .map_or(0, |address| address.port());
        Welcome {
            root: studio.root,
            mesh_key: studio.mesh_key.0,
            discovery_key: studio.discovery_key.0,
            time_zone: studio.region.time_zone.to_string(),
            currency: studio.region.currency.to_string(),
            cloud: studio
                .cloud
                .map(|access| (access.url, access.pin, access.token)),
            records,
            port,
        }
    }
}

/// Where invites listen: on loopback if the mesh listens nowhere else.
pub(super) fn invites_on(listen: &[SocketAddr]) -> IpAddr {
    let alone = !listen.is_empty() && listen.iter().all(|address| address.ip().is_loopback());
    if alone {
        listen[0].ip()
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    }
}
