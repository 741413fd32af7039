//! Things gathered into parts, and parts into chunks, always the same way: whoever holds the same bundles and pages makes the same chunks.

use crate::limits;
use crate::pack::Part;
use crate::wire::Packed;

use super::join;

/// The level of zstd at which chunks are packed: logs to about a fourth at some 600 MB/s.
pub const LEVEL: i32 = 3;
/// Bytes of parts at which the next chunk begins.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A run of the feed in the making: the bundles that its pages name, and its pages.
#[derive(Debug, Default)]
pub struct RunParts {
    bundles: Gathered,
    pages: Gathered,
    bytes: usize,
}

impl RunParts {
    /// A bundle that the next page names, in the order in which that names them.
    pub fn bundle(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.bundles.add(Packed(bytes), Part::Bundles);
    }

    /// The next page, after all that it names.
    pub fn page(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.pages.add(Packed(bytes), Part::Pages);
    }

    /// Bytes of both.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encoded parts, the bundles before the pages.
    pub fn end(self) -> Vec<Vec<u8>> {
        [self.bundles.end(Part::Bundles), self.pages.end(Part::Pages)].concat()
    }
}

/// Encoded parts as chunks that are not packed yet.
pub fn chunks(parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut chunks, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, part) in parts.iter().enumerate() {
        if bytes + part.len() > CHUNK_BYTES && from < at {
            chunks.push(join(&parts[from..at]));
            (from, bytes) = (at, 0);
        }
        bytes += part.len() + 4;
    }
    chunks.push(join(&parts[from..]));
    chunks
}

/// Things of one kind on their way into parts.
#[derive(Debug, Default)]
struct Gathered {
    parts: Vec<Vec<u8>>,
    waiting: Vec<Packed>,
    bytes: usize,
}

impl Gathered {
    fn add(&mut self, thing: Packed, part: fn(Vec<Packed>) -> Part) {
        let is_full = self.bytes + thing.0.len() > limits::FRAME_BYTES
            || self.waiting.len() >= limits::PACK_PAGES;
        if is_full {
            self.flush(part);
        }
        self.bytes += thing.0.len();
        self.waiting.push(thing);
    }

    fn flush(&mut self, part: fn(Vec<Packed>) -> Part) {
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.parts.push(part(waiting).encode());
            self.bytes = 0;
        }
    }

    fn end(mut self, part: fn(Vec<Packed>) -> Part) -> Vec<Vec<u8>> {
        self.flush(part);
        self.parts
    }
}
