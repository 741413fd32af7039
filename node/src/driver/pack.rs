//! A part of a pack: taken in as what the cloud brings, and answered once all of it that can be applied is.

use studiovault_protocol::event::Input;
use studiovault_protocol::pack::Part;

use super::{Step, audit};
use crate::store::StoreError;

impl Step<'_> {
    /// Takes a part in; the answer goes out once all of this is durable.
    pub(super) fn pack(&mut self, ticket: u64, part: Box<Part>) -> Result<(), StoreError> {
        if let Part::Label(label) = &*part {
            self.batch
                .audit(&audit::pack_line(label), self.moment.now.wall)?;
        }
        self.input(Input::Part { ticket, part })?;
        let parked = self.engine.log().parked_count() as u64;
        let mut answers = self.output.packs.iter_mut();
        if let Some((_, taken)) = answers.find(|(answered, _)| *answered == ticket) {
            taken.parked = parked;
        }
        Ok(())
    }
}
