//! The entities that a transaction touches: read once, changed in memory, written once, sorted by row.
//!
//! What stands here is what the transaction sees; the rows follow at [`Touched::flush`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rusqlite::{CachedStatement, OptionalExtension, params};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{Conflict, Entity, LifeKind, StateSum};
use studiovault_protocol::pos;
use studiovault_protocol::vector::Vector;

use super::authors::Authors;
use super::ledger::{self, Decider, LedgerEntry};
use super::{Store, StoreError, keys, packed};

/// One entity in memory.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Its row.
    pub row: i64,
    /// Its type's name.
    pub type_name: Arc<str>,
    /// Its state.
    pub entity: Entity,
    /// The commands applied to it.
    pub vv: Vector,
    /// The conflicts open now.
    pub conflicts: Vec<Conflict>,
    /// Who or what changed it last in this transaction.
    pub decider: Option<Decider>,
    /// Its receipt as it is shown.
    pub receipt: Option<String>,
    /// The newest log position noted in its history.
    pub logged: i64,
    /// Something changed.
    pub dirty: bool,
    /// The state must be folded anew from the history before anything reads it.
    pub stale: bool,
    /// All of its history is one create. May be `false` where an older version of the program wrote the row.
    pub single: bool,
    /// As the row has it.
    stored: Option<Stored>,
}

/// What a row says that the next one must be compared with.
#[derive(Debug)]
struct Stored {
    share: StateSum,
    type_number: i64,
    deleted: bool,
    conflict: bool,
    opaque: bool,
    single: bool,
    receipt: Option<String>,
    name_key: Option<i64>,
    sale: Option<EntityId>,
}

impl Stored {
    /// What indexes ask for besides the key.
    fn flags(&self) -> (i64, bool, bool, bool, bool) {
        (
            self.type_number,
            self.deleted,
            self.conflict,
            self.opaque,
            self.single,
        )
    }
}

/// All of a transaction.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// By id.
    pub entities: Entities,
    /// Entity row and log position.
    pub history: Vec<(i64, i64)>,
    /// Conflicts that opened, changed or closed, in order.
    pub ledger: Vec<LedgerEntry>,
    /// Per author after and up to which counters the feed names bundles. Noted in the queue at the end, since most of them are
    /// decided in the same transaction.
    pub named: Vec<(i64, (u64, u64))>,
}

/// The entities in memory.
#[derive(Debug, Default)]
pub(super) struct Entities {
    /// Boxed, since the map moves what it holds whenever it grows.
    loaded: HashMap<EntityId, Box<Loaded>>,
}

impl Entities {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.loaded.len()
    }

    /// The entity if it is in memory.
    pub fn peek(&mut self, id: EntityId) -> Option<&mut Loaded> {
        self.loaded.get_mut(&id).map(Box::as_mut)
    }

    /// The entity from memory or from its row.
    pub fn load(&mut self, store: &Store, id: EntityId) -> Result<Option<&mut Loaded>, StoreError> {
        match self.loaded.entry(id) {
            Entry::Occupied(held) => Ok(Some(held.into_mut())),
            Entry::Vacant(place) => match read(store, id)? {
                Some(loaded) => Ok(Some(place.insert(Box::new(loaded)))),
                None => Ok(None),
            },
        }
    }

    /// The entity, begun if there is none.
    pub fn load_or_begin(
        &mut self,
        store: &mut Store,
        id: EntityId,
        type_name: &str,
    ) -> Result<&mut Loaded, StoreError> {
        match self.loaded.entry(id) {
            Entry::Occupied(held) => Ok(held.into_mut()),
            Entry::Vacant(place) => {
                let loaded = match read(store, id)? {
                    Some(loaded) => loaded,
                    None => begin(store, id, type_name)?,
                };
                Ok(place.insert(Box::new(loaded)))
            }
        }
    }
}

impl Loaded {
    /// The natural key that its row has.
    pub fn name_key(&self) -> Option<i64> {
        self.stored.as_ref().and_then(|stored| stored.name_key)
    }
}

