//! Personal access tokens: made, listed and revoked by whoever holds the admin token. A secret is shown once.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use studiovault_protocol::id::{DeviceId, StudioId};

use super::App;
use super::access::Asker;
use super::asked::Named;
use crate::body::{self, Raw};
use crate::clock::wall_now;
use crate::problem::Problem;
use crate::store::{Audit, StoreError};
use crate::tokens::{Grantee, Scope, hash_of, mint_personal};

/// What a new token is for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    studio: StudioId,
    #[serde(default)]
    device: Option<DeviceId>,
    #[serde(default = "usual")]
    scopes: Vec<Scope>,
}

fn usual() -> Vec<Scope> {
    vec![Scope::Carry]
}

/// A new token with its secret.
#[derive(Serialize)]
pub struct Minted {
    token: String,
    #[serde(flatten)]
    grantee: Grantee,
}

/// Makes a token.
pub async fn create(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    asker.admin()?;
    let wish: NewToken = body::plain(&body::inflate(&headers, raw)?)?;
    let mut scopes = wish.scopes;
    scopes.sort();
    scopes.dedup();
    if scopes.is_empty() {
        let text = "a token needs a scope: carry (for machines), sync or read";
        return Err(Problem::malformed(text));
    }
    if scopes.contains(&Scope::Carry) && scopes.len() > 1 {
        let text = "a token with the scope carry is for machines and has no other scope";
        return Err(Problem::malformed(text));
    }
    let (id, token) = mint_personal();
    let grantee = Grantee {
        id,
        studio: wish.studio,
        device: wish.device,
        scopes,
    };
    let hash = hash_of(&token);
    let grantee = app
        .run(move |truth| {
            let made = truth.store.write(|session| {
                let line = admin_line(format!("make token {}", grantee.id));
                session.audit(&line, wall_now())?;
                session.insert_token(&grantee, hash, wall_now())
            })?;
            if made {
                Ok(grantee)
            } else {
                Err(Problem::not_found("this studio is not enrolled here"))
            }
        })
        .await?;
    Ok((StatusCode::CREATED, Json(Minted { token, grantee })))
}

/// Every token and sign-in, without its secret.
pub async fn list(State(app): State<App>, asker: Asker) -> Result<Json<Vec<Grantee>>, Problem> {
    asker.admin()?;
    let tokens = app
        .run(|truth| {
            Ok(truth.store.read(|session| {
                let mut all = session.tokens()?;
                all.extend(session.sign_ins()?);
                Ok::<_, StoreError>(all)
            })?)
        })
        .await?;
    Ok(Json(tokens))
}

/// Revokes a token, or a sign-in with all of its tokens.
pub async fn revoke(
    State(app): State<App>,
    asker: Asker,
    Named(id): Named,
) -> Result<StatusCode, Problem> {
    asker.admin()?;
    let gone = app
        .run(move |truth| {
            let gone = truth.store.write(|session| {
                session.audit(&admin_line(format!("revoke token {id:.32}")), wall_now())?;
                Ok::<_, StoreError>(session.remove_token(&id)? || session.end_sign_in_named(&id)?)
            })?;
            Ok::<bool, Problem>(gone)
        })
        .await?;
    if gone {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("there is no such token"))
    }
}

fn admin_line(what: String) -> Audit {
    Audit {
        studio: None,
        who: "admin".into(),
        device: None,
        what,
        outcome: "done".into(),
    }
}
