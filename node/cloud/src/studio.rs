//! One studio: its logs' index, its roster and its feed's head in memory, and one writer at a time.
//!
//! A request works on a copy of the state, which replaces the old one only after its transaction has been committed, so
//! memory and database never tell two stories.

mod adopt;
mod batch;
mod bench;
mod carriers;
mod changes;
mod cut;
mod held;
mod intake;
mod ledger;
mod order;
mod plain;
mod segment;
mod shared;
mod sitting;
mod summary;
mod tail;
mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::Known;
use studiovault_protocol::id::{Author, DeviceId, Dot, Hash, StudioId};
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::membership::{Roster, SignedRecord};
use studiovault_protocol::merge::StateSum;
use studiovault_protocol::policy::{Policy, PolicyShelf};
use tokio::sync::watch;

use crate::store::{Session, StoreError, StudioRow};
use crate::truth::Truth;

pub use batch::BatchError;
pub use changes::ANSWER_BYTES;
pub use plain::{Acknowledged, COMMANDS as PLAIN_COMMANDS, PlainBatch, PlainCommand, PlainError};
pub use tail::TailError;
pub use told::News;

/// One enrolled studio.
pub struct Studio {
    /// Names it inside the database.
    pub row: i64,
    /// The studio.
    pub id: StudioId,
    /// The cloud truth as an author of this studio; its epoch is the feed's.
    pub cloud: Author,
    /// Bundles up to here are from before the feed began: accepted as they stand.
    genesis: BTreeMap<Author, u64>,
    state: RwLock<Arc<State>>,
    writing: Mutex<()>,
    carriers: Mutex<carriers::Carriers>,
    head: watch::Sender<u64>,
    records: watch::Sender<Known>,
}

/// What is known of a studio without asking the database.
#[derive(Clone, Debug)]
pub struct State {
    /// Who belongs.
    pub roster: Roster,
    /// The signed policies and the one in force.
    pub policies: PolicyShelf,
    /// The policy that the entities were folded by; `None` if this version cannot read it.
    pub adopted: Option<Policy>,
    /// Which bundles are held; all of them are applied.
    pub log: LogIndex,
    /// The feed's last position and its page's hash.
    pub head: (u64, Hash),
    /// The sum over all entities.
    pub sum: StateSum,
    /// Counts the studio's changes in a database that other servers write to.
    pub revision: i64,
}

impl State {
    /// What the tables tell of a studio.
    fn load(
        session: &Session<'_>,
        (studio, default): (&StudioRow, &Policy),
    ) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged("a roster record");
        let mut roster = Roster::new(studio.id, studio.root).ok_or_else(damaged)?;
        roster.extend(session.grants(studio.row)?);
        let mut policies = PolicyShelf::new(studio.id, default.clone());
        for record in session.policies(studio.row)? {
            // It was checked when it came.
            let _ = policies.insert(record, &roster);
        }
        let adopted = match session.adopted(studio.row)? {
            Some(text) => Policy::parse(&text).ok(),
            None => Some(default.clone()),
        };
        let mut log = LogIndex::restore(session.chains(studio.row)?);
        log.set_lost(roster.lost());
        log.set_forks(roster.forks());
        Ok(Self {
            roster,
            policies,
            adopted,
            log,
            head: studio.head,
            sum: studio.sum,
            revision: studio.revision,
        })
    }

    /// Whether a device was a member and is none any more.
    pub fn is_shut_out(&self, device: DeviceId) -> bool {
        let member = self.roster.member(device);
        member.is_some_and(|member| !member.is_active())
    }

    /// Which signed records are held.
    pub fn known(&self) -> Known {
        Known::of(&self.roster, &self.policies)
    }

    /// Takes up signed records; which of them are new and hold.
    fn admit(&mut self, records: &[SignedRecord]) -> Vec<SignedRecord> {
        let new = records
            .iter()
            .filter(|record| matches!(self.roster.insert((*record).clone()), Ok(true)))
            .cloned()
            .collect();
        self.log.set_lost(self.roster.lost());
        self.log.set_forks(self.roster.forks());
        new
    }

    /// Whether a command lies neither beyond a cut of its device nor beyond a split of its chain.
    pub fn stands(&self, dot: Dot) -> bool {
        self.roster.cuts().stands(dot) && !self.log.is_aside(dot)
    }
}

impl Studio {
    /// Rebuilds a studio from what the database holds. `None` if it is not enrolled.
    pub fn load(
        session: &Session<'_>,
        (id, default): (StudioId, &Policy),
    ) -> Result<Option<Self>, StoreError> {
        let Some(studio) = session.studio(id)? else {
            return Ok(None);
        };
        let state = State::load(session, (&studio, default))?;
        Ok(Some(Self {
            row: studio.row,
            id,
            cloud: studio.cloud,
            genesis: genesis_of(&studio.genesis),
            head: watch::Sender::new(state.head.0),
            records: watch::Sender::new(state.known()),
            state: RwLock::new(Arc::new(state)),
            writing: Mutex::new(()),
            carriers: Mutex::default(),
        }))
    }

    /// Takes up signed records that come without a batch.
    pub fn introduce(&self, truth: &Truth, records: &[SignedRecord]) -> Result<(), StoreError> {
        self.refresh(truth)?;
        let _turn = self.turn();
        let known = self.state();
        let state = truth.store.write(|session| {
            let newer = self.hold((truth, session), &known)?;
            let mut state = newer.unwrap_or_else(|| State::clone(&known));
            let new = state.admit(records);
            for record in &new {
                session.insert_grant(self.row, record)?;
            }
            if !new.is_empty() {
                self.announce((truth, session), &mut state)?;
            }
            Ok::<_, StoreError>(state)
        })?;
        self.publish(state);
        Ok(())
    }

    /// Whether a bundle is from before the feed began.
    fn stands(&self, bundle: &Bundle) -> bool {
        let upto = self.genesis.get(&bundle.author());
        upto.is_some_and(|upto| bundle.last() <= *upto)
    }

    /// The state as last committed.
    pub fn state(&self) -> Arc<State> {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Hears of every new head of the feed.
    pub fn heads(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Hears of every change of the signed records.
    pub fn records(&self) -> watch::Receiver<Known> {
        self.records.subscribe()
    }

    /// Waits for the turn to write.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a committed state the current one and tells who waits. A state that came late changes nothing.
    fn publish(&self, state: State) {
        let (head, records) = (state.head.0, state.known());
        let mut current = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.revision < current.revision {
            return;
        }
        *current = Arc::new(state);
        drop(current);
        self.head
            .send_if_modified(|known| std::mem::replace(known, head) != head);
        self.records
            .send_if_modified(|known| std::mem::replace(known, records) != records);
    }
}

fn genesis_of(named: &[Dot]) -> BTreeMap<Author, u64> {
    let mut genesis = BTreeMap::new();
    for dot in named {
        let upto = genesis.entry(dot.author).or_default();
        *upto = dot.counter.max(*upto);
    }
    genesis
}