impl Touched {
    /// Writes the history rows that wait, sorted by key.
    pub fn flush_history(&mut self, store: &Store) -> Result<(), StoreError> {
        self.history.sort_unstable();
        let mut statement = store.connection.prepare_cached(
            "INSERT OR IGNORE INTO entity_log (entity, position) VALUES (?1, ?2)",
        )?;
        for (entity, position) in self.history.drain(..) {
            statement.execute([entity, position])?;
        }
        Ok(())
    }

    /// Drops what would go into the ledger: the ledger has it already.
    pub fn forget_news(&mut self) {
        self.ledger.clear();
        for loaded in self.entities.loaded.values_mut() {
            loaded.decider = None;
        }
    }

    /// Writes everything and forgets it.
    pub fn flush(&mut self, store: &mut Store) -> Result<(), StoreError> {
        self.flush_history(store)?;
        ledger::write(&store.connection, &mut self.ledger)?;
        let mut entities: Vec<_> = self
            .entities
            .loaded
            .drain()
            .map(|(_, loaded)| loaded)
            .filter(|loaded| loaded.dirty)
            .collect();
        entities.sort_unstable_by_key(|loaded| loaded.row);
        let mut sums = (store.state_sum, store.key_sum);
        let mut rows = Rows::prepare(store)?;
        for loaded in &entities {
            rows.write(loaded, &mut sums)?;
        }
        drop(rows);
        (store.state_sum, store.key_sum) = sums;
        Ok(())
    }
}

