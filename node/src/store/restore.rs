//! What a start reads back: enough for the engine's indices to be as they were at the last commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use studiovault_protocol::bundle::Header;
use studiovault_protocol::feed::{Page, Undecided};
use studiovault_protocol::id::{Author, DeviceId, Dot, Epoch, Hash, StudioId};
use studiovault_protocol::limits;
use studiovault_protocol::log::{Chain, ChainRow};
use studiovault_protocol::membership::SignedRecord;
use studiovault_protocol::policy::SignedPolicy;
use studiovault_protocol::vector::{Parent, Vector};

use super::authors::Authors;
use super::{Store, StoreError, history};

/// The newest bundle that this store itself wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnTip {
    /// The dot of its last command.
    pub dot: Dot,
    /// Its hash: the next bundle's `prev`.
    pub hash: Hash,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Whose folder it is, once claimed.
    pub studio: Option<StudioId>,
    /// The machine, once claimed.
    pub device: Option<DeviceId>,
    /// Every held epoch.
    pub chains: Vec<ChainRow>,
    /// The heads of stored bundles that are not applied, in chain order.
    pub parked: Vec<Header>,
    /// Where the newest held feed pages end, with their hashes, the newest last; from 0 if all are among them.
    pub feed_ends: Vec<(u64, Hash)>,
    /// The last folded feed position.
    pub feed_folded: u64,
    /// How far the feed says that the cloud holds each epoch.
    pub cloud_holds: BTreeMap<Author, u64>,
    /// What the cloud holds without a folded verdict.
    pub undecided: Undecided,
    /// Held pages that are not folded, in order.
    pub unfolded: Vec<Page>,
    /// The roster's records.
    pub records: Vec<SignedRecord>,
    /// The signed policies.
    pub policies: Vec<SignedPolicy>,
    /// The newest own bundle.
    pub own_tip: Option<OwnTip>,
}

/// The head of an author's log, or of its applied part.
struct Head {
    position: i64,
    last: u64,
    hash: Hash,
    own: bool,
    past_at: Option<i64>,
}

impl Store {
    /// Reads what the engine starts from.
    pub fn restore(&self) -> Result<Restored, StoreError> {
        let id = |key: &str| -> Result<Option<[u8; 16]>, StoreError> {
            self.recall(key)?
                .map(|bytes| {
                    bytes
                        .try_into()
                        .map_err(|_| StoreError::corrupt(format!("meta {key}")))
                })
                .transpose()
        };
        let mut restored = Restored {
            studio: id("studio")?.map(StudioId),
            device: id("device")?.map(DeviceId),
            feed_folded: self.decoded("feed_folded")?.unwrap_or(0),
            policies: policies(&self.connection)?,
            records: records(&self.connection)?,
            ..Restored::default()
        };
        self.restore_chains(&mut restored)?;
        self.restore_parked(&mut restored)?;
        self.restore_feed(&mut restored)?;
        Ok(restored)
    }

