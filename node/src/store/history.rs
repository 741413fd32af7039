//! An entity's history as the log holds it, and the fold over it that defines the entity's state.

use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value as Json;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::id::{Dot, EntityId, Hash};
use studiovault_protocol::merge::{
    self, Conflict, ConflictKind, Context, Entity, Outcome, Record, Verdict, fold,
};
use studiovault_protocol::receipt::shown;
use studiovault_protocol::vector::{Epochs, Vector};

use super::authors::Authors;
use super::{Rules, StoreError, quarantine, receipt};

/// All bundles that touched one entity, in the order of their application.
pub(super) struct History {
    pieces: Vec<Rc<Piece>>,
}

/// One bundle with what the fold needs beside it.
pub(super) struct Piece {
    /// The bundle.
    pub bundle: Bundle,
    /// The log position at which what its author had seen stands.
    past_at: i64,
    /// What its author had seen of others.
    pub past: Rc<Vector>,
    /// The verdicts on its commands, by counter.
    pub verdicts: HashMap<u64, Verdict>,
    /// The counters of its commands that are barred.
    barred: Vec<u64>,
}

/// Reads back a bundle as this store wrote it, from the columns `bytes` and `hash`.
pub(super) fn bundle(row: &Row<'_>, (bytes, hash): (usize, usize)) -> Result<Bundle, StoreError> {
    let held: Vec<u8> = row.get(bytes)?;
    Bundle::restore(held, Hash(row.get(hash)?))
        .map_err(|error| StoreError::corrupt(format!("a bundle of the log: {error}")))
}

/// The stored bundle that begins with a dot.
pub(super) fn held_at(
    (connection, authors): (&Connection, &Authors),
    dot: Dot,
) -> Result<Bundle, StoreError> {
    let number = authors.number(dot.author).unwrap_or(0);
    let held = connection
        .prepare_cached("SELECT bytes, hash FROM log_bundle WHERE author = ?1 AND first = ?2")?
        .query_row(params![number, dot.counter.cast_signed()], |row| {
            Ok(bundle(row, (0, 1)))
        })
        .optional()?;
    held.unwrap_or_else(|| Err(StoreError::corrupt(format!("the bundle at {dot}"))))
}

/// Bundles as they were read last, for whoever reads many histories: entities that were made together share theirs.
#[derive(Default)]
pub(super) struct Pieces {
    read: HashMap<i64, Rc<Piece>>,
}

/// Bundles kept at most.
const PIECES: usize = 64;

impl Pieces {
    fn piece(
        &mut self,
        (connection, authors): (&Connection, &Authors),
        (position, author, past_at): (i64, i64, i64),
    ) -> Result<Rc<Piece>, StoreError> {
        if let Some(piece) = self.read.get(&position) {
            return Ok(Rc::clone(piece));
        }
        let bundle = connection
            .prepare_cached("SELECT bytes, hash FROM log_bundle WHERE position = ?1")?
            .query_row([position], |row| Ok(bundle(row, (0, 1))))??;
        let known = self.read.values().find(|piece| piece.past_at == past_at);
        let past = match known {
            Some(piece) => Rc::clone(&piece.past),
            None => Rc::new(past(connection, authors, past_at)?),
        };
        let verdicts = verdicts(connection, author, &bundle)?;
        let barred = quarantine::barred(connection, author, &bundle)?;
        let piece = Rc::new(Piece {
            bundle,
            past_at,
            past,
            verdicts,
            barred,
        });
        if self.read.len() == PIECES {
            self.read.clear();
        }
        self.read.insert(position, Rc::clone(&piece));
        Ok(piece)
    }
}

/// Reads the history of an entity row.
pub(super) fn read(
    connection: &Connection,
    authors: &Authors,
    row: i64,
) -> Result<History, StoreError> {
    read_with(&mut Pieces::default(), (connection, authors), row)
}

/// The same, with bundles that were read before.
pub(super) fn read_with(
    known: &mut Pieces,
    (connection, authors): (&Connection, &Authors),
    row: i64,
) -> Result<History, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT bundle.position, bundle.author, bundle.past_at FROM entity_log AS noted
         JOIN log_bundle AS bundle ON bundle.position = noted.position
         WHERE noted.entity = ?1 ORDER BY bundle.applied",
    )?;
    let mut rows = statement.query([row])?;
    let mut pieces = Vec::new();
    while let Some(row) = rows.next()? {
        let place = (row.get(0)?, row.get(1)?, row.get(2)?);
        pieces.push(known.piece((connection, authors), place)?);
    }
    Ok(History { pieces })
}

