//! The studio's signed policies: which documents are held, and which of them is in force.
//!
//! A function of the set of documents, whatever the order in which they came: the highest (version, hash) that this version of
//! the program can read is in force. One that it cannot read is held and passed on, for others can.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::id::{DeviceId, Hash, PublicKey, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;
use crate::time::WallMs;

/// A policy document of one studio, signed with its root key.
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
    /// The root key's signature.
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
    /// Not signed by the root key.
    #[error("a policy that the studio's root key did not sign")]
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
    root: VerifyKey,
    held: BTreeMap<Rank, SignedPolicy>,
    default: Policy,
    in_force: Policy,
    signed: Option<Rank>,
}

impl SignedPolicy {
    /// Signs a document with the root key.
    pub fn seal(
        (studio, root): (StudioId, &SecretKey),
        policy: &Policy,
        (by, at): (DeviceId, WallMs),
    ) -> Self {
        let mut signed = Self {
            studio,
            version: policy.version(),
            text: policy.text().to_owned(),
            by,
            at,
            signature: Signature([0; 64]),
        };
        signed.signature = root.sign(Purpose::Policy, &signed.content());
        signed
    }

    /// The document's hash, by which machines compare policies.
    pub fn hash(&self) -> Hash {
        Hash::of(self.text.as_bytes())
    }

    fn content(&self) -> Hash {
        let said = (self.studio, self.version, &self.text, self.by, self.at);
        Hash::of(&postcard::to_stdvec(&said).expect("wire types always encode"))
    }

    /// The order in which documents hold: (version, hash of the document, hash of the whole record).
    pub fn rank(&self) -> Rank {
        (self.version, self.hash(), self.content())
    }
}

impl PolicyShelf {
    /// Holds nothing signed yet: `default` is in force. `None` if the root key is none.
    pub fn new(studio: StudioId, root: PublicKey, default: Policy) -> Option<Self> {
        Some(Self {
            studio,
            root: VerifyKey::new(&root)?,
            held: BTreeMap::new(),
            in_force: default.clone(),
            default,
            signed: None,
        })
    }

    /// Takes a document in.
    pub fn insert(&mut self, record: SignedPolicy) -> Result<Shelved, ShelfError> {
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
        let signed = (self.root).verify(Purpose::Policy, &rank.2, &record.signature);
        if !signed {
            return Err(ShelfError::BadSignature);
        }
        if Policy::parse(&record.text).is_ok_and(|policy| policy.version() != record.version) {
            return Err(ShelfError::OtherVersion);
        }
        self.held.insert(rank, record);
        while self.held.len() > limits::POLICIES {
            self.held.pop_first();
        }
        let before = self.signed;
        self.choose();
        Ok(match self.held.contains_key(&rank) {
            _ if self.signed != before && self.signed == Some(rank) => Shelved::InForce,
            true => Shelved::Beside,
            false => Shelved::Nothing,
        })
    }

    fn choose(&mut self) {
        let readable = self.held.iter().rev().find_map(|(rank, record)| {
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

    /// A document above the one in force, which only a newer version of the program can read.
    pub fn unreadable(&self) -> Option<&SignedPolicy> {
        let (rank, newest) = self.held.last_key_value()?;
        (Some(*rank) > self.signed && Policy::parse(&newest.text).is_err()).then_some(newest)
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

    const STUDIO: StudioId = StudioId([3; 16]);
    const DEVICE: DeviceId = DeviceId([4; 16]);

    fn root() -> SecretKey {
        SecretKey::from_seed([5; 32])
    }

    fn shelf() -> PolicyShelf {
        PolicyShelf::new(STUDIO, root().public(), Policy::default()).expect("a key")
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
                shelf.insert(record.clone()).expect("signed");
            }
            assert_eq!(shelf.in_force().hash(), high.hash());
            assert_eq!(shelf.documents().count(), 2);
        }
        assert_eq!(forth.digest(), back.digest());
        assert_eq!(back.insert(newer.clone()), Ok(Shelved::InForce));
        assert_eq!(back.insert(newer), Ok(Shelved::Nothing));
        assert_eq!(back.in_force().version(), 3);
    }

    #[test]
    fn only_the_root_key_of_the_studio_makes_a_policy() {
        let mut forged = signed(2, "a");
        forged.text.push('\n');
        assert_eq!(shelf().insert(forged), Err(ShelfError::BadSignature));
        let policy = Policy::default();
        let thief = SecretKey::from_seed([6; 32]);
        let stolen = SignedPolicy::seal((STUDIO, &thief), &policy, (DEVICE, WallMs(7)));
        assert_eq!(shelf().insert(stolen), Err(ShelfError::BadSignature));
        let other = StudioId([9; 16]);
        let foreign = SignedPolicy::seal((other, &root()), &policy, (DEVICE, WallMs(7)));
        assert_eq!(shelf().insert(foreign), Err(ShelfError::OtherStudio));
    }

    #[test]
    fn a_policy_of_a_newer_program_is_held_and_passed_on_but_not_in_force() {
        let mut shelf = shelf();
        let mut newer = signed(3, "a");
        newer.text = "version = 3\n[type.a]\nquorum = 2\n".into();
        newer.signature = root().sign(Purpose::Policy, &newer.content());
        assert_eq!(shelf.insert(newer.clone()), Ok(Shelved::Beside));
        assert_eq!(shelf.unreadable(), Some(&newer));
        assert_eq!(shelf.in_force().hash(), Policy::default().hash());
        assert_eq!(shelf.insert(signed(2, "a")), Ok(Shelved::InForce));
        assert_eq!(shelf.unreadable(), Some(&newer));
        assert_eq!(shelf.documents().count(), 2);
    }

    #[test]
    fn a_shelf_keeps_the_highest_documents_only() {
        let mut shelf = shelf();
        for version in 2..40 {
            shelf.insert(signed(version, "a")).expect("signed");
        }
        assert_eq!(shelf.documents().count(), limits::POLICIES);
        assert_eq!(shelf.in_force().version(), 39);
        assert_eq!(shelf.insert(signed(2, "b")), Ok(Shelved::Nothing));
    }
}
