//! One signed record of the roster: what it says, and under whose right it was signed.
//!
//! A record names the grant that its signer acts under, so who may sign what never depends on the order of arrival.

use serde::{Deserialize, Serialize};

use super::{Double, Grant, Role};
use crate::id::{Author, DeviceId, Epoch, Hash, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;
use crate::time::WallMs;

/// Under whose right a record was signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Signer {
    /// The studio's root key.
    Root,
    /// The holder of the grant with this record hash.
    Holder(Hash),
}

/// What ends a device's membership, and what of it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cut {
    /// Whose.
    pub device: DeviceId,
    /// Of each of its epochs the last counter that stands, ascending; epochs not named are cut at 0.
    pub stands: Vec<(Epoch, u64)>,
    /// What it signed as an admin and still stands, ascending; all else that it signed is void.
    pub keeps: Vec<Hash>,
    /// When, by the signer's wall clock; for people.
    pub at: WallMs,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Act {
    /// A device's place.
    Grant(Grant),
    /// A place that is less than admin, for a device that was one: of what it signed only this stands, ascending.
    Lower(Grant, Vec<Hash>),
    /// Takes a device back: lifts these revocations. The root key's alone.
    Readmit(Grant, Vec<Hash>),
    /// Shuts a device out.
    Revoke(Cut),
    /// A device takes its leave; signed by itself.
    Retire(Cut),
    /// Of these authors nothing from that counter on will ever come, ascending: nobody waits for it. What turns up
    /// nevertheless counts as always.
    Lost(Vec<(Author, u64)>),
    /// One dot, two bundles: whoever met both tells it, and it proves itself.
    Double(Box<Double>),
}

impl From<Grant> for Act {
    fn from(grant: Grant) -> Self {
        Self::Grant(grant)
    }
}

/// What a record is signed with.
#[derive(Clone, Debug)]
pub struct Authority {
    signer: Signer,
    key: SecretKey,
}

impl Authority {
    /// The root key.
    pub fn root(key: SecretKey) -> Self {
        let signer = Signer::Root;
        Self { signer, key }
    }

    /// A device's key, under the grant with that record hash.
    pub fn holder(grant: Hash, key: SecretKey) -> Self {
        let signer = Signer::Holder(grant);
        Self { signer, key }
    }

    /// Under whose right it signs.
    pub fn signer(&self) -> Signer {
        self.signer
    }

    /// Signs `hash` for `purpose`.
    pub(crate) fn sign(&self, purpose: Purpose, hash: &Hash) -> Signature {
        self.key.sign(purpose, hash)
    }
}

/// A record of one studio, signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedRecord {
    /// Which studio.
    pub studio: StudioId,
    /// Under whose right.
    pub by: Signer,
    /// What it says.
    pub act: Act,
    /// The signer's signature.
    pub signature: Signature,
}

/// Why a record is not taken. The sender's fault, but for [`RecordError::Unfounded`]; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Of another studio.
    #[error("a record of another studio")]
    OtherStudio,
    /// Not signed by whom it names.
    #[error("a record with a signature that does not hold")]
    BadSignature,
    /// Signed under a right that does not allow it.
    #[error("a record that its signer has no right to sign")]
    NoRight,
    /// Signed under a grant that is not held: the rest of the roster is missing. Nobody's fault.
    #[error("a record that rests on others which have not come yet")]
    Unfounded,
    /// No usable key, a name that is too long, or a list out of order or bounds.
    #[error("a record with an unusable key, name or list")]
    Malformed,
    /// More records than a roster holds.
    #[error("the roster is full (4096 records)")]
    Full,
}

impl SignedRecord {
    /// Signs a record.
    pub fn seal(studio: StudioId, act: impl Into<Act>, authority: &Authority) -> Self {
        let (by, act) = (authority.signer, act.into());
        let signature = authority.sign(Purpose::Record, &content(studio, by, &act));
        Self {
            studio,
            by,
            act,
            signature,
        }
    }

