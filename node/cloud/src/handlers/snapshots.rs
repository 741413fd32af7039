//! Snapshots: the newest manifest, its chunks, and one made on the spot.

use std::ops::Range;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use studiovault_protocol::cloud::MEDIA_TYPE;
use studiovault_protocol::id::{Hash, IdError, StudioId};
use studiovault_protocol::snapshot::Manifest;
use studiovault_protocol::time::WallMs;

use super::App;
use super::access::Asker;
use super::asked::Named;
use crate::body::{self, Raw};
use crate::clock::wall_now;
use crate::problem::Problem;
use crate::tokens::Scope;

/// Which studio's.
#[derive(Deserialize)]
pub struct NewSnapshot {
    studio: StudioId,
}

/// What a snapshot is.
#[derive(Serialize)]
pub struct MadeSnapshot {
    id: Hash,
    studio: StudioId,
    position: u64,
    chunks: usize,
    bytes: u64,
    issued: WallMs,
    expires: WallMs,
}

impl MadeSnapshot {
    fn of(manifest: &Manifest) -> Self {
        let body = manifest.body();
        Self {
            id: manifest.id(),
            studio: body.studio,
            position: body.position,
            chunks: manifest.chunks().count(),
            bytes: manifest.packed_bytes(),
            issued: body.issued,
            expires: body.expires,
        }
    }
}

/// Makes a snapshot of a studio as it is now.
pub async fn make(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<MadeSnapshot>, Problem> {
    asker.admin()?;
    let wanted: NewSnapshot = body::plain(&body::inflate(&headers, raw)?)?;
    // On a task of its own: it is made to the end, whoever stops waiting.
    let truth = app.truth.clone();
    let made = tokio::spawn(async move {
        let wanted = (wanted.studio, wall_now());
        truth.snapshots.make(&truth, wanted).await
    });
    let made = made.await.map_err(|_| Problem::internal())??;
    Ok(Json(MadeSnapshot::of(&made)))
}

/// The newest manifest of the asker's studio.
pub async fn latest(State(app): State<App>, asker: Asker) -> Result<Response, Problem> {
    let studio = asker.person(Scope::Read)?.studio;
    let newest = app.truth.snapshots.latest(studio).await?;
    let newest =
        newest.ok_or_else(|| Problem::not_found("no snapshot of this studio was made yet"))?;
    let bytes = Bytes::copy_from_slice(newest.bytes());
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], bytes).into_response())
}

/// A chunk, or a range of its bytes.
pub async fn chunk(
    State(app): State<App>,
    asker: Asker,
    Named((id, place)): Named<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let studio = asker.person(Scope::Read)?.studio;
    let id: Hash = id
        .parse()
        .map_err(|error: IdError| Problem::malformed(error.to_string()))?;
    let place: usize = place
        .parse()
        .map_err(|_| Problem::malformed("a chunk is named by its place, from 0"))?;
    let gone = || Problem::not_found("no such chunk is kept: ask for the newest manifest again");
    let damaged = || {
        Problem::not_found(
            "this chunk of the snapshot is gone or was damaged: have a new snapshot made with `studiovault cloud snapshot`",
        )
    };
    let snapshots = &app.truth.snapshots;
    let manifest = snapshots.named(studio, id).await?.ok_or_else(gone)?;
    let name = manifest.chunks().nth(place).ok_or_else(gone)?;
    let bytes = snapshots.chunk(studio, name).await?.ok_or_else(damaged)?;
    part_of(bytes, headers.get(header::RANGE))
}

/// The bytes that a request names, as RFC 9110 has it: one range; anything else that stands there is as if it did not.
fn part_of(bytes: Bytes, asked: Option<&HeaderValue>) -> Result<Response, Problem> {
    let kind = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    let length = bytes.len();
    let asked = asked.and_then(|value| value.to_str().ok());
    let Some(range) = asked.and_then(|text| range_of(text, length)) else {
        return Ok((kind, bytes).into_response());
    };
    if range.is_empty() {
        return Err(Problem::no_range(length));
    }
    let told = format!("bytes {}-{}/{length}", range.start, range.end - 1);
    let part = bytes.slice(range);
    let range = [(header::CONTENT_RANGE, told)];
    Ok((StatusCode::PARTIAL_CONTENT, kind, range, part).into_response())
}

/// The bytes from and up to which a header asks; empty if there are none of them.
fn range_of(text: &str, length: usize) -> Option<Range<usize>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let digits = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    if !digits(from) || !digits(to) {
        return None;
    }
    match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(to)) if from > to => None,
        (Ok(from), Ok(to)) => {
            Some(from.min(length)..to.saturating_add(1).min(length).max(from.min(length)))
        }
        (Ok(from), Err(_)) => Some(from.min(length)..length),
        (Err(_), Ok(last)) => Some(length.saturating_sub(last)..length),
        (Err(_), Err(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_as_it_is_meant_and_all_else_is_the_whole() {
        let cases = [
            ("bytes=0-3", Some(0..4)),
            ("bytes=4-", Some(4..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("bytes=4-99", Some(4..10)),
            ("bytes=10-", Some(10..10)),
            ("bytes=12-14", Some(10..10)),
            ("bytes=-0", Some(10..10)),
            ("bytes=5-4", None),
            ("bytes=0-1,4-5", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("pages=0-3", None),
        ];
        for (text, range) in cases {
            assert_eq!(range_of(text, 10), range, "{text}");
        }
    }
}
