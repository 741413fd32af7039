//! Nonces for the proofs of machines: made from the server's key and clock alone, so that any server in front of one database
//! takes what another gave.

use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::time::WallMs;

use crate::secrets;

/// Separates this use of the key from any other.
const CONTEXT: &str = "studiovault cloud 2026-11 proof nonce";
/// A nonce is taken in the span in which it was made and in the next one, ms.
const SPAN_MS: i64 = 5 * 60 * 1000;
/// Bytes of the seal.
const SEAL_BYTES: usize = 16;

/// The nonce of this moment.
pub fn at(key: &SecretKey, now: WallMs) -> String {
    of_span(key, now.0.div_euclid(SPAN_MS))
}

/// Whether a nonce is of this span or the one before.
pub fn is_fresh(key: &SecretKey, now: WallMs, nonce: &str) -> bool {
    let span = now.0.div_euclid(SPAN_MS);
    [span, span - 1]
        .iter()
        .any(|span| of_span(key, *span) == nonce)
}

fn of_span(key: &SecretKey, span: i64) -> String {
    let derived = blake3::derive_key(CONTEXT, &key.seed());
    let hash = blake3::keyed_hash(&derived, &span.to_be_bytes());
    secrets::hex(&hash.as_bytes()[..SEAL_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_lasts_between_five_and_ten_minutes_at_the_servers_that_share_a_key() {
        let (key, other) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let made = at(&key, WallMs(SPAN_MS * 7 + 1));
        assert!(is_fresh(&key, WallMs(SPAN_MS * 8 + 1), &made));
        for (key, now) in [(&key, 9), (&key, 6), (&other, 7)] {
            assert!(!is_fresh(key, WallMs(SPAN_MS * now), &made));
        }
    }
}
