//! What is set aside, because it would rewrite an append-only entry or is beyond the cut of a device that no longer belongs:
//! held, relayed, listed, and never applied.
//!
//! A bundle is judged once, when it is applied, by what its author had seen: every machine comes to the same. A create that did
//! not know the entry is judged by the fold, with the entry's whole history. What is beyond a cut is a function of roster and
//! verdicts alone: what the cloud truth decided for another reason holds, whatever was cut before or after.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Command;
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{Code, Context, Outcome, Verdict, breach, set_aside};
use studiovault_protocol::vector::Vector;

use super::batch::{Applied, Batch};
use super::history::{self, History};
use super::ledger::Decider;
use super::{Rules, Store, StoreError, letters, put_encoded};

/// Bundles looked at between two writes of rows when a cut changes; bounds what is in memory.
const ROUND: i64 = 256;

/// Why something is set aside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It would rewrite an entry, and all of its bundle goes with it.
    Whole,
    /// It would rewrite an entry.
    Rewrites,
    /// It is beyond a cut.
    Cut,
}

/// The counters of a bundle's commands that are beyond a cut.
pub(super) fn cut(
    connection: &Connection,
    author: i64,
    bundle: &Bundle,
) -> Result<Vec<u64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT counter FROM quarantine
         WHERE author = ?1 AND counter BETWEEN ?2 AND ?3 AND reason = 'cut'",
    )?;
    let range = [
        author,
        bundle.first().cast_signed(),
        bundle.last().cast_signed(),
    ];
    let counters = statement.query_map(range, |row| row.get::<_, i64>(0))?;
    counters
        .map(|counter| Ok(counter?.cast_unsigned()))
        .collect()
}

impl Batch<'_> {
    /// Sets a bundle aside if it rewrites an entry that its author knew; `true` if it does.
    pub(super) fn sets_aside(
        &mut self,
        bundle: &Bundle,
        past: &Vector,
        rules: &Rules<'_>,
    ) -> Result<bool, StoreError> {
        let context = Context {
            epochs: rules.epochs,
            vector: past,
            own: Some(bundle.author().at(bundle.first() - 1)),
        };
        let found = breach(bundle, (&context, rules.policy), |command| {
            self.earlier(command, rules)
        })?;
        let Some(dot) = found else {
            return Ok(false);
        };
        let command = bundle
            .command(dot.counter)
            .expect("it names one of its own");
        self.store
            .note_set_aside(dot, (bundle, command), Reason::Whole)?;
        Ok(true)
    }

    /// Notes what of a bundle is beyond a cut.
    pub(super) fn note_cut(
        &mut self,
        bundle: &Bundle,
        rules: &Rules<'_>,
    ) -> Result<(), StoreError> {
        if rules.cuts.is_empty() {
            return Ok(());
        }
        for (dot, command) in bundle
            .commands()
            .filter(|(dot, _)| !rules.cuts.stands(*dot))
        {
            self.store
                .note_set_aside(dot, (bundle, command), Reason::Cut)?;
        }
        Ok(())
    }

    /// The roster cuts other things than before: every entity that it touches is folded anew.
    pub(super) fn recut(
        &mut self,
        rules: &Rules<'_>,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        self.flush()?;
        let before = std::mem::replace(&mut self.store.rights.cuts, rules.cuts.clone());
        put_encoded(&self.store.connection, "cuts", rules.cuts)?;
        for device in rules.cuts.changed(&before) {
            let authors = self.store.authors.of(device).map(|(number, _)| number);
            for author in authors.collect::<Vec<_>>() {
                self.recut_author(author, rules, applied)?;
            }
        }
        self.flush()
    }

    fn recut_author(
        &mut self,
        author: i64,
        rules: &Rules<'_>,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let round = self.applied_of(author, after)?;
            let Some(last) = round.last().map(|bundle| bundle.last()) else {
                return Ok(());
            };
            after = last;
            let mut stale = BTreeSet::new();
            for bundle in round {
                let verdicts = history::verdicts(&self.store.connection, author, &bundle)?;
                let noted = cut(&self.store.connection, author, &bundle)?;
                for (dot, command) in bundle.commands() {
                    let decided = verdicts.get(&dot.counter).is_some_and(counts);
                    let is_cut = !decided && !rules.cuts.stands(dot);
                    if is_cut == noted.contains(&dot.counter) {
                        continue;
                    }
                    if is_cut {
                        self.store
                            .note_set_aside(dot, (&bundle, command), Reason::Cut)?;
                    } else {
                        self.store.drop_cut((author, dot.counter))?;
                    }
                    stale.insert(command.entity);
                }
            }
            for entity in stale {
                if let Some(loaded) = self.touched.entities.load(self.store, entity)? {
                    applied.entities.push((entity, loaded.type_name.clone()));
                    self.refold(entity, Decider::Roster, (rules, applied))?;
                }
            }
            self.flush()?;
        }
    }

    /// The next applied bundles of an author that are not set aside as a whole.
    fn applied_of(&self, author: i64, after: u64) -> Result<Vec<Bundle>, StoreError> {
        let mut statement = self.store.connection.prepare_cached(
            "SELECT bytes, hash FROM log_bundle
             WHERE author = ?1 AND first > ?2 AND applied IS NOT NULL AND NOT EXISTS (
                 SELECT 1 FROM quarantine AS aside WHERE aside.author = log_bundle.author
                 AND aside.counter BETWEEN log_bundle.first AND log_bundle.last AND aside.whole)
             ORDER BY first LIMIT ?3",
        )?;
        let mut rows = statement.query(params![author, after.cast_signed(), ROUND])?;
        let mut round = Vec::new();
        while let Some(row) = rows.next()? {
            round.push(history::bundle(row, (0, 1))?);
        }
        Ok(round)
    }

    /// The applied commands of an append-only entry, those beyond a cut too: what an author knew is the same on every machine,
    /// whenever each of them heard of the cut. Of anything else none.
    fn earlier(
        &mut self,
        command: &Command,
        rules: &Rules<'_>,
    ) -> Result<Vec<(Dot, Command)>, StoreError> {
        let id = command.entity;
        let Some(loaded) = self.touched.entities.load(self.store, id)? else {
            return Ok(Vec::new());
        };
        let (row, entity_type) = (loaded.row, rules.policy.entity_type(&loaded.type_name));
        if !entity_type.is_some_and(|rules| rules.append_only) {
            return Ok(Vec::new());
        }
        self.write_waiting()?;
        self.touched.flush_history(self.store)?;
        let history = history::read(&self.store.connection, &self.store.authors, row)?;
        let records = history.everything(id, rules.epochs);
        Ok(records.map(|(_, r)| (r.dot, r.command.clone())).collect())
    }
}

