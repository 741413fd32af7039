//! Signing in without a secret to copy: the device authorization grant (RFC 8628), and refresh tokens that change with every use.
//!
//! A code is good once, and only for as long as it is open; nothing that opens anything stands in the database as it is. Of the
//! refresh tokens of one sign-in exactly one is live at any time: whoever comes with another one ends the whole sign-in.

use serde::Serialize;
use studiovault_protocol::id::{DeviceId, Hash, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::time::WallMs;

use crate::secrets;
use crate::store::{Audit, Session, StoreError};
use crate::tokens::{Grantee, Scope, hash_of};
use crate::truth::Truth;

/// The one client that asks here; it has no secret.
pub const CLIENT: &str = "studiovault";
/// How long a code is open, ms.
pub const CODE_MS: i64 = 10 * 60 * 1000;
/// How long whoever asks must wait between two questions, s; each question that comes too early adds as much as RFC 8628 says.
pub const INTERVAL_S: i64 = 2;
const SLOWER_S: i64 = 5;
/// Codes open at one time for whoever has not proved to be a machine of a studio. A machine has one, however often it asks.
pub const STRANGERS: u64 = 64;
/// How long an access token is good, ms.
pub const ACCESS_MS: i64 = 60 * 60 * 1000;
/// How long a refresh token is good, ms: a machine that was away for longer signs in again.
pub const REFRESH_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// An exchange whose answer was lost may be repeated for so long, ms, if what it gave was never used.
pub const REPEAT_MS: i64 = 2 * 60 * 1000;
/// Bytes of what a machine calls itself.
pub const NAME_BYTES: usize = 64;

/// Letters of a code that people read out: no vowels, so that no code is a word, and none that look alike.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const CODE_LETTERS: usize = 8;
/// Separates this use of the key from any other.
const CONTEXT: &str = "studiovault cloud 2026-11 user code";

/// Why no token is given. Unless it says so, nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Nobody has decided yet.
    #[error("nobody has approved the code yet")]
    Pending,
    /// The asker's: it asks too often, and has to wait longer from now on.
    #[error("asked too early: wait 5 seconds longer between two questions")]
    SlowDown,
    /// A person said no.
    #[error("whoever runs the cloud said no")]
    Denied,
    /// The code was open for too long, or was used.
    #[error("this code is no longer open: ask for a new one")]
    Expired,
    /// The refresh token is not, or is no longer, one.
    #[error("this sign-in has ended: sign in again")]
    Ended,
    /// A refresh token was used a second time: the sign-in ended for both.
    #[error("this refresh token was used before, so the sign-in was ended: sign in again")]
    Reused,
    /// More open codes than the server keeps.
    #[error("too many codes are open at this server: come again in some minutes")]
    TooMany,
    /// The disk's, or the database's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What somebody who wants to sign in says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Wish {
    /// For which studio.
    pub studio: StudioId,
    /// For which machine.
    pub device: Option<DeviceId>,
    /// What people call it.
    pub name: String,
    /// What the token shall allow.
    pub scope: Scope,
    /// Whether the machine has proved itself to be one of the studio.
    pub proven: bool,
}

/// A code as it is given to whoever asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Codes {
    /// For the machine: it asks with it whether somebody has decided.
    pub device: String,
    /// For people: `WDJB-MJHT`.
    pub user: String,
}

/// A code as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenCode {
    /// Names it inside the database.
    pub row: i64,
    /// What it is for.
    pub wish: Wish,
    /// What a person decided.
    pub decision: Option<Decision>,
    /// Until when it is open.
    pub expires_at: WallMs,
    /// No question is answered before.
    pub poll_at: WallMs,
    /// Seconds between two questions.
    pub interval_s: i64,
}

/// A person's word on a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The machine gets its tokens.
    Approve,
    /// It gets none.
    Deny,
}

/// The two tokens of a sign-in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tokens {
    /// Opens the studio.
    pub access: String,
    /// Gets the next two, once.
    pub refresh: String,
    /// What the access token allows.
    pub scope: Scope,
}

/// What a refresh token is to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefreshRow {
    /// Names it inside the database.
    pub row: i64,
    /// The sign-in that it belongs to.
    pub sign_in: i64,
    /// When it was exchanged for the next one; `None`: it is live.
    pub rotated_at: Option<WallMs>,
    /// It is good until then.
    pub expires_at: WallMs,
}

