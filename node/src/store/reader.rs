//! Reading for people and applications: entities, counts, conflicts, dead letters, the queue, history, SQL.
//!
//! Nothing here can write: the connection is opened read-only and says so to SQLite once more. A [`View`] reads the same rows
//! over the writer's connection, for stores in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params_from_iter};
use serde_json::{Map, Value as Json};
use studiovault_protocol::api::{Counts, vv_from_text};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::receipt;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::vector::Vector;

use super::schema::{DECIDED, FIXING};
use super::{FILE, Store, StoreError, schema};

mod activity;
mod inbox;
mod names;
mod packing;
mod past;
mod pos;
mod split;
mod sql;
mod whereabouts;

pub use activity::ActivityEntry;
pub use inbox::{ConflictRow, DeadLetterRow, LedgerRow, QueueRow};
pub use names::NameFault;
pub use packing::{Holding, Slice, SliceRoom};
pub use past::{HistoryEntry, Ruling};
pub use pos::QuarantineRow;
pub use sql::{QUERY_ROWS, QueryRows};
pub use whereabouts::BundleRow;

/// Connections kept for the next question, each with its own cache.
const IDLE_READERS: usize = 4;

/// Read-only connections to a folder's store, for any number of threads.
pub struct Reader {
    path: PathBuf,
    /// Connections that nobody reads with now.
    idle: Mutex<Vec<Connection>>,
}

/// What can be read, over whichever connection.
#[derive(Clone, Copy)]
pub struct View<'c> {
    connection: &'c Connection,
}

/// One entity as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct EntityRow {
    /// Its id.
    pub id: EntityId,
    /// Its type.
    pub entity_type: String,
    /// One value a field.
    pub fields: Map<String, Json>,
    /// It shows as deleted.
    pub deleted: bool,
    /// Every command of it has a verdict, and what stands is confirmed.
    pub confirmed: bool,
    /// It has an open conflict.
    pub conflict: bool,
    /// What it is called meanwhile, if another one keeps its name.
    pub proposed: Option<String>,
    /// It holds something that the policy in force, or this version of the program, does not know.
    pub opaque: bool,
    /// The receipt of an entry of the point of sale, as it is shown.
    pub receipt: Option<String>,
    /// A void stands against this sale.
    pub voided: bool,
    /// What the standing corrections of this sale add up to, if there are any.
    pub corrections_cents: Option<i128>,
    /// It has an open dead or stuck letter.
    pub fixing: bool,
    /// The delete that stands, and whether the content was collected since.
    pub tombstone: Option<(Dot, bool)>,
    /// It never stood, or does no more: the cloud did not take it.
    pub rejected: bool,
    /// The commands applied to it: as a context it covers all that is shown.
    pub vv: Vector,
}

/// Whether deleted entities are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Deleted {
    /// Only living ones.
    #[default]
    No,
    /// Only deleted ones.
    Yes,
    /// Both.
    Any,
}

/// A question for entities of one type, in the order in which this machine met them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Listing {
    /// The type.
    pub entity_type: String,
    /// Fields that must equal a value; of a set, contain it.
    pub filter: Vec<(String, Json)>,
    /// Deleted ones too, or alone.
    pub deleted: Deleted,
    /// Only those with, or without, an open conflict.
    pub conflict: Option<bool>,
    /// Go on after this one.
    pub after: Option<EntityId>,
    /// Rows at most.
    pub limit: usize,
}

impl Reader {
    /// Reads the store of a folder that a [`Store`] has made.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let reader = Self {
            path: folder.join(FILE),
            idle: Mutex::default(),
        };
        reader.read(|_| Ok(()))?;
        Ok(reader)
    }

    /// Reads; all that `work` reads is of one moment.
    pub fn read<T>(
        &self,
        work: impl FnOnce(View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        connection.execute_batch("BEGIN DEFERRED")?;
        let found = work(View {
            connection: &connection,
        });
        connection.execute_batch("ROLLBACK")?;
        let mut idle = self.lock();
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        found
    }

    /// Copies all of one moment into an empty folder, as a store of its own.
    pub fn copy_into(&self, folder: &Path) -> Result<(), StoreError> {
        let from = self.connect()?;
        let mut to = Connection::open(folder.join(FILE))?;
        // All pages in one step: in several, every commit of the writer would begin it anew.
        rusqlite::backup::Backup::new(&from, &mut to)?.step(-1)?;
        Ok(())
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        schema::configure_reader(&connection)?;
        Ok(connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of idle connections is whole whatever a panicking holder did.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The same reads over the writer's connection.
    pub fn view(&self) -> View<'_> {
        View {
            connection: &self.connection,
        }
    }

    /// The figures of a status.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.view().counts()
    }

    /// When the oldest own command without a verdict was written.
    pub fn oldest_pending(&self) -> Result<Option<WallMs>, StoreError> {
        self.view().oldest_pending()
    }
}

