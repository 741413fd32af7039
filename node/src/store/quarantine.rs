//! What is set aside, because it would rewrite an append-only entry, is beyond the cut of a device that no longer belongs or beyond a
//! split of its log, or was never its device's to write: held, relayed, listed, and never applied.
//!
//! A bundle is judged once, when it is applied, by what its author had seen: every machine comes to the same. A create that did
//! not know the entry is judged by the fold, with the entry's whole history. What is barred is a function of roster, policies and
//! verdicts alone: what the cloud truth decided for another reason holds, whatever was cut before or after.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Command;
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::membership::Bar;
use studiovault_protocol::merge::{Code, Context, Outcome, Verdict, breach, set_aside};
use studiovault_protocol::vector::Vector;

use super::batch::{Applied, Batch};
use super::history::{self, History};
use super::ledger::Decider;
use super::{ASIDE, CLOSED, CUTS, Rules, Store, StoreError, letters, put_encoded};

/// Bundles looked at between two writes of rows when rights change; bounds what is in memory.
const ROUND: i64 = 256;

/// Why something is set aside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It would rewrite an entry, and all of its bundle goes with it.
    Whole,
    /// It would rewrite an entry.
    Rewrites,
    /// It does not count.
    Barred(Bar),
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Whole | Self::Rewrites => "rewrites",
            Self::Barred(Bar::Cut) => "cut",
            Self::Barred(Bar::Split) => "split",
            Self::Barred(Bar::Role) => "role",
        }
    }
}

/// The counters of a bundle's commands that are barred.
pub(super) fn barred(
    connection: &Connection,
    author: i64,
    bundle: &Bundle,
) -> Result<Vec<u64>, StoreError> {
    Ok(bars(connection, author, bundle)?.into_keys().collect())
}

/// The same with the reasons.
fn bars(
    connection: &Connection,
    author: i64,
    bundle: &Bundle,
) -> Result<BTreeMap<u64, Bar>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT counter, reason FROM quarantine
         WHERE author = ?1 AND counter BETWEEN ?2 AND ?3 AND reason IN ('cut', 'split', 'role')",
    )?;
    let range = [
        author,
        bundle.first().cast_signed(),
        bundle.last().cast_signed(),
    ];
    let noted = statement.query_map(range, |row| {
        let bar = match row.get::<_, String>(1)?.as_str() {
            "cut" => Bar::Cut,
            "split" => Bar::Split,
            _ => Bar::Role,
        };
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), bar))
    })?;
    Ok(noted.collect::<Result<_, _>>()?)
}