impl Truth {
    /// Opens a code.
    pub fn open_code(&self, wish: &Wish, now: WallMs) -> Result<Codes, SignInError> {
        let codes = Codes {
            device: format!("svd_{}", secrets::hex(&secrets::random::<32>())),
            user: user_code(),
        };
        let hashes = (hash_of(&codes.device), hash_of_user(&self.key, &codes.user));
        self.store.write(|session| {
            session.drop_codes(now)?;
            match wish.device.filter(|_| wish.proven) {
                Some(device) => session.drop_codes_of(wish.studio, device)?,
                None if session.strangers()? >= STRANGERS => return Err(SignInError::TooMany),
                None => {}
            }
            session.insert_code(wish, hashes, now)?;
            Ok(codes)
        })
    }

    /// What a code is for, before anybody decides; `None` if it is not open, was decided, or its studio is not enrolled here.
    pub fn wished(&self, code: &str, now: WallMs) -> Result<Option<Wish>, StoreError> {
        let hash = hash_of_user(&self.key, code);
        let found = self.store.read(|session| session.waiting_code(hash, now))?;
        Ok(found.map(|(open, _)| open.wish))
    }

    /// Takes a person's word on a code; `None` if it is not open, or its studio is not enrolled here.
    pub fn decide_code(
        &self,
        (code, decision): (&str, Decision),
        now: WallMs,
    ) -> Result<Option<Wish>, StoreError> {
        let hash = hash_of_user(&self.key, code);
        self.store.write(|session| -> Result<_, StoreError> {
            let Some((open, studio)) = session.waiting_code(hash, now)? else {
                return Ok(None);
            };
            if !session.decide_code(open.row, decision)? {
                return Ok(None);
            }
            let name = &open.wish.name;
            let (what, outcome) = match decision {
                Decision::Approve => (format!("sign in {name}"), "approved"),
                Decision::Deny => (format!("sign in {name}"), "denied"),
            };
            session.audit(&line((studio, open.wish.device), what, outcome), now)?;
            Ok(Some(open.wish))
        })
    }

    /// Gives the tokens of an approved code, once.
    pub fn redeem_code(&self, code: &str, now: WallMs) -> Result<Tokens, SignInError> {
        let hash = hash_of(code);
        // What a question changes stays, whatever its answer is.
        self.store.write(|session| -> Result<_, StoreError> {
            let Some(open) = session.code_of_device(hash, now)? else {
                return Ok(Err(SignInError::Expired));
            };
            if now < open.poll_at {
                session.slow_code(&open, open.interval_s + SLOWER_S, now)?;
                return Ok(Err(SignInError::SlowDown));
            }
            match open.decision {
                None => {
                    session.slow_code(&open, open.interval_s, now)?;
                    Ok(Err(SignInError::Pending))
                }
                Some(decision) => {
                    if !session.remove_code(open.row)? {
                        return Ok(Err(SignInError::Expired));
                    }
                    match decision {
                        Decision::Approve => Ok(Ok(session.sign_in(&open.wish, now)?)),
                        Decision::Deny => Ok(Err(SignInError::Denied)),
                    }
                }
            }
        })?
    }

    /// Exchanges a refresh token for the next pair.
    pub fn refresh(&self, token: &str, now: WallMs) -> Result<Tokens, SignInError> {
        let hash = hash_of(token);
        self.store.write(|session| -> Result<_, StoreError> {
            let Some(held) = session.refresh_token(hash)? else {
                return Ok(Err(SignInError::Ended));
            };
            if held.expires_at <= now {
                session.end_sign_in(held.sign_in)?;
                return Ok(Err(SignInError::Ended));
            }
            if session.rotate(held.row, now)? || session.may_repeat(hash, now)? {
                return Ok(Ok(session.renew((held.sign_in, Some(held.row)), now)?));
            }
            let studio = session.studio_of(held.sign_in)?;
            let what = "use a refresh token again".into();
            session.audit(&line((studio, None), what, "sign-in ended"), now)?;
            session.end_sign_in(held.sign_in)?;
            Ok(Err(SignInError::Reused))
        })?
    }
}

