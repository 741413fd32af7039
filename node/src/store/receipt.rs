//! Receipt numbers as the log holds them: which one comes next along a path, and what an entry shows.
//!
//! A number stands in the row of the command that gave it, written in the transaction that applies the command: a write that
//! does not happen uses no number up.

use rusqlite::{Connection, OptionalExtension, params};
use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::id::{Author, Dot, EntityId};
use studiovault_protocol::receipt::{self, Receipt};
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::Epochs;

use super::batch::Batch;
use super::{Rules, Store, StoreError};

impl Batch<'_> {
    /// The newest receipt on the path that ends in `end`.
    pub fn last_receipt(
        &mut self,
        end: Option<Dot>,
        epochs: &Epochs,
    ) -> Result<Option<Receipt>, StoreError> {
        self.guarded(|batch| {
            let mut at = end;
            while let Some(dot) = at {
                if let Some(number) = batch.store.receipt_upto(dot)? {
                    return Ok(Some(number));
                }
                at = epochs.parent(dot.author).map(|(epoch, counter)| {
                    let device = dot.author.device;
                    Author { device, epoch }.at(counter)
                });
            }
            Ok(None)
        })
    }

    /// The number that a command gave.
    pub fn receipt_of(&mut self, dot: Dot) -> Result<Option<String>, StoreError> {
        self.guarded(|batch| {
            let Some(author) = batch.store.authors.number(dot.author) else {
                return Ok(None);
            };
            let number = batch
                .store
                .connection
                .prepare_cached("SELECT number FROM receipt WHERE author = ?1 AND counter = ?2")?
                .query_row([author, dot.counter.cast_signed()], |row| row.get(0))
                .optional()?;
            Ok(number)
        })
    }

    /// An entry's receipt as it is shown.
    pub fn shown_receipt(&mut self, id: EntityId) -> Result<Option<String>, StoreError> {
        self.guarded(|batch| {
            let loaded = batch.touched.entities.load(batch.store, id)?;
            Ok(loaded.and_then(|loaded| loaded.receipt.clone()))
        })
    }
}

impl Store {
    /// The newest receipt that an epoch gave up to a dot.
    fn receipt_upto(&self, dot: Dot) -> Result<Option<Receipt>, StoreError> {
        let Some(author) = self.authors.number(dot.author) else {
            return Ok(None);
        };
        let text: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT number FROM receipt WHERE author = ?1 AND counter <= ?2 AND NOT carried
                 ORDER BY counter DESC LIMIT 1",
            )?
            .query_row([author, dot.counter.cast_signed()], |row| row.get(0))
            .optional()?;
        let read = |text: String| {
            let what =
                || StoreError::corrupt(format!("the receipt {text} of {}", dot.author.at(0)));
            text.parse().map_err(|_| what())
        };
        text.map(read).transpose()
    }

    /// Notes the number that a command gives. One that stands in the place of a letter carries that one's number on, wherever it
    /// was written: the numbers of its own path do not go on from there.
    pub(super) fn note_receipt(
        &self,
        (dot, command): (Dot, &Command),
        number: &str,
    ) -> Result<(), StoreError> {
        let author = self.authors.number(dot.author);
        let author = author.expect("the author of an applied command has a number");
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO receipt (author, counter, number, carried) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                author,
                dot.counter.cast_signed(),
                number,
                command.replaces.is_some()
            ])?;
        Ok(())
    }
}

/// The receipt that a command gave to an entry, as it is printed.
pub(super) fn printed(
    (connection, author): (&Connection, i64),
    (dot, command): (Dot, &Command),
) -> Result<Option<String>, StoreError> {
    if command.op != Op::Create || !command.writes.iter().any(|w| w.field == receipt::FIELD) {
        return Ok(None);
    }
    let number: Option<String> = connection
        .prepare_cached("SELECT number FROM receipt WHERE author = ?1 AND counter = ?2")?
        .query_row(params![author, dot.counter.cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(number.map(|number| receipt::shown(&number, command.hash(dot))))
}

/// The receipt number that a command gives to an entry.
pub(super) fn given<'c>(command: &'c Command, rules: &Rules<'_>) -> Option<&'c str> {
    if command.op != Op::Create {
        return None;
    }
    let write = command.writes.iter().find(|w| w.field == receipt::FIELD)?;
    let Change::Write(Value::Text(number)) = &write.change else {
        return None;
    };
    let rules = rules.policy.entity_type(&command.entity_type)?;
    (rules.append_only && number.parse::<Receipt>().is_ok()).then_some(number)
}
