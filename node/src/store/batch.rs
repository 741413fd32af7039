//! One transaction of the store: writes in order, then a commit, or no trace at all.
//!
//! Entities that a batch touches stay in memory until it ends, so that each is read and written once however many commands
//! change it, and rows go out sorted by key.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::event::Write;
use studiovault_protocol::id::{Author, EntityId, Hash};
use studiovault_protocol::membership::{Role, SignedRecord};
use studiovault_protocol::merge::{Entity, StateSum};
use studiovault_protocol::vector::Vector;

use super::touched::Touched;
use super::{Counters, Rules, Store, StoreError, fold, history, keys, put_encoded, queue};

/// Entities kept in memory at most before they are written out in the middle of a batch: few enough to stay in the processor's
/// cache (with 10,000 the same work took a fifth longer).
const TOUCHED: usize = 500;
/// Stored bundles that wait in memory for their application, so that both become one row write.
const WAITING: usize = 64;

/// What a write changed, for those who watch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// The entities that were touched, each with its type, in the order of first touch.
    pub entities: Vec<(EntityId, Arc<str>)>,
    /// Conflicts that opened.
    pub opened: Vec<String>,
    /// Conflicts that were settled.
    pub closed: Vec<String>,
}

/// A bundle whose row is not written yet.
#[derive(Debug)]
pub(super) struct Waiting {
    position: i64,
    author: i64,
    own: bool,
    ends: i64,
    first: u64,
    last: u64,
    hash: Hash,
    bytes: Arc<[u8]>,
}

/// An open transaction.
pub struct Batch<'s> {
    pub(super) store: &'s mut Store,
    pub(super) touched: Touched,
    waiting: Vec<Waiting>,
    before: Before,
    phase: Phase,
}

/// What is kept in memory beside the rows, as it was when the batch began.
#[derive(Clone, Copy, Debug)]
struct Before {
    counters: Counters,
    state_sum: StateSum,
    key_sum: StateSum,
}

/// How far a batch has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing was written: SQLite knows nothing of it yet, and an idle step costs nothing.
    Fresh,
    /// A transaction is open.
    Open,
    /// Committed or rolled back.
    Ended,
}

impl<'s> Batch<'s> {
    pub(super) fn begin(store: &'s mut Store) -> Result<Self, StoreError> {
        if store.stale {
            store.load()?;
        }
        let before = Before {
            counters: store.counters,
            state_sum: store.state_sum,
            key_sum: store.key_sum,
        };
        Ok(Self {
            store,
            touched: Touched::default(),
            waiting: Vec::new(),
            before,
            phase: Phase::Fresh,
        })
    }

    /// Carries out one write. After an error the whole transaction is rolled back and takes no further one.
    pub fn write(&mut self, write: &Write, rules: &Rules<'_>) -> Result<Applied, StoreError> {
        self.guarded(|batch| {
            batch.open()?;
            batch.carry_out(write, rules)
        })
    }

