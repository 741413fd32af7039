//! Whether the server is there, that it is the one meant, and what it takes.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use studiovault_protocol::cloud::{MEDIA_TYPE, Pong, PongHead};
use studiovault_protocol::limits;
use studiovault_protocol::wire::PROTOCOL;

use super::App;
use super::access::Asker;
use super::asked::Asked;
use crate::body::WIRE_BYTES;
use crate::clock::wall_now;
use crate::contract::outcome_codes;
use crate::problem::Problem;
use crate::studio::{ANSWER_BYTES, PLAIN_COMMANDS};

/// Bytes of a nonce that is echoed.
pub const NONCE_BYTES: usize = 128;

/// The question of a ping.
#[derive(Deserialize)]
pub struct Ping {
    #[serde(default)]
    nonce: String,
}

/// Echoes the nonce to whoever holds a token that works for a studio: a machine that is answered counts as signed in.
pub async fn ping(
    State(app): State<App>,
    asker: Asker,
    Asked(ping): Asked<Ping>,
) -> Result<Json<Pong>, Problem> {
    if ping.nonce.len() > NONCE_BYTES {
        return Err(Problem::malformed("a nonce over 128 bytes"));
    }
    let holder = asker.holder()?;
    let id = holder.studio;
    let scopes = holder.scopes.iter().map(|scope| scope.word().to_owned());
    let scopes = Some(scopes.collect());
    let studio = app.run(move |truth| Ok(truth.studio(id)?));
    let head = studio.await?.map(|studio| {
        let (position, hash) = studio.state().head;
        PongHead { position, hash }
    });
    Ok(Json(Pong {
        nonce: ping.nonce,
        server_time: wall_now(),
        head,
        scopes,
    }))
}

/// Limits and versions.
pub async fn meta(State(app): State<App>) -> Json<Value> {
    let sign_in = app.issuer.as_ref().map(|issuer| {
        let config = issuer.config();
        json!({"issuer": config.url, "audience": config.audience, "clientId": config.client})
    });
    Json(json!({
        "signIn": sign_in,
        "server": env!("CARGO_PKG_VERSION"),
        "protocol": PROTOCOL,
        "policy": app.truth.policy.version(),
        "mediaTypes": [MEDIA_TYPE, "application/json"],
        "encodings": ["zstd", "gzip"],
        "codes": outcome_codes(),
        "limits": {
            "requestBytes": WIRE_BYTES,
            "requestBytesInflated": limits::BATCH_BYTES,
            "batchCommands": limits::BATCH_COMMANDS,
            "commandBytes": limits::COMMAND_BYTES,
            "bundleBytes": limits::BUNDLE_BYTES,
            "plainBatchCommands": PLAIN_COMMANDS,
            "plainPageEntries": super::plain::ENTRIES,
            "answerBytes": ANSWER_BYTES,
            "streams": super::STREAMS,
            "waitSeconds": super::sync::WAIT_S,
        },
    }))
}

/// What the server counts of itself.
pub async fn metrics(State(app): State<App>, asker: Asker) -> Result<Response, Problem> {
    asker.admin()?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], app.metrics.text()).into_response())
}

/// Whether the database answers.
pub async fn health(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.run(|truth| Ok(truth.store.read(|session| session.setting("signing_key"))?))
        .await?;
    Ok(Json(json!({ "status": "ok", "serverTime": wall_now() })))
}
