//! One machine of a studio.

pub mod mesh;
