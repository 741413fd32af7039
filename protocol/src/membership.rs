//! Who belongs: the roster as a set of signed records.
//!
//! A member is whoever the root key granted; the newest grant of a device holds, by (version, hash), whatever the order in
//! which records arrive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Hash, PublicKey, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;
use crate::merge::Priorities;

/// What a device may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May admit others.
    Admin,
    /// Writes everything of the daily work.
    Member,
    /// The cloud truth itself.
    Cloud,
}

/// A device's right to write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The device.
    pub device: DeviceId,
    /// Its signing key.
    pub key: PublicKey,
    /// What people call it, at most [`limits::NAME_BYTES`].
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Decides the pick within the tolerance; higher wins.
    pub priority: i32,
    /// Who carries logs to the cloud first; higher goes first.
    pub gateway_preference: i32,
    /// Of several grants to one device the highest holds.
    pub version: u32,
}

/// A grant of one studio, signed with its root key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedGrant {
    /// Which studio.
    pub studio: StudioId,
    /// The grant.
    pub grant: Grant,
    /// The root key's signature.
    pub signature: Signature,
}

/// Why a record is not taken. The sender's fault; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Of another studio.
    #[error("a record of another studio")]
    OtherStudio,
    /// Not signed by the root key.
    #[error("a record that the studio's root key did not sign")]
    BadSignature,
    /// No usable key, or a name that is too long.
    #[error("a record with an unusable key or name")]
    Malformed,
    /// More records than a roster holds.
    #[error("the roster is full (4096 records)")]
    Full,
}

impl SignedGrant {
    /// Signs a grant with the root key.
    pub fn seal(studio: StudioId, grant: Grant, root: &SecretKey) -> Self {
        let signature = root.sign(Purpose::Record, &record_hash(studio, &grant));
        Self {
            studio,
            grant,
            signature,
        }
    }

    fn hash(&self) -> Hash {
        record_hash(self.studio, &self.grant)
    }
}

fn record_hash(studio: StudioId, grant: &Grant) -> Hash {
    Hash::of(&postcard::to_stdvec(&(studio, grant)).expect("wire types always encode"))
}

/// One member as the roster knows it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The grant that holds.
    pub grant: Grant,
    /// Its key, ready to verify with.
    pub key: VerifyKey,
}

/// All members of a studio.
#[derive(Clone, Debug)]
pub struct Roster {
    studio: StudioId,
    root: PublicKey,
    root_key: VerifyKey,
    records: BTreeMap<Hash, SignedGrant>,
    members: BTreeMap<DeviceId, Member>,
}

impl Roster {
    /// The empty roster of a studio; `None` if the root key is none.
    pub fn new(studio: StudioId, root: PublicKey) -> Option<Self> {
        let root_key = VerifyKey::new(&root)?;
        let (records, members) = (BTreeMap::new(), BTreeMap::new());
        Some(Self {
            studio,
            root,
            root_key,
            records,
            members,
        })
    }

    /// Takes a record in. `Ok(true)` if it was new.
    pub fn insert(&mut self, record: SignedGrant) -> Result<bool, RecordError> {
        if record.studio != self.studio {
            return Err(RecordError::OtherStudio);
        }
        let hash = record.hash();
        if self.records.contains_key(&hash) {
            return Ok(false);
        }
        if !self
            .root_key
            .verify(Purpose::Record, &hash, &record.signature)
        {
            return Err(RecordError::BadSignature);
        }
        let key = VerifyKey::new(&record.grant.key).ok_or(RecordError::Malformed)?;
        if record.grant.name.len() > limits::NAME_BYTES {
            return Err(RecordError::Malformed);
        }
        if self.records.len() >= limits::ROSTER_RECORDS {
            return Err(RecordError::Full);
        }
        let grant = &record.grant;
        let newest = self.members.get(&grant.device).is_none_or(|held| {
            (grant.version, hash) > (held.grant.version, record_hash(self.studio, &held.grant))
        });
        if newest {
            self.members.insert(
                grant.device,
                Member {
                    grant: grant.clone(),
                    key,
                },
            );
        }
        self.records.insert(hash, record);
        Ok(true)
    }

    /// The studio.
    pub fn studio(&self) -> StudioId {
        self.studio
    }
    /// The studio's root key.
    pub fn root(&self) -> PublicKey {
        self.root
    }
    /// The member of that id.
    pub fn member(&self, device: DeviceId) -> Option<&Member> {
        self.members.get(&device)
    }
    /// All members by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }
    /// The cloud truth, if the studio has one.
    pub fn cloud(&self) -> Option<&Member> {
        self.members
            .values()
            .find(|member| member.grant.role == Role::Cloud)
    }
    /// All signed records.
    pub fn records(&self) -> impl Iterator<Item = &SignedGrant> {
        self.records.values()
    }
    /// Equal on two machines exactly when they hold the same records.
    pub fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        self.records.keys().for_each(|hash| {
            hasher.update(&hash.0);
        });
        Hash(*hasher.finalize().as_bytes())
    }
    /// The priority table of the pick.
    pub fn priorities(&self) -> Priorities {
        Priorities(
            self.members
                .values()
                .map(|m| (m.grant.device, m.grant.priority))
                .collect(),
        )
    }
    /// What people call a device.
    pub fn name(&self, device: DeviceId) -> &str {
        self.members
            .get(&device)
            .map_or("unknown", |member| &member.grant.name)
    }
}
