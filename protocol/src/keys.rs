//! Ed25519 keys. Every signature is made under a context, so that one made for one purpose never serves another.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::id::{Hash, PublicKey, Signature};

/// The context of a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A bundle of a device's log.
    Bundle,
    /// A page of the cloud truth's feed.
    FeedPage,
    /// A record of the roster.
    Record,
    /// A policy document.
    Policy,
    /// Who a machine is, to another that it is paired with.
    Pairing,
    /// A request to the cloud truth.
    CloudRequest,
    /// A change of the key under the mesh.
    Rekey,
    /// A machine's word that it uses that key.
    Moved,
    /// The manifest of a snapshot.
    Snapshot,
}

impl Purpose {
    /// The bytes that go before what is signed or hashed.
    pub(crate) fn label(self) -> &'static [u8] {
        match self {
            Self::Bundle => b"studiovault bundle v1",
            Self::FeedPage => b"studiovault feed page v1",
            Self::Record => b"studiovault roster record v1",
            Self::Policy => b"studiovault policy v1",
            Self::Pairing => b"studiovault pairing v1",
            Self::CloudRequest => b"studiovault cloud request v1",
            Self::Rekey => b"studiovault rekey v1",
            Self::Moved => b"studiovault moved v1",
            Self::Snapshot => b"studiovault snapshot v1",
        }
    }

    fn message(self, hash: &Hash) -> Vec<u8> {
        [self.label(), &hash.0].concat()
    }
}

/// A secret signing key. Never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From 32 random bytes that the caller drew.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The seed, for the one place that stores it.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `hash` for `purpose`.
    pub fn sign(&self, purpose: Purpose, hash: &Hash) -> Signature {
        Signature(self.0.sign(&purpose.message(hash)).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

/// A public key, decompressed once so that many signatures can be checked with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyKey(VerifyingKey);

impl VerifyKey {
    /// `None` if the bytes are no point of the curve.
    pub fn new(key: &PublicKey) -> Option<Self> {
        VerifyingKey::from_bytes(&key.0).ok().map(Self)
    }

    /// Checks strictly: no malleable signatures, no small-order keys.
    pub fn verify(&self, purpose: Purpose, hash: &Hash, signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0
            .verify_strict(&purpose.message(hash), &signature)
            .is_ok()
    }
}
