//! The studio's signed policies: which documents are held, and which of them is in force.
//!
//! A function of the set of documents, whatever the order in which they came: the highest (version, hash) that this version of
//! the program can read is in force. One that it cannot read is held and passed on, for others can.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::id::{DeviceId, Hash, Signature, StudioId};
use crate::keys::Purpose;
use crate::limits;
use crate::membership::{Authority, Roster, Signer};
use crate::time::WallMs;

/// A policy document of one studio, signed by an admin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedPolicy {
    /// Which studio.
    pub studio: StudioId,
    /// The document's version; of several the highest holds.
    pub version: u32,
    /// The TOML document.
    pub text: String,
    /// The machine on which it was signed.
    pub by: DeviceId,
    /// When, by that machine's wall clock.
    pub at: WallMs,
    /// Under whose right.
    pub signer: Signer,
    /// The signer's signature.
    pub signature: Signature,
}

/// Why a document is not taken. The sender's fault; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShelfError {
    /// Of another studio.
    #[error("a policy of another studio")]
    OtherStudio,
    /// Larger than a document may be.
    #[error("a policy document over 128 KiB")]
    TooLarge,
    /// Not signed by somebody who may.
    #[error("a policy that no admin of the studio signed")]
    BadSignature,
    /// The document says another version than the signature.
    #[error("a policy signed as another version than its document says")]
    OtherVersion,
}

/// What came of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelved {
    /// It is in force from here on.
    InForce,
    /// It is held beside the one in force.
    Beside,
    /// It was held already, or is older than all that are kept.
    Nothing,
}

type Rank = (u32, Hash, Hash);

/// All signed policies held, and the one in force.
#[derive(Clone, Debug)]
pub struct PolicyShelf {
    studio: StudioId,
    held: BTreeMap<Rank, SignedPolicy>,
    /// Those of them whose signer's right does not stand.
    void: BTreeSet<Rank>,
    default: Policy,
    in_force: Policy,
    signed: Option<Rank>,
}

impl SignedPolicy {
    /// Signs a document.
    pub fn seal(
        (studio, authority): (StudioId, &Authority),
        policy: &Policy,
        (by, at): (DeviceId, WallMs),
    ) -> Self {
        let mut signed = Self {
            studio,
            version: policy.version(),
            text: policy.text().to_owned(),
            by,
            at,
            signer: authority.signer(),
            signature: Signature([0; 64]),
        };
        signed.signature = authority.sign(Purpose::Policy, &signed.content());
        signed
    }

    /// The document's hash, by which machines compare policies.
    pub fn hash(&self) -> Hash {
        Hash::of(self.text.as_bytes())
    }

    fn content(&self) -> Hash {
        let signed = (self.by, self.at, self.signer);
        let said = (self.studio, self.version, &self.text, signed);
        Hash::of(&postcard::to_stdvec(&said).expect("wire types always encode"))
    }

    /// The order in which documents hold: (version, hash of the document, hash of the whole record).
    pub fn rank(&self) -> Rank {
        (self.version, self.hash(), self.content())
    }
}

impl PolicyShelf {
    /// Holds nothing signed yet: `default` is in force.
    pub fn new(studio: StudioId, default: Policy) -> Self {
        Self {
            studio,
            held: BTreeMap::new(),
            void: BTreeSet::new(),
            in_force: default.clone(),
            default,
            signed: None,
        }
    }

