//! Reading what leaves as a pack: what is held of one moment, and then the log and the feed up to there, slice by slice.
//!
//! Log and feed only grow, so slices that are read later belong to the same moment.

use std::collections::HashMap;

use rusqlite::params;
use studiovault_protocol::frontier::Range;
use studiovault_protocol::id::Author;
use studiovault_protocol::log::ChainRow;
use studiovault_protocol::membership::SignedRecord;
use studiovault_protocol::policy::SignedPolicy;

use super::View;
use crate::store::authors::Authors;
use crate::store::{StoreError, restore};

/// What is held at one moment.
#[derive(Clone, Debug, Default)]
pub struct Holding {
    /// Every held epoch.
    pub chains: Vec<ChainRow>,
    /// The roster's records, each after those that it rests on.
    pub records: Vec<SignedRecord>,
    /// The signed policies.
    pub policies: Vec<SignedPolicy>,
    /// The last held position of the feed.
    pub feed: u64,
    /// The last position of the log.
    pub position: u64,
}

/// A run of the log or of the feed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Slice {
    /// Bundles or pages as stored.
    pub items: Vec<Vec<u8>>,
    /// Where the next slice goes on.
    pub at: u64,
    /// Bytes of the items.
    bytes: usize,
}

/// How much one slice takes: at least one item, if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SliceRoom {
    /// Bytes at most.
    pub bytes: usize,
    /// Items at most.
    pub items: usize,
}

impl View<'_> {
    /// What is held now.
    pub fn holding(&self) -> Result<Holding, StoreError> {
        let last = |sql: &str| -> Result<u64, StoreError> {
            let last: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
            Ok(last.cast_unsigned())
        };
        Ok(Holding {
            chains: self.chains()?,
            records: restore::records(self.connection)?,
            policies: restore::policies(self.connection)?,
            feed: last("SELECT coalesce(max(last), 0) FROM feed")?,
            position: last("SELECT coalesce(max(position), 0) FROM log_bundle")?,
        })
    }

    fn chains(&self) -> Result<Vec<ChainRow>, StoreError> {
        let authors = Authors::load(self.connection)?;
        let mut statement = self
            .connection
            .prepare("SELECT id, parent_epoch, parent_counter, start FROM epoch ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut chains = Vec::new();
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let what = || StoreError::corrupt(format!("epoch {number}"));
            let author = authors.author(number).ok_or_else(what)?;
            if let Some((chain, _)) = restore::chain(self.connection, &authors, row)? {
                chains.push(ChainRow { author, chain });
            }
        }
        Ok(chains)
    }

    /// How many bundles the ranges hold.
    pub fn bundles_in(&self, ranges: &[Range]) -> Result<u64, StoreError> {
        let authors = Authors::load(self.connection)?;
        let mut all = 0;
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM log_bundle WHERE author = ?1 AND last > ?2 AND first <= ?3",
        )?;
        for range in ranges {
            let (after, upto) = (range.after.cast_signed(), range.upto.cast_signed());
            if let Some(number) = authors.number(range.author) {
                let count: i64 =
                    statement.query_row(params![number, after, upto], |row| row.get(0))?;
                all += count.unsigned_abs();
            }
        }
        Ok(all)
    }

    /// How many pages of the feed lie between two positions.
    pub fn pages_in(&self, (after, upto): (u64, u64)) -> Result<u64, StoreError> {
        let count: i64 = self.connection.query_row(
            "SELECT count(*) FROM feed WHERE last > ?1 AND last <= ?2",
            [after.cast_signed(), upto.cast_signed()],
            |row| row.get(0),
        )?;
        Ok(count.unsigned_abs())
    }

    /// Bundles of the ranges, in the order in which the log holds them, after one position and up to another. Empty at the end.
    pub fn log_slice(
        &self,
        ranges: &[Range],
        (after, upto): (u64, u64),
        room: SliceRoom,
    ) -> Result<Slice, StoreError> {
        let authors = Authors::load(self.connection)?;
        let numbered = ranges.iter().filter_map(|range| {
            let bounds = (range.after.cast_signed(), range.upto.cast_signed());
            Some((authors.number(range.author)?, bounds))
        });
        let wanted: HashMap<i64, (i64, i64)> = numbered.collect();
        let mut statement = self.connection.prepare_cached(
            "SELECT position, author, first, last, bytes FROM log_bundle
             WHERE position > ?1 AND position <= ?2 ORDER BY position",
        )?;
        let mut rows = statement.query([after.cast_signed(), upto.cast_signed()])?;
        let mut slice = Slice::default();
        while let Some(row) = rows.next()? {
            let (author, first, last): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let bounds = wanted.get(&author);
            if bounds.is_none_or(|(after, upto)| last <= *after || first > *upto) {
                continue;
            }
            let item = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
            if !slice.add(item, row.get(0)?, room) {
                break;
            }
        }
        Ok(slice)
    }

    /// The bytes of the bundle that begins there, if one does.
    pub fn bundle_bytes(&self, author: Author, first: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT bytes FROM log_bundle WHERE first = ?3 AND author =
             (SELECT id FROM epoch WHERE device = ?1 AND epoch = ?2)",
        )?;
        let (device, epoch) = (author.device.0, author.epoch.0.cast_signed());
        let mut rows = statement.query(params![device, epoch, first.cast_signed()])?;
        let row = rows.next()?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    /// The page of the feed that ends at a position, if one does.
    pub fn page_to(&self, position: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT bytes FROM feed WHERE first <= ?1 AND last = ?1 ORDER BY first DESC LIMIT 1",
        )?;
        let mut rows = statement.query([position.cast_signed()])?;
        let row = rows.next()?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    /// Pages of the feed after one position and up to another. Empty at the end.
    pub fn feed_slice(
        &self,
        (after, upto): (u64, u64),
        room: SliceRoom,
    ) -> Result<Slice, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT last, bytes FROM feed WHERE first > ?1 AND last <= ?2 ORDER BY first",
        )?;
        let mut rows = statement.query([after.cast_signed(), upto.cast_signed()])?;
        let mut slice = Slice::default();
        while let Some(row) = rows.next()? {
            let item = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            if !slice.add(item, row.get(0)?, room) {
                break;
            }
        }
        Ok(slice)
    }
}

impl Slice {
    /// Takes one more item that stands at a position; `false` if it finds no room.
    fn add(&mut self, item: &[u8], at: i64, room: SliceRoom) -> bool {
        let is_full = self.bytes + item.len() > room.bytes || self.items.len() >= room.items;
        if is_full && !self.items.is_empty() {
            return false;
        }
        self.bytes += item.len();
        self.items.push(item.to_vec());
        self.at = at.cast_unsigned();
        true
    }
}
