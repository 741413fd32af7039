//! Reading a pack from a file, part by part.
//!
//! Every length is checked before anything is allocated. A part that was damaged is told and passed over; a pack that ends early is
//! told as that, so nothing that was read is lost and nothing that is missing goes unsaid.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use studiovault_protocol::limits;
use studiovault_protocol::membership::MeshKey;
use studiovault_protocol::pack::{CHUNK_HEAD_BYTES, HEAD_BYTES, Opener, PackError, Part, Place};

/// Why a pack is not read, or not read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The person's, or the maker's.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The stick's.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// What is read next.
#[derive(Debug)]
pub enum Piece {
    /// A part as it was sealed.
    Part(Box<Part>),
    /// A part that is not as it was sealed.
    Damaged,
    /// Nothing more.
    End(Ending),
}

/// How a pack ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With its last part.
    Whole,
    /// Before it: the file was cut off.
    CutOff,
    /// In the middle, since nothing says where the next part begins.
    Unreadable,
    /// With its last part, and something stands behind it.
    MoreBehind,
}

/// A pack that is being read.
pub struct Incoming {
    input: BufReader<File>,
    opener: Opener,
    read: u64,
    length: u64,
}

impl Incoming {
    /// Opens a pack and reads its head with the keys of the mesh that are known. It is read from front to back, so a pipe will do.
    pub fn open(path: &Path, known: &[MeshKey]) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut input = BufReader::with_capacity(1 << 16, file);
        let mut head = [0; HEAD_BYTES];
        if !fill(&mut input, &mut head)? {
            return Err(PackError::NotAPack.into());
        }
        Ok(Self {
            input,
            opener: Opener::new(&head, known)?,
            read: HEAD_BYTES as u64,
            length,
        })
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.read
    }

    /// The next part.
    pub fn next_piece(&mut self) -> Result<Piece, ReadError> {
        let mut head = [0; CHUNK_HEAD_BYTES];
        if !fill(&mut self.input, &mut head)? {
            return Ok(Piece::End(Ending::CutOff));
        }
        let Ok(head) = self.opener.chunk_head(head) else {
            return Ok(Piece::End(Ending::Unreadable));
        };
        let mut sealed = vec![0; head.length];
        if !fill(&mut self.input, &mut sealed)? {
            return Ok(Piece::End(Ending::CutOff));
        }
        self.read += (CHUNK_HEAD_BYTES + head.length) as u64;
        let Ok(content) = self.opener.chunk(head, &sealed) else {
            return Ok(Piece::Damaged);
        };
        if head.place == Place::Last {
            let is_more = fill(&mut self.input, &mut [0])?;
            return Ok(Piece::End(if is_more {
                Ending::MoreBehind
            } else {
                Ending::Whole
            }));
        }
        let unpacked = zstd::bulk::decompress(&content, limits::PACK_PART_BYTES);
        let part = unpacked.ok().and_then(|bytes| Part::decode(&bytes).ok());
        Ok(part.map_or(Piece::Damaged, |part| Piece::Part(Box::new(part))))
    }
}

/// Fills a buffer; `false` if the file ends before.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<bool, ReadError> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use studiovault_protocol::pack::Sealer;

    use super::*;

    const KEY: MeshKey = MeshKey([3; 32]);

    /// A pack of these contents, sealed by somebody who knows the key.
    fn pack(contents: &[Vec<u8>]) -> tempfile::NamedTempFile {
        let (mut sealer, head) = Sealer::new(&KEY, [1; 32]);
        let mut bytes = head.to_vec();
        for content in contents {
            bytes.extend(sealer.chunk(content, Place::Middle));
        }
        bytes.extend(sealer.chunk(b"", Place::Last));
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("writes");
        file
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 3).expect("compresses")
    }

    #[test]
    fn what_was_sealed_and_is_no_part_or_unpacks_to_too_much_is_left_out_and_the_rest_read() {
        let sound = Part::Bundles(Vec::new());
        let contents = [
            b"not compressed".to_vec(),
            compressed(b"no part"),
            compressed(&vec![0; 64 << 20]),
            compressed(&sound.encode()),
        ];
        let file = pack(&contents);
        let mut incoming = Incoming::open(file.path(), &[KEY]).expect("a pack");
        for _ in 0..3 {
            let piece = incoming.next_piece().expect("is read");
            assert!(matches!(piece, Piece::Damaged), "{piece:?}");
        }
        let piece = incoming.next_piece().expect("is read");
        assert!(matches!(piece, Piece::Part(part) if *part == sound));
        let piece = incoming.next_piece().expect("is read");
        assert!(matches!(piece, Piece::End(Ending::Whole)), "{piece:?}");
    }
}
