//! Snapshots that a machine holds: chunks as files under their hash, and the manifest that names them.
//!
//! A chunk is on the disk before the manifest that names it, and goes after the last one that did, so whoever finds a manifest finds what
//! it names; what was damaged since is not handed on, and fetched or made anew.

mod files;
mod making;
mod shelf;

pub use files::{ChunkFiles, FileError, is_file};
pub use making::{MakeError, make_segment};
pub use shelf::Shelf;

#[cfg(test)]
mod tests;
