//! Reading the log and the feed for others: from any cursor, exactly what the other side lacks.
//!
//! A reader holds no state between two calls; the cursor is the place after which to go on.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use studiovault_protocol::event::{BlockRead, LinkId, PagesRead};
use studiovault_protocol::frontier::Range;
use studiovault_protocol::sabotage::Bug;

use super::{Store, StoreError};

/// Rows in a row that are not wanted before the reader looks for the next wanted one by index.
const DULL_ROWS: usize = 256;

/// A part of a transfer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BlockChunk {
    /// Bundles as stored.
    pub bundles: Vec<Arc<[u8]>>,
    /// Their bytes together.
    pub raw: usize,
    /// Where the next block goes on.
    pub cursor: u64,
    /// Nothing follows now.
    pub done: bool,
    /// Author, first and last counter of each bundle.
    rows: Vec<(i64, i64, i64)>,
}

/// Bundles for the cloud.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CloudLoad {
    /// As stored.
    pub bundles: Vec<Arc<[u8]>>,
    /// What each holds.
    pub ranges: Vec<Range>,
}

/// Feed pages in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageChunk {
    /// Pages as stored.
    pub pages: Vec<Arc<[u8]>>,
    /// More follow.
    pub more: bool,
}

/// In which order the log is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    /// As bundles arrived, for peers: what arrives during a transfer becomes part of it, and what comes early is parked.
    Arrival,
    /// As bundles were applied, for the cloud, which parks nothing: whatever a bundle saw comes before it.
    Application,
}

/// Which rows of one author are wanted: those after a counter, up to one, with a place after `beyond`.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    after: i64,
    upto: i64,
    beyond: i64,
}

/// What a walk along the log may gather.
#[derive(Clone, Copy, Debug)]
struct Budget {
    bytes: usize,
    commands: usize,
}

impl Store {
    /// The next block of a transfer: rows of the listed devices that the ranges say are lacking, newer rows included.
    pub fn block(&self, read: &BlockRead) -> Result<BlockChunk, StoreError> {
        let mut wanted = HashMap::new();
        let mut newest = 0;
        for range in &read.ranges {
            let Some(number) = self.authors.number(range.author) else {
                continue;
            };
            newest = newest.max(self.position_of(number, range.upto)?);
            let after = range.after.cast_signed();
            wanted.insert(
                number,
                Wanted {
                    after,
                    upto: i64::MAX,
                    beyond: 0,
                },
            );
        }
        // An epoch without a range was held by the peer when it asked, or did not exist: only what came later is sent.
        for device in &read.devices {
            for (number, _) in self.authors.of(*device) {
                let later = Wanted {
                    after: 0,
                    upto: i64::MAX,
                    beyond: newest,
                };
                wanted.entry(number).or_insert(later);
            }
        }
        if read.ranges.is_empty() && read.cursor.is_none() {
            let cursor = (self.counters.position - 1).cast_unsigned();
            return Ok(BlockChunk {
                cursor,
                done: true,
                ..BlockChunk::default()
            });
        }
        let budget = Budget {
            bytes: read.max_bytes,
            commands: usize::MAX,
        };
        self.walk(Course::Arrival, &wanted, (read.cursor.unwrap_or(0), budget))
    }

    /// Bundles for the cloud: the ranges in order of application, at least one bundle, at most so many commands and bytes.
    pub fn batch_for_cloud(
        &self,
        ranges: &[Range],
        limit_commands: usize,
        limit_bytes: usize,
    ) -> Result<CloudLoad, StoreError> {
        let mut wanted = HashMap::new();
        for range in ranges {
            if let Some(number) = self.authors.number(range.author) {
                let (after, upto) = (range.after.cast_signed(), range.upto.cast_signed());
                wanted.insert(
                    number,
                    Wanted {
                        after,
                        upto,
                        beyond: 0,
                    },
                );
            }
        }
        let budget = Budget {
            bytes: limit_bytes,
            commands: limit_commands,
        };
        let chunk = self.walk(Course::Application, &wanted, (0, budget))?;
        let range = |(number, first, last): &(i64, i64, i64)| {
            let author = self.authors.author(*number);
            Some(Range {
                author: author?,
                after: first.cast_unsigned() - 1,
                upto: last.cast_unsigned(),
            })
        };
        Ok(CloudLoad {
            ranges: chunk.rows.iter().filter_map(range).collect(),
            bundles: chunk.bundles,
        })
    }

    /// Feed pages after a position, at least one if there is one.
    pub fn pages_after(&self, after: u64, max_bytes: usize) -> Result<Vec<Arc<[u8]>>, StoreError> {
        let read = PagesRead {
            link: LinkId(0),
            after,
            max_bytes,
        };
        Ok(self.pages(&read)?.pages)
    }

