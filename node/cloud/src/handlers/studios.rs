//! Enrolment, and what the tables hold of a studio.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use studiovault_protocol::cloud::{EnrolAnswer, EnrolRequest, Summary};
use studiovault_protocol::id::StudioId;
use studiovault_protocol::membership::SignedRecord;

use super::App;
use super::access::{Asker, open};
use crate::body::{self, Raw};
use crate::problem::Problem;

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
    Path(id): Path<String>,
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
    Path(id): Path<String>,
) -> Result<Json<Vec<SignedRecord>>, Problem> {
    let id = studio_id(&id)?;
    asker.reader_of(id)?;
    let studio = app.run(move |truth| open(truth, id)).await?;
    Ok(Json(studio.state().roster.records().cloned().collect()))
}

fn studio_id(text: &str) -> Result<StudioId, Problem> {
    text.parse()
        .map_err(|error: studiovault_protocol::id::IdError| Problem::malformed(error.to_string()))
}
