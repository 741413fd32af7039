//! What the truth had decided before its database was put back: taken from its own signed pages, as it stands.
//!
//! Nothing is decided and nothing is told anew; the pages that said it are the feed's pages again.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::id::Dot;
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::Verdict;

use super::super::State;
use super::super::bench::{Case, Ruling};
use super::super::held::HeldBundle;
use super::{Hearing, Sitting, Stored, settle_guarded};
use crate::store::StoreError;

impl Sitting<'_> {
    /// Holds a bundle again that the feed names at `position`, without a verdict.
    pub fn hold_again(&mut self, bundle: &Bundle, position: u64) -> Result<(), StoreError> {
        let (row, past) = self.store(bundle, position)?;
        let hearing = Hearing {
            role: Role::Member,
            // What a client without a log had said word for word is known to nobody any more.
            content: (bundle.author() == self.studio.cloud).then(Default::default),
        };
        let stored = Stored {
            bundle,
            row,
            past: &past,
            hearing,
        };
        self.settle_each(stored, |_| Ruling::Postponed).map(drop)
    }

    /// Gives held commands the verdicts again that an entry tells.
    pub fn rule_again(&mut self, position: u64, entry: &Entry) -> Result<(), StoreError> {
        let Some((author, first, last)) = entry.decided() else {
            return Ok(());
        };
        let mut held: Option<HeldBundle> = None;
        for counter in first..=last {
            let dot = author.at(counter);
            let verdict = entry.verdict(position, counter);
            let verdict = verdict.ok_or(StoreError::Damaged("an entry of the feed"))?;
            if held.is_none() {
                let row = self.session.bundle_of(self.studio.row, dot)?;
                held =
                    Some(self.held_bundle(row.ok_or(StoreError::Damaged("a decided command"))?)?);
            }
            if let Some(held) = &held {
                self.give_again(held, dot, &verdict)?;
            }
        }
        Ok(())
    }

    fn give_again(
        &mut self,
        held: &HeldBundle,
        dot: Dot,
        verdict: &Verdict,
    ) -> Result<(), StoreError> {
        let command = held.bundle.command(dot.counter);
        let case = Case {
            command: command.ok_or(StoreError::Damaged("a stored bundle"))?,
            dot,
            bundle: held.row,
            past: held.past(),
            epochs: self.state.log.epochs(),
            role: Role::Member,
            content: None,
            position: verdict.position,
            ruling: Ruling::Given(&verdict.outcome),
            held: true,
        };
        settle_guarded(&mut self.bench, self.session, &case)?;
        // Its own verdict stands in the pages as well.
        self.bench.take_withdrawn();
        Ok(())
    }

    /// Notes again that a command is stuck.
    pub fn stuck_again(&mut self, dot: Dot, detail: &str) -> Result<(), StoreError> {
        if let Some(row) = self.session.bundle_of(self.studio.row, dot)? {
            self.session.insert_stuck((row, dot.counter), detail)?;
        }
        Ok(())
    }

    /// Stores what changed with the pages that told of it.
    pub fn close_again(mut self, pages: &[Page]) -> Result<State, StoreError> {
        self.bench.flush(&mut self.state.sum, &self.priorities)?;
        for page in pages {
            self.session.insert_page(self.studio.row, page)?;
            self.state.head = (page.last(), page.hash());
        }
        self.note_ends()?;
        Ok(self.state)
    }
}
