//! A bundle without its commands' words: enough to check who signed it, and what it comes after.

use serde::{Deserialize, Serialize};

use super::{Bundle, Contents, Header, check_header};
use crate::id::{Hash, Signature};
use crate::keys::{Purpose, VerifyKey};

/// What a bundle's signature is made over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// Its header.
    pub header: Header,
    /// Of each of its commands.
    pub commands: Vec<Hash>,
    /// The author's.
    pub signature: Signature,
}

impl Claim {
    /// The bundle's hash.
    pub fn hash(&self) -> Hash {
        super::hash_over(&self.header, self.commands.iter().copied())
    }

    /// Whether it is within the bounds of a bundle.
    pub(crate) fn is_canonical(&self) -> bool {
        check_header(&self.header, self.commands.len() as u64).is_ok()
    }

    /// Whether that key signed it.
    pub(crate) fn is_signed_by(&self, key: &VerifyKey) -> bool {
        key.verify(Purpose::Bundle, &self.hash(), &self.signature)
    }
}

impl Bundle {
    /// The bundle without its commands' words; `None` of an envelope that only a newer version reads.
    pub fn claim(&self) -> Option<Claim> {
        let Contents::Commands(_) = &self.contents else {
            return None;
        };
        let commands = self.commands().map(|(dot, command)| command.hash(dot));
        Some(Claim {
            header: self.header.clone(),
            commands: commands.collect(),
            signature: self.signature,
        })
    }
}

impl Header {
    /// Whether this begins an epoch, by its own word: nothing of the epoch comes before it.
    pub fn begins(&self) -> bool {
        let own = |hash: Hash| {
            self.saw
                .iter()
                .any(|seen| seen.dot.author.device == self.author.device && seen.hash == hash)
        };
        self.prev.is_none_or(own)
    }
}
