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
mod sitting;
mod summary;
mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::id::{Author, DeviceId, Dot, Hash, StudioId};
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::membership::Roster;
use studiovault_protocol::merge::StateSum;
use studiovault_protocol::policy::{Policy, PolicyShelf};
use tokio::sync::watch;

use crate::store::{Session, StoreError};

pub use batch::BatchError;
pub use changes::ANSWER_BYTES;
pub use plain::{Acknowledged, PlainBatch, PlainError};
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
}

impl State {
    /// Whether a device was a member and is none any more.
    pub fn is_shut_out(&self, device: DeviceId) -> bool {
        let member = self.roster.member(device);
        member.is_some_and(|member| !member.is_active())
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
        let damaged = || StoreError::Damaged("a roster record");
        let mut roster = Roster::new(id, studio.root).ok_or_else(damaged)?;
        roster.extend(session.grants(studio.row)?);
        let mut policies = PolicyShelf::new(id, default.clone());
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
        let state = State {
            roster,
            policies,
            adopted,
            log,
            head: studio.head,
            sum: studio.sum,
        };
        Ok(Some(Self {
            row: studio.row,
            id,
            cloud: studio.cloud,
            genesis: genesis_of(&studio.genesis),
            head: watch::Sender::new(state.head.0),
            state: RwLock::new(Arc::new(state)),
            writing: Mutex::new(()),
            carriers: Mutex::default(),
        }))
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

    /// Waits for the turn to write.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a committed state the current one and tells who waits.
    fn publish(&self, state: State) {
        let head = state.head.0;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.head
            .send_if_modified(|known| std::mem::replace(known, head) != head);
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
