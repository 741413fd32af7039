//! What is refused, how it is told, and what the server says of itself.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use studiovault_protocol::cloud::TailRequest;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::wire::Packed;

use crate::conformance::Client;
use crate::conformance::client::{expect, refused};

/// Meta, health, document.
pub async fn describes_itself(client: &Client) -> Result<()> {
    let open = async |path: &str| -> Result<Json> {
        let told = client.http.get(client.address(path)).send().await?;
        Ok(expect(told, 200).await?.json().await?)
    };
    let meta = open("/meta").await?;
    for limit in [
        "requestBytes",
        "requestBytesInflated",
        "batchCommands",
        "waitSeconds",
    ] {
        ensure!(meta["limits"][limit].is_u64(), "no {limit} at /meta");
    }
    ensure!(
        meta["codes"]
            .as_array()
            .is_some_and(|codes| !codes.is_empty()),
        "no codes"
    );
    ensure!(open("/health").await?["status"] == "ok", "it is not well");
    let document = open("/openapi.json").await?;
    ensure!(document["openapi"] == "3.1.0", "another OpenAPI");
    for path in [
        "/v1/sync/batch",
        "/v1/sync/changes",
        "/v1/conflicts/resolve",
    ] {
        ensure!(
            document["paths"][path].is_object(),
            "{path} is not described"
        );
    }
    Ok(())
}

/// No token, a wrong one, and the wrong kind.
pub async fn unauthorised(client: &Client) -> Result<()> {
    for path in ["/ping", "/sync/changes", "/sync/events", "/tokens"] {
        let bare = client.http.get(client.address(path)).send().await?;
        refused(bare, 401, "UNAUTHORISED").await?;
        let wrong = client
            .http
            .get(client.address(path))
            .bearer_auth("svp_0000");
        refused(wrong.send().await?, 401, "UNAUTHORISED").await?;
    }
    refused(client.get("/tokens").send().await?, 403, "FORBIDDEN").await?;
    let pong = client.get("/ping?nonce=xyz").send().await?;
    let pong: Json = expect(pong, 200).await?.json().await?;
    ensure!(pong["nonce"] == "xyz", "{pong}");
    Ok(())
}

/// The same studio twice.
pub async fn enrols_once(client: &Client) -> Result<()> {
    let told = async |root: &SecretKey| -> Result<Json> {
        Ok(expect(client.enrolment(root).await?, 200)
            .await?
            .json()
            .await?)
    };
    ensure!(
        told(&client.root).await? == told(&client.root).await?,
        "two answers"
    );
    let other = client.enrolment(&SecretKey::from_seed([9; 32])).await?;
    refused(other, 409, "OTHER_ROOT").await
}

/// Positions that nobody gave.
pub async fn made_up_positions(client: &Client) -> Result<()> {
    for position in [
        "0".repeat(40),
        "latest".into(),
        "2026-11-20T10:00:00Z".into(),
    ] {
        let told = client
            .get(&format!("/sync/changes?since={position}"))
            .send()
            .await?;
        refused(told, 410, "POSITION_UNKNOWN").await?;
    }
    let body = json!({"since": "0".repeat(40), "commands": []});
    refused(
        client.post("/sync/batch").json(&body).send().await?,
        410,
        "POSITION_UNKNOWN",
    )
    .await
}

/// A token that ends between two requests.
pub async fn revoked(client: &Client) -> Result<()> {
    client
        .plain(&json!({"commands": [Client::create("Silva")]}))
        .await?;
    let gone = client
        .http
        .delete(client.address(&format!("/tokens/{}", client.token_id)));
    let gone = gone.bearer_auth(&client.admin).send().await?;
    expect(gone, 204).await?;
    let body = json!({"commands": [Client::create("Sousa")]});
    refused(
        client.post("/sync/batch").json(&body).send().await?,
        401,
        "UNAUTHORISED",
    )
    .await?;
    refused(client.get("/ping").send().await?, 401, "UNAUTHORISED").await
}

