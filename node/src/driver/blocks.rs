//! Blocks: many stored bundles in one compressed frame, for catching up.

use std::sync::Arc;

use bytes::Bytes;
use studiovault_protocol::event::{BlockRead, Input, LinkId, Moment};
use studiovault_protocol::limits;
use studiovault_protocol::wire::{Frame, FrameError};

use super::{Driver, Output};
use crate::store::StoreError;

/// Level 3 packs a block of bundles to about a fourth at some 600 MB/s; higher levels gain a tenth and cost ten times.
const LEVEL: i32 = 3;

impl Driver {
    /// Reads one block from the log and sends it. The engine hears at once where it ended: bundles written later are not in it.
    pub(super) fn send_block(
        &mut self,
        moment: Moment,
        read: BlockRead,
        output: &mut Output,
    ) -> Result<(), StoreError> {
        if !self.links.contains_key(&read.link) {
            return Ok(());
        }
        let chunk = self.store.block(&read)?;
        let raw = join(&chunk.bundles);
        let packed = zstd::bulk::compress(&raw, LEVEL).expect("compression into memory succeeds");
        let raw_bytes = u32::try_from(raw.len()).expect("a block is bounded");
        let frame = Frame::Block {
            id: read.id,
            raw: raw_bytes,
            packed,
            done: chunk.done,
        };
        output.sends.push((read.link, frame.encode().into()));
        let sent = Input::BlockSent {
            link: read.link,
            id: read.id,
            raw: raw_bytes,
            cursor: chunk.cursor,
            done: chunk.done,
        };
        let effects = self.engine.handle(moment, sent);
        assert!(effects.writes.is_empty(), "a sent block writes nothing");
        self.blocks.extend(effects.blocks);
        Ok(())
    }
}

/// Bundles one after the other, each behind its length (u32, little end first).
fn join(bundles: &[Arc<[u8]>]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(bundles.iter().map(|bytes| bytes.len() + 4).sum());
    for bytes in bundles {
        let length = u32::try_from(bytes.len()).expect("a bundle is bounded");
        raw.extend_from_slice(&length.to_le_bytes());
        raw.extend_from_slice(bytes);
    }
    raw
}

/// Takes a block's bytes apart again.
fn split(mut raw: &[u8]) -> Result<Vec<Arc<[u8]>>, FrameError> {
    let mut bundles = Vec::new();
    while !raw.is_empty() {
        let Some((length, rest)) = raw.split_first_chunk::<4>() else {
            return Err(FrameError("a block that ends within a length"));
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > rest.len() || length > limits::BUNDLE_BYTES {
            return Err(FrameError("a block with a length out of bounds"));
        }
        let (bytes, rest) = rest.split_at(length);
        bundles.push(Arc::from(bytes));
        raw = rest;
    }
    Ok(bundles)
}

/// Reads a frame; blocks are unpacked on the way, never to more than they announce.
pub(super) fn read_frame(link: LinkId, bytes: &Bytes) -> Input {
    let read = Frame::decode(bytes).and_then(|frame| match frame {
        Frame::Block {
            id,
            raw,
            packed,
            done,
        } => {
            let unpacked = zstd::bulk::decompress(&packed, raw as usize)
                .map_err(|_| FrameError("a block that cannot be unpacked"))?;
            if unpacked.len() != raw as usize {
                return Err(FrameError("a block of another size than it says"));
            }
            let bundles = split(&unpacked)?;
            Ok(Input::Block {
                link,
                id,
                bundles,
                raw,
                done,
            })
        }
        frame => Ok(Input::Frame {
            link,
            frame: Box::new(frame),
        }),
    });
    read.unwrap_or_else(|FrameError(reason)| Input::Malformed { link, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_back_and_a_bent_one_is_refused() {
        let bundles: Vec<Arc<[u8]>> = vec![Arc::from(&b"one"[..]), Arc::from(&b"three"[..])];
        let raw = join(&bundles);
        assert_eq!(split(&raw), Ok(bundles));
        assert!(split(&raw[..raw.len() - 1]).is_err());
        assert!(split(&[255, 255, 255, 255, 0]).is_err());
    }

    #[test]
    fn a_block_that_unpacks_to_more_than_it_says_is_refused() {
        let packed = zstd::bulk::compress(&vec![0; 1 << 20], 3).expect("compresses");
        let frame = Frame::Block {
            id: 1,
            raw: 64,
            packed,
            done: false,
        };
        let read = read_frame(LinkId(1), &frame.encode().into());
        assert!(matches!(read, Input::Malformed { .. }));
    }
}
