//! A new key under every handshake of the mesh, signed by an admin: who holds the one before gets no further than being told it.
//!
//! Of several the highest (number, hash) holds, so halves of a split studio that each changed the key agree once they meet. It travels
//! only between machines that proved who they are, from those that know every ending it names to those that belong by that, and `Debug`
//! never shows the key.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Authority, Member, Role, Roster, Signer};
use crate::id::{DeviceId, Hash, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;

/// A key under every handshake of the mesh.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshKey(pub [u8; 32]);

impl fmt::Debug for MeshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshKey(hidden)")
    }
}

/// A change of the mesh key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rekey {
    /// Which studio.
    pub studio: StudioId,
    /// Of several the highest holds.
    pub number: u64,
    /// The key from here on.
    pub key: MeshKey,
    /// The records that had ended or restored a right when it was signed, ascending: whoever knows fewer cannot tell who belongs, and
    /// tells nobody.
    #[serde(default)]
    pub endings: Vec<Hash>,
    /// Under whose right.
    pub by: Signer,
    /// The signer's signature.
    pub signature: Signature,
}

/// Why a change of the key is not taken. The sender's fault, but for [`RekeyError::Unfounded`]; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RekeyError {
    /// Of another studio, or out of bounds.
    #[error("a network key that makes no sense")]
    Malformed,
    /// Nobody who may signed it, or a record that gives the right or that it names has not come yet.
    #[error("a network key that no admin of the studio signed")]
    Unfounded,
}

impl Rekey {
    /// Signs the next key: it follows `after`, and is for whoever belongs.
    pub fn seal(
        (roster, authority): (&Roster, &Authority),
        after: Option<&Self>,
        key: MeshKey,
    ) -> Self {
        let mut sealed = Self {
            studio: roster.studio(),
            number: after.map_or(0, |before| before.number).saturating_add(1),
            key,
            endings: roster.endings(),
            by: authority.signer(),
            signature: Signature([0; 64]),
        };
        sealed.signature = authority.sign(Purpose::Rekey, &sealed.hash());
        sealed
    }

    /// Its name: a hash over what is signed.
    pub fn hash(&self) -> Hash {
        let said = (self.studio, self.number, self.key, &self.endings, self.by);
        Hash::of(&postcard::to_stdvec(&said).expect("wire types always encode"))
    }

    /// Of several the one with the highest rank holds.
    pub fn rank(&self) -> (u64, Hash) {
        (self.number, self.hash())
    }

    /// Whether somebody signed it who may, by a roster that knows at least what ended or restored a right when it was signed.
    pub fn check(&self, roster: &Roster) -> Result<(), RekeyError> {
        let ascends = self.endings.windows(2).all(|pair| pair[0] < pair[1]);
        let fits = self.endings.len() <= limits::ROSTER_RECORDS && self.number <= limits::REKEYS;
        if self.studio != roster.studio() || !ascends || !fits {
            return Err(RekeyError::Malformed);
        }
        let hash = self.hash();
        let known = self.endings.iter().all(|end| roster.record(*end).is_some());
        match roster.vouches(self.by, hash).filter(|_| known) {
            Some((key, true)) if key.verify(Purpose::Rekey, &hash, &self.signature) => Ok(()),
            _ => Err(RekeyError::Unfounded),
        }
    }
}

/// A device's word that it uses a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moved {
    /// Which device.
    pub device: DeviceId,
    /// The hash of the change of the key.
    pub rekey: Hash,
    /// The device's signature.
    pub signature: Signature,
}

impl Moved {
    /// Says that `device` uses the key of `rekey`.
    pub fn seal(device: DeviceId, rekey: &Rekey, key: &SecretKey) -> Self {
        let rekey = rekey.hash();
        let signature = key.sign(Purpose::Moved, &said(device, rekey));
        Self {
            device,
            rekey,
            signature,
        }
    }

    /// Whether a device that belongs said so.
    pub fn holds(&self, roster: &Roster) -> bool {
        let member = roster
            .member(self.device)
            .filter(|member| member.is_active());
        let key = member.and_then(|member| VerifyKey::new(&member.grant.key));
        let said = said(self.device, self.rekey);
        key.is_some_and(|key| key.verify(Purpose::Moved, &said, &self.signature))
    }
}

fn said(device: DeviceId, rekey: Hash) -> Hash {
    Hash::of(&postcard::to_stdvec(&(device, rekey)).expect("wire types always encode"))
}

/// The newest change of the key, if there was one, and who is known to use it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Keyring {
    /// The change.
    pub rekey: Option<Rekey>,
    /// Who uses its key, one word a device.
    pub moved: Vec<Moved>,
    /// The changes before it, the newest first: one of them holds again if its signer turns out to have had no right.
    #[serde(default)]
    pub before: Vec<Rekey>,
}

/// What the keys before the newest one are still good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Somebody who belongs may not use the newest yet: those before it are accepted for hello, roster and key.
    Moving,
    /// All who belong use it.
    Settled,
    /// Whoever signed it had no right to, as is known by now: the last one that was signed by right is in use again.
    Unfounded,
}

impl Keyring {
    /// What holds of it by this roster.
    pub fn state(&self, roster: &Roster) -> KeyState {
        match &self.rekey {
            Some(rekey) if rekey.check(roster).is_err() => KeyState::Unfounded,
            Some(_) if self.is_settled(roster) => KeyState::Settled,
            _ => KeyState::Moving,
        }
    }

    /// The newest change that somebody signed who may.
    pub fn in_force(&self, roster: &Roster) -> Option<&Rekey> {
        let mut held = self.rekey.iter().chain(&self.before);
        held.find(|rekey| rekey.check(roster).is_ok())
    }

    /// The keys of changes that nobody signed who may.
    pub fn fallen(&self, roster: &Roster) -> Vec<MeshKey> {
        let held = self.rekey.iter().chain(&self.before);
        let fallen = held.filter(|rekey| rekey.check(roster).is_err());
        fallen.map(|rekey| rekey.key).collect()
    }

    fn has_moved(&self, device: DeviceId) -> bool {
        self.moved.iter().any(|word| word.device == device)
    }

    /// Whether every device that belongs is known to use the newest key, so that the ones before are needed no more. The cloud truth
    /// has no part in the mesh. Whoever knows of nobody else yet, as after a recovery by the kit, will not be found by the newest alone.
    fn is_settled(&self, roster: &Roster) -> bool {
        let in_mesh = |member: &&Member| member.grant.role != Role::Cloud;
        let mut active = roster.members().filter(in_mesh).filter(|m| m.is_active());
        self.rekey.is_some()
            && active.all(|member| self.has_moved(member.grant.device))
            && roster.members().filter(in_mesh).nth(1).is_some()
    }
}
