//! Bundles: a run of consecutive commands of one author, signed, hash-chained, immutable bytes.
//!
//! What is stored, relayed, verified and sent again is always these bytes, never a re-serialised struct. Decoding demands
//! an empty remainder and `encode(decode(x)) == x`, since postcard accepts over-long integers and ignores trailing bytes,
//! so that two byte strings could otherwise carry one command under two hashes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::id::{Author, Dot, Hash, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;
use crate::time::WallMs;

/// The first byte of every bundle.
const VERSION: u8 = 1;
/// Bytes of the signature at a bundle's end.
const SIGNATURE_BYTES: usize = 64;

/// A tip that an author had applied when it wrote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The newest dot applied of that author.
    pub dot: Dot,
    /// The hash of the bundle that holds it.
    pub hash: Hash,
}

/// All of a bundle but its commands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Which studio's truth this belongs to.
    pub studio: StudioId,
    /// Who wrote it.
    pub author: Author,
    /// The counter of its first command, from 1.
    pub first_counter: u64,
    /// The hash of the newest bundle that this store wrote before, also across epochs.
    pub prev: Option<Hash>,
    /// The author's wall clock.
    pub written_at: WallMs,
    /// The person, as the application or the system names them, at most [`limits::ACTOR_BYTES`].
    pub actor: String,
    /// Tips that moved since the author's previous bundle; in an epoch's first bundle all of them, the parent included.
    pub saw: Vec<Seen>,
    /// The cloud takes all of its commands or none.
    pub together: bool,
}

/// What is encoded between the version byte and the signature.
#[derive(Serialize, Deserialize)]
struct Body {
    header: Header,
    commands: Vec<Command>,
}

/// A decoded bundle with the bytes it came from.
#[derive(Clone, Debug)]
pub struct Bundle {
    bytes: Arc<[u8]>,
    hash: Hash,
    header: Header,
    contents: Contents,
    signature: Signature,
}

/// What a bundle holds.
#[derive(Clone, Debug)]
enum Contents {
    /// Commands that this version reads.
    Commands(Vec<Command>),
    /// So many commands in an envelope that only a newer version reads: held, relayed and applied as nothing.
    Newer { version: u8, count: u64 },
}

/// Why bytes are no bundle. The peer's fault; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Larger than a frame can carry.
    #[error("a bundle of {0} bytes; at most 245760 are taken")]
    TooLarge(usize),
    /// Not a bundle at all.
    #[error("these bytes are no bundle: {0}")]
    Malformed(&'static str),
    /// A second encoding of something.
    #[error("a bundle that is not in its one canonical encoding")]
    NotCanonical,
    /// The signature does not match.
    #[error("the signature does not match the bundle's author")]
    BadSignature,
}

impl Bundle {
    /// Signs and encodes a new bundle. Fails with [`BundleError::TooLarge`] over [`limits::BUNDLE_BYTES`].
    pub fn seal(
        header: Header,
        commands: Vec<Command>,
        key: &SecretKey,
    ) -> Result<Self, BundleError> {
        let body = Body { header, commands };
        let hash = hash_of(&body);
        let signature = key.sign(Purpose::Bundle, &hash);
        let mut bytes = Vec::with_capacity(256 * body.commands.len() + 256);
        bytes.push(VERSION);
        let mut bytes = postcard::to_extend(&body, bytes).expect("wire types always encode");
        bytes.extend_from_slice(&signature.0);
        if bytes.len() > limits::BUNDLE_BYTES {
            return Err(BundleError::TooLarge(bytes.len()));
        }
        let Body { header, commands } = body;
        Ok(Self {
            bytes: bytes.into(),
            hash,
            header,
            contents: Contents::Commands(commands),
            signature,
        })
    }

    /// Decodes received bytes, checking form and bounds but no signature.
    pub fn decode(bytes: impl Into<Arc<[u8]>>) -> Result<Self, BundleError> {
        let bytes: Arc<[u8]> = bytes.into();
        if is_newer(&bytes) {
            return newer::decode(bytes);
        }
        let (body, signature) = parts_of(&bytes)?;
        let again = postcard::to_extend(&body, Vec::with_capacity(bytes.len()))
            .expect("wire types always encode");
        if again != bytes[1..bytes.len() - SIGNATURE_BYTES] {
            return Err(BundleError::NotCanonical);
        }
        let hash = hash_of(&body);
        let Body { header, commands } = body;
        Ok(Self {
            bytes,
            hash,
            header,
            contents: Contents::Commands(commands),
            signature,
        })
    }

    /// Reads back bytes that [`Self::decode`] or [`Self::seal`] gave before, with the hash that was kept beside them: a third of
    /// the work. Never for bytes that come from elsewhere.
    pub fn restore(bytes: impl Into<Arc<[u8]>>, hash: Hash) -> Result<Self, BundleError> {
        let bytes: Arc<[u8]> = bytes.into();
        if is_newer(&bytes) {
            return newer::decode(bytes);
        }
        let (Body { header, commands }, signature) = parts_of(&bytes)?;
        Ok(Self {
            bytes,
            hash,
            header,
            contents: Contents::Commands(commands),
            signature,
        })
    }

    /// Checks the author's signature.
    pub fn verify(&self, key: &VerifyKey) -> Result<(), BundleError> {
        if key.verify(Purpose::Bundle, &self.hash, &self.signature) {
            Ok(())
        } else {
            Err(BundleError::BadSignature)
        }
    }

