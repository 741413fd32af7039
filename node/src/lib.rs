//! One machine of a studio.

pub mod config;
pub mod discovery;
pub mod mesh;