    fn restore_chains(&self, restored: &mut Restored) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT id, parent_epoch, parent_counter, start, cloud_upto, cloud_from FROM epoch ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        let (mut newest, mut undecided) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let what = || StoreError::corrupt(format!("epoch {number}"));
            let author = self.authors.author(number).ok_or_else(what)?;
            let cloud_upto = row.get::<_, i64>(4)?.cast_unsigned();
            if cloud_upto > 0 {
                if let Some(from) = row.get::<_, Option<i64>>(5)? {
                    let named = (from.cast_unsigned(), cloud_upto);
                    undecided.extend(self.undecided_of((number, author), named)?);
                    self.restore_stuck(restored, (number, author))?;
                }
                restored.cloud_holds.insert(author, cloud_upto);
            }
            let Some((chain, own)) = chain(&self.connection, &self.authors, row)? else {
                continue;
            };
            if let Some((position, hash)) = own.filter(|(position, _)| *position > newest) {
                newest = position;
                let dot = author.at(chain.held.0);
                restored.own_tip = Some(OwnTip { dot, hash });
            }
            restored.chains.push(ChainRow { author, chain });
        }
        // In an order in which nothing comes before what it may rest on.
        undecided.sort_unstable();
        for (_, first, last) in undecided {
            let author = first.author;
            restored.undecided.insert(author, first.counter, last);
        }
        Ok(())
    }

    fn restore_parked(&self, restored: &mut Restored) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT bytes, hash FROM log_bundle WHERE applied IS NULL ORDER BY author, first",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let bundle = history::bundle(row, (0, 1))?;
            restored.parked.push(bundle.header().clone());
        }
        Ok(())
    }

    /// What the cloud holds of one author without a verdict that was folded, bundle by bundle: each one's place in the order of
    /// application, first command and last counter.
    fn undecided_of(
        &self,
        (number, author): (i64, Author),
        (start, upto): (u64, u64),
    ) -> Result<Vec<(i64, Dot, u64)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT first, last FROM verdict WHERE author = ?1 ORDER BY first")?;
        let mut rows = statement.query([number])?;
        let (mut next, mut runs) = (start, Vec::new());
        while let Some(row) = rows.next()? {
            let first = row.get::<_, i64>(0)?.cast_unsigned();
            if next < first {
                runs.push((next, first - 1));
            }
            next = row.get::<_, i64>(1)?.cast_unsigned() + 1;
        }
        if next <= upto {
            runs.push((next, upto));
        }
        let mut undecided = Vec::new();
        for (first, last) in runs {
            let mut from = first;
            for (place, end) in self.ends_between(number, (first, last))? {
                let end = end.min(last);
                undecided.push((place, author.at(from), end));
                from = end + 1;
            }
            if from <= last {
                undecided.push((i64::MAX, author.at(from), last));
            }
        }
        Ok(undecided)
    }

    /// The held bundles of an author between two counters: where each is in the order of application, and where it ends.
    fn ends_between(
        &self,
        author: i64,
        (first, last): (u64, u64),
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT coalesce(applied, ?4), last FROM log_bundle
             WHERE author = ?1 AND last >= ?2 AND first <= ?3 AND first >= coalesce(
               (SELECT first FROM log_bundle WHERE author = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1), ?2)
             ORDER BY first",
        )?;
        let range = [author, first.cast_signed(), last.cast_signed(), i64::MAX];
        let ends = statement.query_map(range, |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(ends.collect::<Result<_, _>>()?)
    }

    fn restore_stuck(
        &self,
        restored: &mut Restored,
        (number, author): (i64, Author),
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT counter FROM dead_letter WHERE author = ?1 AND code = 'STUCK'",
        )?;
        let mut rows = statement.query([number])?;
        while let Some(row) = rows.next()? {
            let counter = row.get::<_, i64>(0)?.cast_unsigned();
            restored.undecided.insert_stuck(author.at(counter));
        }
        Ok(())
    }

    fn restore_feed(&self, restored: &mut Restored) -> Result<(), StoreError> {
        let mut ends = self
            .connection
            .prepare("SELECT last, hash FROM feed ORDER BY first DESC LIMIT ?1")?;
        let ends = ends.query_map([limits::FEED_ENDS as i64], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), Hash(row.get(1)?)))
        })?;
        let mut ends: Vec<(u64, Hash)> = ends.collect::<Result<_, _>>()?;
        if ends.len() < limits::FEED_ENDS {
            ends.push((0, Hash::default()));
        }
        ends.reverse();
        restored.feed_ends = ends;
        let mut statement = self
            .connection
            .prepare("SELECT first, bytes FROM feed WHERE first > ?1 ORDER BY first")?;
        let mut rows = statement.query([restored.feed_folded.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let first: i64 = row.get(0)?;
            let bytes: Arc<[u8]> = row.get::<_, Vec<u8>>(1)?.into();
            let page = Page::decode(bytes)
                .map_err(|_| StoreError::corrupt(format!("feed page {first}")))?;
            restored.unfolded.push(page);
        }
        Ok(())
    }
}

/// One epoch as far as it is held, and where in the log its head stands if this store wrote that; `None` if nothing is held.
type Held = (Chain, Option<(i64, Hash)>);

/// What is held of an epoch; its row is id, epoch and counter of its parent, and start.
pub(super) fn chain(
    connection: &Connection,
    authors: &Authors,
    row: &Row<'_>,
) -> Result<Option<Held>, StoreError> {
    let number: i64 = row.get(0)?;
    let Some(start) = row.get::<_, Option<i64>>(3)? else {
        return Ok(None);
    };
    let Some(held) = head(connection, number, "1 = 1")? else {
        return Err(StoreError::corrupt(format!("epoch {number}")));
    };
    let applied = head(connection, number, "applied IS NOT NULL")?;
    let past = match applied.as_ref().and_then(|head| head.past_at) {
        Some(position) => history::past(connection, authors, position)?,
        None => Vector::default(),
    };
    let chain = Chain {
        parent: parent(row)?,
        start: start.cast_unsigned(),
        held: (held.last, held.hash),
        applied: applied.map(|head| (head.last, head.hash)),
        past,
    };
    Ok(Some((
        chain,
        held.own.then_some((held.position, held.hash)),
    )))
}

fn head(connection: &Connection, author: i64, which: &str) -> Result<Option<Head>, StoreError> {
    let sql = format!(
        "SELECT position, last, hash, own, past_at FROM log_bundle
         WHERE author = ?1 AND {which} ORDER BY first DESC LIMIT 1"
    );
    let read = |row: &Row<'_>| {
        Ok(Head {
            position: row.get(0)?,
            last: row.get::<_, i64>(1)?.cast_unsigned(),
            hash: Hash(row.get(2)?),
            own: row.get(3)?,
            past_at: row.get(4)?,
        })
    };
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params![author], read)
        .optional()?)
}

/// The roster's records, each after those that it rests on.
pub(super) fn records(connection: &Connection) -> Result<Vec<SignedRecord>, StoreError> {
    encoded(connection, "SELECT record FROM roster ORDER BY id")
}

/// The signed policies.
pub(super) fn policies(connection: &Connection) -> Result<Vec<SignedPolicy>, StoreError> {
    encoded(connection, "SELECT record FROM policy ORDER BY hash")
}

fn encoded<T: DeserializeOwned>(connection: &Connection, sql: &str) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    let mut records = Vec::new();
    for bytes in rows {
        let record = postcard::from_bytes(&bytes?);
        records.push(record.map_err(|_| StoreError::corrupt("a signed record"))?);
    }
    Ok(records)
}

fn parent(row: &Row<'_>) -> Result<Parent, StoreError> {
    let (epoch, counter): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
    Ok(epoch
        .zip(counter)
        .map(|(epoch, counter)| (Epoch(epoch.cast_unsigned()), counter.cast_unsigned())))
}
