//! The roster: all signed records, and what they come to.
//!
//! A grant stands if the root key signed it, or if its signer's own grant stands and nothing that ended the signer's right
//! leaves it out. Revocations, retirements and lowerings end rights for good; only the root key lifts a revocation.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Act, Cuts, Grant, RecordError, Role, SignedRecord, Signer, Split};
use crate::id::{Author, DeviceId, Hash, PublicKey, StudioId};
use crate::keys::{Purpose, VerifyKey};
use crate::limits;
use crate::merge::Priorities;

mod forks;

/// How a device stands in its studio.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It belongs.
    #[default]
    Active,
    /// It took its leave.
    Retired,
    /// It was shut out.
    Revoked,
    /// Whoever admitted it had no right to.
    Void,
}

impl Standing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "belongs",
            Self::Retired => "retired",
            Self::Revoked => "shut out",
            Self::Void => "admitted by nobody who may",
        }
    }
}

/// One device as the roster knows it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The grant that holds, with the role that is left of it.
    pub grant: Grant,
    /// The record of that grant.
    pub record: Hash,
    /// Its key, ready to verify with.
    pub key: VerifyKey,
    /// Whether it belongs.
    pub standing: Standing,
}

impl Member {
    /// Whether it belongs now.
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }
}

#[derive(Clone, Debug)]
struct Entry {
    record: SignedRecord,
    hash: Hash,
    /// The key of the place that it gives.
    key: Option<VerifyKey>,
    /// Records between it and the root key.
    depth: usize,
}

/// All members of a studio.
#[derive(Clone, Debug)]
pub struct Roster {
    studio: StudioId,
    root: PublicKey,
    root_key: VerifyKey,
    /// In the order in which they came: what a record rests on is before it.
    entries: Vec<Entry>,
    places: BTreeMap<Hash, usize>,
    standing: BTreeSet<Hash>,
    members: BTreeMap<DeviceId, Member>,
    /// The revocations and retirements that the root key lifted.
    lifted: BTreeSet<Hash>,
    cuts: Cuts,
    /// Where chains split.
    forks: BTreeMap<Author, Split>,
}

impl Roster {
    /// The empty roster of a studio; `None` if the root key is none.
    pub fn new(studio: StudioId, root: PublicKey) -> Option<Self> {
        Some(Self {
            studio,
            root,
            root_key: VerifyKey::new(&root)?,
            entries: Vec::new(),
            places: BTreeMap::new(),
            standing: BTreeSet::new(),
            members: BTreeMap::new(),
            lifted: BTreeSet::new(),
            cuts: Cuts::default(),
            forks: BTreeMap::new(),
        })
    }

    /// Takes a record in. `Ok(true)` if it was new.
    pub fn insert(&mut self, record: SignedRecord) -> Result<bool, RecordError> {
        let mut taken = self.take_in(std::slice::from_ref(&record));
        taken.pop().expect("one for each")
    }

    /// Takes in what it can of many records, each after those that it rests on, and tells of each what [`Self::insert`] would. What they
    /// come to is worked out once: it costs as much as the roster is long.
    pub fn take_in(&mut self, records: &[SignedRecord]) -> Vec<Result<bool, RecordError>> {
        let each = records.iter().map(|record| self.keep(record.clone()));
        let taken: Vec<_> = each.collect();
        if taken.contains(&Ok(true)) {
            self.settle();
        }
        taken
    }

