//! Commands by their place: those held without a verdict, those that stand in the place of others, those that are stuck.

use studiovault_protocol::id::{CommandId, Dot};
use studiovault_protocol::merge::{Outcome, Verdict};

use super::commands::verdict;
use super::{Session, StoreError, cell, cells};

/// A bundle's row and a counter in it.
pub type Place = (i64, u64);

/// A command that is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldCommand {
    /// Its id.
    pub id: CommandId,
    /// The verdict, if there is one.
    pub verdict: Option<Verdict>,
}

impl Session<'_> {
    /// The row of the bundle that holds a command.
    pub fn bundle_of(&self, studio: i64, dot: Dot) -> Result<Option<i64>, StoreError> {
        let found = self.first(
            "SELECT row, last FROM log_bundle
             WHERE studio = ?1 AND device = ?2 AND epoch = ?3 AND first <= ?4 ORDER BY first DESC LIMIT 1",
            cells![
                studio,
                dot.author.device.0,
                cell::of_epoch(dot.author.epoch),
                cell::signed(dot.counter)
            ],
            |row| Ok((row.get(0)?, cell::number(row, 1)?)),
        )?;
        Ok(found.and_then(|(row, last)| (last >= dot.counter).then_some(row)))
    }

    /// A command by its place.
    pub fn held(&self, place: Place) -> Result<Option<HeldCommand>, StoreError> {
        self.first(
            "SELECT id, position, outcome FROM command WHERE bundle = ?1 AND counter = ?2",
            cells![place.0, cell::signed(place.1)],
            |row| {
                Ok(HeldCommand {
                    id: CommandId(cell::bytes(row, 0)?),
                    verdict: verdict(row, 1)?,
                })
            },
        )
    }

    /// The commands of an entity that have no verdict.
    pub fn undecided_of(&self, entity: i64) -> Result<Vec<Dot>, StoreError> {
        if self.is_settled(entity) {
            return Ok(Vec::new());
        }
        self.all(
            "SELECT log_bundle.device, log_bundle.epoch, command.counter
             FROM command JOIN log_bundle ON log_bundle.row = command.bundle
             WHERE command.entity = ?1 AND command.position IS NULL ORDER BY command.row",
            cells![entity],
            |row| Ok(cell::author(row, 0)?.at(cell::number(row, 2)?)),
        )
    }

    /// Gives a held command its verdict.
    pub fn set_verdict(&self, place: Place, verdict: &Verdict) -> Result<(), StoreError> {
        let outcome = match &verdict.outcome {
            Outcome::Accepted => None,
            other => Some(cell::pack(other)),
        };
        self.run(
            "UPDATE command SET position = ?3, outcome = ?4
             WHERE bundle = ?1 AND counter = ?2",
            cells![
                place.0,
                cell::signed(place.1),
                cell::signed(verdict.position),
                outcome
            ],
        )?;
        self.run(
            "DELETE FROM stuck WHERE bundle = ?1 AND counter = ?2",
            cells![place.0, cell::signed(place.1)],
        )
    }

    /// Takes a command that broke the server out of its entity's history.
    pub fn leave_history(&self, place: Place) -> Result<(), StoreError> {
        self.run(
            "UPDATE command SET entity = NULL WHERE bundle = ?1 AND counter = ?2",
            cells![place.0, cell::signed(place.1)],
        )
    }

    /// The command that a chain of replacements began with.
    pub fn first_of(&self, place: Place) -> Result<Place, StoreError> {
        let found = self.first(
            "SELECT first_bundle, first_counter FROM replacement WHERE bundle = ?1 AND counter = ?2",
            cells![place.0, cell::signed(place.1)],
            |row| Ok((row.get(0)?, cell::number(row, 1)?)),
        )?;
        Ok(found.unwrap_or(place))
    }

    /// Whether a command, or any that stands in its place, was confirmed.
    pub fn any_confirmed(&self, first: Place) -> Result<bool, StoreError> {
        let own = self.held(first)?.and_then(|held| held.verdict);
        if matches!(own, Some(verdict) if !matches!(verdict.outcome, Outcome::Rejected { .. })) {
            return Ok(true);
        }
        let found = self.first(
            "SELECT 1 FROM replacement WHERE first_bundle = ?1 AND first_counter = ?2 AND confirmed = 1 LIMIT 1",
            cells![first.0, cell::signed(first.1)],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Notes that a decided command stands in the place of others.
    pub fn insert_replacement(
        &self,
        place: Place,
        first: Place,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let confirmed = !matches!(outcome, Outcome::Rejected { .. });
        self.run(
            "INSERT INTO replacement (bundle, counter, first_bundle, first_counter, confirmed)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (bundle, counter) DO UPDATE
             SET first_bundle = excluded.first_bundle, first_counter = excluded.first_counter, confirmed = excluded.confirmed",
            cells![
                place.0,
                cell::signed(place.1),
                first.0,
                cell::signed(first.1),
                confirmed
            ],
        )
    }

    /// Notes that a command is stuck. `false` if that is known.
    pub fn insert_stuck(&self, place: Place, detail: &str) -> Result<bool, StoreError> {
        let count = self.count(
            "INSERT INTO stuck (bundle, counter, detail) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            cells![place.0, cell::signed(place.1), detail],
        )?;
        Ok(count > 0)
    }
}
