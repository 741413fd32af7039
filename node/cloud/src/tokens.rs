//! Bearer tokens: what they look like, how they are kept, and what they allow.
//!
//! Only a hash is stored. Tokens are 32 random bytes, so a plain hash cannot be searched backwards.

use serde::{Deserialize, Serialize};
use studiovault_protocol::cloud::CARRY;
use studiovault_protocol::id::{DeviceId, Hash, StudioId};

use crate::secrets;

/// What a personal access token may do in its studio.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See the feed, the logs, the roster and the summary.
    Read,
    /// All of that, and bring commands in JSON: for programs that are no machine of the studio.
    Sync,
    /// For the studio's machines: read and bring signed bundles, each request with a proof by the key of a machine that belongs.
    Carry,
}

impl Scope {
    /// As it is written in requests and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Sync => "sync",
            Self::Carry => CARRY,
        }
    }

    /// The scope of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [Self::Read, Self::Sync, Self::Carry];
        all.into_iter().find(|scope| scope.word() == word)
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// Holds the server's admin token.
    Admin,
    /// Holds a personal access token.
    Person(Grantee),
}

/// What a personal access token is bound to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Grantee {
    /// The token's name, not its secret.
    pub id: String,
    /// The one studio that it opens.
    pub studio: StudioId,
    /// The one device that may carry with it; `None`: any.
    pub device: Option<DeviceId>,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

impl Grantee {
    /// Whether `scope` is allowed: every scope allows reading, and nothing else beyond itself.
    pub fn allows(&self, scope: Scope) -> bool {
        scope == Scope::Read || self.scopes.contains(&scope)
    }

    /// Whether it is for machines, which must prove who they are.
    pub fn carries(&self) -> bool {
        self.scopes.contains(&Scope::Carry)
    }
}

/// A new admin token.
pub fn mint_admin() -> String {
    format!("sva_{}", secrets::hex(&secrets::random::<32>()))
}

/// A new personal access token and the id it is revoked by.
pub fn mint_personal() -> (String, String) {
    let id = secrets::hex(&secrets::random::<8>());
    let token = format!("svp_{}", secrets::hex(&secrets::random::<32>()));
    (id, token)
}

/// What is stored of a token.
pub fn hash_of(token: &str) -> Hash {
    Hash::of(token.as_bytes())
}
