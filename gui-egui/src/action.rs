//! Everything a person can do in the window.
//!
//! Views return actions and change nothing themselves.

use studiovault_protocol::api::NetworkState;
use studiovault_protocol::id::DeviceId;

use crate::model::{Draft, Tab};

/// One thing a person did.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Show another tab.
    Show(Tab),
    /// Show the next tab, or the one before.
    Turn(Step),
    /// Look for the node now.
    Reconnect,
    /// Look at one machine among the devices.
    OpenDevice(DeviceId),
    /// Look at one conflict, by its id.
    OpenConflict(String),
    /// Look at the next conflict shown, or the one before.
    StepConflict(Step),
    /// Narrow the conflicts down to those that contain a text.
    FilterConflicts(String),
    /// Prepare an answer to the open conflict; nothing is sent yet.
    Draft(Draft),
    /// Send the prepared answer.
    Apply,
    /// Put the last notice away.
    Dismiss,
    /// Show or hide the keys.
    ToggleHelp,
    /// Take this machine off the network, or back on.
    Network(NetworkState),
}

/// Forth or back in a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// To the next one.
    Next,
    /// To the one before.
    Back,
}
