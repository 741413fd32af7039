//! A pack: what one machine holds as one file for a USB stick, sealed to the studio.
//!
//! A head (magic, version, salt, tag) and then chunks, each sealed under a key made of the mesh key and the file's salt, with its
//! place and whether it is the last in the nonce: a chunk that was bent, moved, cut off or taken from another pack does not open,
//! and those around it do. The head reveals nothing but that it is a pack. Nothing here reads or writes files, and nothing here
//! judges what is in a pack: that is the engine's, as with whatever peers and the cloud bring.

use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};

mod part;

pub use part::{Label, Part, PartError, Scope, Taken, Tally};

use crate::limits;
use crate::membership::MeshKey;

/// What every pack begins with; the line end shows when somebody carried it as text.
const MAGIC: [u8; 8] = *b"SVPACK\r\n";
/// The version of the format.
const VERSION: u16 = 1;
/// Bytes of the seal on every chunk.
const SEAL_BYTES: usize = 16;
/// Bytes before the first chunk: magic, version, salt, tag.
pub const HEAD_BYTES: usize = 8 + 2 + 32 + 16;
/// Bytes before every chunk: its sealed length (u32, little end first), and 1 if it is the last.
pub const CHUNK_HEAD_BYTES: usize = 5;

/// Why a pack, or a chunk of it, is not read. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The person's: another file.
    #[error("this is no pack of StudioVault")]
    NotAPack,
    /// The person's: made by a newer program.
    #[error("this pack is of format {0}, and this program reads format {VERSION}")]
    Newer(u16),
    /// The person's: sealed under no key that is known here.
    #[error(
        "this pack is of another studio, or sealed under a network key that this machine does not know"
    )]
    Foreign,
    /// The stick's: what says where the next chunk begins makes no sense.
    #[error("the pack cannot be read on from here")]
    Nonsense,
    /// The stick's, or somebody's who bent it: this chunk is not as it was sealed.
    #[error("a part of the pack is damaged")]
    Damaged,
}

/// Where a chunk stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Others follow.
    Middle,
    /// Nothing follows.
    Last,
}

/// What a chunk says of itself before it is read: its length is within bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkHead {
    /// Sealed bytes that follow.
    pub length: usize,
    /// Whether it says that it is the last; true only once it opened.
    pub place: Place,
}

/// Seals the chunks of one pack.
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    next: u64,
}

/// Opens the chunks of one pack.
pub struct Opener {
    cipher: ChaCha20Poly1305,
    next: u64,
}

/// The key of one pack, and the tag by which whoever knows the mesh key tells that it is his.
fn keys(key: &MeshKey, salt: &[u8; 32]) -> (ChaCha20Poly1305, [u8; 16]) {
    let mut material = [0; 64];
    material[..32].copy_from_slice(&key.0);
    material[32..].copy_from_slice(salt);
    let cipher = blake3::derive_key("studiovault pack v1", &material);
    let derived = blake3::derive_key("studiovault pack tag v1", &material);
    let mut tag = [0; 16];
    tag.copy_from_slice(&derived[..16]);
    (ChaCha20Poly1305::new(&cipher.into()), tag)
}

/// Every chunk of a pack has a nonce of its own, and every pack a key of its own.
fn nonce(index: u64, place: Place) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&index.to_le_bytes());
    nonce[8] = u8::from(place == Place::Last);
    nonce.into()
}

impl Sealer {
    /// A new pack, and its head. The salt must be drawn anew for every pack.
    pub fn new(key: &MeshKey, salt: [u8; 32]) -> (Self, [u8; HEAD_BYTES]) {
        let (cipher, tag) = keys(key, &salt);
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&MAGIC);
        head[8..10].copy_from_slice(&VERSION.to_le_bytes());
        head[10..42].copy_from_slice(&salt);
        head[42..].copy_from_slice(&tag);
        (Self { cipher, next: 0 }, head)
    }

    /// The next chunk as it stands in the file, its head included. At most [`limits::PACK_CHUNK_BYTES`].
    pub fn chunk(&mut self, content: &[u8], place: Place) -> Vec<u8> {
        assert!(
            content.len() <= limits::PACK_CHUNK_BYTES,
            "chunks are bounded"
        );
        let sealed = self.cipher.encrypt(&nonce(self.next, place), content);
        let sealed = sealed.expect("a short message is always sealed");
        self.next += 1;
        let length = u32::try_from(sealed.len()).expect("chunks are bounded");
        let mut chunk = Vec::with_capacity(CHUNK_HEAD_BYTES + sealed.len());
        chunk.extend_from_slice(&length.to_le_bytes());
        chunk.push(u8::from(place == Place::Last));
        chunk.extend_from_slice(&sealed);
        chunk
    }
}

impl Opener {
    /// Reads a pack's head with the keys that are known, whichever of them it was sealed under.
    pub fn new(head: &[u8; HEAD_BYTES], known: &[MeshKey]) -> Result<Self, PackError> {
        if head[..8] != MAGIC {
            return Err(PackError::NotAPack);
        }
        let version = u16::from_le_bytes([head[8], head[9]]);
        match version {
            VERSION => {}
            0 => return Err(PackError::NotAPack),
            newer => return Err(PackError::Newer(newer)),
        }
        let mut salt = [0; 32];
        salt.copy_from_slice(&head[10..42]);
        let mut own = known.iter().map(|key| keys(key, &salt));
        let found = own.find(|(_, tag)| head[42..] == tag[..]);
        let (cipher, _) = found.ok_or(PackError::Foreign)?;
        Ok(Self { cipher, next: 0 })
    }

    /// What the next chunk says of itself.
    pub fn chunk_head(&self, head: [u8; CHUNK_HEAD_BYTES]) -> Result<ChunkHead, PackError> {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let fits = (SEAL_BYTES..=SEAL_BYTES + limits::PACK_CHUNK_BYTES).contains(&length);
        let place = match head[4] {
            0 => Place::Middle,
            1 => Place::Last,
            _ => return Err(PackError::Nonsense),
        };
        if fits {
            Ok(ChunkHead { length, place })
        } else {
            Err(PackError::Nonsense)
        }
    }

    /// Opens the next chunk. One that does not open is passed over: the one after it may.
    pub fn chunk(&mut self, head: ChunkHead, sealed: &[u8]) -> Result<Vec<u8>, PackError> {
        let index = self.next;
        self.next += 1;
        let opened = self.cipher.decrypt(&nonce(index, head.place), sealed);
        opened.map_err(|_| PackError::Damaged)
    }

    /// How many chunks were met.
    pub fn met(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests;
