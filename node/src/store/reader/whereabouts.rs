//! What a thing rests on and waits for: the bundles it came in, what those wait for, what was set aside, and what the cloud said.
//!
//! Walks are bounded; nothing here is counted, so it can disagree with no list.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::id::{Dot, EntityId};

use super::super::history;
use super::past::ruling;
use super::{Ruling, StoreError, View};

/// Stored bundles that one question looks at, at most.
const LOOKED_AT: usize = 1_000;

/// A stored bundle.
#[derive(Clone, PartialEq, Debug)]
pub struct BundleRow {
    /// Its last command.
    pub tip: Dot,
    /// It is taken into the entities.
    pub applied: bool,
    /// Tips that its author had seen since its bundle before.
    pub saw: Vec<Dot>,
    /// Its commands with what the cloud truth said on each.
    pub rulings: BTreeMap<Dot, Option<Ruling>>,
    /// All of it is set aside, or a command of it.
    pub set_aside: bool,
    /// The feed says that the cloud holds all of it.
    pub cloud_holds: bool,
}

/// One stored bundle as the walk needs it.
struct Piece {
    author: i64,
    applied: bool,
    begins_epoch: bool,
    cloud_upto: u64,
    bundle: Bundle,
}

impl View<'_> {
    /// The bundle that holds a dot; `None` if none is held.
    pub fn bundle_of(&self, dot: Dot) -> Result<Option<BundleRow>, StoreError> {
        let Some(piece) = self.piece(dot)? else {
            return Ok(None);
        };
        let bundle = &piece.bundle;
        let mut verdicts = history::verdicts(self.connection, piece.author, bundle)?;
        let said = |dot: Dot| {
            let verdict = verdicts.remove(&dot.counter)?;
            Some(ruling(verdict.position, verdict.outcome))
        };
        let tip = bundle.author().at(bundle.last());
        let dots = (bundle.first()..=bundle.last()).map(|counter| bundle.author().at(counter));
        let rulings = dots.clone().zip(dots.map(said)).collect();
        let set_aside = self.count_with(
            "SELECT count(*) FROM quarantine WHERE author = ?1 AND counter BETWEEN ?2 AND ?3",
            params![
                piece.author,
                bundle.first().cast_signed(),
                bundle.last().cast_signed()
            ],
        )?;
        Ok(Some(BundleRow {
            tip,
            applied: piece.applied,
            saw: bundle.header().saw.iter().map(|seen| seen.dot).collect(),
            rulings,
            set_aside: set_aside > 0,
            cloud_holds: piece.cloud_upto >= tip.counter,
        }))
    }

    /// What a stored bundle waits for and this machine lacks, through whatever else waits; nothing if it is applied.
    pub fn waits_for(&self, dot: Dot) -> Result<Vec<Dot>, StoreError> {
        let (mut ahead, mut looked) = (vec![dot], BTreeSet::new());
        let mut missing = BTreeSet::new();
        while let Some(dot) = ahead.pop() {
            if looked.len() >= LOOKED_AT || !looked.insert(dot) {
                continue;
            }
            match self.piece(dot)? {
                None => drop(missing.insert(dot)),
                Some(piece) if piece.applied => {}
                Some(piece) => {
                    let header = piece.bundle.header();
                    ahead.extend(header.saw.iter().map(|seen| seen.dot));
                    if !piece.begins_epoch {
                        ahead.push(header.author.at(header.first_counter - 1));
                    }
                }
            }
        }
        Ok(missing.into_iter().collect())
    }

    /// Whether the feed names a dot, or a stored bundle that waits had seen it.
    pub fn is_named(&self, dot: Dot) -> Result<bool, StoreError> {
        let at_cloud = self.count_with(
            "SELECT count(*) FROM epoch WHERE device = ?1 AND epoch = ?2 AND cloud_upto >= ?3",
            params![
                dot.author.device.0,
                dot.author.epoch.0.cast_signed(),
                i64::try_from(dot.counter).unwrap_or(i64::MAX)
            ],
        )?;
        if at_cloud > 0 {
            return Ok(true);
        }
        let sql = "SELECT bytes, hash FROM log_bundle WHERE applied IS NULL LIMIT ?1";
        let waiting = self.gather(sql, params![LOOKED_AT as i64], |row| {
            let bundle = history::bundle(row, (0, 1))?;
            let saw = bundle.header().saw.iter().map(|seen| seen.dot);
            // Its author's own path before it is waited for as well.
            let mut upto = saw.chain([bundle.author().at(bundle.last())]);
            Ok(upto.any(|tip| tip.author == dot.author && tip.counter >= dot.counter))
        })?;
        Ok(waiting.into_iter().any(|names| names))
    }

    /// The last commands of stored bundles that change an entity and wait.
    pub fn parked_changes(&self, entity: EntityId) -> Result<Vec<Dot>, StoreError> {
        let sql = "SELECT bytes, hash FROM log_bundle WHERE applied IS NULL LIMIT ?1";
        let parked = self.gather(sql, params![LOOKED_AT as i64], |row| {
            let bundle = history::bundle(row, (0, 1))?;
            let changes = bundle
                .commands()
                .any(|(_, command)| command.entity == entity);
            Ok(changes.then(|| bundle.author().at(bundle.last())))
        })?;
        Ok(parked.into_iter().flatten().collect())
    }

    /// Commands about an entity that were set aside.
    pub fn set_aside_of(&self, entity: EntityId) -> Result<Vec<Dot>, StoreError> {
        let sql = "SELECT epoch.name || '.' || counter FROM quarantine JOIN epoch ON epoch.id = quarantine.author
                   WHERE entity = ?1 ORDER BY 1 LIMIT ?2";
        self.gather(sql, params![entity.0, LOOKED_AT as i64], |row| {
            let text: String = row.get(0)?;
            let dot = text.parse();
            dot.map_err(|_| StoreError::corrupt(format!("the dot {text}")))
        })
    }

    /// Code and words of the newest letter of an entity that nobody settled.
    pub fn open_letter_of(&self, entity: EntityId) -> Result<Option<(String, String)>, StoreError> {
        let sql = "SELECT code, detail FROM dead_letter WHERE entity = ?1 AND settled IS NULL ORDER BY rejected_at DESC, feed_position DESC, counter DESC LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.gather(sql, params![entity.0], read)?.pop())
    }

    fn piece(&self, dot: Dot) -> Result<Option<Piece>, StoreError> {
        let sql = "SELECT log_bundle.author, applied IS NOT NULL, coalesce(start = first, 0), cloud_upto, bytes, hash
                   FROM log_bundle JOIN epoch ON epoch.id = log_bundle.author
                   WHERE epoch.device = ?1 AND epoch.epoch = ?2 AND first <= ?3 AND last >= ?3";
        let key = params![
            dot.author.device.0,
            dot.author.epoch.0.cast_signed(),
            i64::try_from(dot.counter).unwrap_or(i64::MAX)
        ];
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Piece {
                author: row.get(0)?,
                applied: row.get(1)?,
                begins_epoch: row.get(2)?,
                cloud_upto: row.get::<_, i64>(3)?.unsigned_abs(),
                bundle: history::bundle(row, (4, 5))?,
            })
        };
        Ok(self.gather(sql, key, read)?.pop())
    }

    fn count_with(&self, sql: &str, params: impl rusqlite::Params) -> Result<i64, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params, |row| row.get(0))?)
    }
}
