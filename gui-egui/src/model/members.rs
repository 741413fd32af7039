//! Who belongs to the studio, as the status says it.

use studiovault_protocol::api::{MemberView, PeerView, Status};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::Role;

use super::Model;

impl Model {
    /// Whether this machine may change who belongs.
    pub fn is_admin(&self) -> bool {
        let Some(status) = &self.status else {
            return false;
        };
        let own = status
            .members
            .iter()
            .find(|member| member.device == status.node.device);
        own.is_some_and(|own| own.role == Role::Admin && own.standing == Default::default())
    }

    /// The members that are machines, this one first, then by name; the cloud is none.
    pub fn machines(&self) -> Vec<&MemberView> {
        let Some(status) = &self.status else {
            return Vec::new();
        };
        machines_of(status)
    }

    /// The link to a machine, if one stands.
    pub fn peer(&self, device: DeviceId) -> Option<&PeerView> {
        let status = self.status.as_ref()?;
        status.peers.iter().find(|peer| peer.device == device)
    }
}

/// The members that are machines, this one first, then by name.
pub(super) fn machines_of(status: &Status) -> Vec<&MemberView> {
    let mut machines: Vec<&MemberView> = status
        .members
        .iter()
        .filter(|member| member.role != Role::Cloud)
        .collect();
    machines.sort_by_key(|member| {
        let elsewhere = member.device != status.node.device;
        (elsewhere, member.name.to_lowercase(), member.device)
    });
    machines
}
