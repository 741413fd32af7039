//! Feed pages: kept as bytes when they come, their verdicts taken up when everything that they name is applied.
//!
//! After a fold every entity is what its history and all verdicts up to there give, whatever was taken up before.

use std::collections::BTreeMap;

use rusqlite::params;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::id::{Author, Dot, EntityId};
use studiovault_protocol::merge::{Context, Outcome, Record, Verdict, fold};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::vector::Vector;

use super::batch::{Applied, Batch};
use super::ledger::{self, Decider};
use super::touched::Touched;
use super::{Rules, Store, StoreError, history, letters, put_encoded, queue};

/// Keeps a page and what it says the cloud holds.
pub(super) fn keep_page(
    store: &mut Store,
    page: &Page,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    store
        .connection
        .prepare_cached(
            "INSERT OR IGNORE INTO feed (first, last, hash, bytes) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            page.body().first.cast_signed(),
            page.last().cast_signed(),
            page.hash().0,
            &page.bytes()[..]
        ])?;
    for named in page.named() {
        let (first, last) = (named.first, named.last);
        let number = store.authors.intern(&store.connection, named.author)?;
        store
            .connection
            .prepare_cached(
                "UPDATE epoch SET cloud_upto = max(cloud_upto, ?3),
                 cloud_from = min(coalesce(cloud_from, ?2), ?2) WHERE id = ?1",
            )?
            .execute([number, first.cast_signed(), last.cast_signed()])?;
        touched.named.push((number, (first - 1, last)));
    }
    Ok(())
}

/// One bundle's part of a verdict entry.
struct Part {
    number: i64,
    bundle: Bundle,
    own: bool,
    first: u64,
    last: u64,
}

