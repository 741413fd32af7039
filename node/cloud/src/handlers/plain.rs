//! The same road in JSON, for the web app and other clients without logs.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use studiovault_protocol::id::Author;

use super::App;
use super::access::{Asker, open};
use super::asked::Asked;
use super::sync::wait_beyond;
use crate::body;
use crate::clock::wall_now;
use crate::position;
use crate::problem::Problem;
use crate::studio::{Acknowledged, News, PlainBatch};
use crate::tokens::{Grantee, Scope};
use crate::truth::Truth;

/// Entries in one answer at most.
pub const ENTRIES: usize = 500;

/// A question for changes in JSON.
#[derive(Deserialize)]
pub struct Question {
    /// From the last answer's `newSince`.
    since: Option<String>,
    /// From the last answer's `cursor`.
    cursor: Option<String>,
    /// Entries at most.
    limit: Option<usize>,
    /// Seconds to wait for something new.
    #[serde(default)]
    wait: u8,
}

/// Tells what is new.
pub async fn changes(
    State(app): State<App>,
    asker: Asker,
    Asked(question): Asked<Question>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = asker.person(Scope::Read)?.studio;
    let limit = question.limit.unwrap_or(ENTRIES).clamp(1, ENTRIES);
    let asked = question.cursor.or(question.since);
    let (studio, since) = app
        .run(move |truth| {
            let studio = open(truth, id)?;
            let since = match asked {
                None => 0,
                Some(text) => position::of(&truth.key, studio.cloud, &text)
                    .filter(|position| *position <= studio.state().head.0)
                    .ok_or_else(Problem::gone)?,
            };
            Ok((studio, since))
        })
        .await?;
    wait_beyond(&app, &studio, (since, question.wait)).await;
    let answer = app
        .run(move |truth| {
            let news = studio.told(truth, since, limit)?;
            Ok(page(truth, studio.cloud, news))
        })
        .await?;
    let tag = format!("\"{}\"", answer["newSince"].as_str().unwrap_or_default());
    let known = headers.get(header::IF_NONE_MATCH);
    if answer["serverChanges"] == json!([]) && known.is_some_and(|known| *known == tag[..]) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let mut response = body::answer_plain(&headers, &answer);
    if let (true, Ok(tag)) = (tag.len() > 2, tag.parse()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Takes a batch.
pub async fn batch(
    app: App,
    person: Grantee,
    (headers, bytes): (HeaderMap, axum::body::Bytes),
) -> Result<Response, Problem> {
    let answer = app
        .run(move |truth| {
            let batch: PlainBatch = body::plain(&bytes)?;
            let studio = open(truth, person.studio)?;
            let since = match &batch.since {
                None => studio.state().head.0,
                Some(text) => {
                    position::of(&truth.key, studio.cloud, text).ok_or_else(Problem::gone)?
                }
            };
            let actor = format!("token {}", person.id);
            let told = studio.take_plain(truth, &batch, (&actor, wall_now()))?;
            let news = studio.told(truth, since, ENTRIES)?;
            Ok(with(page(truth, studio.cloud, news), told))
        })
        .await?;
    Ok(body::answer_plain(&headers, &answer))
}

/// `cursor` while there is more, `newSince` only on the last page.
fn page(truth: &Truth, feed: Author, news: News) -> Value {
    let name = if news.more { "cursor" } else { "newSince" };
    json!({
        "serverChanges": news.entries,
        name: position::token(&truth.key, feed, news.upto),
        "serverTime": wall_now(),
    })
}

fn with(mut page: Value, told: Acknowledged) -> Value {
    page["acked"] = json!(told.acked);
    page["rejections"] = json!(told.rejections);
    page
}
