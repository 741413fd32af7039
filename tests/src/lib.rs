//! The lab: what shows that the product keeps its promises, and that its source keeps its shape.
//! Nothing here is part of the product, and nothing in the product may depend on it.

pub mod bench;
pub mod campaign;
#[path = "../../node/cloud/src/tests/cluster.rs"]
pub mod cluster;
#[cfg(target_os = "linux")]
pub mod commits;
pub mod conformance;
#[cfg(target_os = "linux")]
pub mod crowd;
pub mod flood;
pub mod fuzz;
pub mod histories;
#[cfg(target_os = "linux")]
pub mod kills;
#[cfg(target_os = "linux")]
pub mod lab;
#[cfg(target_os = "linux")]
pub mod power;
#[cfg(target_os = "linux")]
pub mod processes;
pub mod programs;
pub mod queue;
pub mod sabotage;
pub mod served;
pub mod sim;
pub mod skipped;
#[cfg(target_os = "linux")]
pub mod system;
pub mod tidy;
pub mod writes;
