//! Signed records: the roster's and the policies. What is new is kept and told on, ahead of any bundle that rests on it.

use super::Engine;
use crate::event::{Effects, LinkId, Notice, Write};
use crate::membership::{Role, SignedGrant};
use crate::policy::{Shelved, SignedPolicy};
use crate::wire::Frame;

impl Engine {
    /// Takes a record in. What is new is told to everybody but the one who told it: a machine two links away has no other way
    /// to learn of a member.
    pub(super) fn record(&mut self, record: SignedGrant, from: Option<LinkId>, fx: &mut Effects) {
        match self.roster.insert(record.clone()) {
            Ok(true) => {
                self.broadcast(from, &Frame::Roster(vec![record.clone()]), fx);
                fx.writes.push(Write::Record(record));
                self.prefer();
            }
            Ok(false) => {}
            Err(error) => fx.notices.push(Notice::Fault(error.to_string())),
        }
    }

    /// Takes a policy in, and tells it on as a record is told.
    pub(super) fn policy(&mut self, record: SignedPolicy, from: Option<LinkId>, fx: &mut Effects) {
        match self.policies.insert(record.clone()) {
            Ok(Shelved::Nothing) => {}
            Ok(shelved) => {
                self.broadcast(from, &Frame::Policy(Box::new(record.clone())), fx);
                fx.writes.push(Write::Policy(record));
                if shelved == Shelved::InForce {
                    fx.notices.push(Notice::PolicyChanged);
                }
            }
            Err(error) => fx.notices.push(Notice::Fault(error.to_string())),
        }
    }

    /// Takes the roster's gateway preferences and its cloud into use.
    pub(super) fn prefer(&mut self) {
        let members = self.roster.members().map(|member| &member.grant);
        let devices = members.filter(|grant| grant.role != Role::Cloud);
        self.election
            .prefer(devices.map(|g| (g.device, g.gateway_preference)).collect());
        self.uplink.configure(self.roster.cloud().is_some());
    }
}
