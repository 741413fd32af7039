//! Snapshots: signed, whole, by range, and of one studio alone.

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use studiovault_protocol::cloud::EnrolAnswer;
use studiovault_protocol::keys::VerifyKey;
use studiovault_protocol::snapshot::{Expected, Manifest};
use studiovault_protocol::time::WallMs;

use crate::conformance::Client;
use crate::conformance::client::{expect, refused};

/// A snapshot from its making to its last chunk, and what somebody else gets of it.
pub async fn snapshots(client: &Client, stranger: &Client) -> Result<()> {
    let latest = "/snapshots/latest";
    refused(client.get(latest).send().await?, 404, "NOT_FOUND").await?;
    client
        .plain(&json!({"commands": [Client::create("Silva")]}))
        .await?;
    let wish = client
        .post("/snapshots")
        .json(&json!({"studio": client.studio}));
    refused(wish.send().await?, 403, "FORBIDDEN").await?;
    let wish = client.http.post(client.address("/snapshots"));
    let wish = wish
        .bearer_auth(&client.admin)
        .json(&json!({"studio": client.studio}));
    let made: Json = expect(wish.send().await?, 200).await?.json().await?;
    let told = expect(client.get(latest).send().await?, 200).await?;
    let manifest = Manifest::decode(&told.bytes().await?[..])?;
    ensure!(
        made["id"] == manifest.id().to_string(),
        "another was made: {made}"
    );
    let cloud = client.enrolment(&client.root).await?;
    let cloud: EnrolAnswer = expect(cloud, 200).await?.json().await?;
    let key = VerifyKey::new(&cloud.key).context("no key")?;
    manifest.check(&Expected {
        studio: client.studio,
        cloud: cloud.device,
        key: &key,
        seen: None,
        now: WallMs(manifest.body().issued.0),
    })?;
    for (place, name) in manifest.chunks().enumerate() {
        let path = format!("/snapshots/{}/chunks/{place}", manifest.id());
        let whole = expect(client.get(&path).send().await?, 200)
            .await?
            .bytes()
            .await?;
        ensure!(
            name.names(&whole),
            "chunk {place} is not the one that is named"
        );
        let half = whole.len() / 2;
        let rest = client.get(&path).header("range", format!("bytes={half}-"));
        let rest = expect(rest.send().await?, 206).await?.bytes().await?;
        ensure!(rest[..] == whole[half..], "a range of other bytes");
        let beyond = client.get(&path).header("range", "bytes=99999999-");
        refused(beyond.send().await?, 416, "RANGE_UNSATISFIABLE").await?;
        refused(stranger.get(&path).send().await?, 404, "NOT_FOUND").await?;
    }
    Ok(())
}
