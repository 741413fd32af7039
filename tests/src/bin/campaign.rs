//! What takes longer than a test: benchmarks and campaigns, on demand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use studiovault_lab::{bench, campaign, fuzz, histories, queue, sabotage, sim};
#[cfg(target_os = "linux")]
use studiovault_lab::{commits, crowd, kills};

/// What is measured allocates as the product does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks and campaigns; without a command all of them in their shares of the time, with one report.
#[derive(Parser)]
#[command(name = "campaign", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Campaign>,
    #[command(flatten)]
    whole: campaign::Options,
}

#[derive(Subcommand)]
enum Campaign {
    /// Measures, each figure beside its physical limit and its target.
    Bench {
        /// Only these parts: local, receive, mesh, snapshot.
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
    /// Real machines in network namespaces: how soon they agree, and what an idle one costs.
    #[cfg(target_os = "linux")]
    Crowd {
        /// How many.
        #[arg(long, default_value_t = 20)]
        machines: usize,
        /// Written by all together.
        #[arg(long, default_value_t = 10_000)]
        commands: usize,
        /// How long they are watched doing nothing.
        #[arg(long, default_value_t = 60)]
        idle_seconds: u64,
    },
    /// Many machines in the simulator: what each of them sends and computes.
    Large {
        /// How many, one run each.
        #[arg(long, value_delimiter = ',', default_values_t = [5, 10, 20, 50, 200])]
        machines: Vec<usize>,
    },
    /// Machines that come and go in the simulator: what each costs as the roster grows.
    Churn {
        /// Joins and leaves in all.
        #[arg(long, default_value_t = 10_000)]
        events: u64,
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
        /// Pairs of runs, with and without refused ones.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
    },
    /// Switches known bugs on, one at a time: a named test must catch each within a minute.
    Sabotage {
        /// Only these bugs.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Feeds mutations of the corpus to everything that reads what others wrote.
    Fuzz {
        /// Only these targets.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// For so long each; 0 feeds the corpus alone.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Where chance begins.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Adds small inputs of classes that the corpus lacks to it.
        #[arg(long)]
        keep: bool,
    },
    /// How fast the cloud truth commits on SQLite and on PostgreSQL, beside bare transactions of the same rows, and a backlog of 50,000.
    #[cfg(target_os = "linux")]
    Commits {
        /// How often each is measured; medians are printed.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
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
    let arguments = Arguments::parse();
    let Some(command) = arguments.command else {
        campaign::stop_on_interrupt(&runtime);
        return campaign::run(&arguments.whole);
    };
    match command {
        Campaign::Bench { only } => measure(&only, &runtime),
        #[cfg(target_os = "linux")]
        Campaign::Kills { count, seed } => kills::campaign(count, seed),
        #[cfg(target_os = "linux")]
        Campaign::Crowd {
            machines,
            commands,
            idle_seconds,
        } => crowd::campaign((machines, commands), Duration::from_secs(idle_seconds)),
        #[cfg(target_os = "linux")]
        Campaign::Commits { rounds } => commits::campaign(rounds),
        Campaign::Large { machines } => {
            println!("{}", sim::large::Cost::HEADING);
            for machines in machines {
                println!(
                    "{}",
                    sim::large::measure(machines).map_err(anyhow::Error::msg)?
                );
            }
            Ok(())
        }
        Campaign::Churn { events } => sim::churn::campaign(events).map_err(anyhow::Error::msg),
        Campaign::Histories { count, seed } => {
            let tally = histories::compare(seed, count).map_err(anyhow::Error::msg)?;
            println!("{tally:#?}");
            Ok(())
        }
        Campaign::Queue { commands, rounds } => queue::campaign(commands, rounds),
        Campaign::Sabotage { only } => sabotage::campaign(&only),
        Campaign::Fuzz {
            only,
            seconds,
            seed,
            keep,
        } => {
            let keep = if keep {
                fuzz::Keep::NewClasses
            } else {
                fuzz::Keep::Nothing
            };
            fuzz::campaign(&only, seed, Duration::from_secs(seconds), keep)
        }
        Campaign::BenchNode { folder, listen } => {
            runtime.block_on(bench::agent::run(folder, listen))
        }
    }
}

/// Measures the parts that are wanted, all if none is named, and prints the figures.
fn measure(only: &[String], runtime: &tokio::runtime::Runtime) -> Result<()> {
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
    #[cfg(target_os = "linux")]
    if wanted("snapshot") {
        figures.extend(bench::snapshot::measure(root.path())?);
    }
    bench::print(&figures);
    Ok(())
}