impl Batch<'_> {
    /// Sets a bundle aside if it rewrites an entry that its author knew; `true` if it does.
    pub(super) fn sets_aside(
        &mut self,
        bundle: &Bundle,
        past: &Vector,
        rules: &Rules<'_>,
    ) -> Result<bool, StoreError> {
        let first = bundle.author().at(bundle.first());
        let context = Context::new(rules.epochs, (past, first), None);
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

    /// Notes what of a bundle is barred.
    pub(super) fn note_barred(
        &mut self,
        bundle: &Bundle,
        rules: &Rules<'_>,
    ) -> Result<(), StoreError> {
        if rules.rights.is_unbarred() {
            return Ok(());
        }
        let barred = bundle
            .commands()
            .filter_map(|(dot, command)| Some((dot, command, rules.rights.bar(dot, command)?)));
        let mut barred = barred.peekable();
        if barred.peek().is_none() {
            return Ok(());
        }
        // The verdict may have been here first, on the other branch of a log that splits.
        let author = self.store.authors.number(bundle.author());
        let author = author.expect("the author of a held bundle has a number");
        let verdicts = history::verdicts(&self.store.connection, author, bundle)?;
        for (dot, command, bar) in barred {
            let verdict = verdicts.get(&dot.counter);
            if !verdict.is_some_and(|verdict| lifts(verdict, bar)) {
                self.store
                    .note_set_aside(dot, (bundle, command), Reason::Barred(bar))?;
            }
        }
        Ok(())
    }

    /// Other commands are barred than before: every entity that they touch is folded anew.
    pub(super) fn rejudge(
        &mut self,
        rules: &Rules<'_>,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        self.flush()?;
        let before = std::mem::replace(&mut self.store.made_by.rights, rules.rights.clone());
        put_encoded(&self.store.connection, CUTS, &rules.rights.cuts)?;
        put_encoded(&self.store.connection, ASIDE, &rules.rights.aside)?;
        put_encoded(&self.store.connection, CLOSED, &rules.rights.closed)?;
        for device in rules.rights.changed(&before) {
            let authors = self.store.authors.of(device).map(|(number, _)| number);
            for author in authors.collect::<Vec<_>>() {
                self.rejudge_author(author, rules, applied)?;
            }
        }
        self.flush()
    }

    fn rejudge_author(
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
                stale.extend(self.rejudge_bundle(author, &bundle, rules)?);
            }
            for entity in stale {
                if let Some(loaded) = self.touched.entities.load(self.store, entity)? {
                    applied.entities.push((entity, loaded.type_name.clone()));
                    self.refold([(entity, Decider::Roster)], (rules, applied))?;
                }
            }
            self.flush()?;
        }
    }

    /// Notes anew what of a bundle is barred, and names the entities for which that makes a difference.
    fn rejudge_bundle(
        &mut self,
        author: i64,
        bundle: &Bundle,
        rules: &Rules<'_>,
    ) -> Result<BTreeSet<EntityId>, StoreError> {
        let verdicts = history::verdicts(&self.store.connection, author, bundle)?;
        let noted = bars(&self.store.connection, author, bundle)?;
        let mut stale = BTreeSet::new();
        for (dot, command) in bundle.commands() {
            let verdict = verdicts.get(&dot.counter);
            let bar = rules.rights.bar(dot, command);
            let bar = bar.filter(|bar| !verdict.is_some_and(|verdict| lifts(verdict, *bar)));
            if bar.as_ref() == noted.get(&dot.counter) {
                continue;
            }
            self.store.drop_bar((author, dot.counter))?;
            if let Some(bar) = bar {
                self.store
                    .note_set_aside(dot, (bundle, command), Reason::Barred(bar))?;
            }
            stale.insert(command.entity);
        }
        Ok(stale)
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

    /// The applied commands of an append-only entry, those that are barred too: what an author knew is the same on every machine,
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
                reason.word(),
            ])?;
        if let Reason::Barred(bar) = reason {
            letters::note_barred(&self.connection, (author, dot, command), bar)?;
        }
        Ok(())
    }

    /// A verdict on a command that may be barred; `true` if it is.
    pub(super) fn lifts_bar(
        &self,
        (author, dot, command): (i64, Dot, &Command),
        verdict: &Verdict,
        rules: &Rules<'_>,
    ) -> Result<bool, StoreError> {
        let Some(bar) = rules.rights.bar(dot, command) else {
            return Ok(false);
        };
        if lifts(verdict, bar) {
            self.drop_bar((author, dot.counter))?;
        }
        Ok(true)
    }

    fn drop_bar(&self, (author, counter): (i64, u64)) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM quarantine WHERE author = ?1 AND counter = ?2 AND reason IN ('cut', 'split', 'role')",
            )?
            .execute([author, counter.cast_signed()])?;
        letters::drop_barred(&self.connection, (author, counter))
    }
}

/// Whether a verdict holds against a bar. What the cloud truth decided, it decided with its own word on the role. Against a cut
/// or a split holds every one that was not given because of it: what lost or was rejected before the cloud truth heard of the cut stays a side
/// of its conflict there, and so it does here.
fn lifts(verdict: &Verdict, bar: Bar) -> bool {
    bar == Bar::Role
        || !matches!(
            verdict.outcome,
            Outcome::Rejected {
                code: Code::DeviceRevoked,
                ..
            }
        )
}
