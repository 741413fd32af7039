//! Chains that split: what lies beyond a split and is not named by the feed leaves the log, and is kept as evidence.
//!
//! Afterwards the rows are what they would be had it never come: they are made anew from what is left, in the same transaction.

use rusqlite::{Connection, OptionalExtension, params};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::feed::Page;
use studiovault_protocol::id::{Author, Dot, Hash};
use studiovault_protocol::limits;
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::membership::{Rights, Roster};
use studiovault_protocol::merge::Priorities;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::vector::Vector;

use super::batch::Batch;
use super::{Store, StoreError, history, put_encoded};

/// Whether something was applied after others had gone on without it, until the rows are made anew.
const LATE: &str = "late";

/// Bundles read at a time while pasts are worked out anew; bounds what is in memory.
const ROUND: i64 = 256;

impl Store {
    /// Tells an index which chains split, and what the held feed names of them.
    pub fn learn_forks(&self, index: &mut LogIndex, roster: &Roster) -> Result<(), StoreError> {
        if roster.forks().is_empty() {
            return Ok(());
        }
        index.set_forks(roster.forks());
        let mut statement = self
            .connection
            .prepare("SELECT first, bytes FROM feed ORDER BY first")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let first: i64 = row.get(0)?;
            let page = Page::decode(row.get::<_, Vec<u8>>(1)?)
                .map_err(|_| StoreError::corrupt(format!("feed page {first}")))?;
            index.note_named(&page);
        }
        Ok(())
    }

    /// Takes out of the log what lies beyond a split and is not named by the feed; `true` if there was any.
    pub fn set_forks_aside(
        &mut self,
        roster: &Roster,
        (policy, priorities): (&Policy, &Priorities),
    ) -> Result<bool, StoreError> {
        let mut named = LogIndex::default();
        self.learn_forks(&mut named, roster)?;
        let mut ends = Vec::new();
        for (author, split) in roster.forks() {
            if let Some(number) = self.authors.number(*author)
                && let Some(first) = self.first_unnamed((number, *author), split.from, &named)?
            {
                ends.push((number, first));
            }
        }
        if ends.is_empty() {
            return Ok(false);
        }
        self.remake_without(&ends, roster, (policy, priorities))?;
        Ok(true)
    }

    /// Makes everything anew from the log, after something of it came late.
    pub fn remake(
        &mut self,
        roster: &Roster,
        rules: (&Policy, &Priorities),
    ) -> Result<(), StoreError> {
        self.remake_without(&[], roster, rules)
    }

    fn remake_without(
        &mut self,
        ends: &[(i64, i64)],
        roster: &Roster,
        rules: (&Policy, &Priorities),
    ) -> Result<(), StoreError> {
        let mut batch = self.begin()?;
        batch.guarded(|batch| batch.remake_without(ends, roster, rules))?;
        batch.commit()?;
        self.load()
    }

    /// The first held bundle beyond a split that the feed does not name.
    fn first_unnamed(
        &self,
        (number, author): (i64, Author),
        from: u64,
        named: &LogIndex,
    ) -> Result<Option<i64>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT first, hash FROM log_bundle WHERE author = ?1 AND last >= ?2 ORDER BY first",
        )?;
        let mut rows = statement.query(params![number, from.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let first: i64 = row.get(0)?;
            if !named.names((author, first.cast_unsigned()), Hash(row.get(1)?)) {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Whether the rows were made by these rights.
    pub fn was_judged_by(&self, rights: &Rights) -> bool {
        self.made_by.rights == *rights
    }

    /// Whether something was applied that others went on without: the rows are to be made anew.
    pub fn came_late(&self) -> Result<bool, StoreError> {
        Ok(self.decoded(LATE)?.unwrap_or(false))
    }

    /// How many bundles are kept as evidence.
    pub fn evidence(&self) -> Result<u64, StoreError> {
        let count: i64 = self
            .connection
            .query_row("SELECT count(*) FROM evidence", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

impl Batch<'_> {
    /// Of the bundles that a folded page names, by their first commands: those in whose places others are held.
    pub fn misnamed(&mut self, page: &Page) -> Result<Vec<Dot>, StoreError> {
        self.guarded(|batch| {
            batch.write_waiting()?;
            let mut misnamed = Vec::new();
            let mut statement = batch.store.connection.prepare_cached(
                "SELECT hash, last FROM log_bundle WHERE author = ?1 AND first <= ?2
                 ORDER BY first DESC LIMIT 1",
            )?;
            for named in page.named() {
                let Some(number) = batch.store.authors.number(named.author) else {
                    continue;
                };
                let held = params![number, named.last.cast_signed()];
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
                let held = statement.query_row(held, read).optional()?;
                let is_other = |(held, end): ([u8; 32], i64)| {
                    Hash(held) != named.hash && end >= named.first.cast_signed()
                };
                if held.is_some_and(is_other) {
                    misnamed.push(named.author.at(named.first));
                }
            }
            Ok(misnamed)
        })
    }

    /// Whether the folded feed has decided on a bundle, or on part of it.
    pub fn is_decided(&mut self, bundle: &Bundle) -> Result<bool, StoreError> {
        self.guarded(|batch| {
            let Some(number) = batch.store.authors.number(bundle.author()) else {
                return Ok(false);
            };
            let (first, last) = (bundle.first().cast_signed(), bundle.last().cast_signed());
            let sql = "SELECT EXISTS (SELECT 1 FROM verdict WHERE author = ?1 AND first <= ?3 AND last >= ?2)";
            let mut statement = batch.store.connection.prepare_cached(sql)?;
            Ok(statement.query_row(params![number, first, last], |row| row.get(0))?)
        })
    }

    /// Something that others went on without was applied in this transaction.
    pub fn note_late(&mut self) -> Result<(), StoreError> {
        self.guarded(|batch| put_encoded(&batch.store.connection, LATE, &true))
    }

    /// Keeps a bundle that is no part of the log.
    pub(super) fn keep_evidence(&mut self, bundle: &Bundle) -> Result<(), StoreError> {
        let store = &mut *self.store;
        let author = store.authors.intern(&store.connection, bundle.author())?;
        let kept: i64 = store
            .connection
            .prepare_cached("SELECT count(*) FROM evidence WHERE author = ?1 AND NOT own")?
            .query_row([author], |row| row.get(0))?;
        if kept >= limits::EVIDENCE as i64 {
            return Ok(());
        }
        store
            .connection
            .prepare_cached("INSERT OR IGNORE INTO evidence VALUES (?1, ?2, ?3, 0, ?4, ?5)")?
            .execute(params![
                author,
                bundle.first().cast_signed(),
                bundle.last().cast_signed(),
                bundle.hash().0,
                &bundle.bytes()[..],
            ])?;
        Ok(())
    }

    fn remake_without(
        &mut self,
        ends: &[(i64, i64)],
        roster: &Roster,
        (policy, priorities): (&Policy, &Priorities),
    ) -> Result<(), StoreError> {
        self.open()?;
        for (author, first) in ends {
            take_out(&self.store.connection, *author, *first)?;
        }
        self.rework(roster)?;
        put_encoded(&self.store.connection, LATE, &false)?;
        let mut index = LogIndex::restore(self.store.restore()?.chains);
        index.set_forks(roster.forks());
        self.rebuild(&index, (policy, priorities), &mut |_, _| ())
    }

    /// Applies the log anew in an order in which nothing comes before what it saw and is held: a bundle that nobody waited for,
    /// because it lies beyond a split, may have come late.
    fn rework(&mut self, roster: &Roster) -> Result<(), StoreError> {
        let mut index = LogIndex::default();
        self.store.learn_forks(&mut index, roster)?;
        let mut after = 0;
        loop {
            let round = self.in_order(after)?;
            let Some((last, _)) = round.last() else { break };
            after = *last;
            round.iter().for_each(|(_, bundle)| index.hold(bundle));
        }
        let connection = &self.store.connection;
        connection.execute("UPDATE log_bundle SET applied = -applied", [])?;
        let mut order = 1;
        while let Some((author, first)) = index.next_ready() {
            let log = (&self.store.connection, &self.store.authors);
            let bundle = history::held_at(log, author.at(first))?;
            let past = index.apply(&bundle).clone();
            self.put_applied((author, first), order, &past)?;
            order += 1;
        }
        self.store.connection.execute(
            "UPDATE log_bundle SET applied = NULL, past_at = NULL, past = NULL WHERE applied < 0",
            [],
        )?;
        self.store.counters.applied = order;
        self.store.pasts.clear();
        Ok(())
    }

    /// The next applied bundles, each with its place in the order of application.
    fn in_order(&self, after: i64) -> Result<Vec<(i64, Bundle)>, StoreError> {
        let mut statement = self.store.connection.prepare_cached(
            "SELECT applied, bytes, hash FROM log_bundle
             WHERE applied > ?1 ORDER BY applied LIMIT ?2",
        )?;
        let mut rows = statement.query(params![after, ROUND])?;
        let mut round = Vec::new();
        while let Some(row) = rows.next()? {
            round.push((row.get(0)?, history::bundle(row, (1, 2))?));
        }
        Ok(round)
    }

    fn put_applied(
        &mut self,
        (author, first): (Author, u64),
        order: i64,
        past: &Vector,
    ) -> Result<(), StoreError> {
        let store = &mut *self.store;
        let pairs = store.authors.pack_vector(&store.connection, past)?;
        let bytes = postcard::to_stdvec(&pairs).expect("vectors always encode");
        let number = store.authors.number(author);
        store
            .connection
            .prepare_cached(
                "UPDATE log_bundle SET applied = ?3, past_at = position, past = ?4
                 WHERE author = ?1 AND first = ?2",
            )?
            .execute(params![number, first.cast_signed(), order, bytes])?;
        Ok(())
    }
}

/// Moves an author's bundles from a counter on to the evidence, with what stands beside them.
fn take_out(connection: &Connection, author: i64, first: i64) -> Result<(), StoreError> {
    let from = params![author, first];
    connection.execute(
        "INSERT OR IGNORE INTO evidence SELECT author, first, last, own, hash, bytes FROM log_bundle
         WHERE author = ?1 AND first >= ?2",
        from,
    )?;
    connection.execute(
        "DELETE FROM log_bundle WHERE author = ?1 AND first >= ?2",
        from,
    )?;
    for table in ["quarantine", "dead_letter", "sync_queue"] {
        let sql = format!("DELETE FROM {table} WHERE author = ?1 AND counter >= ?2");
        connection.execute(&sql, from)?;
    }
    connection.execute(
        "DELETE FROM evidence WHERE author = ?1 AND NOT own AND rowid NOT IN (
             SELECT rowid FROM evidence WHERE author = ?1 AND NOT own ORDER BY first LIMIT ?2)",
        params![author, limits::EVIDENCE as i64],
    )?;
    connection.execute(
        "UPDATE epoch SET start = NULL, parent_epoch = NULL, parent_counter = NULL
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM log_bundle WHERE author = ?1)",
        [author],
    )?;
    Ok(())
}
