//! What takes longer than a test: benchmarks and campaigns, on demand.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
#[cfg(target_os = "linux")]
use studiovault_lab::kills;
use studiovault_lab::{bench, histories, queue};

/// What is measured allocates as the product does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks and campaigns.
#[derive(Parser)]
#[command(name = "campaign")]
struct Arguments {
    #[command(subcommand)]
    command: Campaign,
}

#[derive(Subcommand)]
enum Campaign {
    /// Measures, each figure beside its physical limit and its target.
    Bench {
        /// Only these parts: local, receive, mesh.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Kills processes of a studio that is being written to; every acknowledged write must be everywhere in the end.
    #[cfg(target_os = "linux")]
    Kills {
        /// How many processes to kill.
        #[arg(long, default_value_t = 10_000)]
        count: u64,
        /// The first seed; each lab has the next one.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Compares the merge with a second, naive one on random histories.
    Histories {
        /// How many.
        #[arg(long, default_value_t = 1_000_000)]
        count: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1_000_000)]
        seed: u64,
    },
    /// Commands that the cloud refuses or breaks on among many good ones, and an hour of 503.
    Queue {
        /// All commands of a run.
        #[arg(long, default_value_t = 100_000)]
        commands: u64,
    },
    /// One node of a benchmark; started by `bench` itself.
    #[command(hide = true)]
    BenchNode {
        /// The machine's data folder.
        #[arg(long)]
        folder: PathBuf,
        /// Where its mesh listens.
        #[arg(long, default_value = "0.0.0.0:0")]
        listen: SocketAddr,
    },
}

fn main() -> Result<()> {
    studiovault_node::pages::keep_small();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match Arguments::parse().command {
        Campaign::Bench { only } => {
            let root = tempfile::tempdir()?;
            let wanted = |part: &str| only.is_empty() || only.iter().any(|name| name == part);
            let mut figures = Vec::new();
            if wanted("receive") {
                figures.extend(bench::receive::measure(root.path())?);
            }
            if wanted("local") {
                figures.extend(runtime.block_on(bench::local::measure(root.path()))?);
            }
            #[cfg(target_os = "linux")]
            if wanted("mesh") {
                figures.extend(bench::mesh::measure(root.path())?);
            }
            bench::print(&figures);
            Ok(())
        }
        #[cfg(target_os = "linux")]
        Campaign::Kills { count, seed } => kills::campaign(count, seed),
        Campaign::Histories { count, seed } => {
            let tally = histories::compare(seed, count).map_err(anyhow::Error::msg)?;
            println!("{tally:#?}");
            Ok(())
        }
        Campaign::Queue { commands } => queue::campaign(commands),
        Campaign::BenchNode { folder, listen } => {
            runtime.block_on(bench::agent::run(folder, listen))
        }
    }
}
