//! The engine as a start makes it: from what is durable, without what lies beyond the split of a chain.

use studiovault_protocol::engine::{Engine, Memory};
use studiovault_protocol::event::Moment;
use studiovault_protocol::feed::FeedIndex;
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::membership::{Rights, Roster};
use studiovault_protocol::policy::PolicyShelf;

use super::Setup;
use crate::store::{Rules, Store, StoreError};

/// Rebuilds the engine from what is durable.
pub(super) fn engine(
    setup: &Setup,
    store: &mut Store,
    moment: Moment,
) -> Result<Engine, StoreError> {
    let mut restored = store.restore()?;
    let mut roster = setup.roster.clone();
    // A stored record was checked when it came; one that no longer passes is left out.
    roster.extend(std::mem::take(&mut restored.records));
    let mut policies = PolicyShelf::new(roster.studio(), setup.policy.clone());
    for record in std::mem::take(&mut restored.policies) {
        // As above.
        let _ = policies.insert(record, &roster);
    }
    let mut log = None;
    if !roster.forks().is_empty() {
        // On a full disk it waits; the log and the rows go on as they are.
        log = match without_forks(store, &roster, &policies) {
            Err(error) if error.is_full() => None,
            log => Some(log?),
        };
        restored = store.restore()?;
    }
    let mut log = log.unwrap_or_else(|| LogIndex::restore(restored.chains));
    for header in &restored.parked {
        log.restore_parked(header);
    }
    let mut feed = FeedIndex::restore(
        &restored.feed_ends,
        restored.feed_folded,
        restored.cloud_holds,
    );
    feed.restore_undecided(restored.undecided);
    for page in restored.unfolded {
        feed.restore_unfolded(page);
    }
    let memory = Memory {
        log,
        feed,
        roster,
        policies,
    };
    Ok(Engine::new(setup.identity.clone(), memory, moment))
}

/// The index of the log once nothing of it lies beyond a split but what the feed names, and nothing of that stands in the rows.
fn without_forks(
    store: &mut Store,
    roster: &Roster,
    policies: &PolicyShelf,
) -> Result<LogIndex, StoreError> {
    let (policy, priorities) = (policies.in_force(), roster.priorities());
    store.set_forks_aside(roster, (policy, &priorities))?;
    let mut log = LogIndex::restore(store.restore()?.chains);
    store.learn_forks(&mut log, roster)?;
    let rights = Rights {
        aside: log.aside().clone(),
        ..Rights::of(roster, policies)
    };
    if !store.was_judged_by(&rights) {
        let rules = Rules {
            policy,
            priorities: &priorities,
            rights: &rights,
            epochs: log.epochs(),
            has_cloud: roster.cloud().is_some(),
        };
        let mut batch = store.begin()?;
        batch.settle(&rules)?;
        batch.commit()?;
    }
    Ok(log)
}