    /// Signs a record with the root key.
    pub fn by_root(studio: StudioId, act: impl Into<Act>, root: &SecretKey) -> Self {
        Self::seal(studio, act, &Authority::root(root.clone()))
    }

    /// Its name: a hash over what is signed.
    pub fn hash(&self) -> Hash {
        content(self.studio, self.by, &self.act)
    }

    /// The place that it gives, if it gives one.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.act {
            Act::Grant(grant) | Act::Lower(grant, _) | Act::Readmit(grant, _) => Some(grant),
            Act::Revoke(_) | Act::Retire(_) | Act::Lost(_) | Act::Double(_) => None,
        }
    }

    /// The cut that it makes, if it makes one.
    pub fn cut(&self) -> Option<&Cut> {
        match &self.act {
            Act::Revoke(cut) | Act::Retire(cut) => Some(cut),
            _ => None,
        }
    }

    /// The split that it proves, if it proves one.
    pub fn double(&self) -> Option<&Double> {
        match &self.act {
            Act::Double(double) => Some(double),
            _ => None,
        }
    }

    /// Of what a grant's device signed as an admin, what this record leaves standing when it makes it less than one.
    pub(super) fn lowers(&self) -> Option<&[Hash]> {
        match &self.act {
            Act::Lower(_, keeps) => Some(keeps),
            Act::Grant(grant) | Act::Readmit(grant, _) if grant.role != Role::Admin => Some(&[]),
            _ => None,
        }
    }

    /// Whether it is worded as records are, signature aside; the key of the place that it gives.
    pub(super) fn check(&self) -> Result<Option<VerifyKey>, RecordError> {
        let lists = match &self.act {
            Act::Grant(_) => Vec::new(),
            Act::Lower(_, list) | Act::Readmit(_, list) => vec![list],
            Act::Revoke(cut) | Act::Retire(cut) => {
                let epochs = ascend(&cut.stands, |(epoch, _)| *epoch);
                let counted = cut.stands.iter().all(|(_, n)| *n <= limits::COUNTER);
                if cut.stands.len() > limits::CUT_EPOCHS || !epochs || !counted {
                    return Err(RecordError::Malformed);
                }
                vec![&cut.keeps]
            }
            Act::Lost(lost) => {
                let authors = ascend(lost, |(author, _)| *author);
                let counted = lost.iter().all(|(_, from)| *from <= limits::COUNTER);
                if lost.is_empty() || lost.len() > limits::CUT_EPOCHS || !authors || !counted {
                    return Err(RecordError::Malformed);
                }
                Vec::new()
            }
            Act::Double(double) => {
                if !double.is_canonical() || double.one.header.studio != self.studio {
                    return Err(RecordError::Malformed);
                }
                Vec::new()
            }
        };
        let fits =
            |list: &&Vec<Hash>| list.len() <= limits::CUT_KEEPS && ascend(list, |hash| *hash);
        if !lists.iter().all(fits) {
            return Err(RecordError::Malformed);
        }
        let Some(grant) = self.grant() else {
            return Ok(None);
        };
        if grant.name.len() > limits::NAME_BYTES || grant.version == u32::MAX {
            return Err(RecordError::Malformed);
        }
        VerifyKey::new(&grant.key)
            .map(Some)
            .ok_or(RecordError::Malformed)
    }

    /// Whether somebody of that grant may sign this.
    pub(super) fn may_be_signed_by(&self, signer: &Grant) -> bool {
        match &self.act {
            Act::Retire(cut) => cut.device == signer.device,
            Act::Readmit(..) => false,
            Act::Double(_) => true,
            Act::Lower(grant, _) => signer.role == Role::Admin && grant.role != Role::Admin,
            Act::Grant(_) | Act::Revoke(_) | Act::Lost(_) => signer.role == Role::Admin,
        }
    }
}

fn ascend<T, K: Ord>(list: &[T], key: impl Fn(&T) -> K) -> bool {
    list.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]))
}

fn content(studio: StudioId, by: Signer, act: &Act) -> Hash {
    Hash::of(&postcard::to_stdvec(&(studio, by, act)).expect("wire types always encode"))
}
