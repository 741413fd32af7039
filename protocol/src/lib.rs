//! Everything that StudioVault's sync node decides, as plain functions: inputs in, effects out.
//!
//! There is no clock, no randomness, no I/O and no async here: time and entropy come in as arguments. The node, the cloud
//! truth and the simulator run this same code.

pub mod bundle;
pub mod command;
pub mod id;
pub mod keys;
pub mod limits;
pub mod time;
pub mod value;
pub mod vector;
