//! Who asks, and what they may reach. A token opens one studio, and the answer for any other never tells if it exists.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use studiovault_protocol::id::{DeviceId, StudioId};

use super::App;
use crate::problem::Problem;
use crate::studio::Studio;
use crate::tokens::{Caller, Grantee, Scope, hash_of};
use crate::truth::Truth;

/// A request's authenticated caller.
pub struct Asker(pub Caller);

impl FromRequestParts<App> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(Problem::unauthorised)?;
        // Tokens are looked up by hash, so comparing takes no longer for one that is nearly right.
        let hash = hash_of(token.trim());
        let caller = app
            .run(move |truth| {
                let caller = truth.store.read(|session| {
                    if session.setting("admin_token")?.as_deref() == Some(&hash.0[..]) {
                        return Ok(Some(Caller::Admin));
                    }
                    Ok::<_, crate::store::StoreError>(session.token(hash)?.map(Caller::Person))
                })?;
                caller.ok_or_else(Problem::unauthorised)
            })
            .await?;
        Ok(Self(caller))
    }
}

impl Asker {
    /// Only the holder of the admin token.
    pub fn admin(&self) -> Result<(), Problem> {
        match self.0 {
            Caller::Admin => Ok(()),
            Caller::Person(_) => Err(Problem::forbidden("only the admin token may do this")),
        }
    }

    /// The holder of a personal access token with that scope.
    pub fn person(&self, scope: Scope) -> Result<&Grantee, Problem> {
        match &self.0 {
            Caller::Admin => Err(Problem::forbidden(
                "the admin token belongs to no studio: use a personal access token",
            )),
            Caller::Person(grantee) if grantee.allows(scope) => Ok(grantee),
            Caller::Person(_) => Err(Problem::forbidden("this token has not the needed scope")),
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
