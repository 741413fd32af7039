//! Makes the materialised rows anew: entities, histories, conflicts and tombstones, from the log and the verdicts alone.
//!
//! One transaction: it is all new or all as before. The ledger, the queue and the dead letters are history and stay.

use std::collections::BTreeSet;

use rusqlite::params;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::merge::{FOLD, Priorities, StateSum};
use studiovault_protocol::policy::Policy;

use super::batch::{Applied, Batch};
use super::ledger::Decider;
use super::{Rules, Store, StoreError, history, put_encoded};

/// Under which the number of the fold is kept.
const FOLD_KEY: &str = "fold";
/// Bundles noted between two rounds of folding; bounds what is in memory.
const ROUND: i64 = 64;

impl Store {
    /// Whether the rows were made by a program that folds otherwise, or reads less of the log.
    pub fn is_outdated(&self) -> Result<bool, StoreError> {
        Ok(self.decoded::<u32>(FOLD_KEY)? != Some(FOLD))
    }

    /// Notes in a store without rows that this program makes them.
    pub(super) fn start_fold(&mut self) -> Result<(), StoreError> {
        if self.counters.position > 1 || self.recall(FOLD_KEY)?.is_some() {
            return Ok(());
        }
        put_encoded(&self.connection, FOLD_KEY, &FOLD)
    }

    /// Rebuilds and says how many entities there are. `told` hears of every round: log positions done, and of how many.
    pub fn rebuild(
        &mut self,
        policy: &Policy,
        priorities: &Priorities,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, StoreError> {
        let index = LogIndex::restore(self.restore()?.chains);
        let mut batch = self.begin()?;
        batch.guarded(|batch| batch.rebuild(&index, (policy, priorities), told))?;
        batch.commit()?;
        Ok(self.counters.entity.unsigned_abs() - 1)
    }
}

impl Batch<'_> {
    /// Makes all rows anew from the log of `index`, by the rights they were made by.
    pub(super) fn rebuild(
        &mut self,
        index: &LogIndex,
        (policy, priorities): (&Policy, &Priorities),
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StoreError> {
        let rights = self.store.made_by.rights.clone();
        let rules = &Rules {
            policy,
            priorities,
            rights: &rights,
            epochs: index.epochs(),
            has_cloud: false,
        };
        self.open()?;
        self.make_views(rules.policy)?;
        self.store.connection.execute_batch(
            "DELETE FROM entity; DELETE FROM entity_log; DELETE FROM conflict; DELETE FROM tombstone;",
        )?;
        self.store.counters.entity = 1;
        self.store.state_sum = StateSum::default();
        self.store.made_by.priorities = Some(rules.priorities.clone());
        self.store.rekey(rules.policy)?;
        let all = (self.store.counters.position - 1).unsigned_abs();
        let mut after = 0;
        loop {
            let round = self.applied_after(after)?;
            let Some((last, _)) = round.last() else {
                told(all, all);
                return put_encoded(&self.store.connection, FOLD_KEY, &FOLD);
            };
            after = *last;
            self.replay(&round, rules)?;
            told(after.unsigned_abs(), all);
        }
    }

    fn applied_after(&self, position: i64) -> Result<Vec<(i64, Bundle)>, StoreError> {
        let mut statement = self.store.connection.prepare_cached(
            "SELECT position, bytes, hash FROM log_bundle
             WHERE applied IS NOT NULL AND position > ?1 AND NOT EXISTS (
                 SELECT 1 FROM quarantine AS aside WHERE aside.author = log_bundle.author
                 AND aside.counter BETWEEN log_bundle.first AND log_bundle.last AND aside.whole)
             ORDER BY position LIMIT ?2",
        )?;
        let mut rows = statement.query(params![position, ROUND])?;
        let mut round = Vec::new();
        while let Some(row) = rows.next()? {
            round.push((row.get(0)?, history::bundle(row, (1, 2))?));
        }
        Ok(round)
    }

    /// Notes bundles in the histories of their entities, then folds these.
    fn replay(&mut self, round: &[(i64, Bundle)], rules: &Rules<'_>) -> Result<(), StoreError> {
        let mut met = BTreeSet::new();
        for (position, bundle) in round {
            for (dot, command) in bundle.commands() {
                let touched = &mut self.touched;
                let loaded = touched.entities.load_or_begin(
                    self.store,
                    command.entity,
                    &command.entity_type,
                )?;
                loaded.vv.join(rules.epochs, dot);
                if loaded.logged != *position {
                    loaded.logged = *position;
                    touched.history.push((loaded.row, *position));
                }
                met.insert(command.entity);
            }
        }
        let met = met.into_iter().map(|entity| (entity, Decider::Roster));
        self.refold(met, (rules, &mut Applied::default()))?;
        // What happens here is no news: the ledger has it already.
        self.touched.forget_news();
        self.flush()
    }
}