/// The entity as its row has it.
pub(super) fn read(store: &Store, id: EntityId) -> Result<Option<Loaded>, StoreError> {
    if !store.known.may_hold(id) {
        return Ok(None);
    }
    let mut statement = store.connection.prepare_cached(
        "SELECT id, type, deleted, conflict, vv, state, receipt, name_key, sale, single FROM entity WHERE uuid = ?1",
    )?;
    let mut rows = statement.query([id.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let what = || StoreError::corrupt(format!("entity {id}"));
    let type_name = store.types.name(row.get(1)?).ok_or_else(what)?;
    let state = row.get_ref(5)?.as_blob().map_err(|_| what())?;
    let entity = packed::unpack(&type_name, id, state, &store.authors)?;
    let vv = row.get_ref(4)?.as_str().map_err(|_| what())?;
    let vv = unpack_vv(vv, &store.authors)?;
    let conflict: bool = row.get(3)?;
    let conflicts = if conflict {
        entity.conflicts(store.priorities())
    } else {
        Vec::new()
    };
    let stored = Stored {
        share: entity.state_sum(),
        type_number: row.get(1)?,
        deleted: row.get(2)?,
        conflict,
        opaque: entity.opaque,
        single: row.get(9)?,
        receipt: row.get(6)?,
        name_key: row.get(7)?,
        sale: row.get::<_, Option<[u8; 16]>>(8)?.map(EntityId),
    };
    Ok(Some(Loaded {
        row: row.get(0)?,
        type_name,
        entity,
        vv,
        conflicts,
        decider: None,
        receipt: stored.receipt.clone(),
        logged: 0,
        dirty: false,
        stale: false,
        single: stored.single,
        stored: Some(stored),
    }))
}

fn begin(store: &mut Store, id: EntityId, type_name: &str) -> Result<Loaded, StoreError> {
    let type_name = store.types.intern(&store.connection, type_name)?;
    let row = store.counters.entity;
    store.counters.entity += 1;
    store.known.insert(id);
    Ok(Loaded {
        row,
        entity: Entity::new(&type_name, id),
        type_name,
        vv: Vector::default(),
        conflicts: Vec::new(),
        decider: None,
        receipt: None,
        logged: 0,
        dirty: true,
        stale: false,
        single: false,
        stored: None,
    })
}

/// The statements of a flush, prepared once.
struct Rows<'s> {
    store: &'s Store,
    insert: CachedStatement<'s>,
    update: CachedStatement<'s>,
    update_all: CachedStatement<'s>,
    update_receipt: CachedStatement<'s>,
    update_name_key: CachedStatement<'s>,
    update_sale: CachedStatement<'s>,
}

impl<'s> Rows<'s> {
    fn prepare(store: &'s Store) -> Result<Self, StoreError> {
        let prepare = |sql| store.connection.prepare_cached(sql);
        Ok(Self {
            store,
            insert: prepare(
                "INSERT INTO entity (id, confirmed, vv, shown, state, uuid, type, deleted, conflict, opaque, receipt, name_key, sale, single)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?,
            update: prepare(
                "UPDATE entity SET confirmed = ?2, vv = ?3, shown = ?4, state = ?5 WHERE id = ?1",
            )?,
            // Of its own, since SQLite rewrites the index of every column that a statement names.
            update_all: prepare(
                "UPDATE entity SET confirmed = ?2, vv = ?3, shown = ?4, state = ?5,
                 type = ?6, deleted = ?7, conflict = ?8, opaque = ?9, single = ?10 WHERE id = ?1",
            )?,
            update_receipt: prepare("UPDATE entity SET receipt = ?2 WHERE id = ?1")?,
            update_name_key: prepare(keys::SET_NAME_KEY)?,
            update_sale: prepare("UPDATE entity SET sale = ?2 WHERE id = ?1")?,
        })
    }

    fn write(
        &mut self,
        loaded: &Loaded,
        (sum, key_sum): &mut (StateSum, StateSum),
    ) -> Result<(), StoreError> {
        assert!(
            !loaded.stale,
            "a stale entity is folded before it is written"
        );
        let (store, entity) = (self.store, &loaded.entity);
        let mut text = Vec::with_capacity(512);
        serde_json::to_writer(&mut text, &entity.shown_fields(store.priorities()))
            .expect("JSON always encodes");
        let text = String::from_utf8(text).expect("JSON is text");
        let state = packed::pack(entity, &store.authors);
        let vv = pack_vv(&loaded.vv, &store.authors);
        let number = store.types.number(&loaded.type_name);
        let number = number.expect("an entity's type has a number");
        let confirmed = entity.is_confirmed();
        // What never stood, or does no more, is shown no more than what was deleted.
        let deleted = !entity.life.exists() || entity.life.is_deleted();
        let conflict = entity.in_conflict();
        let claim = keys::claim(store, loaded);
        let name_key = claim.as_ref().map(keys::Row::short);
        let sale = pos::shown_sale(entity);
        if let Some(stored) = &loaded.stored {
            sum.remove(stored.share);
            let flags = (number, deleted, conflict, entity.opaque, loaded.single);
            if stored.flags() == flags {
                self.update
                    .execute(params![loaded.row, confirmed, vv, text, state])?;
            } else {
                let (number, deleted, conflict, opaque, single) = flags;
                self.update_all.execute(params![
                    loaded.row, confirmed, vv, text, state, number, deleted, conflict, opaque,
                    single
                ])?;
            }
            self.write_rare((loaded, stored), (name_key, sale))?;
        } else {
            self.insert.execute(params![
                loaded.row,
                confirmed,
                vv,
                text,
                state,
                entity.id.0,
                number,
                deleted,
                conflict,
                entity.opaque,
                loaded.receipt,
                name_key,
                sale.map(|sale| sale.0),
                loaded.single
            ])?;
        }
        sum.add(entity.state_sum());
        write_beside(store, loaded, (deleted, conflict))?;
        keys::follow(store, loaded, (loaded.name_key(), claim.as_ref()), key_sum)
    }

    /// The columns that seldom change, each by a statement of its own: SQLite rewrites the index of every column that one names.
    fn write_rare(
        &mut self,
        (loaded, stored): (&Loaded, &Stored),
        (name_key, sale): (Option<i64>, Option<EntityId>),
    ) -> Result<(), StoreError> {
        let row = loaded.row;
        if stored.receipt != loaded.receipt {
            self.update_receipt.execute(params![row, loaded.receipt])?;
        }
        if stored.name_key != name_key {
            self.update_name_key.execute(params![row, name_key])?;
        }
        if stored.sale != sale {
            self.update_sale
                .execute(params![row, sale.map(|sale| sale.0)])?;
        }
        Ok(())
    }
}

/// The rows beside an entity's own, where it has some or had some: its tombstone and its open conflicts.
fn write_beside(
    store: &Store,
    loaded: &Loaded,
    (deleted, conflict): (bool, bool),
) -> Result<(), StoreError> {
    let stored = loaded.stored.as_ref();
    if deleted || stored.is_some_and(|stored| stored.deleted) {
        write_tombstone(store, loaded, deleted)?;
    }
    if conflict || stored.is_some_and(|stored| stored.conflict) {
        ledger::write_open(&store.connection, loaded)?;
    }
    Ok(())
}

/// A deleted entity's row in `tombstone` says since when; its bare id never goes.
fn write_tombstone(store: &Store, loaded: &Loaded, deleted: bool) -> Result<(), StoreError> {
    let writes = &loaded.entity.life.writes;
    let had_none = loaded.stored.as_ref().is_none_or(|stored| !stored.deleted);
    if had_none && !loaded.entity.life.has_delete() {
        // It never stood.
        return Ok(());
    }
    match writes.iter().rfind(|write| write.kind == LifeKind::Deleted) {
        Some(delete) if deleted => store
            .connection
            .prepare_cached(
                "INSERT INTO tombstone (entity, dot, deleted_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (entity) DO UPDATE SET dot = excluded.dot, deleted_at = excluded.deleted_at, collected = 0,
                 noticed_at = CASE WHEN dot = excluded.dot THEN noticed_at END",
            )?
            .execute(params![loaded.row, delete.dot.to_string(), delete.ts.0])?,
        _ => store
            .connection
            .prepare_cached("DELETE FROM tombstone WHERE entity = ?1")?
            .execute([loaded.row])?,
    };
    Ok(())
}

fn pack_vv(vv: &Vector, authors: &Authors) -> String {
    let pairs: Vec<(i64, u64)> = vv
        .tips()
        .iter()
        .map(|tip| {
            let number = authors.number(tip.author);
            (
                number.expect("the author of an applied command has a number"),
                tip.counter,
            )
        })
        .collect();
    serde_json::to_string(&pairs).expect("JSON always encodes")
}

pub(super) fn unpack_vv(text: &str, authors: &Authors) -> Result<Vector, StoreError> {
    let pairs: Vec<(i64, u64)> =
        serde_json::from_str(text).map_err(|_| StoreError::corrupt(format!("vv {text}")))?;
    authors.unpack_vector(&pairs)
}

/// The types under small numbers.
#[derive(Debug, Default)]
pub(super) struct Types {
    numbers: HashMap<Arc<str>, i64>,
    names: HashMap<i64, Arc<str>>,
}

impl Types {
    /// As the store holds them.
    pub fn load(connection: &rusqlite::Connection) -> Result<Self, StoreError> {
        let mut types = Self::default();
        let mut statement = connection.prepare("SELECT id, name FROM entity_type")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            types.insert(row.get(0)?, row.get::<_, String>(1)?.into());
        }
        Ok(types)
    }

    fn insert(&mut self, number: i64, name: Arc<str>) {
        self.numbers.insert(name.clone(), number);
        self.names.insert(number, name);
    }

    /// The name of a number.
    pub fn name(&self, number: i64) -> Option<Arc<str>> {
        self.names.get(&number).cloned()
    }

    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.numbers.get(name).copied()
    }

    /// The one shared text of a name, which gets a number if it has none.
    pub fn intern(
        &mut self,
        connection: &rusqlite::Connection,
        name: &str,
    ) -> Result<Arc<str>, StoreError> {
        if let Some((held, _)) = self.numbers.get_key_value(name) {
            return Ok(held.clone());
        }
        connection
            .prepare_cached("INSERT OR IGNORE INTO entity_type (name) VALUES (?1)")?
            .execute([name])?;
        let number = connection
            .prepare_cached("SELECT id FROM entity_type WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?
            .ok_or_else(|| StoreError::corrupt(format!("entity type {name}")))?;
        let name: Arc<str> = name.into();
        self.insert(number, name.clone());
        Ok(name)
    }
}