    /// Whether there is room for cuts alone, or for nothing any more.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= limits::ROSTER_RECORDS - limits::ROSTER_RESERVE
    }

    /// Takes in what it can of many records, each after those that it rests on.
    pub fn extend(&mut self, records: impl IntoIterator<Item = SignedRecord>) {
        for record in records {
            // One that does not pass is left out, whatever the reason.
            let _ = self.keep(record);
        }
        self.settle();
    }

    fn keep(&mut self, record: SignedRecord) -> Result<bool, RecordError> {
        if record.studio != self.studio {
            return Err(RecordError::OtherStudio);
        }
        let hash = record.hash();
        if self.places.contains_key(&hash) {
            return Ok(false);
        }
        let key = record.check()?;
        // Nothing rests on these.
        let is_last = record.cut().is_some() || record.double().is_some();
        let (signer, depth) = match record.by {
            Signer::Root => (self.root_key.clone(), 0),
            Signer::Holder(under) => {
                let entry = self.entry(under).ok_or(RecordError::Unfounded)?;
                let grant = entry.record.grant().ok_or(RecordError::NoRight)?;
                // However long a chain is, whoever stands at its end can shut a machine out.
                let too_long = entry.depth >= limits::CHAIN && !is_last;
                if !record.may_be_signed_by(grant) || too_long {
                    return Err(RecordError::NoRight);
                }
                let key = entry.key.clone().expect("a grant has a key");
                (key, entry.depth + 1)
            }
        };
        if !signer.verify(Purpose::Record, &hash, &record.signature) {
            return Err(RecordError::BadSignature);
        }
        // Room that only these take: no flood of grants keeps a revocation or a proof out.
        let room = if is_last {
            limits::ROSTER_RECORDS
        } else {
            limits::ROSTER_RECORDS - limits::ROSTER_RESERVE
        };
        if self.entries.len() >= room {
            return Err(RecordError::Full);
        }
        if let Some(double) = record.double()
            && !self.splits(double)?
        {
            return Ok(false);
        }
        self.places.insert(hash, self.entries.len());
        self.entries.push(Entry {
            record,
            hash,
            key,
            depth,
        });
        Ok(true)
    }

    fn entry(&self, hash: Hash) -> Option<&Entry> {
        self.places.get(&hash).map(|at| &self.entries[*at])
    }

    /// Works out anew what the set of records comes to.
    fn settle(&mut self) {
        let lifted: BTreeSet<Hash> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.record.act {
                Act::Readmit(_, lifts) => Some(lifts.iter().copied()),
                _ => None,
            })
            .flatten()
            .collect();
        let endings = Endings::of(&self.entries, &lifted);
        let mut standing = BTreeSet::new();
        for entry in self.entries.iter().filter(|e| e.record.grant().is_some()) {
            let stands = match entry.record.by {
                Signer::Root => true,
                Signer::Holder(under) => {
                    let signer = self.entry(under).expect("what a record rests on is held");
                    standing.contains(&under) && endings.leave(signer, entry.hash)
                }
            };
            if stands {
                standing.insert(entry.hash);
            }
        }
        let mut cuts = Cuts::default();
        for (cut, _) in endings.cuts.values().flatten() {
            cuts.lower(cut.device, &cut.stands);
        }
        let mut members: BTreeMap<DeviceId, (bool, &Entry)> = BTreeMap::new();
        for entry in &self.entries {
            if let Some(grant) = entry.record.grant() {
                let stands = standing.contains(&entry.hash);
                let best = members.entry(grant.device).or_insert((stands, entry));
                if (stands, rank(entry)) > (best.0, rank(best.1)) {
                    *best = (stands, entry);
                }
            }
        }
        let members: BTreeMap<DeviceId, Member> = members
            .into_iter()
            .map(|(device, (stands, entry))| {
                if !stands {
                    cuts.lower(device, &[]);
                }
                (device, member(entry, stands, &endings))
            })
            .collect();
        (self.members, self.cuts) = (members, cuts);
        (self.standing, self.lifted) = (standing, lifted);
    }

    /// The studio.
    pub fn studio(&self) -> StudioId {
        self.studio
    }
    /// The studio's root key.
    pub fn root(&self) -> PublicKey {
        self.root
    }
    /// The same, ready to verify with.
    pub fn root_key(&self) -> &VerifyKey {
        &self.root_key
    }
    /// The device of that id, whether it still belongs or not.
    pub fn member(&self, device: DeviceId) -> Option<&Member> {
        self.members.get(&device)
    }
    /// All devices by id, those that no longer belong too.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }
    /// The cloud truth, if the studio has one.
    pub fn cloud(&self) -> Option<&Member> {
        self.members
            .values()
            .find(|member| member.grant.role == Role::Cloud && member.is_active())
    }
    /// What stands of those that no longer belong.
    pub fn cuts(&self) -> &Cuts {
        &self.cuts
    }
    /// Every role that each device ever had, by the grants that stand; one whose signer's right fell gives none.
    pub fn roles(&self) -> BTreeMap<DeviceId, BTreeSet<Role>> {
        let mut roles: BTreeMap<DeviceId, BTreeSet<Role>> = BTreeMap::new();
        let standing = self
            .entries
            .iter()
            .filter(|e| self.standing.contains(&e.hash));
        for grant in standing.filter_map(|entry| entry.record.grant()) {
            roles.entry(grant.device).or_default().insert(grant.role);
        }
        roles
    }
    /// Of which authors nothing from that counter on is waited for.
    pub fn lost(&self) -> BTreeMap<Author, u64> {
        let mut all = BTreeMap::new();
        for record in self.records() {
            if let Act::Lost(lost) = &record.act {
                for (author, from) in lost {
                    let held = all.entry(*author).or_insert(*from);
                    *held = (*held).min(*from);
                }
            }
        }
        all
    }
    /// All signed records, each after those that it rests on.
    pub fn records(&self) -> impl Iterator<Item = &SignedRecord> {
        self.entries.iter().map(|entry| &entry.record)
    }
    /// The record of that hash.
    pub fn record(&self, hash: Hash) -> Option<&SignedRecord> {
        self.entry(hash).map(|entry| &entry.record)
    }
    /// The certificate of a device: its grant and those that it rests on, the one that the root key signed first.
    pub fn chain_of(&self, device: DeviceId) -> Vec<SignedRecord> {
        let record = self.members.get(&device).map(|member| member.record);
        record.map_or_else(Vec::new, |hash| self.chain_to(Signer::Holder(hash)))
    }
    /// The grants that a right rests on, the one that the root key signed first.
    pub fn chain_to(&self, signer: Signer) -> Vec<SignedRecord> {
        let mut chain = Vec::new();
        let mut next = match signer {
            Signer::Root => None,
            Signer::Holder(grant) => Some(grant),
        };
        while let Some(entry) = next.and_then(|hash| self.entry(hash)) {
            chain.push(entry.record.clone());
            next = match entry.record.by {
                Signer::Root => None,
                Signer::Holder(under) => Some(under),
            };
        }
        chain.reverse();
        chain
    }
    /// Under which right a device signs records for others; `None` if it may not.
    pub fn signer(&self, device: DeviceId) -> Option<Signer> {
        let member = self.members.get(&device)?;
        let may = member.is_active() && member.grant.role == Role::Admin;
        may.then_some(Signer::Holder(member.record))
    }
    /// The key of whoever signs under that right, and whether what has that hash stands; `None` if nobody has that right.
    pub fn vouches(&self, signer: Signer, hash: Hash) -> Option<(&VerifyKey, bool)> {
        let under = match signer {
            Signer::Root => return Some((&self.root_key, true)),
            Signer::Holder(under) => self.entry(under)?,
        };
        let grant = under.record.grant()?;
        if grant.role != Role::Admin {
            return None;
        }
        let stands = self.standing.contains(&under.hash)
            && Endings::of(&self.entries, &self.lifted).leave(under, hash);
        Some((under.key.as_ref()?, stands))
    }
    /// What a device signed as an admin and stands: what a cut of its right may keep.
    pub fn signed_by(&self, device: DeviceId) -> Vec<Hash> {
        let by = |signer: Signer| match signer {
            Signer::Root => false,
            Signer::Holder(under) => self
                .entry(under)
                .and_then(|entry| entry.record.grant())
                .is_some_and(|grant| grant.device == device),
        };
        let signed = self.entries.iter().filter(|entry| by(entry.record.by));
        let mut hashes: Vec<Hash> = signed
            .map(|entry| entry.hash)
            .filter(|hash| self.standing.contains(hash))
            .collect();
        hashes.sort_unstable();
        hashes
    }
    /// The revocations and retirements of a device that the root key has not lifted.
    pub fn cuts_of(&self, device: DeviceId) -> impl Iterator<Item = &SignedRecord> {
        let of = move |record: &SignedRecord| record.cut().is_some_and(|cut| cut.device == device);
        self.entries
            .iter()
            .filter(|entry| !self.lifted.contains(&entry.hash))
            .map(|entry| &entry.record)
            .filter(move |record| of(record))
    }
    /// What the root key signs to take a device back that was shut out or took its leave: its last place again, all of these
    /// lifted. `None` if it belongs, or is not known.
    pub fn readmission(&self, device: DeviceId) -> Option<Act> {
        let member = self.members.get(&device).filter(|m| !m.is_active())?;
        let grant = Grant {
            version: member.grant.version.saturating_add(1),
            ..member.grant.clone()
        };
        let mut lifts: Vec<Hash> = self.cuts_of(device).map(SignedRecord::hash).collect();
        lifts.sort_unstable();
        Some(Act::Readmit(grant, lifts))
    }
    /// The records that ended or restored a right, ascending: who belongs follows from them and from the grants that they are about.
    pub fn endings(&self) -> Vec<Hash> {
        let ends = |entry: &&Entry| {
            let act = &entry.record.act;
            matches!(
                act,
                Act::Revoke(_) | Act::Retire(_) | Act::Lower(..) | Act::Readmit(..)
            )
        };
        let ending = self.entries.iter().filter(ends);
        let mut hashes: Vec<Hash> = ending.map(|entry| entry.hash).collect();
        hashes.sort_unstable();
        hashes
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

/// The order in which grants of one device hold.
fn rank(entry: &Entry) -> (u32, Hash) {
    let version = entry.record.grant().map_or(0, |grant| grant.version);
    (version, entry.hash)
}

fn member(entry: &Entry, stands: bool, endings: &Endings<'_>) -> Member {
    let mut grant = entry.record.grant().expect("a place is a grant").clone();
    let cut = endings
        .of_device(grant.device)
        .map(|(_, standing)| *standing);
    let standing = match cut.max() {
        Some(standing) => standing,
        None if stands => Standing::Active,
        None => Standing::Void,
    };
    let mut lowered = endings.lowered_of(grant.device);
    let lowered = lowered.any(|(above, _)| *above > rank(entry));
    if grant.role == Role::Admin && lowered {
        grant.role = Role::Member;
    }
    Member {
        grant,
        record: entry.hash,
        key: entry.key.clone().expect("a grant has a key"),
        standing,
    }
}

/// Everything that ends rights, by whose: asked for every grant, and there are about as many of them.
struct Endings<'a> {
    cuts: BTreeMap<DeviceId, Vec<(&'a super::Cut, Standing)>>,
    lowered: BTreeMap<DeviceId, Vec<Lowered<'a>>>,
}

/// A place that is no admin's: its rank, and what it leaves standing of what the admin signed.
type Lowered<'a> = ((u32, Hash), &'a [Hash]);