/// Sizes and forms.
pub async fn limits(client: &Client) -> Result<()> {
    let signed = |body: Vec<u8>| client.signed("/sync/batch").body(body);
    let large = signed(vec![0; 1024 * 1024 + 1]).send().await;
    if let Ok(large) = large {
        refused(large, 413, "PAYLOAD_TOO_LARGE").await?;
    }
    let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 1)?;
    let bomb = signed(bomb)
        .header("content-encoding", "zstd")
        .send()
        .await?;
    refused(bomb, 413, "PAYLOAD_TOO_LARGE").await?;
    let many: Vec<Json> = (0..201).map(|n| Client::create(&n.to_string())).collect();
    let many = client
        .post("/sync/batch")
        .json(&json!({"commands": many}))
        .send()
        .await?;
    refused(many, 413, "PAYLOAD_TOO_LARGE").await?;
    refused(signed(vec![9; 40]).send().await?, 400, "MALFORMED").await?;
    let text = client
        .post("/sync/batch")
        .header("content-type", "text/plain")
        .body("x");
    refused(text.send().await?, 415, "UNSUPPORTED_MEDIA_TYPE").await?;
    let brotli = signed(vec![0])
        .header("content-encoding", "br")
        .send()
        .await?;
    refused(brotli, 415, "UNSUPPORTED_MEDIA_TYPE").await?;
    refused(client.get("/nowhere").send().await?, 404, "NOT_FOUND").await?;
    let method = client
        .http
        .patch(client.address("/sync/batch"))
        .send()
        .await?;
    refused(method, 405, "METHOD_NOT_ALLOWED").await
}

/// Both encodings, both ways.
pub async fn encodings(client: &Client) -> Result<()> {
    for encoding in ["gzip", "zstd"] {
        let body = json!({"commands": (0..20).map(|n| Client::create(&n.to_string())).collect::<Vec<_>>()});
        let body = serde_json::to_vec(&body)?;
        let packed = match encoding {
            "zstd" => zstd::bulk::compress(&body, 1)?,
            _ => {
                let mut packer =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(&body)?;
                packer.finish()?
            }
        };
        let sent = client
            .post("/sync/batch")
            .header("content-type", "application/json");
        let sent = sent
            .header("content-encoding", encoding)
            .body(packed)
            .send()
            .await?;
        expect(sent, 200).await?;
        let told = client
            .get("/sync/changes")
            .header("accept-encoding", encoding);
        let told = expect(told.send().await?, 200).await?;
        let named = told
            .headers()
            .get("content-encoding")
            .context("it is not packed")?
            .clone();
        ensure!(named == encoding, "{named:?} instead of {encoding}");
        let vary = told.headers().get("vary").is_some();
        ensure!(vary, "an answer that caches may mix up");
    }
    Ok(())
}

/// Two studios.
pub async fn walls(own: &Client, other: &Client) -> Result<()> {
    own.plain(&json!({"commands": [Client::create("Secret")]}))
        .await?;
    let position = own.newest().await?;
    for what in ["summary", "roster"] {
        let foreign = other
            .get(&format!("/studios/{}/{what}", own.studio))
            .send()
            .await?;
        refused(foreign, 403, "FORBIDDEN").await?;
    }
    let foreign = other
        .get(&format!("/sync/changes?since={position}"))
        .send()
        .await?;
    refused(foreign, 410, "POSITION_UNKNOWN").await?;
    let feed = other.changes("").await?.to_string();
    ensure!(!feed.contains("Secret"), "the other studio's feed");
    Ok(())
}

/// A page that the server never wrote.
pub async fn foreign_tail(client: &Client) -> Result<()> {
    let tail = TailRequest {
        device: client.machine.device(),
        roster: Vec::new(),
        policies: Vec::new(),
        pages: vec![Packed(vec![7; 200])],
        bundles: Vec::new(),
    };
    let sent = client.signed("/sync/tail");
    let sent = sent.body(postcard::to_stdvec(&tail)?).send().await?;
    refused(sent, 409, "TAIL_REFUSED").await
}