    /// Takes a document in that somebody signed who may, by this roster.
    pub fn insert(&mut self, record: SignedPolicy, roster: &Roster) -> Result<Shelved, ShelfError> {
        if record.studio != self.studio {
            return Err(ShelfError::OtherStudio);
        }
        if record.text.len() > limits::POLICY_BYTES {
            return Err(ShelfError::TooLarge);
        }
        let rank = record.rank();
        if self.held.contains_key(&rank) {
            return Ok(Shelved::Nothing);
        }
        let (key, stands) = roster
            .vouches(record.signer, rank.2)
            .ok_or(ShelfError::BadSignature)?;
        if !key.verify(Purpose::Policy, &rank.2, &record.signature) {
            return Err(ShelfError::BadSignature);
        }
        if Policy::parse(&record.text).is_ok_and(|policy| policy.version() != record.version) {
            return Err(ShelfError::OtherVersion);
        }
        if !stands {
            self.void.insert(rank);
        }
        self.held.insert(rank, record);
        while self.held.len() > limits::POLICIES {
            // What does not stand makes room first.
            let least = self.void.pop_first();
            let least = least.or_else(|| self.held.keys().next().copied());
            self.held.remove(&least.expect("more than none are held"));
        }
        let before = self.signed;
        self.choose();
        Ok(match self.held.contains_key(&rank) {
            _ if self.signed != before && self.signed == Some(rank) => Shelved::InForce,
            true => Shelved::Beside,
            false => Shelved::Nothing,
        })
    }

    /// Judges anew whose documents stand; `true` if another one is in force.
    pub fn review(&mut self, roster: &Roster) -> bool {
        let void = self.held.iter().filter(|(rank, record)| {
            let vouched = roster.vouches(record.signer, rank.2);
            !vouched.is_some_and(|(_, stands)| stands)
        });
        self.void = void.map(|(rank, _)| *rank).collect();
        let before = self.signed;
        self.choose();
        self.signed != before
    }

    fn choose(&mut self) {
        let standing = self
            .held
            .iter()
            .filter(|(rank, _)| !self.void.contains(rank));
        let readable = standing.rev().find_map(|(rank, record)| {
            let policy = Policy::parse(&record.text).ok()?;
            Some((*rank, policy))
        });
        let ours = (self.default.version(), self.default.hash());
        match readable {
            Some((rank, policy)) if (rank.0, rank.1) >= ours => {
                (self.signed, self.in_force) = (Some(rank), policy);
            }
            _ => (self.signed, self.in_force) = (None, self.default.clone()),
        }
    }

    /// The policy in force.
    pub fn in_force(&self) -> &Policy {
        &self.in_force
    }

    /// The signed document of the policy in force; `None` while it is the default.
    pub fn signed(&self) -> Option<&SignedPolicy> {
        self.held.get(self.signed.as_ref()?)
    }

    /// All documents held, the highest last.
    pub fn documents(&self) -> impl DoubleEndedIterator<Item = &SignedPolicy> {
        self.held.values()
    }

    /// The default and all documents held that this version of the program can read and whose signer's right stands.
    pub fn readable(&self) -> Vec<Policy> {
        let held = self.held.iter();
        let held = held.filter(|(rank, _)| !self.void.contains(rank));
        let held = held.filter_map(|(_, record)| Policy::parse(&record.text).ok());
        std::iter::once(self.default.clone()).chain(held).collect()
    }

    /// A document above the one in force, which only a newer version of the program can read.
    pub fn unreadable(&self) -> Option<&SignedPolicy> {
        let (rank, newest) = self.held.last_key_value()?;
        (Some(*rank) > self.signed && Policy::parse(&newest.text).is_err()).then_some(newest)
    }

    /// The documents that count: the one in force, and one above it that only a newer version can read.
    pub fn standing(&self) -> impl Iterator<Item = &SignedPolicy> {
        self.signed().into_iter().chain(self.unreadable())
    }

