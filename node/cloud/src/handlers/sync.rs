//! The main road: batches up, the feed down.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use studiovault_protocol::cloud::{BatchRequest, ChangesRequest, TailRequest};

use super::access::{Asker, open};
use super::{App, plain};
use crate::body::{self, Form, Raw};
use crate::clock::wall_now;
use crate::problem::Problem;
use crate::studio::Studio;
use crate::tokens::{Grantee, Scope};

/// Seconds that a question for changes waits at most.
pub const WAIT_S: u8 = 30;

/// Takes a batch.
pub async fn batch(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Response, Problem> {
    let form = body::form_of(&headers)?;
    if form == Form::Plain {
        let person = asker.person(Scope::Sync)?.clone();
        let bytes = body::inflate(&headers, raw)?;
        return plain::batch(app, person, (headers, bytes)).await;
    }
    let person = asker.person(Scope::Carry)?.clone();
    let bytes = body::inflate(&headers, raw)?;
    let answer = app
        .run(move |truth| {
            let request: BatchRequest = body::signed(&bytes)?;
            person.carries_for(request.device)?;
            if !request.have.is_canonical() {
                return Err(Problem::malformed("a frontier that is out of bounds"));
            }
            let studio = open(truth, person.studio)?;
            Ok(studio.take(truth, &request, wall_now())?)
        })
        .await?;
    Ok(body::answer_signed(&headers, &answer))
}

/// Takes back what this server lost of its own feed.
pub async fn tail(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Response, Problem> {
    let otherwise = "a feed is given back in its signed form";
    let (person, bytes) = carried(&asker, (&headers, raw), otherwise)?;
    let request: TailRequest = body::signed(&bytes)?;
    person.carries_for(request.device)?;
    let answer = app
        .run(move |truth| {
            let studio = open(truth, person.studio)?;
            Ok(studio.take_back(truth, &request, wall_now())?)
        })
        .await?;
    Ok(body::answer_signed(&headers, &answer))
}

/// Tells what is new, waiting for it if asked to.
pub async fn changes(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Response, Problem> {
    let otherwise = "in JSON this is GET /v1/sync/changes";
    let (person, bytes) = carried(&asker, (&headers, raw), otherwise)?;
    let request: ChangesRequest = body::signed(&bytes)?;
    person.carries_for(request.device)?;
    if !request.have.is_canonical() {
        return Err(Problem::malformed("a frontier that is out of bounds"));
    }
    let id = person.studio;
    let studio = app.run(move |truth| open(truth, id)).await?;
    let head = studio.state().head.0;
    if request.since > head {
        let detail = "this cloud truth was put back to an earlier point of its feed";
        return Err(Problem::behind(head, detail));
    }
    wait_beyond(&app, &studio, (request.since, request.wait_s)).await;
    let answer = app
        .run(move |truth| {
            let changes = studio.changes(truth, request.since, &request.have)?;
            Ok(studio.with_records(request.known, changes))
        })
        .await?;
    Ok(body::answer_signed(&headers, &answer))
}

/// What a gateway sends that has a signed form only, and whose it is; `otherwise` is said to who sends JSON.
fn carried(
    asker: &Asker,
    (headers, raw): (&HeaderMap, Raw),
    otherwise: &str,
) -> Result<(Grantee, Bytes), Problem> {
    let person = asker.person(Scope::Carry)?.clone();
    if body::form_of(headers)? == Form::Plain {
        return Err(Problem::unsupported(otherwise));
    }
    Ok((person, body::inflate(headers, raw)?))
}

/// Returns when the feed has gone beyond a position, when the signed records change, when the time is over, or when the server stops.
pub async fn wait_beyond(app: &App, studio: &Arc<Studio>, (since, wait_s): (u64, u8)) {
    let wait = Duration::from_secs(wait_s.min(WAIT_S).into());
    let (mut heads, mut closing) = (studio.heads(), app.closing.clone());
    let mut records = studio.records();
    tokio::select! {
        _ = heads.wait_for(|head| *head > since) => {}
        _ = records.changed() => {}
        _ = closing.wait_for(|closing| *closing) => {}
        () = tokio::time::sleep(wait) => {}
    }
}
