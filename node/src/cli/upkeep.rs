//! `verify` and `rebuild`: the log against the state that stands in the store, while no node runs.

use super::failure::Failure;
use super::{Call, Outcome, failure::Exit, folder::folder};
use studiovault_node::config::Machine;

/// `studiovault verify`.
pub(crate) fn verify(call: &Call) -> Outcome {
    let machine = Machine::load(folder(call)?)?;
    let _lock = machine.folder.lock()?;
    Err(Failure::new(Exit::Failed, "not there yet\nWait."))
}

/// `studiovault rebuild`.
pub(crate) fn rebuild(call: &Call) -> Outcome {
    verify(call)
}