impl Batch<'_> {
    /// Takes up the verdicts of a page.
    pub(super) fn fold(
        &mut self,
        page: &Page,
        rules: &Rules<'_>,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        self.write_waiting()?;
        let mut stale = BTreeMap::new();
        for (position, entry) in page.entries() {
            if let Entry::Stuck { dot, detail } = entry {
                self.note_stuck(*dot, detail, (position, page.body().at))?;
            }
            let Some((author, first, last)) = entry.decided() else {
                continue;
            };
            for part in self.parts(author, (first, last))? {
                self.keep_verdict(&part, (position, entry), page.body().at)?;
                let bundle = (part.bundle.first(), part.bundle.last());
                if self.store.is_set_aside(part.number, bundle)? {
                    continue;
                }
                for (dot, command) in part.bundle.commands() {
                    if !(part.first..=part.last).contains(&dot.counter) {
                        continue;
                    }
                    let Some(verdict) = entry.verdict(position, dot.counter) else {
                        continue;
                    };
                    let touched = &mut self.touched;
                    let loaded = touched.entities.load(self.store, command.entity)?;
                    let what = || StoreError::corrupt(format!("the entity of command {dot}"));
                    let loaded = loaded.ok_or_else(what)?;
                    applied
                        .entities
                        .push((command.entity, loaded.type_name.clone()));
                    let decider = Decider::Feed(position, page.body().at);
                    let named = (part.number, dot, command);
                    loaded.stale |= self.store.lifts_bar(named, &verdict, rules)?;
                    let entity = &loaded.entity;
                    let beside = command.op == Op::Create && !entity.life.names(dot);
                    if !loaded.stale && !beside && !entity.must_fold((dot, command), &verdict) {
                        loaded
                            .entity
                            .accept(command, (dot, verdict.position), rules.policy);
                    } else if !loaded.stale && loaded.single && entity.life.names(dot) {
                        // Most that is rejected is a create and nothing else: its history is this one command.
                        let name = loaded.type_name.clone();
                        let record = alone((command, dot), &verdict, rules);
                        loaded.entity = fold(&name, command.entity, [record], rules.policy);
                    } else {
                        loaded.stale = true;
                        stale.insert(command.entity, decider);
                        continue;
                    }
                    loaded.dirty = true;
                    ledger::note(
                        loaded,
                        &mut touched.ledger,
                        (decider, rules.priorities),
                        applied,
                    );
                }
            }
        }
        self.refold(stale, (rules, applied))?;
        dedup(&mut applied.entities);
        put_encoded(&self.store.connection, "feed_folded", &page.last())
    }

    /// The stored bundles that a range of counters lies in.
    fn parts(&self, author: Author, (first, last): (u64, u64)) -> Result<Vec<Part>, StoreError> {
        let Some(number) = self.store.authors.number(author) else {
            return Err(StoreError::corrupt(format!(
                "a verdict on {}, which is not held",
                author.at(first)
            )));
        };
        let mut statement = self.store.connection.prepare_cached(
            "SELECT bytes, hash, own FROM log_bundle WHERE author = ?1 AND first <= ?3 AND last >= ?2 AND first > ?2 - 1000
             ORDER BY first",
        )?;
        let mut rows = statement.query([number, first.cast_signed(), last.cast_signed()])?;
        let mut parts = Vec::new();
        while let Some(row) = rows.next()? {
            let bundle = history::bundle(row, (0, 1))?;
            let (from, to) = (first.max(bundle.first()), last.min(bundle.last()));
            parts.push(Part {
                number,
                own: row.get(2)?,
                first: from,
                last: to,
                bundle,
            });
        }
        Ok(parts)
    }

    /// Writes the row of a verdict and settles the queue's rows.
    fn keep_verdict(
        &mut self,
        part: &Part,
        (position, entry): (u64, &Entry),
        at: WallMs,
    ) -> Result<(), StoreError> {
        let position = entry.counts_at(position);
        let within = |(counter, _): &&(u64, Outcome)| (part.first..=part.last).contains(counter);
        let all = entry.exceptions().iter();
        let exceptions: Vec<(u64, Outcome)> = all.filter(within).cloned().collect();
        let rejected: Vec<u64> = exceptions
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Rejected { .. }))
            .map(|(counter, _)| *counter)
            .collect();
        let bytes = postcard::to_stdvec(&exceptions).expect("outcomes always encode");
        let connection = &self.store.connection;
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO verdict (author, first, last, position, rejected, exceptions)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                part.number,
                part.first.cast_signed(),
                part.last.cast_signed(),
                position.cast_signed(),
                rejected.len() as i64,
                bytes
            ])?;
        letters::decided(connection, part.number, (part.first, part.last))?;
        for (counter, outcome) in exceptions {
            let Some(command) = part.bundle.command(counter) else {
                continue;
            };
            let verdict = Verdict { position, outcome };
            let dot = part.bundle.author().at(counter);
            letters::note(connection, (part.number, dot, command), (&verdict, at))?;
            let given_up = command.replaces.filter(|_| {
                command.op == Op::Discard && matches!(verdict.outcome, Outcome::Rejected { .. })
            });
            if let Some(number) = given_up.and_then(|dot| self.store.authors.number(dot.author)) {
                let target = (number, given_up.expect("just looked at").counter);
                letters::reopen(connection, target, (part.number, counter))?;
            }
        }
        if part.own {
            let range = (part.first, part.last);
            queue::decide(connection, part.number, (range, &rejected))?;
        }
        Ok(())
    }
}

/// What nobody has seen.
static NOTHING: Vector = Vector::EMPTY;

/// A command that supersedes nothing, since nothing came before it.
fn alone<'a>(
    (command, dot): (&'a Command, Dot),
    verdict: &'a Verdict,
    rules: &Rules<'a>,
) -> Record<'a> {
    Record {
        command,
        dot,
        ctx: Context::new(rules.epochs, (&NOTHING, dot), None),
        verdict: Some(verdict),
    }
}

fn dedup(entities: &mut Vec<(EntityId, std::sync::Arc<str>)>) {
    entities.sort_unstable();
    entities.dedup();
}
