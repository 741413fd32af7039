//! Whether the server is there, that it is the one meant, and what it takes.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use studiovault_protocol::cloud::{MEDIA_TYPE, Pong};
use studiovault_protocol::limits;
use studiovault_protocol::wire::PROTOCOL;

use super::App;
use super::access::Asker;
use crate::body::WIRE_BYTES;
use crate::clock::wall_now;
use crate::problem::Problem;

/// Bytes of a nonce that is echoed.
const NONCE_BYTES: usize = 128;

/// The question of a ping.
#[derive(Deserialize)]
pub struct Ping {
    #[serde(default)]
    nonce: String,
}

/// Echoes the nonce to whoever holds a valid token.
pub async fn ping(_: Asker, Query(ping): Query<Ping>) -> Result<Json<Pong>, Problem> {
    if ping.nonce.len() > NONCE_BYTES {
        return Err(Problem::malformed("a nonce over 128 bytes"));
    }
    Ok(Json(Pong {
        nonce: ping.nonce,
        server_time: wall_now(),
    }))
}

/// Limits and versions.
pub async fn meta(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "server": env!("CARGO_PKG_VERSION"),
        "protocol": PROTOCOL,
        "policy": app.truth.policy.version(),
        "mediaTypes": [MEDIA_TYPE, "application/json"],
        "encodings": ["zstd"],
        "limits": {
            "requestBytes": WIRE_BYTES,
            "requestBytesInflated": limits::BATCH_BYTES,
            "batchCommands": limits::BATCH_COMMANDS,
            "commandBytes": limits::COMMAND_BYTES,
            "bundleBytes": limits::BUNDLE_BYTES,
            "waitSeconds": super::sync::WAIT_S,
        },
    }))
}

/// Whether the database answers.
pub async fn health(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.run(|truth| Ok(truth.store.read(|session| session.setting("signing_key"))?))
        .await?;
    Ok(Json(json!({ "status": "ok", "serverTime": wall_now() })))
}
