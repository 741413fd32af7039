//! Envelopes that only a newer version of the program reads, and what every version promises of them.
//!
//! Whatever a version does with its commands: after the version byte stand the header as it is today and the number of commands, at
//! the end the signature; it is made over the hash of everything before it. So older machines hold, verify and pass on what they cannot
//! read, in its place in its author's log.

use std::sync::Arc;

use super::{Bundle, BundleError, Contents, Header, SIGNATURE_BYTES, check_header};
use crate::id::{Hash, Signature};
use crate::keys::Purpose;

/// The hash of an envelope up to its signature.
fn hash_of(content: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(Purpose::Bundle.label());
    hasher.update(content);
    Hash(*hasher.finalize().as_bytes())
}

/// Reads what is promised; the bytes were found to be of a newer version and not too many.
pub(super) fn decode(bytes: Arc<[u8]>) -> Result<Bundle, BundleError> {
    let version = bytes[0];
    let end = bytes.len().saturating_sub(SIGNATURE_BYTES);
    if end <= 1 {
        return Err(BundleError::Malformed("too short"));
    }
    let ((header, count), _) = postcard::take_from_bytes::<(Header, u64)>(&bytes[1..end])
        .map_err(|_| BundleError::Malformed("not decodable"))?;
    let again = postcard::to_stdvec(&(&header, count)).expect("wire types always encode");
    if !bytes[1..end].starts_with(&again) {
        return Err(BundleError::NotCanonical);
    }
    check_header(&header, count)?;
    let hash = hash_of(&bytes[..end]);
    let mut signature = Signature([0; SIGNATURE_BYTES]);
    signature.0.copy_from_slice(&bytes[end..]);
    Ok(Bundle {
        bytes,
        hash,
        header,
        contents: Contents::Newer { version, count },
        signature,
    })
}

impl Bundle {
    /// Signs an envelope of another version around anything: what a newer program would send. For tests of older ones.
    pub fn seal_newer(
        (version, header): (u8, Header),
        (count, rest): (u64, &[u8]),
        key: &crate::keys::SecretKey,
    ) -> Vec<u8> {
        let mut bytes = vec![version];
        bytes.extend(postcard::to_stdvec(&(&header, count)).expect("wire types always encode"));
        bytes.extend_from_slice(rest);
        let signature = key.sign(Purpose::Bundle, &hash_of(&bytes));
        bytes.extend_from_slice(&signature.0);
        bytes
    }
}
