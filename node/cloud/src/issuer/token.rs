//! One access token of a provider (RFC 9068): taken apart, and its claims held against what this server is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::id::StudioId;
use studiovault_protocol::time::WallMs;

use super::IssuerError;
use super::keys::Keys;
use crate::config::IssuerConfig;
use crate::tokens::{Grantee, Scope};

/// Bytes of a token.
const TOKEN_BYTES: usize = 8 * 1024;
/// How far the provider's clock and ours may be apart, s.
const LEEWAY_S: f64 = 5.0;
/// Bytes of what a person's id is shown as.
const SUBJECT_BYTES: usize = 128;

/// A token whose signature was not checked yet.
pub struct Token<'t> {
    header: Header,
    message: &'t str,
    claims: &'t str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: Option<String>,
    /// What must be understood (RFC 7515, 4.1.11); nothing is.
    crit: Option<serde_json::Value>,
}

/// What a token says. Every field that must be there is one without a default.
#[derive(Deserialize)]
pub struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    sub: String,
    scope: String,
    studiovault_studio: StudioId,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl<'t> Token<'t> {
    /// Whether a bearer's token may be one of a provider: ours have no dots.
    pub fn is_one(text: &str) -> bool {
        text.contains('.')
    }

    /// Takes it apart.
    pub fn read(text: &'t str) -> Result<Self, IssuerError> {
        let malformed = IssuerError::Refused("it cannot be read");
        if text.len() > TOKEN_BYTES {
            return Err(malformed);
        }
        let parts = text.rsplit_once('.').and_then(|(message, signature)| {
            let (header, claims) = message.split_once('.')?;
            let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
            Some((message, unpacked::<Header>(header)?, claims, signature))
        });
        let (message, header, claims, signature) = parts.ok_or(malformed)?;
        let kind = header.typ.to_ascii_lowercase();
        if kind.strip_prefix("application/").unwrap_or(&kind) != "at+jwt" {
            return Err(IssuerError::Refused("it is no access token (at+jwt)"));
        }
        if header.crit.is_some() {
            return Err(IssuerError::Refused(
                "it wants more understood than is here",
            ));
        }
        Ok(Self {
            header,
            message,
            claims,
            signature,
        })
    }

    /// Whether one of the keys signed it.
    pub fn is_signed_by(&self, keys: &Keys) -> bool {
        let key = (self.header.alg.as_str(), self.header.kid.as_deref());
        keys.signed(key, self.message.as_bytes(), &self.signature)
    }

    /// What it says; worth nothing before the signature was checked.
    pub fn claims(&self) -> Result<Claims, IssuerError> {
        let text = "it lacks a claim (iss, aud, exp, sub, scope, studiovault_studio), or one cannot be read";
        unpacked(self.claims).ok_or(IssuerError::Refused(text))
    }
}

fn unpacked<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Claims {
    /// Whom they are about, if they are for this server, now.
    pub fn grantee(self, config: &IssuerConfig, now: WallMs) -> Result<Grantee, IssuerError> {
        let refused = IssuerError::Refused;
        if self.iss != config.url {
            return Err(refused("another provider made it"));
        }
        let is_ours = match &self.aud {
            Audience::One(audience) => *audience == config.audience,
            Audience::Many(audiences) => audiences.contains(&config.audience),
        };
        if !is_ours {
            return Err(refused("it is for another server"));
        }
        #[allow(clippy::cast_precision_loss)] // Milliseconds of this era fit.
        let now_s = now.0 as f64 / 1000.0;
        // JSON has no NaN.
        if self.exp + LEEWAY_S <= now_s {
            return Err(refused("its time is over"));
        }
        if self.nbf.is_some_and(|from| from - LEEWAY_S > now_s) {
            return Err(refused("its time has not come"));
        }
        let scopes: Vec<Scope> = self.scope.split(' ').filter_map(Scope::of_word).collect();
        let alone = !scopes.contains(&Scope::Carry) || scopes.len() == 1;
        if scopes.is_empty() || !alone {
            return Err(refused("its scope is none of carry, sync and read"));
        }
        let subject = self.sub.chars().filter(|c| !c.is_control());
        Ok(Grantee {
            id: subject.take(SUBJECT_BYTES).collect(),
            studio: self.studiovault_studio,
            device: None,
            scopes,
        })
    }
}