/// Reads entity rows.
fn entity_sql() -> String {
    let (voided, [millions, rests]) = (schema::voided(), schema::corrections());
    format!(
        "SELECT entity.uuid, entity_type.name, shown, deleted, confirmed AND {DECIDED}, conflict OR twin, opaque,
     (SELECT group_concat(epoch.name || '.' || json_extract(tip.value, '$[1]'), ',')
        FROM json_each(entity.vv) AS tip CROSS JOIN epoch ON epoch.id = json_extract(tip.value, '$[0]')), entity.receipt, {FIXING}, tombstone.dot, tombstone.collected, {voided}, {millions}, {rests}
     FROM entity JOIN entity_type ON entity_type.id = entity.type LEFT JOIN tombstone ON tombstone.entity = entity.id"
    )
}

impl View<'_> {
    /// One entity, deleted ones included.
    pub fn entity(&self, id: EntityId) -> Result<Option<EntityRow>, StoreError> {
        self.connection
            .prepare_cached(&format!("{} WHERE entity.uuid = ?1", entity_sql()))?
            .query_row([id.0], |row| Ok(entity_row(row)))
            .optional()?
            .transpose()?
            .map(|row| self.named(row, &mut BTreeMap::new()))
            .transpose()
    }

    fn named(
        &self,
        row: EntityRow,
        known: &mut BTreeMap<String, ConflictRow>,
    ) -> Result<EntityRow, StoreError> {
        let proposed = if row.conflict {
            self.proposed_name(row.id, known)?
        } else {
            None
        };
        Ok(EntityRow { proposed, ..row })
    }

    /// Entities of a type.
    pub fn entities(&self, listing: &Listing) -> Result<Vec<EntityRow>, StoreError> {
        let mut sql = format!(
            "{} WHERE entity.type = (SELECT id FROM entity_type WHERE name = ?1)
             AND entity.id > coalesce((SELECT id FROM entity WHERE uuid = ?2), 0)",
            entity_sql()
        );
        sql += match listing.deleted {
            Deleted::No => " AND entity.deleted = 0",
            Deleted::Yes => " AND entity.deleted = 1",
            Deleted::Any => "",
        };
        sql += match listing.conflict {
            Some(true) => " AND (entity.conflict = 1 OR entity.twin = 1)",
            Some(false) => " AND entity.conflict = 0 AND entity.twin = 0",
            None => "",
        };
        let after = listing
            .after
            .map_or(Sql::Null, |id| Sql::Blob(id.0.to_vec()));
        let mut values = vec![Sql::Text(listing.entity_type.clone()), after];
        for (field, value) in &listing.filter {
            if field.contains(['"', '\\']) {
                return Err(StoreError::Query(format!("`{field}` is no field")));
            }
            let at = values.len();
            let (path, value) = (format!("$.\"{field}\""), sql::to_sql(value));
            // A scalar is one row of json_each, a set one row an element.
            let printed = match field == receipt::FIELD {
                true => format!("entity.receipt = ?{} OR ", at + 2),
                false => String::new(),
            };
            sql += &format!(
                " AND ({printed}EXISTS (SELECT 1 FROM json_each(shown, ?{}) AS part WHERE part.value = ?{}))",
                at + 1,
                at + 2
            );
            values.extend([Sql::Text(path), value]);
        }
        sql += &format!(" ORDER BY entity.id LIMIT {}", listing.limit);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut entities, mut known) = (Vec::new(), BTreeMap::new());
        while let Some(row) = rows.next()? {
            entities.push(self.named(entity_row(row)?, &mut known)?);
        }
        Ok(entities)
    }

    /// The figures of a status, each counted from rows.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let (commands, confirmed, rejected) = (
            self.count(
                "SELECT coalesce(sum((SELECT last FROM log_bundle WHERE author = epoch.id ORDER BY first DESC LIMIT 1)
                 - start + 1), 0) FROM epoch WHERE start IS NOT NULL",
            )?,
            self.count("SELECT coalesce(sum(last - first + 1 - rejected), 0) FROM verdict")?,
            self.count("SELECT coalesce(sum(rejected), 0) FROM verdict")?,
        );
        let has_cloud = self.count("SELECT count(*) FROM meta WHERE key = 'has_cloud'")? > 0;
        let own = |status: &str| {
            // The index knows what waits, by these very words.
            let waits = "sync_status IN ('pending', 'sent')";
            let sql = format!("SELECT count(*) FROM sync_queue WHERE {waits} AND {status}");
            if has_cloud { self.count(&sql) } else { Ok(0) }
        };
        let undecided = commands.saturating_sub(confirmed + rejected);
        Ok(Counts {
            entities: self.count("SELECT count(*) FROM entity WHERE deleted = 0")?,
            commands,
            pending: if has_cloud { undecided } else { 0 },
            own_pending: own("1 = 1")?,
            own_sent: own("sync_status = 'sent'")?,
            confirmed,
            rejected,
            conflicts: self.count(
                "SELECT (SELECT count(*) FROM conflict) + (SELECT count(*) FROM key_conflict)",
            )?,
            opaque: self.count("SELECT count(*) FROM entity WHERE opaque = 1")?,
            newer_bundles: self
                .count("SELECT count(*) FROM log_bundle WHERE substr(bytes, 1, 1) <> x'01'")?,
            // What somebody took over or gave up is nobody's to look at any more, and there is nothing to take over in a giving up.
            quarantined: self.count(
                "SELECT count(*) FROM quarantine AS aside WHERE operation <> 'discard' AND NOT EXISTS (
                     SELECT 1 FROM replacement WHERE author = aside.author AND counter = aside.counter)",
            )?,
            dead_letters: self.count(
                "SELECT count(*) FROM dead_letter WHERE settled IS NULL AND code <> 'STUCK'",
            )?,
            stuck: self.count(
                "SELECT count(*) FROM dead_letter WHERE settled IS NULL AND code = 'STUCK'",
            )?,
            parked: self.count("SELECT count(*) FROM log_bundle WHERE applied IS NULL")?,
            log_bytes: self.count(
                "SELECT coalesce((SELECT ends FROM log_bundle ORDER BY position DESC LIMIT 1), 0)",
            )?,
        })
    }

    /// When the oldest own command without a verdict was written.
    pub fn oldest_pending(&self) -> Result<Option<WallMs>, StoreError> {
        let sql = "SELECT min(created_at) FROM sync_queue
                   WHERE sync_status IN ('pending', 'sent')";
        let oldest: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?;
        Ok(oldest.map(WallMs))
    }

    /// How often a conflict opened and closed here, ever.
    pub fn conflict_turns(&self) -> Result<(u64, u64), StoreError> {
        let turns = "SELECT count(*) FROM conflict_ledger WHERE event = ";
        Ok((
            self.count(&format!("{turns} 'opened'"))?,
            self.count(&format!("{turns} 'closed'"))?,
        ))
    }

    fn count(&self, sql: &str) -> Result<u64, StoreError> {
        let number: i64 = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?;
        Ok(number.unsigned_abs())
    }
}

