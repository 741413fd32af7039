//! What is beyond the cut of a device that no longer belongs: held and told on like everything, and never taken.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::merge::Outcome;

use super::bench::Ruling;
use super::sitting::{Sitting, Stored};
use crate::decide::Refusal;
use crate::store::StoreError;

impl Sitting<'_> {
    /// Decides a bundle of which some commands are beyond the cut of its device.
    pub(super) fn settle_cut(
        &mut self,
        stored: Stored<'_>,
        (asked, beyond): (&[bool], &[bool]),
    ) -> Result<Vec<Option<Outcome>>, StoreError> {
        let shut_out = Outcome::from(Refusal::shut_out());
        let together = stored.bundle.header().together;
        self.settle_each(stored, |at| {
            if beyond[at] || together {
                Ruling::Given(&shut_out)
            } else if asked[at] {
                Ruling::Open
            } else {
                Ruling::Postponed
            }
        })
    }

    /// Which commands of a bundle are beyond the cut of its device.
    pub(super) fn beyond_cut(&self, bundle: &Bundle) -> Vec<bool> {
        bundle
            .commands()
            .map(|(dot, _)| !self.state.stands(dot))
            .collect()
    }
}
