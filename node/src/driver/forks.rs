//! A chain was found to split: the store takes what lies beyond out of the log, and the engine begins anew over what is left.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::engine::Engine;
use studiovault_protocol::event::{Input, LinkId, Moment};
use studiovault_protocol::id::{Dot, Epoch};

use super::{Driver, Output, Step, full};
use crate::store::StoreError;

impl Step<'_> {
    /// Reads for the engine what is held where these bundles stand, and tells it of what the feed names otherwise than it is held.
    pub(super) fn compare(
        &mut self,
        compares: Vec<(Bundle, Option<LinkId>)>,
        misnamed: Vec<Dot>,
    ) -> Result<(), StoreError> {
        if !misnamed.is_empty() {
            self.input(Input::Misnamed(misnamed))?;
        }
        for (theirs, from) in compares {
            let Some(ours) = self.batch.opposite(&theirs)? else {
                continue;
            };
            let (ours, theirs) = (Box::new(ours), Box::new(theirs));
            let input = Input::Compared { ours, theirs, from };
            self.input(input)?;
        }
        Ok(())
    }

    /// Whether what was just applied came after others had gone on without it: from beyond a split, or decided on while something else
    /// stood in the place of what it saw.
    pub(super) fn is_late(&mut self, bundle: &Bundle) -> Result<bool, StoreError> {
        let log = self.engine.log();
        if log.forks().is_empty() {
            return Ok(false);
        }
        Ok(log.is_split(bundle.tip()) || self.batch.is_decided(bundle)?)
    }
}

impl Driver {
    /// Begins anew if the roster says of more chains that they split than the log knows. This machine's next write begins an epoch, so
    /// that it stands.
    pub(super) fn split(&mut self, moment: Moment, output: &mut Output) {
        if moment.now.mono < self.full_until {
            return;
        }
        if !self.engine.log().forks().is_empty()
            && let Err(error) = self.remake_if_late()
        {
            self.recover(moment, &error, output);
        }
        let knows_all = |engine: &Engine| engine.roster().forks() == engine.log().forks();
        if !knows_all(&self.engine) {
            self.setup.identity.fresh_epoch = Epoch(self.setup.random.number());
            self.begin_anew(moment, "a machine's log was found to split", output);
        }
        if !knows_all(&self.engine) {
            self.full_until = moment.now.mono.plus(full::PAUSE_MS);
        }
    }

    /// Makes the rows anew if something from beyond a split came after others had gone on without it.
    fn remake_if_late(&mut self) -> Result<(), StoreError> {
        if !self.store.came_late()? {
            return Ok(());
        }
        let policies = self.engine.policies();
        let rules = (policies.in_force(), &self.priorities);
        self.store.remake(self.engine.roster(), rules)
    }
}
