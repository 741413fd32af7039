//! What is kept as evidence against whoever signed two things in one place of a log, for people to see.

use studiovault_protocol::api::SetAside;

use super::super::history;
use super::pos::QuarantineRow;
use super::{StoreError, View};

/// Bundles shown at most; each may hold a thousand commands.
const SHOWN: usize = 64;

impl View<'_> {
    /// The commands of the bundles that lie beyond a split and are no part of the log.
    pub(super) fn evidence_rows(&self) -> Result<Vec<QuarantineRow>, StoreError> {
        let sql = "SELECT bytes, hash FROM evidence ORDER BY rowid DESC LIMIT ?1";
        let bundles = self.gather(sql, [SHOWN as i64], |row| history::bundle(row, (0, 1)))?;
        let rows = bundles.iter().flat_map(|bundle| {
            bundle.commands().map(|(dot, command)| QuarantineRow {
                dot,
                entity: command.entity,
                entity_type: command.entity_type.clone(),
                operation: command.op.word().to_owned(),
                whole: true,
                actor: bundle.header().actor.clone(),
                written_at: command.ts,
                reason: SetAside::Evidence,
                settled: None,
            })
        });
        Ok(rows.collect())
    }
}
