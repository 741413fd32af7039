//! Local writes: one writer, sixteen writers, and one writer while the node catches up; beside a bare SQLite commit.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rusqlite::Connection;
use serde_json::json;
use studiovault_node::node::Node;

use super::{Figure, ms, percentile, rate, studio};
use crate::served::Served;

/// Transactions of the one writer, and of each of the sixteen.
const WRITES: usize = 2_000;

/// p50 of a bare commit of one such row, FULL.
fn bare_commit(folder: &Path) -> Result<Duration> {
    let connection = Connection::open(folder.join("bare.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    let mut insert = connection.prepare("INSERT INTO row (body) VALUES (?1)")?;
    let mut samples = Vec::with_capacity(WRITES);
    for number in 0..WRITES {
        let body = serde_json::to_vec(&studio::row(number))?;
        let start = Instant::now();
        insert.execute([body])?;
        samples.push(start.elapsed());
    }
    Ok(percentile(&mut samples, 0.5))
}

async fn one_writer(node: &Node, count: usize) -> Result<Vec<Duration>> {
    let mut samples = Vec::with_capacity(count);
    for number in 0..count {
        let request = studio::creates(number, 1);
        let start = Instant::now();
        node.write(request).await?;
        samples.push(start.elapsed());
    }
    Ok(samples)
}

async fn sixteen_writers(node: &Node) -> Result<Duration> {
    let start = Instant::now();
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move { one_writer(&node, WRITES).await })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    Ok(start.elapsed())
}

/// The same over the local API, each with a connection of its own.
async fn sixteen_clients() -> Result<Duration> {
    let served = Arc::new(Served::start().await);
    let start = Instant::now();
    let clients: Vec<_> = (0..16)
        .map(|_| tokio::spawn(one_client(served.clone())))
        .collect();
    for client in clients {
        client.await??;
    }
    let took = start.elapsed();
    if let Some(served) = Arc::into_inner(served) {
        served.stop().await;
    }
    Ok(took)
}

async fn one_client(served: Arc<Served>) -> Result<()> {
    for number in 0..WRITES {
        let mutation = json!({ "op": "create", "type": "project", "fields": studio::row(number) });
        let request = served.post("/local/v1/tx", &json!({ "mutations": [mutation] }));
        let response = request.send().await?.error_for_status()?;
        response.bytes().await?;
    }
    Ok(())
}

/// p99 of a local write while 50,000 commands are being caught up, and how many writes that were.
async fn while_catching_up(root: &Path) -> Result<(Duration, usize)> {
    let mut machines = studio::machines(root, 2)?;
    let behind = machines.pop().context("two machines")?;
    let source = studio::start_silent(machines.remove(0), Vec::new()).await?;
    studio::fill(&source, 50_000, 100).await?;
    let address = loop {
        let listening = source.status().node.listening.clone();
        if let Some(address) = listening.first() {
            break address.parse()?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let node = studio::start_silent(behind, vec![address]).await?;
    let mut samples = Vec::new();
    let mut number = 1_000_000;
    while node.status().counts.entities < 50_000 {
        let start = Instant::now();
        node.write(studio::creates(number, 1)).await?;
        samples.push(start.elapsed());
        number += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let count = samples.len();
    source.shutdown().await;
    node.shutdown().await;
    Ok((percentile(&mut samples, 0.99), count))
}

/// Measures.
pub async fn measure(root: &Path) -> Result<Vec<Figure>> {
    let machine = studio::machines(&root.join("local"), 1)?.remove(0);
    let node = studio::start_silent(machine, Vec::new()).await?;
    one_writer(&node, 200).await?;
    let bare = bare_commit(root)?;
    let p50 = percentile(&mut one_writer(&node, WRITES).await?, 0.5);
    let ratio = p50.as_secs_f64() / bare.as_secs_f64();
    let took = sixteen_writers(&node).await?;
    let grouped = rate(16 * WRITES, took);
    node.shutdown().await;
    let over_http = rate(16 * WRITES, sixteen_clients().await?);
    let (p99, count) = while_catching_up(&root.join("busy")).await?;
    Ok(vec![
        Figure::new(
            "local write, one writer, p50",
            (
                format!("{} ({ratio:.2}x)", ms(p50)),
                format!("bare commit {}", ms(bare)),
                "2x",
            ),
            ratio <= 2.0,
        ),
        Figure::new(
            "local writes, 16 writers, Rust API",
            (
                format!("{grouped:.0}/s"),
                format!("1 commit each: {:.0}/s", 1.0 / bare.as_secs_f64()),
                "15,000/s",
            ),
            grouped >= 15_000.0,
        ),
        Figure::new(
            "local writes, 16 writers, HTTP API",
            (
                format!("{over_http:.0}/s"),
                format!("Rust API: {grouped:.0}/s"),
                "(shown)",
            ),
            true,
        ),
        Figure::new(
            "local write p99 while catching up 50,000",
            (
                format!("{} (of {count})", ms(p99)),
                format!("bare commit {}", ms(bare)),
                "20 ms",
            ),
            p99 <= Duration::from_millis(20),
        ),
    ])
}
