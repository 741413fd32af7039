//! Who asks, and what they may reach. A token opens one studio, and the answer for any other never tells if it exists.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use studiovault_protocol::cloud::{PROOF_HEADER, Proof, Prover, Target};
use studiovault_protocol::id::{DeviceId, StudioId};

use super::{App, PREFIX};
use crate::clock::wall_now;
use crate::issuer::Token;
use crate::nonce;
use crate::problem::Problem;
use crate::studio::Studio;
use crate::tokens::{Caller, Grantee, Scope, hash_of};
use crate::truth::Truth;

/// Whoever holds a token, before a machine has proved which one it is.
pub struct Bearer(pub Caller);

impl FromRequestParts<App> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = text_of(parts, header::AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(Problem::unauthorised)?;
        if let (true, Some(issuer)) = (Token::is_one(token), &app.issuer) {
            let grantee = issuer.check(token.trim(), wall_now()).await?;
            return Ok(Self(Caller::Person(grantee)));
        }
        // Tokens are looked up by hash, so comparing takes no longer for one that is nearly right.
        let hash = hash_of(token.trim());
        let caller = app
            .run(move |truth| {
                let caller = truth.store.read(|session| {
                    if session.setting("admin_token")?.as_deref() == Some(&hash.0[..]) {
                        return Ok(Some(Caller::Admin));
                    }
                    let grantee = match session.token(hash)? {
                        Some(grantee) => Some(grantee),
                        None => session.access_token(hash, wall_now())?,
                    };
                    Ok::<_, crate::store::StoreError>(grantee.map(Caller::Person))
                })?;
                caller.ok_or_else(Problem::unauthorised)
            })
            .await?;
        Ok(Self(caller))
    }
}

/// A request's authenticated caller. Of a machine's token it has proved which machine sends it, and that machine belongs.
pub struct Asker(pub Caller);

impl FromRequestParts<App> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Bearer(caller) = Bearer::from_request_parts(parts, app).await?;
        match caller {
            Caller::Person(grantee) if grantee.carries() => {
                let grantee = proven(parts, app, grantee).await?;
                Ok(Self(Caller::Person(grantee)))
            }
            caller => Ok(Self(caller)),
        }
    }
}

fn text_of<'a>(parts: &'a Parts, header: &str) -> Option<&'a str> {
    parts.headers.get(header)?.to_str().ok()
}

/// Binds a machine's token to the machine whose key signed this request.
pub async fn proven(parts: &Parts, app: &App, grantee: Grantee) -> Result<Grantee, Problem> {
    let proof = text_of(parts, PROOF_HEADER).and_then(|text| text.parse::<Proof>().ok());
    let method = parts.method.to_string();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    // The router has cut the prefix off.
    let path = format!("{PREFIX}{path}");
    app.run(move |truth| {
        let unproven = || Problem::unproven(nonce::at(&truth.key, wall_now()));
        let proof = proof.ok_or_else(unproven)?;
        if !nonce::is_fresh(&truth.key, wall_now(), &proof.nonce) {
            return Err(unproven());
        }
        let studio = open(truth, grantee.studio)?;
        let state = studio.state();
        let (device, key) = match proof.prover {
            Prover::Root => (grantee.device, state.roster.root_key().clone()),
            Prover::Device(device) => {
                let member = state
                    .roster
                    .member(device)
                    .ok_or_else(Problem::unknown_device)?;
                if !member.is_active() {
                    return Err(Problem::shut_out());
                }
                grantee.carries_for(device)?;
                (Some(device), member.key.clone())
            }
        };
        let target = Target {
            method: &method,
            path: &path,
        };
        if !proof.holds(target, &key) {
            return Err(unproven());
        }
        Ok(Grantee { device, ..grantee })
    })
    .await
}

impl Asker {
    /// Only the holder of the admin token.
    pub fn admin(&self) -> Result<(), Problem> {
        match self.0 {
            Caller::Admin => Ok(()),
            Caller::Person(_) => Err(Problem::forbidden("only the admin token may do this")),
        }
    }

    /// The holder of a personal access token.
    pub fn holder(&self) -> Result<&Grantee, Problem> {
        match &self.0 {
            Caller::Admin => Err(Problem::forbidden(
                "the admin token belongs to no studio: use a personal access token",
            )),
            Caller::Person(grantee) => Ok(grantee),
        }
    }

    /// The holder of a personal access token with that scope.
    pub fn person(&self, scope: Scope) -> Result<&Grantee, Problem> {
        let grantee = self.holder()?;
        match grantee.allows(scope) {
            true => Ok(grantee),
            false => Err(Problem::forbidden(format!(
                "this token has not the scope `{}`",
                scope.word()
            ))),
        }
    }

    /// The admin, or whoever holds a token of this very studio.
    pub fn reader_of(&self, studio: StudioId) -> Result<(), Problem> {
        match &self.0 {
            Caller::Admin => Ok(()),
            Caller::Person(grantee) if grantee.studio == studio && grantee.allows(Scope::Read) => {
                Ok(())
            }
            Caller::Person(_) => Err(Problem::forbidden("this token is for another studio")),
        }
    }
}

impl Grantee {
    /// A token that is bound to a device carries for that device only.
    pub fn carries_for(&self, device: DeviceId) -> Result<(), Problem> {
        match self.device {
            Some(bound) if bound != device => {
                Err(Problem::forbidden("this token is for another device"))
            }
            _ => Ok(()),
        }
    }
}

/// Opens a studio that the caller may reach.
pub fn open(truth: &Truth, studio: StudioId) -> Result<Arc<Studio>, Problem> {
    truth
        .studio(studio)?
        .ok_or_else(|| Problem::not_found("this studio is not enrolled here"))
}
