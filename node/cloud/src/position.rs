//! Positions of a feed as clients of the JSON form hold them: opaque, bound to one studio's feed, and not to be made up.

use studiovault_protocol::id::Author;
use studiovault_protocol::keys::SecretKey;

use crate::secrets;

/// Separates this use of the key from any other.
const CONTEXT: &str = "studiovault cloud 2026-11 feed position";
/// Bytes of the seal at a token's end.
const SEAL_BYTES: usize = 12;

/// The token of a position.
pub fn token(key: &SecretKey, feed: Author, position: u64) -> String {
    let mut bytes = position.to_be_bytes().to_vec();
    bytes.extend_from_slice(&seal(key, feed, position));
    secrets::hex(&bytes)
}

/// The position that a token names; `None` if it is no token of this feed.
pub fn of(key: &SecretKey, feed: Author, text: &str) -> Option<u64> {
    let position = u64::from_str_radix(text.get(..16)?, 16).ok()?;
    (token(key, feed, position) == text).then_some(position)
}

fn seal(key: &SecretKey, feed: Author, position: u64) -> [u8; SEAL_BYTES] {
    let derived = blake3::derive_key(CONTEXT, &key.seed());
    let said = postcard::to_stdvec(&(feed, position)).expect("the protocol's types always encode");
    let hash = blake3::keyed_hash(&derived, &said);
    let mut seal = [0; SEAL_BYTES];
    seal.copy_from_slice(&hash.as_bytes()[..SEAL_BYTES]);
    seal
}

#[cfg(test)]
mod tests {
    use studiovault_protocol::id::{DeviceId, Epoch};

    use super::*;

    #[test]
    fn a_token_names_its_position_in_its_feed_and_nothing_else() {
        let key = SecretKey::from_seed([1; 32]);
        let feed = |epoch| Author {
            device: DeviceId([2; 16]),
            epoch: Epoch(epoch),
        };
        let made = token(&key, feed(1), 42);
        assert_eq!(of(&key, feed(1), &made), Some(42));
        assert_eq!(of(&key, feed(2), &made), None);
        assert_eq!(of(&SecretKey::from_seed([3; 32]), feed(1), &made), None);
        assert_eq!(of(&key, feed(1), "000000000000002a"), None);
        assert_eq!(of(&key, feed(1), "ä"), None);
    }
}
