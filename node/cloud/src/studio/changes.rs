//! What is new after a position: signed pages, and the bundles that they name and the asker lacks.

use studiovault_protocol::cloud::{Changes, Known};
use studiovault_protocol::feed::Page;
use studiovault_protocol::frontier::{Frontier, Reach};
use studiovault_protocol::id::Dot;
use studiovault_protocol::wire::Packed;

use super::Studio;
use crate::clock::wall_now;
use crate::store::{Reading, Session, StoreError};
use crate::truth::Truth;

/// Bytes of pages and bundles in one answer; at least one page goes out whatever it names.
pub const ANSWER_BYTES: usize = 1024 * 1024;

impl Studio {
    /// The feed after `since`.
    pub fn changes(
        &self,
        truth: &Truth,
        since: u64,
        have: &Frontier,
    ) -> Result<Changes, StoreError> {
        let state = self.state();
        let reach = Reach::of(have);
        let mut changes = Changes {
            head: state.head.0,
            server_time: wall_now(),
            ..Changes::default()
        };
        truth.store.read(|session| {
            let mut room = ANSWER_BYTES;
            session.pages_after(self.row, since, |page| {
                // A page that was committed after the state was read is told next time.
                if page.last() > state.head.0 {
                    return Ok(Reading::Enough);
                }
                let bundles =
                    self.lacking(session, &page, |dot| state.log.reach_covers(&reach, dot))?;
                let bytes: usize = bundles.iter().map(|bundle| bundle.0.len()).sum();
                let bytes = bytes + page.bytes().len();
                if bytes > room && !changes.pages.is_empty() {
                    changes.more = true;
                    return Ok(Reading::Enough);
                }
                room = room.saturating_sub(bytes);
                changes.pages.push(Packed(page.bytes().to_vec()));
                changes.bundles.extend(bundles);
                Ok(Reading::More)
            })?;
            Ok::<_, StoreError>(())
        })?;
        Ok(changes)
    }

    /// The same with the signed records, for an asker that holds others.
    pub fn with_records(&self, known: Known, mut changes: Changes) -> Changes {
        let state = self.state();
        let held = state.known();
        if known.roster != held.roster {
            changes.roster = state.roster.records().cloned().collect();
        }
        if known.policies != held.policies {
            changes.policies = state.policies.standing().cloned().collect();
        }
        changes
    }

    /// The bundles that a page names and the asker lacks.
    pub(super) fn lacking(
        &self,
        session: &Session<'_>,
        page: &Page,
        is_held: impl Fn(Dot) -> bool,
    ) -> Result<Vec<Packed>, StoreError> {
        let mut bundles = Vec::new();
        for named in page.named() {
            if is_held(named.author.at(named.last)) {
                continue;
            }
            let bytes = session.bundle_at(self.row, named.author, named.first)?;
            let bytes = bytes.ok_or(StoreError::Damaged("a page without its bundle"))?;
            bundles.push(Packed(bytes));
        }
        Ok(bundles)
    }
}