    /// Opens the transaction before the first change.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        if self.phase == Phase::Fresh {
            self.store
                .connection
                .prepare_cached("BEGIN IMMEDIATE")?
                .execute([])?;
            self.phase = Phase::Open;
        }
        Ok(())
    }

    /// The entity as this transaction sees it.
    pub fn entity(&mut self, id: EntityId) -> Result<Option<Entity>, StoreError> {
        self.guarded(|batch| {
            let loaded = batch.touched.entities.load(batch.store, id)?;
            Ok(loaded.map(|loaded| loaded.entity.clone()))
        })
    }

    /// A stored bundle, most often a parked one that is to be applied.
    pub fn bundle(&mut self, author: Author, first: u64) -> Result<Bundle, StoreError> {
        self.guarded(|batch| {
            batch.write_waiting()?;
            history::held_at(
                (&batch.store.connection, &batch.store.authors),
                author.at(first),
            )
        })
    }

    /// The stored bundle of the same author to hold a bundle against: the author's first one where that begins the epoch as well, else
    /// the one where it begins, or the last one before.
    pub fn opposite(&mut self, bundle: &Bundle) -> Result<Option<Bundle>, StoreError> {
        self.guarded(|batch| {
            batch.write_waiting()?;
            let number = batch.store.authors.number(bundle.author()).unwrap_or(0);
            let mut statement = batch.store.connection.prepare_cached(
                "SELECT bytes, hash FROM log_bundle WHERE author = ?1 AND (first <= ?2 OR ?3)
                 ORDER BY CASE WHEN ?3 THEN first ELSE -first END LIMIT 1",
            )?;
            let begins = bundle.header().begins();
            let mut rows =
                statement.query(params![number, bundle.first().cast_signed(), begins])?;
            let row = rows.next()?;
            row.map(|row| history::bundle(row, (0, 1))).transpose()
        })
    }

    /// Makes all of it durable. When this returns, it survives a power cut; if it fails, nothing of it was kept.
    pub fn commit(mut self) -> Result<(), StoreError> {
        self.guarded(|batch| {
            if batch.phase == Phase::Fresh {
                return Ok(());
            }
            batch.flush()?;
            batch.mark_sent()?;
            let (store, before) = (&batch.store, &batch.before);
            let tally = (store.state_sum, store.key_sum, store.counters.applied);
            if tally != (before.state_sum, before.key_sum, before.counters.applied) {
                put_encoded(&store.connection, "tally", &tally)?;
            }
            store.connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(())
        })?;
        let grown = self.store.counters.bytes - self.before.counters.bytes;
        if let (Phase::Open, Some(checkpointer)) = (self.phase, &mut self.store.checkpointer) {
            checkpointer.note(grown.unsigned_abs());
        }
        self.phase = Phase::Ended;
        Ok(())
    }

    pub(super) fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.phase == Phase::Ended {
            return Err(StoreError::Aborted);
        }
        let result = work(self);
        if result.is_err() {
            self.roll_back();
        }
        result
    }

    fn roll_back(&mut self) {
        let was_open = std::mem::replace(&mut self.phase, Phase::Ended) == Phase::Open;
        (self.store.counters, self.store.state_sum) = (self.before.counters, self.before.state_sum);
        self.store.key_sum = self.before.key_sum;
        if !was_open {
            return;
        }
        self.store.stale = true;
        // SQLite rolls back by itself on a full disk and on I/O errors; a second time would be an error of its own.
        if !self.store.connection.is_autocommit() {
            let _ = self.store.connection.execute_batch("ROLLBACK");
        }
        // Read again at once, for those who look before the next transaction; if that fails, the next one tries once more.
        let _ = self.store.load();
    }

    /// Takes rules into use that changed without a write: what they touch is folded anew.
    pub fn settle(&mut self, rules: &Rules<'_>) -> Result<(), StoreError> {
        self.guarded(|batch| {
            batch.open()?;
            batch.keep_up(rules, &mut Applied::default())?;
            batch.find_bases(rules)
        })
    }

    fn keep_up(&mut self, rules: &Rules<'_>, applied: &mut Applied) -> Result<(), StoreError> {
        if self.store.adopted.as_ref() != Some(rules.policy) {
            self.adopt(rules, applied)?;
        }
        if self.store.made_by.priorities.as_ref() != Some(rules.priorities) {
            self.repick(rules, applied)?;
        }
        if &self.store.made_by.rights != rules.rights {
            self.rejudge(rules, applied)?;
        }
        if keys::differs(&self.store.naming, rules.policy) {
            self.flush()?;
            self.store.rekey(rules.policy)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, write: &Write, rules: &Rules<'_>) -> Result<Applied, StoreError> {
        let mut applied = Applied::default();
        self.keep_up(rules, &mut applied)?;
        match write {
            Write::Store { bundle, own } => self.append(bundle, (*own, rules))?,
            Write::Apply { bundle, past } => self.apply(bundle, past, (rules, &mut applied))?,
            Write::Page(page) => fold::keep_page(self.store, page, &mut self.touched)?,
            Write::Fold(page) => self.fold(page, rules, &mut applied)?,
            Write::Policy(record) => self.keep_policy(record)?,
            Write::Record(record) => self.keep_record(record)?,
            Write::Evidence(bundle) => self.keep_evidence(bundle)?,
        }
        self.find_bases(rules)?;
        if self.touched.entities.len() > TOUCHED {
            self.flush()?;
        }
        Ok(applied)
    }

    fn keep_record(&mut self, record: &SignedRecord) -> Result<(), StoreError> {
        let bytes = postcard::to_stdvec(record).expect("records always encode");
        self.store
            .connection
            .prepare_cached("INSERT OR IGNORE INTO roster (hash, record) VALUES (?1, ?2)")?
            .execute(params![record.hash().0, bytes])?;
        if record
            .grant()
            .is_some_and(|grant| grant.role == Role::Cloud)
        {
            self.write_waiting()?;
            put_encoded(&self.store.connection, "has_cloud", &true)?;
            queue::enqueue_all(self.store)?;
        }
        Ok(())
    }

    /// Appends a bundle's bytes; its row is written when it is applied, or at the latest at the commit.
    fn append(
        &mut self,
        bundle: &Bundle,
        (own, rules): (bool, &Rules<'_>),
    ) -> Result<(), StoreError> {
        // What this machine wrote before its store was made anew comes back to it from others.
        let own = own || self.store.authors.own().contains(&bundle.author());
        let author = self
            .store
            .authors
            .intern(&self.store.connection, bundle.author())?;
        let parent = rules.epochs.parent(bundle.author());
        if bundle.first() == parent.map_or(0, |(_, counter)| counter) + 1 {
            self.store
                .connection
                .prepare_cached(
                    "UPDATE epoch SET parent_epoch = ?2, parent_counter = ?3, start = ?4 WHERE id = ?1 AND start IS NULL",
                )?
                .execute(params![
                    author,
                    parent.map(|(epoch, _)| epoch.0.cast_signed()),
                    parent.map(|(_, counter)| counter.cast_signed()),
                    bundle.first().cast_signed()
                ])?;
        }
        if own && rules.has_cloud {
            queue::enqueue(&self.store.connection, author, bundle)?;
        }
        let position = self.store.counters.position;
        self.store.counters.position += 1;
        self.store.counters.bytes += bundle.bytes().len() as i64;
        let ends = self.store.counters.bytes;
        self.waiting.push(Waiting {
            position,
            author,
            own,
            ends,
            first: bundle.first(),
            last: bundle.last(),
            hash: bundle.hash(),
            bytes: bundle.bytes().clone(),
        });
        if self.waiting.len() > WAITING {
            self.write_waiting()?;
        }
        Ok(())
    }

    /// Marks a bundle as applied and gives its position; `None` if it was applied before.
    pub(super) fn mark_applied(
        &mut self,
        bundle: &Bundle,
        past: &Vector,
    ) -> Result<Option<i64>, StoreError> {
        let author = self
            .store
            .authors
            .intern(&self.store.connection, bundle.author())?;
        let found = self
            .waiting
            .iter()
            .position(|w| w.author == author && w.first == bundle.first());
        let applied = self.store.counters.applied;
        if let Some(at) = found {
            let waiting = self.waiting.remove(at);
            let row = self.applied_row(author, waiting.position, past)?;
            if write_row(self.store, &waiting, Some(&row))? {
                self.store.counters.applied += 1;
                return Ok(Some(waiting.position));
            }
        }
        let held: Option<(i64, Option<i64>)> = self
            .store
            .connection
            .prepare_cached(
                "SELECT position, applied FROM log_bundle WHERE author = ?1 AND first = ?2",
            )?
            .query_row(params![author, bundle.first().cast_signed()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((position, before)) = held else {
            return Err(StoreError::corrupt(format!(
                "{} is applied but not stored",
                bundle.tip()
            )));
        };
        if before.is_some() {
            return Ok(None);
        }
        let row = self.applied_row(author, position, past)?;
        self.store
            .connection
            .prepare_cached(
                "UPDATE log_bundle SET applied = ?2, past_at = ?3, past = ?4 WHERE position = ?1",
            )?
            .execute(params![position, applied, row.past_at, row.past])?;
        self.store.counters.applied += 1;
        Ok(Some(position))
    }

    fn applied_row(
        &mut self,
        author: i64,
        position: i64,
        past: &Vector,
    ) -> Result<AppliedRow, StoreError> {
        let order = self.store.counters.applied;
        if let Some((held, past_at)) = self.store.pasts.get(&author)
            && held == past
        {
            let past_at = *past_at;
            return Ok(AppliedRow {
                order,
                past_at,
                past: None,
            });
        }
        let store = &mut *self.store;
        let pairs = store.authors.pack_vector(&store.connection, past)?;
        let bytes = postcard::to_stdvec(&pairs).expect("vectors always encode");
        store.pasts.insert(author, (past.clone(), position));
        Ok(AppliedRow {
            order,
            past_at: position,
            past: Some(bytes),
        })
    }

    /// Writes the rows of bundles that are stored but not applied.
    pub(super) fn write_waiting(&mut self) -> Result<(), StoreError> {
        for waiting in std::mem::take(&mut self.waiting) {
            write_row(self.store, &waiting, None)?;
        }
        Ok(())
    }

    /// Notes in the queue what the cloud holds by now and has not decided.
    fn mark_sent(&mut self) -> Result<(), StoreError> {
        for (author, range) in std::mem::take(&mut self.touched.named) {
            queue::mark_sent(&self.store.connection, author, range)?;
        }
        Ok(())
    }

    /// Writes everything that waits in memory.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.write_waiting()?;
        self.touched.flush(self.store)
    }
}

/// The columns of an applied bundle.
struct AppliedRow {
    order: i64,
    past_at: i64,
    past: Option<Vec<u8>>,
}

/// `false` if the bundle is held already.
fn write_row(
    store: &Store,
    waiting: &Waiting,
    applied: Option<&AppliedRow>,
) -> Result<bool, StoreError> {
    let changed = store
        .connection
        .prepare_cached(
            "INSERT INTO log_bundle (position, author, first, last, applied, own, ends, past_at, past, hash, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (author, first) DO NOTHING",
        )?
        .execute(params![
            waiting.position,
            waiting.author,
            waiting.first.cast_signed(),
            waiting.last.cast_signed(),
            applied.map(|row| row.order),
            waiting.own,
            waiting.ends,
            applied.map(|row| row.past_at),
            applied.and_then(|row| row.past.as_deref()),
            waiting.hash.0,
            &waiting.bytes[..],
        ])?;
    Ok(changed == 1)
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.phase != Phase::Ended {
            self.roll_back();
        }
    }
}
