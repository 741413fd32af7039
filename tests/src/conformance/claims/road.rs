//! What happens to commands on the main road.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use uuid::Uuid;

use crate::conformance::Client;
use crate::conformance::client::{expect, refused};

fn fresh_entity() -> EntityId {
    EntityId(Uuid::new_v4().into_bytes())
}

/// A batch sent twice.
pub async fn replays(client: &mut Client) -> Result<()> {
    let bundle = client.machine.write(Op::Create, fresh_entity(), "Silva");
    let request = client.request(vec![bundle]);
    let first = client.send(&request).await?;
    ensure!(first.refused.is_empty(), "refused: {:?}", first.refused);
    let second = client.send(&request).await?;
    ensure!(
        first.changes.pages == second.changes.pages,
        "the feed has grown"
    );
    let summary = client.summary().await?;
    ensure!(
        summary["commands"] == 1 && summary["confirmed"] == 1,
        "{summary}"
    );
    let plain = json!({"commands": [Client::create("Souza")]});
    let (first, second) = (client.plain(&plain).await?, client.plain(&plain).await?);
    ensure!(
        first["acked"] == second["acked"],
        "{first} and then {second}"
    );
    ensure!(client.summary().await?["commands"] == 2, "it counts twice");
    Ok(())
}

/// A bundle before its predecessor.
pub async fn reorders(client: &mut Client) -> Result<()> {
    let id = fresh_entity();
    let first = client.machine.write(Op::Create, id, "Silva");
    let second = client.machine.write(Op::Update, id, "Sousa");
    let early = client.send(&client.request(vec![second.clone()])).await?;
    ensure!(early.gaps.len() == 1, "no gap is named: {early:?}");
    ensure!(
        !early.gaps[0].missing.is_empty(),
        "a gap that names nothing"
    );
    ensure!(client.summary().await?["commands"] == 0, "it was taken");
    let both = client.send(&client.request(vec![first, second])).await?;
    ensure!(both.gaps.is_empty() && both.refused.is_empty(), "{both:?}");
    ensure!(
        client.summary().await?["confirmed"] == 2,
        "both are confirmed"
    );
    Ok(())
}

/// Paging with a writer beside.
pub async fn pages(client: &Client) -> Result<()> {
    let writes = async {
        for number in 0..20 {
            let command = Client::create(&format!("Client {number}"));
            client.plain(&json!({"commands": [command]})).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let reads = async {
        let (mut at, mut query) = (0, "?limit=3".to_owned());
        loop {
            let told = client.changes(&query).await?;
            let entries = told["serverChanges"].as_array().context("no list")?;
            for entry in entries {
                at += 1;
                ensure!(
                    entry["position"] == at,
                    "{} after {}",
                    entry["position"],
                    at - 1
                );
            }
            let next = match (told["cursor"].as_str(), told["newSince"].as_str()) {
                (Some(cursor), None) => format!("?limit=3&cursor={cursor}"),
                (None, Some(since)) => format!("?limit=3&wait=1&since={since}"),
                _ => anyhow::bail!("both or neither of cursor and newSince"),
            };
            // Each of the twenty is a bundle, its verdict and a checkpoint.
            if at >= 61 {
                return Ok(());
            }
            query = next;
        }
    };
    let (written, read) =
        tokio::join!(writes, tokio::time::timeout(Duration::from_secs(60), reads));
    written?;
    read.context("the end of the feed never comes")?
}

/// One id for two things.
pub async fn one_meaning(client: &Client) -> Result<()> {
    let first = Client::create("Silva");
    client.plain(&json!({"commands": [first]})).await?;
    let mut second = Client::create("Another");
    second["id"] = first["id"].clone();
    let told = client.plain(&json!({"commands": [second]})).await?;
    let code = &told["rejections"][0]["code"];
    ensure!(code == "IDEMPOTENCY_MISMATCH", "{told}");
    Ok(())
}

/// A question that waits.
pub async fn waits(client: &Client) -> Result<()> {
    let since = client.newest().await?;
    let begun = std::time::Instant::now();
    let query = format!("?since={since}&wait=30");
    let question = client.changes(&query);
    let write = async {
        // The question is on its way first, or the answer is there at once: both are right.
        let body = json!({"commands": [Client::create("Silva")]});
        client.plain(&body).await
    };
    let (told, written) = tokio::join!(question, write);
    written?;
    let told: Json = told?;
    ensure!(told["serverChanges"] != json!([]), "nothing new: {told}");
    ensure!(
        begun.elapsed() < Duration::from_secs(25),
        "it waited to the end"
    );
    let answer = client.get("/sync/events").send().await?;
    let mut stream = expect(answer, 200).await?;
    let poke = tokio::time::timeout(Duration::from_secs(10), stream.chunk()).await??;
    let poke = poke.context("no first poke")?;
    ensure!(
        poke.starts_with(b"event: feed") || poke.starts_with(b"id:"),
        "{poke:?}"
    );
    Ok(())
}

/// A conflict and its answer.
pub async fn resolves(client: &mut Client) -> Result<()> {
    let id = fresh_entity();
    let create = client.machine.write(Op::Create, id, "Silva");
    client.send(&client.request(vec![create])).await?;
    let read = client.newest().await?;
    let edit = client.machine.write(Op::Update, id, "Sousa");
    client.send(&client.request(vec![edit])).await?;
    let late = json!({"commands": [{
        "id": Uuid::new_v4(), "entityType": "client", "entityId": id, "operation": "update",
        "read": read, "fields": {"name": "Souza"},
    }]});
    let told = client.plain(&late).await?;
    let code = &told["rejections"][0]["code"];
    ensure!(
        code == "CONFLICT_UPDATE_UPDATE",
        "the server's value does not win: {told}"
    );
    ensure!(told["rejections"][0]["latest"]["name"] == "Sousa", "{told}");

    let resolution = |read: Option<&str>| {
        json!({"resolutions": [{
            "id": Uuid::new_v4(), "entityId": id, "read": read, "fields": {"name": "Sousa e Souza"},
        }]})
    };
    let blind = client
        .post("/conflicts/resolve")
        .json(&resolution(None))
        .send()
        .await?;
    refused(blind, 400, "MALFORMED").await?;
    let newest = client.newest().await?;
    let settled = client
        .post("/conflicts/resolve")
        .json(&resolution(Some(&newest)))
        .send()
        .await?;
    let settled: Json = expect(settled, 200).await?.json().await?;
    ensure!(settled["rejections"] == json!([]), "{settled}");
    ensure!(
        settled["acked"]
            .as_array()
            .is_some_and(|acked| acked.len() == 1),
        "{settled}"
    );
    Ok(())
}