    /// Feed pages after a position, and whether more follow.
    pub fn pages(&self, read: &PagesRead) -> Result<PageChunk, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT bytes FROM feed WHERE first > ?1 ORDER BY first")?;
        let mut rows = statement.query([read.after.cast_signed()])?;
        let (mut pages, mut raw) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let bytes: Arc<[u8]> = row.get::<_, Vec<u8>>(0)?.into();
            if !pages.is_empty() && raw + bytes.len() > read.max_bytes {
                let more = true;
                return Ok(PageChunk { pages, more });
            }
            raw += bytes.len();
            pages.push(bytes);
        }
        Ok(PageChunk { pages, more: false })
    }

    fn walk(
        &self,
        course: Course,
        wanted: &HashMap<i64, Wanted>,
        (cursor, budget): (u64, Budget),
    ) -> Result<BlockChunk, StoreError> {
        let mut chunk = BlockChunk {
            cursor,
            ..BlockChunk::default()
        };
        let mut commands = 0;
        let mut from = self.next_wanted(course, wanted, cursor.cast_signed())?;
        if Bug::CursorByTime.is_on() {
            from = from.max(Some(self.counters.position - 1));
        }
        'seek: while let Some(start) = from {
            let mut statement = self.connection.prepare_cached(course.rows())?;
            let mut rows = statement.query([start])?;
            let mut dull = 0;
            while let Some(row) = rows.next()? {
                let (place, author, first, last): (i64, i64, i64, i64) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                if !wanted
                    .get(&author)
                    .is_some_and(|w| w.takes(place, (first, last)))
                {
                    dull += 1;
                    if dull > DULL_ROWS {
                        from = self.next_wanted(course, wanted, place)?;
                        continue 'seek;
                    }
                    continue;
                }
                dull = 0;
                let bytes = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
                let count = (last - first + 1).unsigned_abs() as usize;
                let over =
                    chunk.raw + bytes.len() > budget.bytes || commands + count > budget.commands;
                if !chunk.bundles.is_empty() && over {
                    return Ok(chunk);
                }
                chunk.raw += bytes.len();
                commands += count;
                chunk.bundles.push(bytes.into());
                chunk.rows.push((author, first, last));
                chunk.cursor = place.cast_unsigned();
            }
            break;
        }
        chunk.done = true;
        chunk.cursor = chunk
            .cursor
            .max((self.counters.position - 1).cast_unsigned());
        Ok(chunk)
    }

    /// The position of the bundle that holds a counter, 0 if none.
    fn position_of(&self, author: i64, counter: u64) -> Result<i64, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT position FROM log_bundle WHERE author = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
            )?
            .query_row(params![author, counter.cast_signed()], |row| row.get(0))
            .optional()?
            .unwrap_or(0))
    }

    /// The first place beyond `place` of a wanted row. An author's places ascend with its counters, so each author's next row is
    /// found by halving.
    fn next_wanted(
        &self,
        course: Course,
        wanted: &HashMap<i64, Wanted>,
        place: i64,
    ) -> Result<Option<i64>, StoreError> {
        let mut next: Option<i64> = None;
        for (author, wanted) in wanted {
            let beyond = place.max(wanted.beyond);
            let found = self.next_of(course, (*author, wanted), beyond)?;
            next = match (next, found) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        Ok(next)
    }

    fn next_of(
        &self,
        course: Course,
        (author, wanted): (i64, &Wanted),
        beyond: i64,
    ) -> Result<Option<i64>, StoreError> {
        let row = |sql: &str, bound: i64| -> Result<Option<(i64, i64)>, rusqlite::Error> {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            self.connection
                .prepare_cached(sql)?
                .query_row([author, bound], read)
                .optional()
        };
        let (following, preceding) = course.neighbours();
        let first = row(following, wanted.after)?;
        let (Some(first), Some(head)) = (first, row(preceding, wanted.upto)?) else {
            return Ok(None);
        };
        if first.1 > beyond {
            return Ok((first.0 <= wanted.upto).then_some(first.1));
        }
        if head.1 <= beyond {
            return Ok(None);
        }
        // Bundles that begin at `low` or before lie at or before `beyond`; `best` lies behind it.
        let (mut low, mut best) = (first.0, head);
        while low + 1 < best.0 {
            let middle = low + (best.0 - low) / 2;
            match row(preceding, middle)? {
                Some(found) if found.1 > beyond => best = found,
                _ => low = middle,
            }
        }
        Ok(Some(best.1))
    }
}

impl Wanted {
    fn takes(&self, place: i64, (first, last): (i64, i64)) -> bool {
        last > self.after && first <= self.upto && place > self.beyond
    }
}

impl Course {
    /// All rows from a place on.
    fn rows(self) -> &'static str {
        match self {
            Self::Arrival => {
                "SELECT position, author, first, last, bytes FROM log_bundle WHERE position >= ?1 ORDER BY position"
            }
            Self::Application => {
                "SELECT applied, author, first, last, bytes FROM log_bundle WHERE applied >= ?1 ORDER BY applied"
            }
        }
    }

    /// The counter and place of an author's next bundle after a counter, and of its last one up to a counter.
    fn neighbours(self) -> (&'static str, &'static str) {
        match self {
            // Of two logs of one author a bundle of the one may begin within what the other holds: that is what has to be seen.
            Self::Arrival => (
                "SELECT first, position FROM log_bundle WHERE author = ?1 AND first >= coalesce(
                   (SELECT iif(last > ?2, first, ?2 + 1) FROM log_bundle
                    WHERE author = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1), ?2 + 1) ORDER BY first LIMIT 1",
                "SELECT first, position FROM log_bundle WHERE author = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
            ),
            Self::Application => (
                "SELECT first, applied FROM log_bundle WHERE author = ?1 AND first > ?2 AND applied IS NOT NULL
                 ORDER BY first LIMIT 1",
                "SELECT first, applied FROM log_bundle WHERE author = ?1 AND first <= ?2 AND applied IS NOT NULL
                 ORDER BY first DESC LIMIT 1",
            ),
        }
    }
}
