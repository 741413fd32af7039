//! Changes of the roster that a person at this machine asks for, worded as the records that make them.
//!
//! Worded by what is held here at that moment: a revocation leaves standing what this machine holds of the other's log and
//! what the other signed, and nothing that comes later.

use super::Engine;
use crate::id::{DeviceId, Epoch, Hash, PublicKey};
use crate::limits;
use crate::membership::{Act, Authority, Cut, Grant, Member, Rekey, Role, SignedRecord, Signer};
use crate::time::WallMs;

/// What a device counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// What it may do.
    pub role: Role,
    /// Decides the pick within the tolerance; higher wins.
    pub priority: i32,
    /// Who carries logs to the cloud first; higher goes first.
    pub gateway_preference: i32,
}

/// A change of the roster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RosterChange {
    /// Lets a device in.
    Admit {
        /// Its id.
        device: DeviceId,
        /// Its key.
        key: PublicKey,
        /// What people call it.
        name: String,
        /// What it counts for.
        place: Place,
    },
    /// Gives a device another place.
    Place(DeviceId, Place),
    /// Shuts a device out.
    Revoke(DeviceId),
    /// This machine takes its leave.
    Retire,
    /// Nothing more comes of a device than is held here: its machine died with the rest.
    Lose(DeviceId),
    /// A record that was signed elsewhere: with the recovery kit's root key.
    Signed(Box<SignedRecord>),
}

/// Why a change is not made. The person's; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// This machine is no admin.
    #[error("this machine is no admin of the studio; do it on one that is")]
    NotAdmin,
    /// No such device, or one that does not belong any more.
    #[error("no machine of that name belongs to the studio; `studiovault devices` lists them")]
    NoSuchDevice,
    /// A name that another machine has.
    #[error("a machine of the studio is called `{0}` already; choose another name")]
    NameTaken(String),
    /// It would leave nobody who may admit others.
    #[error(
        "this is the studio's last admin; make another machine one first, with `studiovault role NAME admin`"
    )]
    LastAdmin,
    /// This very machine.
    #[error("this is the machine itself; let it go with `studiovault retire`")]
    Oneself,
    /// The cloud truth has its place for good.
    #[error("the cloud truth keeps its place; take the token from it instead")]
    CloudTruth,
    /// A role that only the cloud truth has.
    #[error("a machine is admin, member or guest; choose one of them")]
    Role,
    /// Nobody waits.
    #[error("nothing here waits for that machine; there is nothing to give up")]
    NothingAwaited,
    /// A log too long to be cut by one record.
    #[error("that machine began too many logs for one record; use the recovery kit")]
    TooLong,
    /// The roster did not take the record.
    #[error(
        "the roster did not take it: it is not signed by who may, or this machine's chain of grants is too long; use this studio's recovery kit"
    )]
    NotTaken,
    /// A studio remembers for good whom it let in and out.
    #[error(
        "this studio has let in and out as many machines as one studio can ({} records). Those that belong work on, and {} records are kept for shutting machines out and for taking leave; for new machines found another studio with `studiovault init`",
        limits::ROSTER_RECORDS,
        limits::ROSTER_RESERVE
    )]
    Full,
}

impl Engine {
    /// The record that makes a change, signed by this machine.
    pub fn word(&self, change: &RosterChange, at: WallMs) -> Result<SignedRecord, ChangeRefused> {
        let act = match change {
            RosterChange::Retire => return self.word_retirement(at),
            RosterChange::Signed(record) => return Ok(SignedRecord::clone(record)),
            RosterChange::Admit {
                device,
                key,
                name,
                place,
            } => self.admit((*device, *key), name, *place)?,
            RosterChange::Place(device, place) => self.place_anew(*device, *place)?,
            RosterChange::Revoke(device) => {
                if *device == self.me.device {
                    return Err(ChangeRefused::Oneself);
                }
                self.active(*device)?;
                Act::Revoke(self.cut(*device, at)?)
            }
            RosterChange::Lose(device) => self.lose(*device)?,
        };
        let signer = self.roster.signer(self.me.device);
        let signer = signer.ok_or(ChangeRefused::NotAdmin)?;
        Ok(self.sign(act, signer))
    }

    /// What this machine signs with as an admin.
    pub fn authority(&self) -> Option<Authority> {
        match self.roster.signer(self.me.device)? {
            Signer::Root => None,
            Signer::Holder(grant) => Some(Authority::holder(grant, self.me.secret.clone())),
        }
    }

    fn sign(&self, act: Act, signer: Signer) -> SignedRecord {
        let Signer::Holder(grant) = signer else {
            unreachable!("a machine signs under its grant")
        };
        let authority = Authority::holder(grant, self.me.secret.clone());
        SignedRecord::seal(self.roster.studio(), act, &authority)
    }