    /// The bytes that are stored, relayed and sent again.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
    /// The hash that the next bundle's `prev` names.
    pub fn hash(&self) -> Hash {
        self.hash
    }
    /// All but the commands.
    pub fn header(&self) -> &Header {
        &self.header
    }
    /// Who wrote it.
    pub fn author(&self) -> Author {
        self.header.author
    }
    /// The counter of the first command.
    pub fn first(&self) -> u64 {
        self.header.first_counter
    }
    fn count(&self) -> u64 {
        match &self.contents {
            Contents::Commands(commands) => commands.len() as u64,
            Contents::Newer { count, .. } => *count,
        }
    }
    fn readable(&self) -> &[Command] {
        match &self.contents {
            Contents::Commands(commands) => commands,
            Contents::Newer { .. } => &[],
        }
    }
    /// The version of its envelope, if only a newer version of the program reads its commands.
    pub fn newer(&self) -> Option<u8> {
        match self.contents {
            Contents::Commands(_) => None,
            Contents::Newer { version, .. } => Some(version),
        }
    }
    /// The counter of the last command.
    pub fn last(&self) -> u64 {
        self.header.first_counter + self.count() - 1
    }
    /// The dot of the last command.
    pub fn tip(&self) -> Dot {
        self.author().at(self.last())
    }
    /// The commands with their dots; none of an envelope that only a newer version reads.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = (Dot, &Command)> {
        let (author, first) = (self.author(), self.first());
        self.readable()
            .iter()
            .enumerate()
            .map(move |(at, command)| (author.at(first + at as u64), command))
    }
    /// The command at `counter`, if this bundle holds it.
    pub fn command(&self, counter: u64) -> Option<&Command> {
        let at = counter.checked_sub(self.first())?;
        self.readable().get(usize::try_from(at).ok()?)
    }
}

fn is_newer(bytes: &[u8]) -> bool {
    bytes.len() <= limits::BUNDLE_BYTES && bytes.first().is_some_and(|version| *version > VERSION)
}

/// Takes bytes apart, checking form and bounds.
fn parts_of(bytes: &[u8]) -> Result<(Body, Signature), BundleError> {
    if bytes.len() > limits::BUNDLE_BYTES {
        return Err(BundleError::TooLarge(bytes.len()));
    }
    match bytes.first() {
        Some(&VERSION) => {}
        _ => return Err(BundleError::Malformed("no version byte")),
    }
    let end = bytes.len().saturating_sub(SIGNATURE_BYTES);
    if end <= 1 {
        return Err(BundleError::Malformed("too short"));
    }
    let (body, rest) = postcard::take_from_bytes::<Body>(&bytes[1..end])
        .map_err(|_| BundleError::Malformed("not decodable"))?;
    if !rest.is_empty() {
        return Err(BundleError::Malformed("trailing bytes"));
    }
    check_bounds(&body)?;
    let mut signature = Signature([0; SIGNATURE_BYTES]);
    signature.0.copy_from_slice(&bytes[end..]);
    Ok((body, signature))
}

/// The bundle's hash: over its header and the list of its commands' hashes.
fn hash_of(body: &Body) -> Hash {
    let (author, first) = (body.header.author, body.header.first_counter);
    let hashes = (first..)
        .zip(&body.commands)
        .map(|(counter, command)| command.hash(author.at(counter)));
    hash_over(&body.header, hashes)
}

fn hash_over(header: &Header, commands: impl Iterator<Item = Hash>) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(Purpose::Bundle.label());
    hasher.update(&postcard::to_stdvec(header).expect("wire types always encode"));
    for hash in commands {
        hasher.update(&hash.0);
    }
    Hash(*hasher.finalize().as_bytes())
}

/// The bounds of model.md's rule 1 that a receiver checks before anything else.
fn check_bounds(body: &Body) -> Result<(), BundleError> {
    check_header(&body.header, body.commands.len() as u64)?;
    match body.commands.iter().find_map(Command::fault) {
        Some(fault) => Err(BundleError::Malformed(fault)),
        None => Ok(()),
    }
}

fn check_header(header: &Header, count: u64) -> Result<(), BundleError> {
    if count == 0 || count > limits::BUNDLE_COMMANDS as u64 {
        return Err(BundleError::Malformed("not 1 to 1000 commands"));
    }
    if header.first_counter == 0 || header.first_counter > limits::COUNTER {
        return Err(BundleError::Malformed("a counter out of range"));
    }
    if header.actor.len() > limits::ACTOR_BYTES {
        return Err(BundleError::Malformed("an actor over 128 bytes"));
    }
    let sorted = header
        .saw
        .windows(2)
        .all(|pair| pair[0].dot.author < pair[1].dot.author);
    if !sorted || header.saw.len() > limits::TIPS {
        return Err(BundleError::Malformed("tips out of order or too many"));
    }
    if header
        .saw
        .iter()
        .any(|seen| seen.dot.counter == 0 || seen.dot.counter > limits::COUNTER)
    {
        return Err(BundleError::Malformed("a tip with a counter out of range"));
    }
    if header
        .saw
        .iter()
        .any(|seen| seen.dot.author == header.author)
    {
        return Err(BundleError::Malformed(
            "a bundle that says it saw its own author",
        ));
    }
    Ok(())
}

mod claim;
mod newer;

pub use claim::Claim;

#[cfg(test)]
mod tests;
