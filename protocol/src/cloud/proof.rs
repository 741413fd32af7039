//! The proof that a request to the cloud comes from a machine of the studio and not only from whoever holds the studio's token:
//! a signature by the device key over the request's address and a nonce of the server (after RFC 9449, with raw Ed25519).
//!
//! A machine that was shut out keeps the token and can prove nothing any more.

use std::fmt;
use std::str::FromStr;

use crate::id::{DeviceId, Hash, Signature};
use crate::keys::{Purpose, SecretKey, VerifyKey};

/// The header of a request that carries a proof.
pub const PROOF_HEADER: &str = "studiovault-proof";
/// The header of an answer that carries the nonce for the next proofs.
pub const NONCE_HEADER: &str = "studiovault-nonce";
/// Bytes of a proof in its text form at most.
const PROOF_BYTES: usize = 512;

/// Whose key proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum Prover {
    /// The studio's root key, from the recovery kit.
    Root,
    /// A machine of the roster.
    Device(DeviceId),
}

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// In capitals.
    pub method: &'a str,
    /// The path with its query, from `/v1` on.
    pub path: &'a str,
}

/// A proof as it travels: `PROVER.NONCE.SIGNATURE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// Whose key.
    pub prover: Prover,
    /// From the server.
    pub nonce: String,
    signature: Signature,
}

/// A text that is no proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is no proof: it is written PROVER.NONCE.SIGNATURE")]
pub struct ProofError;

impl Proof {
    /// Signs.
    pub fn new(prover: Prover, nonce: String, target: Target<'_>, key: &SecretKey) -> Self {
        let signature = key.sign(Purpose::CloudRequest, &said(prover, &nonce, target));
        Self {
            prover,
            nonce,
            signature,
        }
    }

    /// Whether the prover's key signed exactly this for this request.
    pub fn holds(&self, target: Target<'_>, key: &VerifyKey) -> bool {
        let said = said(self.prover, &self.nonce, target);
        key.verify(Purpose::CloudRequest, &said, &self.signature)
    }
}

fn said(prover: Prover, nonce: &str, target: Target<'_>) -> Hash {
    let said = postcard::to_stdvec(&(prover, nonce, target.method, target.path));
    Hash::of(&said.expect("plain values always encode"))
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prover {
            Prover::Root => f.write_str("root")?,
            Prover::Device(device) => write!(f, "{device}")?,
        }
        write!(f, ".{}.{}", self.nonce, self.signature)
    }
}

impl FromStr for Proof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let mut parts = text.split('.');
        let (Some(prover), Some(nonce), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ProofError);
        };
        if text.len() > PROOF_BYTES || nonce.is_empty() {
            return Err(ProofError);
        }
        let prover = match prover {
            "root" => Prover::Root,
            device => Prover::Device(device.parse().map_err(|_| ProofError)?),
        };
        Ok(Self {
            prover,
            nonce: nonce.to_owned(),
            signature: signature.parse().map_err(|_| ProofError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Target<'_> = Target {
        method: "GET",
        path: "/v1/ping?nonce=1",
    };

    #[test]
    fn a_proof_holds_for_its_request_its_prover_and_its_key_alone() {
        let key = SecretKey::from_seed([1; 32]);
        let public = |key: &SecretKey| VerifyKey::new(&key.public()).expect("a key");
        let prover = Prover::Device(DeviceId([7; 16]));
        let made = Proof::new(prover, "0a1b".into(), PING, &key);
        let read: Proof = made.to_string().parse().expect("its own text");
        assert_eq!(read, made);
        assert!(read.holds(PING, &public(&key)));
        let elsewhere = Target {
            path: "/v1/sync/batch",
            ..PING
        };
        assert!(!read.holds(elsewhere, &public(&key)));
        assert!(!read.holds(PING, &public(&SecretKey::from_seed([2; 32]))));
        for other in [
            Proof {
                prover: Prover::Root,
                ..read.clone()
            },
            Proof {
                nonce: "0a1c".into(),
                ..read
            },
        ] {
            assert!(!other.holds(PING, &public(&key)));
        }
    }

    #[test]
    fn what_is_no_proof_is_refused() {
        let key = SecretKey::from_seed([1; 32]);
        let made = Proof::new(Prover::Root, "0a".into(), PING, &key).to_string();
        let long = format!("root.{}.{}", "a".repeat(600), "00".repeat(64));
        for text in [
            "",
            "root",
            "root.0a",
            "root..00",
            &format!("{made}.x"),
            &made[1..],
            &long,
        ] {
            assert_eq!(text.parse::<Proof>(), Err(ProofError), "{text}");
        }
    }
}
