//! Randomness of an exchange: all of it comes from one seed that the node drew, so the state machines stay pure.

use rand_core::{CryptoRng, RngCore};

/// Randomness handed in, as the exchange's crate wants it.
pub(super) struct Drawn(blake3::OutputReader);

impl Drawn {
    /// From 32 random bytes.
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(&seed).finalize_xof())
    }
}

/// A share in the words, from the seed of the exchange.
pub(super) fn share(seed: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("studiovault pairing share v1", seed)
}

impl RngCore for Drawn {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Drawn {}