impl<'a> Endings<'a> {
    fn of(entries: &'a [Entry], lifted: &BTreeSet<Hash>) -> Self {
        let (mut cuts, mut lowered) = (BTreeMap::new(), BTreeMap::new());
        for entry in entries {
            let ends = match &entry.record.act {
                Act::Revoke(cut) => Some((cut, Standing::Revoked)),
                Act::Retire(cut) => Some((cut, Standing::Retired)),
                _ => None,
            };
            if let Some((cut, standing)) = ends.filter(|_| !lifted.contains(&entry.hash)) {
                let of: &mut Vec<_> = cuts.entry(cut.device).or_default();
                of.push((cut, standing));
            }
            if let (Some(grant), Some(keeps)) = (entry.record.grant(), entry.record.lowers()) {
                let of: &mut Vec<Lowered<'_>> = lowered.entry(grant.device).or_default();
                of.push((rank(entry), keeps));
            }
        }
        Self { cuts, lowered }
    }

    fn of_device(&self, device: DeviceId) -> impl Iterator<Item = &(&'a super::Cut, Standing)> {
        self.cuts.get(&device).into_iter().flatten()
    }

    fn lowered_of(&self, device: DeviceId) -> impl Iterator<Item = &Lowered<'a>> {
        self.lowered.get(&device).into_iter().flatten()
    }

    /// Whether whatever ended the right of that grant's holder leaves what has this hash standing.
    fn leave(&self, signer: &Entry, hash: Hash) -> bool {
        let device = signer.record.grant().expect("a signer has a grant").device;
        let kept = |keeps: &[Hash]| keeps.binary_search(&hash).is_ok();
        self.of_device(device).all(|(cut, _)| kept(&cut.keeps))
            && self
                .lowered_of(device)
                .filter(|(above, _)| *above > rank(signer))
                .all(|(_, keeps)| kept(keeps))
    }
}
