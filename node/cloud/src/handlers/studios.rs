//! Enrolment, and what the tables hold of a studio.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use studiovault_protocol::cloud::{EnrolAnswer, EnrolRequest, Summary};
use studiovault_protocol::id::StudioId;
use studiovault_protocol::membership::SignedRecord;

use super::App;
use super::access::{Asker, Bearer, open};
use super::asked::Named;
use crate::body::{self, Raw};
use crate::problem::Problem;
use crate::tokens::Caller;

/// Enrols a studio, or tells again what is enrolled.
pub async fn enrol(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<EnrolAnswer>, Problem> {
    asker.admin()?;
    let request: EnrolRequest = body::plain(&body::inflate(&headers, raw)?)?;
    let answer = app.run(move |truth| Ok(truth.enrol(&request)?)).await?;
    Ok(Json(answer))
}

/// Counts and sums from the tables.
pub async fn summary(
    State(app): State<App>,
    asker: Asker,
    Named(id): Named,
) -> Result<Json<Summary>, Problem> {
    let id = studio_id(&id)?;
    asker.reader_of(id)?;
    let summary = app
        .run(move |truth| {
            let studio = open(truth, id)?;
            Ok(studio.summary(truth)?)
        })
        .await?;
    Ok(Json(summary))
}

/// All signed records.
pub async fn roster(
    State(app): State<App>,
    asker: Asker,
    Named(id): Named,
) -> Result<Json<Vec<SignedRecord>>, Problem> {
    let id = studio_id(&id)?;
    asker.reader_of(id)?;
    let studio = app.run(move |truth| open(truth, id)).await?;
    Ok(Json(studio.state().roster.records().cloned().collect()))
}

/// Takes signed records of a studio from whoever holds its machines' token: each speaks for itself, so no machine need prove
/// anything. It is how a machine that joined since the last batch becomes known.
pub async fn introduce(
    State(app): State<App>,
    (Bearer(caller), Named(id)): (Bearer, Named),
    headers: HeaderMap,
    raw: Raw,
) -> Result<StatusCode, Problem> {
    let id = studio_id(&id)?;
    match caller {
        Caller::Person(grantee) if grantee.studio == id && grantee.carries() => {}
        _ => {
            let text = "only a token of this studio's machines may do this";
            return Err(Problem::forbidden(text));
        }
    }
    let records: Vec<SignedRecord> = body::plain(&body::inflate(&headers, raw)?)?;
    app.run(move |truth| Ok(open(truth, id)?.introduce(truth, &records)?))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn studio_id(text: &str) -> Result<StudioId, Problem> {
    text.parse()
        .map_err(|error: studiovault_protocol::id::IdError| Problem::malformed(error.to_string()))
}