impl Store {
    /// Whether a bundle that holds one of these counters is set aside as a whole.
    pub(super) fn is_set_aside(
        &self,
        author: i64,
        (first, last): (u64, u64),
    ) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM quarantine WHERE author = ?1 AND counter BETWEEN ?2 AND ?3 AND whole",
        )?;
        Ok(statement.exists([author, first.cast_signed(), last.cast_signed()])?)
    }

    /// Notes anew what of an entry's history is set aside command by command.
    pub(super) fn note_rivals(
        &self,
        id: EntityId,
        history: &History,
        rules: &Rules<'_>,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM quarantine WHERE entity = ?1 AND NOT whole AND reason = 'rewrites'",
            )?
            .execute([id.0])?;
        let records: Vec<_> = history.records(id, rules.epochs).collect();
        let plain: Vec<_> = records.iter().map(|(_, record)| *record).collect();
        for dot in set_aside(&plain, rules.policy) {
            let (piece, record) = records
                .iter()
                .find(|(_, record)| record.dot == dot)
                .expect("it names one of these");
            let command = (&piece.bundle, record.command);
            self.note_set_aside(dot, command, Reason::Rewrites)?;
        }
        Ok(())
    }

    fn note_set_aside(
        &self,
        dot: Dot,
        (bundle, command): (&Bundle, &Command),
        reason: Reason,
    ) -> Result<(), StoreError> {
        let author = self.authors.number(dot.author);
        let author = author.expect("the author of a held bundle has a number");
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO quarantine
                 (author, counter, entity, entity_type, operation, whole, actor, written_at, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                author,
                dot.counter.cast_signed(),
                command.entity.0,
                command.entity_type,
                command.op.word(),
                reason == Reason::Whole,
                bundle.header().actor,
                command.ts.0,
                if reason == Reason::Cut {
                    "cut"
                } else {
                    "rewrites"
                },
            ])?;
        if reason == Reason::Cut {
            letters::note_cut(&self.connection, (author, dot, command))?;
        }
        Ok(())
    }

    /// A verdict on a command that may be beyond a cut; `true` if it is. What was decided before the cloud truth heard of
    /// the cut counts.
    pub(super) fn lifts_cut(
        &self,
        (author, dot): (i64, Dot),
        verdict: &Verdict,
        rules: &Rules<'_>,
    ) -> Result<bool, StoreError> {
        if rules.cuts.stands(dot) {
            return Ok(false);
        }
        if counts(verdict) {
            self.drop_cut((author, dot.counter))?;
        }
        Ok(true)
    }

    fn drop_cut(&self, (author, counter): (i64, u64)) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM quarantine WHERE author = ?1 AND counter = ?2 AND reason = 'cut'",
            )?
            .execute([author, counter.cast_signed()])?;
        letters::drop_cut(&self.connection, (author, counter))
    }
}

/// Whether a verdict holds against a cut: every one that was not given because of it. What lost or was rejected before the cloud
/// truth heard of the cut stays a side of its conflict there, and so it does here.
fn counts(verdict: &Verdict) -> bool {
    !matches!(
        verdict.outcome,
        Outcome::Rejected {
            code: Code::DeviceRevoked,
            ..
        }
    )
}