impl History {
    /// Every command of the entity that is not barred, in the order of application.
    pub fn records<'a>(
        &'a self,
        id: EntityId,
        epochs: &'a Epochs,
    ) -> impl Iterator<Item = (&'a Piece, Record<'a>)> {
        let counted = |(piece, record): &(&Piece, Record<'_>)| {
            let counter = record.dot.counter;
            !piece.barred.contains(&counter)
        };
        self.everything(id, epochs).filter(counted)
    }

    /// The same with what is barred. What an author knew does not change when somebody is shut out later.
    pub fn everything<'a>(
        &'a self,
        id: EntityId,
        epochs: &'a Epochs,
    ) -> impl Iterator<Item = (&'a Piece, Record<'a>)> {
        self.pieces.iter().map(Rc::as_ref).flat_map(move |piece| {
            piece
                .bundle
                .commands()
                .filter(move |(_, command)| command.entity == id)
                .map(move |(dot, command)| {
                    let ctx = Context::new(epochs, (&piece.past, dot), command.ctx.as_ref());
                    let verdict = piece.verdicts.get(&dot.counter);
                    (
                        piece,
                        Record {
                            command,
                            dot,
                            ctx,
                            verdict,
                        },
                    )
                })
        })
    }

    /// The receipt of the entry that the history makes, as it is shown.
    pub fn receipt(&self, entity: &Entity, rules: &Rules<'_>) -> Option<String> {
        let made = entity.life.writes.first()?.dot;
        let mut records = self.records(entity.id, rules.epochs);
        let (_, record) = records.find(|(_, record)| record.dot == made)?;
        let number = receipt::given(record.command, rules)?;
        Some(shown(number, record.command.hash(made)))
    }

    /// The state that the history defines.
    pub fn fold(&self, type_name: &str, id: EntityId, rules: &Rules<'_>) -> Entity {
        let records = self.records(id, rules.epochs).map(|(_, record)| record);
        fold(type_name, id, records, rules.policy)
    }
}

/// What the sides of a conflict grew from: the field's value, or of a deletion the fields that were written since.
pub(super) fn base(
    (connection, authors): (&Connection, &Authors),
    (row, conflict): (i64, &Conflict),
    rules: &Rules<'_>,
) -> Result<Option<Json>, StoreError> {
    if conflict.kind == ConflictKind::CreateCreate {
        return Ok(None);
    }
    let history = read(connection, authors, row)?;
    let records = history.records(conflict.entity, rules.epochs);
    let records: Vec<Record> = records.map(|(_, record)| record).collect();
    if conflict.field.is_none() {
        let fields = merge::life_base(&records, conflict, (rules.priorities, rules.policy));
        return Ok((!fields.is_empty()).then_some(Json::Object(fields)));
    }
    let value = merge::base(&records, conflict, rules.priorities);
    Ok(value.map(|value| value.to_json()))
}

/// What stands at a log position as an author's past.
pub(super) fn past(
    connection: &Connection,
    authors: &Authors,
    position: i64,
) -> Result<Vector, StoreError> {
    let what = || StoreError::corrupt(format!("the past at log position {position}"));
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT past FROM log_bundle WHERE position = ?1")?
        .query_row([position], |row| row.get(0))
        .optional()?
        .ok_or_else(what)?;
    let pairs: Vec<(i64, u64)> =
        postcard::from_bytes(&bytes.ok_or_else(what)?).map_err(|_| what())?;
    authors.unpack_vector(&pairs)
}

/// The verdicts that were taken up on a bundle's commands.
pub(super) fn verdicts(
    connection: &Connection,
    number: i64,
    bundle: &Bundle,
) -> Result<HashMap<u64, Verdict>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT first, last, position, exceptions FROM verdict
         WHERE author = ?1 AND first <= ?3 AND last >= ?2 AND first > ?2 - 1000",
    )?;
    let mut rows = statement.query(params![
        number,
        bundle.first().cast_signed(),
        bundle.last().cast_signed()
    ])?;
    let mut verdicts = HashMap::new();
    while let Some(row) = rows.next()? {
        let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
        let position = row.get::<_, i64>(2)?.cast_unsigned();
        let exceptions = row.get_ref(3)?.as_blob().unwrap_or_default();
        let exceptions: Vec<(u64, Outcome)> = postcard::from_bytes(exceptions)
            .map_err(|_| StoreError::corrupt(format!("the verdict at feed position {position}")))?;
        let mut exceptions: HashMap<u64, Outcome> = exceptions.into_iter().collect();
        for counter in
            first.cast_unsigned().max(bundle.first())..=last.cast_unsigned().min(bundle.last())
        {
            let outcome = exceptions.remove(&counter).unwrap_or(Outcome::Accepted);
            verdicts.insert(counter, Verdict { position, outcome });
        }
    }
    Ok(verdicts)
}