impl Session<'_> {
    /// The code that a person names, if it waits for a word, and the row of its studio.
    fn waiting_code(&self, hash: Hash, now: WallMs) -> Result<Option<(OpenCode, i64)>, StoreError> {
        let open = self.code_of_user(hash, now)?;
        let Some(open) = open.filter(|open| open.decision.is_none()) else {
            return Ok(None);
        };
        let studio = self.studio(open.wish.studio)?;
        Ok(studio.map(|studio| (open, studio.row)))
    }

    /// Begins a sign-in.
    fn sign_in(&self, wish: &Wish, now: WallMs) -> Result<Tokens, StoreError> {
        self.drop_tokens(now)?;
        let id = secrets::hex(&secrets::random::<8>());
        let grantee = Grantee {
            id,
            studio: wish.studio,
            device: wish.device,
            scopes: vec![wish.scope],
        };
        // The studio was there when the code was approved, and none is ever removed.
        let row = self.insert_sign_in(&grantee, &wish.name, now)?;
        self.renew((row, None), now)
    }

    /// Whoever lost the answer to an exchange may ask once more: what the lost answer held is void from then on.
    fn may_repeat(&self, hash: Hash, now: WallMs) -> Result<bool, StoreError> {
        let Some(held) = self.refresh_token(hash)? else {
            return Ok(false);
        };
        let soon = |at: WallMs| now.0 < at.0.saturating_add(REPEAT_MS);
        Ok(held.rotated_at.is_some_and(soon) && self.void_child(held.row)?)
    }

    /// The next pair of a sign-in; its access tokens before are void.
    fn renew(
        &self,
        (sign_in, parent): (i64, Option<i64>),
        now: WallMs,
    ) -> Result<Tokens, StoreError> {
        let tokens = Tokens {
            access: format!("svp_{}", secrets::hex(&secrets::random::<32>())),
            refresh: format!("svr_{}", secrets::hex(&secrets::random::<32>())),
            scope: self.scope_of(sign_in)?,
        };
        self.drop_access(sign_in)?;
        let expires = |ms: i64| WallMs(now.0.saturating_add(ms));
        self.insert_access(sign_in, hash_of(&tokens.access), expires(ACCESS_MS))?;
        let refresh = (hash_of(&tokens.refresh), parent);
        self.insert_refresh(sign_in, refresh, expires(REFRESH_MS))?;
        Ok(tokens)
    }
}

fn line((studio, device): (i64, Option<DeviceId>), what: String, outcome: &str) -> Audit {
    Audit {
        studio: Some(studio),
        who: "admin".into(),
        device,
        what,
        outcome: outcome.into(),
    }
}

/// A fresh code for people.
fn user_code() -> String {
    let mut code = String::new();
    while code.len() <= CODE_LETTERS {
        if code.len() == CODE_LETTERS / 2 {
            code.push('-');
        }
        // 240 is the largest multiple of 20 that a byte holds: every letter is as likely.
        let [byte] = secrets::random::<1>();
        if byte < 240 {
            code.push(LETTERS[usize::from(byte % 20)].into());
        }
    }
    code
}

/// What is stored of a code for people: under a key that is not in the database, since so short a text could be searched.
fn hash_of_user(key: &SecretKey, code: &str) -> Hash {
    let letters: String = code
        .chars()
        .filter(char::is_ascii_alphabetic)
        .take(CODE_LETTERS + 1)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let derived = blake3::derive_key(CONTEXT, &key.seed());
    Hash(*blake3::keyed_hash(&derived, letters.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_for_people_has_eight_letters_and_is_read_as_people_type_it() {
        let key = SecretKey::from_seed([1; 32]);
        for _ in 0..100 {
            let code = user_code();
            let parts: Vec<&str> = code.split('-').collect();
            assert!(
                parts.len() == 2 && parts.iter().all(|part| part.len() == 4),
                "{code}"
            );
            let letters = code.bytes().filter(|byte| *byte != b'-');
            assert!(letters.clone().all(|letter| LETTERS.contains(&letter)));
            let typed = format!(" {}", code.to_lowercase().replace('-', " "));
            assert_eq!(hash_of_user(&key, &typed), hash_of_user(&key, &code));
            let longer = format!("{code}B");
            assert_ne!(hash_of_user(&key, &longer), hash_of_user(&key, &code));
        }
    }
}