    /// Equal on two machines exactly when the same documents stand.
    pub fn standing_digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        self.standing().for_each(|document| {
            let (_, _, record) = document.rank();
            hasher.update(&record.0);
        });
        Hash(*hasher.finalize().as_bytes())
    }

    /// Equal on two machines exactly when they hold the same documents.
    pub fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        self.held.keys().for_each(|(_, _, record)| {
            hasher.update(&record.0);
        });
        Hash(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    const STUDIO: StudioId = StudioId([3; 16]);
    const DEVICE: DeviceId = DeviceId([4; 16]);

    fn root() -> Authority {
        Authority::root(SecretKey::from_seed([5; 32]))
    }

    fn shelf() -> PolicyShelf {
        PolicyShelf::new(STUDIO, Policy::default())
    }

    fn roster() -> Roster {
        let root = SecretKey::from_seed([5; 32]);
        Roster::new(STUDIO, root.public()).expect("a key")
    }

    fn signed(version: u32, field: &str) -> SignedPolicy {
        let text =
            Policy::default()
                .text()
                .replacen("version = 1", &format!("version = {version}"), 1)
                + &format!("\n[type.prop.field]\n{field} = {{ kind = \"text\" }}\n");
        let policy = Policy::parse(&text).expect("a policy");
        SignedPolicy::seal((STUDIO, &root()), &policy, (DEVICE, WallMs(7)))
    }

    #[test]
    fn of_concurrent_policies_every_machine_takes_the_same_and_shows_the_other() {
        let (one, other, newer) = (signed(2, "a"), signed(2, "b"), signed(3, "a"));
        let rank = |p: &SignedPolicy| (p.version, p.hash());
        let high = if rank(&one) > rank(&other) {
            &one
        } else {
            &other
        };
        let (mut forth, mut back) = (shelf(), shelf());
        for (shelf, order) in [(&mut forth, [&one, &other]), (&mut back, [&other, &one])] {
            for record in order {
                shelf.insert(record.clone(), &roster()).expect("signed");
            }
            assert_eq!(shelf.in_force().hash(), high.hash());
            assert_eq!(shelf.documents().count(), 2);
        }
        assert_eq!(forth.digest(), back.digest());
        assert_eq!(back.insert(newer.clone(), &roster()), Ok(Shelved::InForce));
        assert_eq!(back.insert(newer, &roster()), Ok(Shelved::Nothing));
        assert_eq!(back.in_force().version(), 3);
    }

    #[test]
    fn a_policy_that_nobody_signed_who_may_is_not_taken() {
        let mut forged = signed(2, "a");
        forged.text.push('\n');
        assert_eq!(
            shelf().insert(forged, &roster()),
            Err(ShelfError::BadSignature)
        );
        let policy = Policy::default();
        let thief = Authority::root(SecretKey::from_seed([6; 32]));
        let stolen = SignedPolicy::seal((STUDIO, &thief), &policy, (DEVICE, WallMs(7)));
        assert_eq!(
            shelf().insert(stolen, &roster()),
            Err(ShelfError::BadSignature)
        );
        let other = StudioId([9; 16]);
        let foreign = SignedPolicy::seal((other, &root()), &policy, (DEVICE, WallMs(7)));
        assert_eq!(
            shelf().insert(foreign, &roster()),
            Err(ShelfError::OtherStudio)
        );
    }

    #[test]
    fn a_policy_of_a_newer_program_is_held_and_passed_on_but_not_in_force() {
        let mut shelf = shelf();
        let mut newer = signed(3, "a");
        newer.text = "version = 3\n[type.a]\nquorum = 2\n".into();
        newer.signature = root().sign(Purpose::Policy, &newer.content());
        assert_eq!(shelf.insert(newer.clone(), &roster()), Ok(Shelved::Beside));
        assert_eq!(shelf.unreadable(), Some(&newer));
        assert_eq!(shelf.in_force().hash(), Policy::default().hash());
        assert_eq!(
            shelf.insert(signed(2, "a"), &roster()),
            Ok(Shelved::InForce)
        );
        assert_eq!(shelf.unreadable(), Some(&newer));
        assert_eq!(shelf.documents().count(), 2);
    }

    #[test]
    fn a_shelf_keeps_the_highest_documents_only() {
        let mut shelf = shelf();
        for version in 2..40 {
            shelf
                .insert(signed(version, "a"), &roster())
                .expect("signed");
        }
        assert_eq!(shelf.documents().count(), limits::POLICIES);
        assert_eq!(shelf.in_force().version(), 39);
        assert_eq!(
            shelf.insert(signed(2, "b"), &roster()),
            Ok(Shelved::Nothing)
        );
    }
}
