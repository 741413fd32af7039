//! The key under the mesh: told to whoever belongs, by whoever knows all endings that its signer knew; and links that were made under the one before,
//! which serve the roster and the new key and nothing else.

use super::{ChangeRefused, Engine};
use crate::event::{Effects, LinkId, Notice};
use crate::id::DeviceId;
use crate::limits::mesh::MESH_KEYS;
use crate::membership::{Keyring, Member, MeshKey, Moved, Rekey, RekeyError};
use crate::wire::Frame;

impl Engine {
    /// The newest change of the key, and who uses it.
    pub fn keyring(&self) -> &Keyring {
        &self.lan.keyring
    }

    /// The change to a key that was drawn, signed by this machine.
    pub fn word_rekey(&self, key: MeshKey) -> Result<Rekey, ChangeRefused> {
        let authority = self.authority().ok_or(ChangeRefused::NotAdmin)?;
        let after = self.lan.keyring.in_force(&self.roster);
        let rekey = Rekey::seal((&self.roster, &authority), after, key);
        let checked = rekey.check(&self.roster);
        checked.map(|()| rekey).map_err(|_| ChangeRefused::NotTaken)
    }

    /// The change held, if whoever signed it may still, or its cut keeps it: what a shut out admin signed beyond that outranks nothing.
    fn founded(&self) -> Option<&Rekey> {
        let held = self.lan.keyring.rekey.as_ref();
        held.filter(|held| held.check(&self.roster).is_ok())
    }

    /// Takes a change of the key in, if it is higher than the one held, and tells it on.
    pub(super) fn rekey(&mut self, rekey: Rekey, from: Option<LinkId>, fx: &mut Effects) {
        if self.lan.keyring.rekey.as_ref() == Some(&rekey) {
            return;
        }
        if self.founded().map(Rekey::rank) >= Some(rekey.rank()) {
            return;
        }
        match rekey.check(&self.roster) {
            Ok(()) => {}
            // What its right rests on may be on the way; the next link brings it again.
            Err(RekeyError::Unfounded) => return,
            Err(error @ RekeyError::Malformed) => {
                if let Some(link) = from {
                    self.close(link, &error.to_string(), fx);
                }
                return;
            }
        }
        let own = Moved::seal(self.me.device, &rekey, &self.me.secret);
        let held = std::mem::take(&mut self.lan.keyring);
        let before = held.rekey.into_iter().chain(held.before);
        self.lan.keyring = Keyring {
            before: before.take(MESH_KEYS - 1).collect(),
            rekey: Some(rekey),
            moved: vec![own],
        };
        self.tell_key_to_all(from, fx);
        if let Some(link) = from {
            fx.sends.push((link, Frame::Moved(vec![own])));
        }
        fx.notices.push(Notice::Rekeyed);
    }

    /// Shows every peer but one the key.
    pub(super) fn tell_key_to_all(&self, but: Option<LinkId>, fx: &mut Effects) {
        for (link, session) in self.sessions().filter(|(link, _)| Some(*link) != but) {
            self.tell_key((link, session.device), fx);
        }
    }

    /// Takes in who uses the key, and tells on what is new.
    pub(super) fn hear_moved(&mut self, words: Vec<Moved>, from: LinkId, fx: &mut Effects) {
        let Some(hash) = self.lan.keyring.rekey.as_ref().map(Rekey::hash) else {
            return;
        };
        let mut news = Vec::new();
        for word in words {
            let known = self
                .lan
                .keyring
                .moved
                .iter()
                .any(|held| held.device == word.device);
            if !known && word.rekey == hash && word.holds(&self.roster) {
                self.lan.keyring.moved.push(word);
                news.push(word);
            }
        }
        if !news.is_empty() {
            self.broadcast(Some(from), &Frame::Moved(news), fx);
            fx.notices.push(Notice::Rekeyed);
        }
    }

    /// Shows a peer the key and who uses it, if it belongs.
    pub(super) fn tell_key(&self, (link, device): (LinkId, DeviceId), fx: &mut Effects) {
        let belongs = self.roster.member(device).is_some_and(Member::is_active);
        let in_force = self.lan.keyring.in_force(&self.roster);
        if let Some(rekey) = in_force.filter(|_| belongs) {
            fx.sends.push((link, Frame::Rekey(Box::new(rekey.clone()))));
            fx.sends
                .push((link, Frame::Moved(self.lan.keyring.moved.clone())));
        }
    }

    /// A link that was made under an earlier key. Beside a key that fell with its signer's right every other one is as good.
    pub(super) fn restrict(&mut self, link: LinkId) {
        if self.lan.keyring.rekey.is_some() && self.founded().is_none() {
            return;
        }
        if let Some(state) = self.links.get_mut(&link) {
            state.under_earlier_key = true;
        }
    }

    /// What whoever greets under an earlier key gets: the roster and the key, so that it comes again under that. `false` if the link
    /// is like any other.
    pub(super) fn serve_restricted(
        &mut self,
        (link, device): (LinkId, DeviceId),
        fx: &mut Effects,
    ) -> bool {
        let Some(state) = self
            .links
            .get_mut(&link)
            .filter(|state| state.under_earlier_key)
        else {
            return false;
        };
        state.greeted = true;
        let now = state.opened_at;
        self.tell_roster((link, now), fx);
        self.tell_key((link, device), fx);
        true
    }

    /// What is heard on such a link; `false` if it is none.
    pub(super) fn hear_restricted(
        &mut self,
        link: LinkId,
        frame: &Frame,
        fx: &mut Effects,
    ) -> bool {
        let is_restricted = |state: &&super::Link| state.under_earlier_key && state.greeted;
        if self.links.get(&link).filter(is_restricted).is_none() {
            return false;
        }
        match frame {
            Frame::Roster(records) => self.records(records.clone(), Some(link), fx),
            Frame::Rekey(rekey) => self.rekey(Rekey::clone(rekey), Some(link), fx),
            Frame::Moved(words) => self.hear_moved(words.clone(), link, fx),
            _ => {}
        }
        true
    }
}
