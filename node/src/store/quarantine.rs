//! What is set aside because it would rewrite an append-only entry: held, relayed, listed, and never applied.
//!
//! A bundle is judged once, when it is applied, by what its author had seen: every machine comes to the same. A create that did
//! not know the entry is judged by the fold, with the entry's whole history.

use rusqlite::params;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Command;
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{Context, breach, set_aside};
use studiovault_protocol::vector::Vector;

use super::batch::Batch;
use super::history::{self, History};
use super::{Rules, Store, StoreError};

impl Batch<'_> {
    /// Sets a bundle aside if it rewrites an entry that its author knew; `true` if it does.
    pub(super) fn sets_aside(
        &mut self,
        bundle: &Bundle,
        past: &Vector,
        rules: &Rules<'_>,
    ) -> Result<bool, StoreError> {
        let context = Context {
            epochs: rules.epochs,
            vector: past,
            own: Some(bundle.author().at(bundle.first() - 1)),
        };
        let found = breach(bundle, (&context, rules.policy), |command| {
            self.earlier(command, rules)
        })?;
        let Some(dot) = found else {
            return Ok(false);
        };
        let command = bundle
            .command(dot.counter)
            .expect("it names one of its own");
        self.store.note_set_aside(dot, (bundle, command), true)?;
        Ok(true)
    }

    /// The applied commands of an append-only entry; of anything else none.
    fn earlier(
        &mut self,
        command: &Command,
        rules: &Rules<'_>,
    ) -> Result<Vec<(Dot, Command)>, StoreError> {
        let id = command.entity;
        let Some(loaded) = self.touched.entities.load(self.store, id)? else {
            return Ok(Vec::new());
        };
        let (row, entity_type) = (loaded.row, rules.policy.entity_type(&loaded.type_name));
        if !entity_type.is_some_and(|rules| rules.append_only) {
            return Ok(Vec::new());
        }
        self.write_waiting()?;
        self.touched.flush_history(self.store)?;
        let history = history::read(&self.store.connection, &self.store.authors, row)?;
        let records = history.records(id, rules.epochs);
        Ok(records.map(|(_, r)| (r.dot, r.command.clone())).collect())
    }
}

impl Store {
    /// Whether a bundle that holds one of these counters is set aside as a whole.
    pub(super) fn is_set_aside(
        &self,
        author: i64,
        (first, last): (u64, u64),
    ) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM quarantine WHERE author = ?1 AND counter BETWEEN ?2 AND ?3 AND whole",
        )?;
        Ok(statement.exists([author, first.cast_signed(), last.cast_signed()])?)
    }

    /// Notes anew what of an entry's history is set aside command by command.
    pub(super) fn note_rivals(
        &self,
        id: EntityId,
        history: &History,
        rules: &Rules<'_>,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM quarantine WHERE entity = ?1 AND NOT whole")?
            .execute([id.0])?;
        let records: Vec<_> = history.records(id, rules.epochs).collect();
        let plain: Vec<_> = records.iter().map(|(_, record)| *record).collect();
        for dot in set_aside(&plain, rules.policy) {
            let (piece, record) = records
                .iter()
                .find(|(_, record)| record.dot == dot)
                .expect("it names one of these");
            self.note_set_aside(dot, (&piece.bundle, record.command), false)?;
        }
        Ok(())
    }

    fn note_set_aside(
        &self,
        dot: Dot,
        (bundle, command): (&Bundle, &Command),
        whole: bool,
    ) -> Result<(), StoreError> {
        let author = self.authors.number(dot.author);
        let author = author.expect("the author of a held bundle has a number");
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO quarantine
                 (author, counter, entity, entity_type, operation, whole, actor, written_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                author,
                dot.counter.cast_signed(),
                command.entity.0,
                command.entity_type,
                command.op.word(),
                whole,
                bundle.header().actor,
                command.ts.0,
            ])?;
        Ok(())
    }
}
