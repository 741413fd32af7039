//! Every command ever held: its id with what it said, and the verdict on it.

use studiovault_protocol::id::{CommandId, EntityId, Hash};
use studiovault_protocol::merge::{Outcome, Verdict};
use studiovault_protocol::sabotage::Bug;

use super::{Cell, Row, Session, StoreError, cell, cells};

/// A command to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewCommand<'a> {
    /// Its id.
    pub id: CommandId,
    /// The hash of what it says, wherever it stands.
    pub content: Hash,
    /// The id was used before.
    pub repeats: bool,
    /// Where it stands: the bundle's row and the counter.
    pub place: (i64, u64),
    /// Its entity's row, if it belongs to its history.
    pub entity: Option<i64>,
    /// The verdict, if there is one.
    pub verdict: Option<&'a Verdict>,
}

/// The first command of an id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstUse {
    /// The hash of what it said.
    pub content: Hash,
    /// The verdict, if there is one.
    pub verdict: Option<Verdict>,
    /// Where it stands: the bundle's row and the counter.
    pub place: (i64, u64),
}

/// One command of an entity's history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryRow {
    /// Its bundle's row.
    pub bundle: i64,
    /// Its counter.
    pub counter: u64,
    /// The verdict, if there is one.
    pub verdict: Option<Verdict>,
}

/// A command without a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undecided {
    /// Its bundle's row.
    pub bundle: i64,
    /// Its counter.
    pub counter: u64,
}

/// How many commands are held, confirmed and rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommandCounts {
    /// Held.
    pub held: u64,
    /// Accepted or merged.
    pub confirmed: u64,
    /// Rejected.
    pub rejected: u64,
}

/// A position without an outcome means accepted; neither means that there is no verdict.
pub(super) fn verdict(row: Row<'_>, at: usize) -> Result<Option<Verdict>, StoreError> {
    let Some(position) = cell::number_or_none(row, at)? else {
        return Ok(None);
    };
    let outcome = match row.cell(at + 1)? {
        Cell::Null => Outcome::Accepted,
        _ => cell::unpack(row, at + 1, "an outcome")?,
    };
    Ok(Some(Verdict { position, outcome }))
}

impl Session<'_> {
    /// What an id was first used for.
    pub fn first_use(&self, studio: i64, id: CommandId) -> Result<Option<FirstUse>, StoreError> {
        if Bug::DedupeWindow.is_on() || self.is_unused(id) {
            return Ok(None);
        }
        self.first(
            "SELECT content, position, outcome, bundle, counter FROM command WHERE studio = ?1 AND id = ?2 AND repeats = 0",
            cells![studio, id.0],
            |row| {
                Ok(FirstUse {
                    content: cell::hash(row, 0)?,
                    verdict: verdict(row, 1)?,
                    place: (row.get(3)?, cell::number(row, 4)?),
                })
            },
        )
    }

    /// Stores a command with its verdict.
    pub fn insert_command(&self, studio: i64, command: &NewCommand<'_>) -> Result<(), StoreError> {
        let outcome = match command.verdict.map(|verdict| &verdict.outcome) {
            None | Some(Outcome::Accepted) => None,
            Some(other) => Some(cell::pack(other)),
        };
        self.note_used(command.id);
        self.add(
            "INSERT INTO command (studio, id, content, repeats, bundle, counter, entity, position, outcome)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            cells![
                studio,
                command.id.0,
                command.content.0,
                command.repeats,
                command.place.0,
                cell::signed(command.place.1),
                command.entity,
                command.verdict.map(|verdict| cell::signed(verdict.position)),
                outcome
            ],
        )
    }

    /// The commands of one entity in the order in which they were applied.
    pub fn history(&self, entity: i64) -> Result<Vec<HistoryRow>, StoreError> {
        self.all(
            "SELECT bundle, counter, position, outcome FROM command WHERE entity = ?1 ORDER BY row",
            cells![entity],
            |row| {
                Ok(HistoryRow {
                    bundle: row.get(0)?,
                    counter: cell::number(row, 1)?,
                    verdict: verdict(row, 2)?,
                })
            },
        )
    }

    /// The commands without a verdict, in the order in which they were applied.
    pub fn undecided(&self, studio: i64) -> Result<Vec<Undecided>, StoreError> {
        self.all(
            "SELECT bundle, counter FROM command
             WHERE studio = ?1 AND position IS NULL ORDER BY row",
            cells![studio],
            |row| {
                Ok(Undecided {
                    bundle: row.get(0)?,
                    counter: cell::number(row, 1)?,
                })
            },
        )
    }

    /// The entities of commands without a verdict.
    pub fn undecided_entities(&self, studio: i64) -> Result<Vec<EntityId>, StoreError> {
        self.all(
            "SELECT DISTINCT entity.row, entity.id FROM command JOIN entity ON entity.row = command.entity
             WHERE command.studio = ?1 AND command.position IS NULL ORDER BY entity.row",
            cells![studio],
            |row| Ok(EntityId(cell::bytes(row, 1)?)),
        )
    }

    /// How many commands a studio has and what became of them.
    pub fn command_counts(&self, studio: i64) -> Result<CommandCounts, StoreError> {
        let held = self.sum("SELECT count(*) FROM command WHERE studio = ?1", studio)?;
        let outcomes = self.all(
            "SELECT position, outcome FROM command
             WHERE studio = ?1 AND (position IS NULL OR outcome IS NOT NULL)",
            cells![studio],
            |row| verdict(row, 0),
        )?;
        let mut counts = CommandCounts {
            held: held.unsigned_abs(),
            confirmed: held.unsigned_abs(),
            rejected: 0,
        };
        for verdict in outcomes {
            match verdict.map(|verdict| verdict.outcome) {
                None => counts.confirmed -= 1,
                Some(Outcome::Rejected { .. }) => {
                    counts.confirmed -= 1;
                    counts.rejected += 1;
                }
                Some(_) => {}
            }
        }
        Ok(counts)
    }
}
