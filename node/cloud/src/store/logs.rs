//! Every author's log: the bundles' bytes, and where each chain ends.

use studiovault_protocol::id::{Author, Dot, Hash};
use studiovault_protocol::log::{Chain, ChainRow};
use studiovault_protocol::vector::Vector;

use super::{Session, StoreError, cell, cells};

/// A bundle to be stored.
#[derive(Clone, Copy, Debug)]
pub struct BundleRow<'a> {
    /// Whose.
    pub author: Author,
    /// Its first and last counter.
    pub counters: (u64, u64),
    /// Where in the feed it stands.
    pub position: u64,
    /// All that its author had seen of others.
    pub past: &'a Vector,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Session<'_> {
    /// Appends a bundle to its author's log.
    pub fn insert_bundle(&self, studio: i64, bundle: &BundleRow<'_>) -> Result<i64, StoreError> {
        self.insert(
            "INSERT INTO log_bundle (studio, device, epoch, first, last, position, past, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING row",
            cells![
                studio,
                bundle.author.device.0,
                cell::of_epoch(bundle.author.epoch),
                cell::signed(bundle.counters.0),
                cell::signed(bundle.counters.1),
                cell::signed(bundle.position),
                cell::pack(bundle.past),
                bundle.bytes
            ],
        )
    }

    /// A stored bundle's bytes with all that its author had seen of others.
    pub fn bundle(&self, row: i64) -> Result<(Vec<u8>, Vector), StoreError> {
        let found = self.first(
            "SELECT bytes, past FROM log_bundle WHERE row = ?1",
            cells![row],
            |row| Ok((row.get(0)?, cell::unpack(row, 1, "a bundle's past")?)),
        )?;
        found.ok_or(StoreError::Damaged("a command without its bundle"))
    }

    /// The bytes of the bundle that begins at `first`.
    pub fn bundle_at(
        &self,
        studio: i64,
        author: Author,
        first: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.first(
            "SELECT bytes FROM log_bundle WHERE studio = ?1 AND device = ?2 AND epoch = ?3 AND first = ?4",
            cells![
                studio,
                author.device.0,
                cell::of_epoch(author.epoch),
                cell::signed(first)
            ],
            |row| row.get(0),
        )
    }

    /// Bundles of an author that reach to `from` or beyond, in order, until `take` says that it is enough.
    pub fn bundles_from(
        &self,
        studio: i64,
        (author, mut from): (Author, u64),
        mut take: impl FnMut(Vec<u8>) -> Reading,
    ) -> Result<Reading, StoreError> {
        loop {
            // In runs: a shared database hands out whole answers.
            let bundles: Vec<(u64, Vec<u8>)> = self.all(
                "SELECT last, bytes FROM log_bundle
                 WHERE studio = ?1 AND device = ?2 AND epoch = ?3 AND last >= ?4 ORDER BY first LIMIT 16",
                cells![
                    studio,
                    author.device.0,
                    cell::of_epoch(author.epoch),
                    i64::try_from(from).unwrap_or(i64::MAX)
                ],
                |row| Ok((cell::number(row, 0)?, row.get(1)?)),
            )?;
            if bundles.is_empty() {
                return Ok(Reading::More);
            }
            for (last, bytes) in bundles {
                from = last + 1;
                if take(bytes) == Reading::Enough {
                    return Ok(Reading::Enough);
                }
            }
        }
    }

    /// Every author's chain as it was left.
    pub fn chains(&self, studio: i64) -> Result<Vec<ChainRow>, StoreError> {
        self.all(
            "SELECT device, epoch, parent_epoch, parent_counter, start, counter, hash, past
             FROM author WHERE studio = ?1",
            cells![studio],
            |row| {
                let parent_epoch: Option<i64> = row.get(2)?;
                let parent = match (parent_epoch, cell::number_or_none(row, 3)?) {
                    (Some(epoch), Some(counter)) => Some((cell::epoch(epoch), counter)),
                    _ => None,
                };
                let end: (u64, Hash) = (cell::number(row, 5)?, cell::hash(row, 6)?);
                Ok(ChainRow {
                    author: cell::author(row, 0)?,
                    chain: Chain {
                        parent,
                        start: cell::number(row, 4)?,
                        held: end,
                        applied: Some(end),
                        past: cell::unpack(row, 7, "an author's past")?,
                    },
                })
            },
        )
    }

    /// How far each author's log stood in the feed at a position.
    pub fn tips_at(&self, studio: i64, position: u64) -> Result<Vec<Dot>, StoreError> {
        self.all(
            "SELECT device, epoch, max(last) FROM log_bundle
             WHERE studio = ?1 AND position <= ?2 GROUP BY device, epoch",
            cells![studio, cell::signed(position)],
            |row| Ok(cell::author(row, 0)?.at(cell::number(row, 2)?)),
        )
    }

    /// Notes where an author's chain ends now.
    pub fn set_chain(&self, studio: i64, author: Author, chain: &Chain) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO author (studio, device, epoch, parent_epoch, parent_counter, start, counter, hash, past)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (studio, device, epoch) DO UPDATE
             SET counter = excluded.counter, hash = excluded.hash, past = excluded.past",
            cells![
                studio,
                author.device.0,
                cell::of_epoch(author.epoch),
                chain.parent.map(|(epoch, _)| cell::of_epoch(epoch)),
                chain.parent.map(|(_, counter)| cell::signed(counter)),
                cell::signed(chain.start),
                cell::signed(chain.held.0),
                chain.held.1.0,
                cell::pack(&chain.past)
            ],
        )
    }
}

/// Whether a reader wants to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// There is room.
    More,
    /// There is none.
    Enough,
}
