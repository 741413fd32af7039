//! One machine of a studio.

pub mod discovery;
pub mod mesh;
