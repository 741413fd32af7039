//! Signed records: the roster's and the policies. What is new is kept and told on, ahead of any bundle that rests on it.

use super::Engine;
use crate::event::{Effects, LinkId, Notice, Write};
use crate::fault::FaultKind;
use crate::membership::{RecordError, Role, SignedRecord};
use crate::policy::{Shelved, SignedPolicy};
use crate::wire::Frame;

impl Engine {
    /// Takes records in, each after those that it rests on. What is new is told to everybody but the one who told it: a machine
    /// two links away has no other way to learn of a member. Links of whoever no longer belongs are cut.
    pub(super) fn records(
        &mut self,
        records: Vec<SignedRecord>,
        from: Option<LinkId>,
        fx: &mut Effects,
    ) {
        let mut news = Vec::new();
        let taken = self.roster.take_in(&records);
        for (record, taken) in records.into_iter().zip(taken) {
            match taken {
                Ok(true) => news.push(record),
                // What it rests on has not come yet; beats tell that the rosters differ, and it comes again.
                Ok(false) | Err(RecordError::Unfounded) => {}
                Err(error) => fx.notices.push(Notice::fault(FaultKind::Record, error)),
            }
        }
        if news.is_empty() {
            return;
        }
        self.broadcast(from, &Frame::Roster(news.clone()), fx);
        fx.writes.extend(news.into_iter().map(Write::Record));
        fx.notices.push(Notice::RosterChanged);
        if self.law.policies.review(&self.roster) {
            fx.notices.push(Notice::PolicyChanged);
        }
        self.law.judge(&self.roster, &self.log);
        self.log.set_lost(self.roster.lost());
        self.prefer();
        self.shut_out(fx);
        if self.lan.keyring.rekey.is_some() {
            // Who is waited for to use the key may be another one now, and a change that was not taken may be taken now.
            self.tell_key_to_all(None, fx);
            fx.notices.push(Notice::Rekeyed);
        }
    }

    /// Takes a policy in, and tells it on as a record is told.
    pub(super) fn policy(&mut self, record: SignedPolicy, from: Option<LinkId>, fx: &mut Effects) {
        match self.law.policies.insert(record.clone(), &self.roster) {
            Ok(Shelved::Nothing) => {}
            Ok(shelved) => {
                self.law.judge(&self.roster, &self.log);
                self.broadcast(from, &Frame::Policy(Box::new(record.clone())), fx);
                fx.writes.push(Write::Policy(record));
                if shelved == Shelved::InForce {
                    fx.notices.push(Notice::PolicyChanged);
                }
            }
            Err(error) => fx.notices.push(Notice::fault(FaultKind::Record, error)),
        }
    }

    /// Takes the roster's gateway preferences and its cloud into use.
    pub(super) fn prefer(&mut self) {
        let active = self.roster.members().filter(|member| member.is_active());
        let devices = active
            .map(|member| &member.grant)
            .filter(|grant| grant.role != Role::Cloud);
        self.election
            .prefer(devices.map(|g| (g.device, g.gateway_preference)).collect());
        self.uplink.configure(self.roster.cloud().is_some());
    }
}