    fn word_retirement(&self, at: WallMs) -> Result<SignedRecord, ChangeRefused> {
        let own = self.roster.member(self.me.device);
        let own = own.ok_or(ChangeRefused::NoSuchDevice)?;
        self.keeps_an_admin(own)?;
        let act = Act::Retire(self.cut(self.me.device, at)?);
        Ok(self.sign(act, Signer::Holder(own.record)))
    }

    fn admit(
        &self,
        (device, key): (DeviceId, PublicKey),
        name: &str,
        place: Place,
    ) -> Result<Act, ChangeRefused> {
        let mut active = self.roster.members().filter(|member| member.is_active());
        let known = self.roster.member(device).is_some();
        if known || active.any(|member| member.grant.name == name) {
            return Err(ChangeRefused::NameTaken(name.to_owned()));
        }
        if place.role == Role::Cloud {
            return Err(ChangeRefused::Role);
        }
        Ok(Act::Grant(Grant {
            device,
            key,
            name: name.to_owned(),
            role: place.role,
            priority: place.priority,
            gateway_preference: place.gateway_preference,
            version: 1,
        }))
    }

    fn place_anew(&self, device: DeviceId, place: Place) -> Result<Act, ChangeRefused> {
        let member = self.active(device)?;
        if place.role == Role::Cloud {
            return Err(ChangeRefused::Role);
        }
        let grant = Grant {
            role: place.role,
            priority: place.priority,
            gateway_preference: place.gateway_preference,
            version: member.grant.version.saturating_add(1),
            ..member.grant.clone()
        };
        if grant.role == Role::Admin {
            return Ok(Act::Grant(grant));
        }
        self.keeps_an_admin(member)?;
        Ok(Act::Lower(grant, self.signed_by(device)?))
    }

    fn lose(&self, device: DeviceId) -> Result<Act, ChangeRefused> {
        let awaited = self.log.awaited(device);
        if awaited.is_empty() {
            return Err(ChangeRefused::NothingAwaited);
        }
        if awaited.len() > limits::CUT_EPOCHS {
            return Err(ChangeRefused::TooLong);
        }
        Ok(Act::Lost(awaited))
    }

    /// The device if it belongs, and is no cloud truth.
    fn active(&self, device: DeviceId) -> Result<&Member, ChangeRefused> {
        let member = self.roster.member(device).filter(|m| m.is_active());
        let member = member.ok_or(ChangeRefused::NoSuchDevice)?;
        if member.grant.role == Role::Cloud {
            return Err(ChangeRefused::CloudTruth);
        }
        Ok(member)
    }

    /// Whether an admin is left without this one.
    fn keeps_an_admin(&self, without: &Member) -> Result<(), ChangeRefused> {
        let is_admin = |m: &&Member| m.is_active() && m.grant.role == Role::Admin;
        let mut others = self.roster.members().filter(is_admin);
        if is_admin(&without) && !others.any(|m| m.grant.device != without.grant.device) {
            return Err(ChangeRefused::LastAdmin);
        }
        Ok(())
    }

    fn cut(&self, device: DeviceId, at: WallMs) -> Result<Cut, ChangeRefused> {
        let chains = self.log.chains();
        let mut stands: Vec<(Epoch, u64)> = chains
            .filter(|(author, _)| author.device == device)
            .map(|(author, chain)| (author.epoch, chain.held.0))
            .collect();
        stands.sort_unstable();
        if stands.len() > limits::CUT_EPOCHS {
            return Err(ChangeRefused::TooLong);
        }
        Ok(Cut {
            device,
            stands,
            keeps: self.signed_by(device)?,
            at,
        })
    }

    /// What a device signed as an admin and stands: records, policies and the key under the mesh.
    fn signed_by(&self, device: DeviceId) -> Result<Vec<Hash>, ChangeRefused> {
        let holds = |signer: Signer| match signer {
            Signer::Root => false,
            Signer::Holder(under) => self
                .roster
                .record(under)
                .and_then(SignedRecord::grant)
                .is_some_and(|grant| grant.device == device),
        };
        let documents = self.law.policies.documents();
        let policies = documents.filter(|record| holds(record.signer));
        let mut hashes = self.roster.signed_by(device);
        hashes.extend(policies.map(|record| record.rank().2));
        let rekey = self.lan.keyring.rekey.as_ref();
        // A number that leaves no room for later ones would bind the studio to this key for good.
        let kept = rekey.filter(|rekey| rekey.number <= limits::REKEYS / 2 && holds(rekey.by));
        hashes.extend(kept.map(Rekey::hash));
        hashes.sort_unstable();
        if hashes.len() > limits::CUT_KEEPS {
            return Err(ChangeRefused::TooLong);
        }
        Ok(hashes)
    }
}
