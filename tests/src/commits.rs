//! How fast the cloud truth commits, on SQLite and on PostgreSQL, asked over HTTP as a gateway asks it, and beside it what the same
//! database takes for the same rows in as many bare transactions.
//!
//! Ratios are what to quote; absolute times are this machine's. Both databases are durable: nothing is answered before it is on the disk.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::{BatchAnswer, BatchRequest};
use studiovault_protocol::command::Op;
use studiovault_protocol::feed::Page;
use studiovault_protocol::frontier::{Frontier, Tip};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::wire::Packed;
use uuid::Uuid;

use crate::bench::{rate, timed};
use crate::cluster::Cluster;
use crate::conformance::Client;
use crate::processes::Running;

mod bare;

/// Commands of a bundle, where a request has so many.
const BUNDLE: usize = 100;

/// Which database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// In the server's folder.
    Sqlite,
    /// A server of its own.
    Postgres,
}

/// So many commands, so many of them in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Load {
    commands: usize,
    each: usize,
}

/// Everything in the order of its size: a person at a till, a busy morning, and the backlog of weeks.
const LOADS: [Load; 3] = [
    Load {
        commands: 300,
        each: 1,
    },
    Load {
        commands: 10_000,
        each: 100,
    },
    Load {
        commands: 50_000,
        each: 5_000,
    },
];

/// What one load came to.
#[derive(Clone, Debug)]
struct Measured {
    store: Store,
    load: Load,
    /// From the first request to the last verdict.
    took: Duration,
    /// The same rows in as many transactions.
    bare: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { commands, each } = self.load;
        let (ours, limit) = (rate(commands, self.took), rate(commands, self.bare));
        write!(
            f,
            "| {:?} | {commands} commands, {each} a request | {:.2} s | {ours:.0} | {limit:.0} | {:.2} |",
            self.store,
            self.took.as_secs_f64(),
            ours / limit
        )
    }
}

/// Measures every load that many times on both stores, and prints the medians.
pub fn campaign(rounds: usize) -> Result<()> {
    ensure!(rounds > 0, "give at least one round");
    let runtime = tokio::runtime::Runtime::new()?;
    let cluster = Cluster::durable();
    println!(
        "| store | load | first request to last verdict | commands/s | bare: commands/s | ratio |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for store in [Store::Sqlite, Store::Postgres] {
        for load in LOADS {
            let mut all = Vec::new();
            for _ in 0..rounds {
                all.push(runtime.block_on(measure(store, load, &cluster))?);
            }
            println!("{}", median(all));
        }
    }
    println!("\nMedians of {rounds} rounds, each on a fresh database.");
    Ok(())
}

/// The middle of each figure.
fn median(mut all: Vec<Measured>) -> Measured {
    let middle = all.len() / 2;
    all.sort_by_key(|one| one.bare);
    let bare = all[middle].bare;
    all.sort_by_key(|one| one.took);
    Measured {
        bare,
        ..all.swap_remove(middle)
    }
}

async fn measure(store: Store, load: Load, cluster: &Cluster) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let database = (store == Store::Postgres).then(|| cluster.database());
    let running = cloud(folder.path(), database.as_deref());
    let text = |name: &str| running.ready[name].as_str().map(str::to_owned);
    let (url, admin) = (
        text("url").context("a URL")?,
        text("token").context("a token")?,
    );
    let mut client = Client::enrol(&url, &admin).await?;
    let requests = requests(&mut client, load);
    let begun = Instant::now();
    let decided = bring(&mut client, &requests).await?;
    let took = begun.elapsed();
    ensure!(
        decided == load.commands,
        "{decided} of {} decided",
        load.commands
    );
    running.stop();
    let parts = load.commands / load.each;
    let bare = match &database {
        None => bare::sqlite(&folder.path().join("cloud.db"), parts)?,
        Some(address) => {
            cluster.run(address, &bare::setup());
            timed(|| cluster.run(address, &bare::copy(parts))).1
        }
    };
    Ok(Measured {
        store,
        load,
        took,
        bare,
    })
}

fn cloud(folder: &Path, database: Option<&str>) -> Running {
    let mut arguments = vec!["cloud", "--plain", "--listen", "127.0.0.1:0"];
    arguments.extend(database.into_iter().flat_map(|url| ["--database", url]));
    Running::start(folder, &arguments)
}

/// The bundles of each request.
fn requests(client: &mut Client, load: Load) -> Vec<Vec<Packed>> {
    let bundle = load.each.min(BUNDLE);
    let mut number = 0;
    let mut bundle_of = || {
        let commands = (0..bundle).map(|_| {
            number += 1;
            let entity = EntityId(Uuid::new_v4().into_bytes());
            let name = format!("Customer {number} of the studio");
            crate::conformance::Machine::command(Op::Create, entity, &name)
        });
        client.machine.seal(commands.collect())
    };
    let requests = 0..load.commands / load.each;
    requests
        .map(|_| (0..load.each / bundle).map(|_| bundle_of()).collect())
        .collect()
}

/// Sends them one after the other, as a gateway does, until everything has its verdict. How many have.
async fn bring(client: &mut Client, requests: &[Vec<Packed>]) -> Result<usize> {
    let (mut since, mut decided) = (0, 0);
    let mut have = Frontier::default();
    for bundles in requests {
        let last = bundles.last().context("a bundle")?;
        have.tips = vec![tip(last)?];
        let request = BatchRequest {
            since,
            have: have.clone(),
            ..client.request(bundles.clone())
        };
        let answer = send(client, &request).await?;
        ensure!(
            answer.refused.is_empty() && answer.gaps.is_empty() && answer.rejections.is_empty(),
            "not all was taken"
        );
        for page in &answer.changes.pages {
            let page = Page::decode(&page.0[..])?;
            since = page.last();
            let counts = page.entries().filter_map(|(_, entry)| entry.decided());
            let counts = counts.map(|(_, first, last)| last + 1 - first);
            decided += usize::try_from(counts.sum::<u64>())?;
        }
    }
    Ok(decided)
}

fn tip(packed: &Packed) -> Result<Tip> {
    let bundle = Bundle::decode(&packed.0[..])?;
    Ok(Tip {
        author: bundle.author(),
        counter: bundle.last(),
        hash: bundle.hash().prefix(),
        trail: Vec::new(),
    })
}

async fn send(client: &Client, request: &BatchRequest) -> Result<BatchAnswer> {
    let body = zstd::bulk::compress(&postcard::to_stdvec(request)?, 3)?;
    let sent = client.signed("/sync/batch");
    let sent = sent.header("content-encoding", "zstd").body(body);
    let answer = sent.send().await?.error_for_status()?;
    Ok(postcard::from_bytes(&answer.bytes().await?)?)
}
