//! The lab: what shows that the product keeps its promises, and that its source keeps its shape.
//! Nothing here is part of the product, and nothing in the product may depend on it.

pub mod bench;
pub mod histories;
#[cfg(target_os = "linux")]
pub mod kills;
#[cfg(target_os = "linux")]
pub mod lab;
#[cfg(target_os = "linux")]
pub mod power;
#[cfg(target_os = "linux")]
pub mod processes;
pub mod queue;
pub mod served;
pub mod sim;
pub mod tidy;
