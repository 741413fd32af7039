//! A folder checked, rebuilt or read while no node runs with it.
//!
//! Both take the folder's lock, so that neither sees a state that somebody is about to change.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use studiovault_protocol::id::Dot;
use studiovault_protocol::log::ChainRow;
use studiovault_protocol::membership::{Authority, Roster, Signer};
use studiovault_protocol::policy::{Policy, PolicyShelf};

use crate::config::{ConfigError, FolderLock, Machine};
use crate::store::{Location, Reader, Store, StoreError, Verification};

/// Why a folder was neither checked nor rebuilt. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The studio file.
    #[error("the studio file cannot be used: {0}; get it again from the machine that made it")]
    Studio(String),
}

/// Why a running node's store was not checked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk: the copy to check could not be made or removed.
    #[error("the copy to check: {0}")]
    Copy(std::io::Error),
}

/// A store that nobody else uses, and what its rows are judged by.
struct Workshop {
    store: Store,
    roster: Roster,
    policy: Policy,
    _lock: FolderLock,
}

/// Checks log, feed and state; changes nothing.
pub fn verify(machine: &Machine) -> Result<Verification, UpkeepError> {
    let workshop = Workshop::of_store(machine)?;
    Ok(workshop.store.verify(&workshop.roster, &workshop.policy)?)
}

/// Checks the store of a node that runs, on a copy of one moment that is removed afterwards.
pub(crate) fn verify_copy(
    reader: &Reader,
    folder: &Path,
    roster: &Roster,
) -> Result<Verification, VerifyError> {
    /// One check at a time: all take the same place.
    static CHECK: Mutex<()> = Mutex::new(());
    let _turn = CHECK.lock().unwrap_or_else(PoisonError::into_inner);
    let place = folder.join("check");
    // What is there was left behind by a process that ended in the middle.
    let _ = fs::remove_dir_all(&place);
    fs::create_dir(&place).map_err(VerifyError::Copy)?;
    let found = verify_at(reader, &place, roster);
    fs::remove_dir_all(&place).map_err(VerifyError::Copy)?;
    Ok(found?)
}

fn verify_at(reader: &Reader, place: &Path, roster: &Roster) -> Result<Verification, StoreError> {
    reader.copy_into(place)?;
    let store = Store::open(Location::Folder(place.to_owned()), &Policy::default())?;
    let policy = store.adopted().cloned().unwrap_or_default();
    store.verify(roster, &policy)
}

/// Folds the state anew from the log; how many entities there are. `told` hears how far it is.
pub fn rebuild(machine: &Machine, told: &mut dyn FnMut(u64, u64)) -> Result<u64, UpkeepError> {
    let mut workshop = Workshop::of_store(machine)?;
    let priorities = workshop.roster.priorities();
    let entities = workshop
        .store
        .rebuild(&workshop.policy, &priorities, told)?;
    Ok(entities)
}

/// After an update of the program: folds the state of an open store anew if an older one made it, so that what only this one
/// reads is taken up. How many entities there are; `None` if nothing had to be done.
pub(crate) fn renew(machine: &Machine, store: &mut Store) -> Result<Option<u64>, UpkeepError> {
    if !store.is_outdated()? {
        return Ok(None);
    }
    let (roster, policy) = judges(machine, store)?;
    let mut shown = 0;
    let mut told = |done: u64, all: u64| {
        let percent = done * 100 / all.max(1);
        if percent >= shown {
            tracing::info!("the program was updated: folding the state anew, {percent} % done");
            shown = percent + 10;
        }
    };
    Ok(Some(store.rebuild(
        &policy,
        &roster.priorities(),
        &mut told,
    )?))
}

/// What the rows of a store are judged by.
fn judges(machine: &Machine, store: &Store) -> Result<(Roster, Policy), UpkeepError> {
    let restored = store.restore()?;
    let mut roster = machine.studio.roster().map_err(UpkeepError::Studio)?;
    // A stored record was checked when it came; one that no longer passes is left out.
    roster.extend(restored.records);
    let mut policies = PolicyShelf::new(roster.studio(), Policy::default());
    for record in restored.policies {
        // As above.
        let _ = policies.insert(record, &roster);
    }
    // What the rows were made by; else what a node would make them by.
    let policy = store.adopted().unwrap_or(policies.in_force()).clone();
    Ok((roster, policy))
}

/// The roster as the folder holds it, and what its machine signs with as an admin.
pub fn authority(machine: &Machine) -> Result<(Roster, Option<Authority>), UpkeepError> {
    let workshop = Workshop::open(machine)?;
    let authority = match workshop.roster.signer(machine.identity.device) {
        Some(Signer::Holder(grant)) => Some(Authority::holder(grant, machine.key.clone())),
        _ => None,
    };
    Ok((workshop.roster, authority))
}

/// The last applied counter of every author: what stands here when the studio gets its cloud.
pub fn genesis(machine: &Machine) -> Result<Vec<Dot>, UpkeepError> {
    let workshop = Workshop::open(machine)?;
    let chains = workshop.store.restore()?.chains;
    let last = |row: &ChainRow| Some(row.author.at(row.chain.applied?.0));
    Ok(chains.iter().filter_map(last).collect())
}

impl Workshop {
    /// Of a store that is there: none is made anew to be found sound and empty.
    fn of_store(machine: &Machine) -> Result<Self, UpkeepError> {
        let path = Location::file_in(machine.folder.path());
        if !Location::is_kept_in(machine.folder.path()) {
            return Err(ConfigError::NoStore(path).into());
        }
        Self::open(machine)
    }

    fn open(machine: &Machine) -> Result<Self, UpkeepError> {
        let lock = machine.folder.lock()?;
        let folder = machine.folder.path().to_owned();
        let store = Store::open(Location::Folder(folder), &Policy::default())?;
        let (roster, policy) = judges(machine, &store)?;
        Ok(Self {
            store,
            roster,
            policy,
            _lock: lock,
        })
    }
}
