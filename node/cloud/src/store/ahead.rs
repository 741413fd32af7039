//! What the commands of a batch will ask for, asked ahead for all of them at once: ids that nobody used, entities that nobody knows,
//! and the state of the others.
//!
//! It is only ever less than the database knows: what is not told here is asked for then, and a row that cannot be read is left to the
//! command that needs it.

use std::collections::{BTreeSet, HashMap, HashSet};

use studiovault_protocol::command::Command;
use studiovault_protocol::id::{CommandId, EntityId};

use super::{EntityRow, Session, StoreError, cell, cells};

/// Answers that came ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Ids that no command has.
    unused: HashSet<CommandId>,
    /// Ids that no entity has.
    unknown: HashSet<EntityId>,
    entities: HashMap<EntityId, EntityRow>,
    /// Rows of entities whose commands all have a verdict.
    settled: HashSet<i64>,
}

impl Session<'_> {
    /// Asks for what these commands will need. Only where rows are written together.
    pub fn ask_ahead<'c>(
        &self,
        studio: i64,
        commands: impl Iterator<Item = &'c Command>,
    ) -> Result<(), StoreError> {
        if !self.writes_together() {
            return Ok(());
        }
        let (commands, entities): (BTreeSet<CommandId>, BTreeSet<EntityId>) =
            commands.map(|command| (command.id, command.entity)).unzip();
        let mut ahead = Ahead {
            unused: commands.iter().copied().collect(),
            unknown: entities.iter().copied().collect(),
            ..Ahead::default()
        };
        let ids: Vec<u8> = commands.iter().flat_map(|id| id.0).collect();
        let used = self.all(
            "SELECT used.id FROM generate_series(0, length(CAST(?2 AS BYTEA)) / 16 - 1) AS place CROSS JOIN LATERAL (
               SELECT id FROM command WHERE studio = ?1 AND repeats = 0
               AND id = substr(CAST(?2 AS BYTEA), place * 16 + 1, 16) LIMIT 1) AS used",
            cells![studio, ids],
            |row| Ok(CommandId(cell::bytes(row, 0)?)),
        )?;
        for id in used {
            ahead.unused.remove(&id);
        }
        let ids: Vec<u8> = entities.iter().flat_map(|id| id.0).collect();
        let known = self.all(
            "SELECT held.id, held.row, held.orphan, held.state, held.waits
             FROM generate_series(0, length(CAST(?2 AS BYTEA)) / 16 - 1) AS place CROSS JOIN LATERAL (
               SELECT id, row, orphan, state, CAST(EXISTS (
                 SELECT 1 FROM command WHERE command.entity = entity.row AND command.position IS NULL) AS INTEGER) AS waits
               FROM entity WHERE studio = ?1 AND id = substr(CAST(?2 AS BYTEA), place * 16 + 1, 16) LIMIT 1) AS held",
            cells![studio, ids],
            |row| {
                let held = cell::unpack(row, 3, "an entity").ok();
                let held = held.map(|entity| EntityRow {
                    row: row.get(1).unwrap_or_default(),
                    orphan: row.get(2).unwrap_or_default(),
                    entity,
                });
                Ok((EntityId(cell::bytes(row, 0)?), held, row.get::<bool>(4)?))
            },
        )?;
        for (id, held, waits) in known {
            ahead.unknown.remove(&id);
            if let Some(held) = held {
                ahead.settled.extend((!waits).then_some(held.row));
                ahead.entities.insert(id, held);
            }
        }
        self.ahead.replace(ahead);
        Ok(())
    }

    /// What came ahead is true no more.
    pub(super) fn forget_ahead(&self) {
        self.ahead.replace(Ahead::default());
    }

    /// Whether it is known that no command has that id.
    pub(super) fn is_unused(&self, id: CommandId) -> bool {
        self.ahead.borrow().unused.contains(&id)
    }

    /// A command of that id is held from now on.
    pub(super) fn note_used(&self, id: CommandId) {
        self.ahead.borrow_mut().unused.remove(&id);
    }

    /// An entity, if it came ahead.
    pub(super) fn entity_ahead(&self, id: EntityId) -> Option<Option<EntityRow>> {
        let ahead = self.ahead.borrow();
        if ahead.unknown.contains(&id) {
            return Some(None);
        }
        ahead.entities.get(&id).cloned().map(Some)
    }

    /// Whether it is known that all commands of an entity had a verdict when the batch began.
    pub(super) fn is_settled(&self, entity: i64) -> bool {
        self.ahead.borrow().settled.contains(&entity)
    }
}