fn entity_row(row: &Row<'_>) -> Result<EntityRow, StoreError> {
    let id = EntityId(row.get(0)?);
    let what = || StoreError::corrupt(format!("entity {id}"));
    let shown = row.get_ref(2)?.as_str().map_err(|_| what())?;
    let vv: Option<String> = row.get(7)?;
    let vv = vv.map_or(Some(Vector::EMPTY), |text| vv_from_text(&text));
    let (deleted, delete): (bool, Option<String>) = (row.get(3)?, row.get(10)?);
    let corrections: (Option<i64>, Option<i64>) = (row.get(13)?, row.get(14)?);
    let cents =
        |(millions, rests): (i64, i64)| i128::from(millions) * 1_000_000 + i128::from(rests);
    let tombstone = match delete {
        Some(dot) => Some((dot.parse().map_err(|_| what())?, row.get(11)?)),
        None => None,
    };
    Ok(EntityRow {
        id,
        entity_type: row.get(1)?,
        fields: serde_json::from_str(shown).map_err(|_| what())?,
        deleted,
        confirmed: row.get(4)?,
        conflict: row.get(5)?,
        proposed: None,
        opaque: row.get(6)?,
        fixing: row.get(9)?,
        rejected: deleted && tombstone.is_none(),
        tombstone,
        vv: vv.ok_or_else(what)?,
        receipt: row.get(8)?,
        voided: row.get(12)?,
        corrections_cents: corrections.0.zip(corrections.1).map(cents),
    })
}
