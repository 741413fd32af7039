//! All campaigns one after the other, each in its share of the time, with one report that adds to what earlier runs counted.
//!
//! The report is written after every part, so a run that is stopped or killed leaves what was done up to then.

mod children;
pub mod ledger;
mod measures;
mod parts;
mod report;
mod worlds;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use jiff::Timestamp;

use crate::tidy::workspace_root;
use ledger::{Came, Ledger, Run, write_whole};
use parts::{PARTS, Part};

/// Somebody pressed Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// What the whole campaign is told.
#[derive(Args, Debug)]
pub struct Options {
    /// How long, in hours
    #[arg(long, conflicts_with = "minutes")]
    hours: Option<f64>,
    /// How long, in minutes; 45 by default
    #[arg(long)]
    minutes: Option<f64>,
    /// Only these parts, with all the time
    #[arg(long = "part", value_delimiter = ',')]
    parts: Vec<String>,
    /// Where the report is written; what all runs counted lies beside it as JSON
    #[arg(long)]
    report: Option<PathBuf>,
    /// Prints what this run came to as JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    fn time(&self) -> Result<Duration> {
        let minutes = self.hours.map(|hours| hours * 60.0).or(self.minutes);
        let seconds = minutes.unwrap_or(45.0) * 60.0;
        ensure!(
            (1.0..=1e7).contains(&seconds),
            "a campaign takes at least a second; give --minutes 45, or --hours 2"
        );
        Ok(Duration::from_secs_f64(seconds))
    }

    fn wanted(&self) -> Result<Vec<&'static Part>> {
        let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        if let Some(name) = self
            .parts
            .iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            bail!("no part is called {name}; there are {}", known.join(", "));
        }
        let is_wanted =
            |part: &&Part| self.parts.is_empty() || self.parts.iter().any(|name| name == part.name);
        Ok(PARTS.iter().filter(is_wanted).collect())
    }
}

/// The time of one part, and where it goes on.
pub struct Slot {
    /// Its end.
    until: Instant,
    /// Where the last run ended.
    next: Option<u64>,
}

impl Slot {
    /// Whether to end now.
    fn is_over(&self) -> bool {
        self.left().is_zero() || is_stopped()
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// Whether somebody wants an end of all.
fn is_stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// From here on Ctrl-C ends the run after what is just being done, with a report; a second one ends it at once.
pub fn stop_on_interrupt(runtime: &tokio::runtime::Runtime) {
    runtime.spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!("ending; what was done up to here is reported (again: at once)");
        }
    });
}

/// Runs all parts and writes the report; fails if anything else failed.
pub fn run(options: &Options) -> Result<()> {
    let (time, wanted) = (options.time()?, options.wanted()?);
    let page = options.report.clone();
    let page = page.unwrap_or_else(|| workspace_root().join("tests/REPORT.md"));
    let kept = page.with_extension("json");
    if let Some(folder) = page.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut before = Ledger::load(&kept)?;
    let mut run = begin(time);
    worlds::look_again(&mut before, &format!("{}, {}", run.began, run.version));
    let (began, mut weights) = (
        Instant::now(),
        wanted.iter().map(|part| part.weight).sum::<u32>(),
    );
    for part in wanted {
        if is_stopped() {
            break;
        }
        let left = time.saturating_sub(began.elapsed());
        let slot = Slot {
            until: Instant::now() + left.mul_f64(f64::from(part.weight) / f64::from(weights)),
            next: before.next(part.name),
        };
        weights -= part.weight;
        run.parts.insert(part.name.to_owned(), play(part, &slot));
        run.took_minutes = (began.elapsed().as_secs_f64() / 6.0).round() / 10.0;
        run.is_stopped = is_stopped();
        let after = before.with(&run);
        after.save(&kept)?;
        write_whole(&page, &report::page(&after, &run))?;
    }
    conclude(&run, options, &page)
}

/// One part; what it cannot do is told, not fatal.
fn play(part: &Part, slot: &Slot) -> Came {
    let (began, given) = (Instant::now(), slot.left());
    let mut came = if given < part.least {
        let (least, given) = (part.least.as_secs(), given.as_secs());
        Came {
            left_out: Some(format!("left out: takes {least} s, had {given}")),
            ..Came::default()
        }
    } else {
        eprintln!("{}: {} s", part.name, given.as_secs());
        (part.run)(slot).unwrap_or_else(|error| {
            let mut came = Came::default();
            let replay = format!("cargo campaign --part {}", part.name);
            came.fail(&format!("{error:#}"), replay, None);
            came
        })
    };
    came.took_s = began.elapsed().as_secs();
    came.next = came.next.max(slot.next.unwrap_or(0));
    let counts = came
        .sums
        .iter()
        .map(|(what, count)| format!("{count} {what}"));
    let told = counts.chain(came.left_out.clone()).collect::<Vec<_>>();
    eprintln!("{}: {} ({} s)", part.name, told.join(", "), came.took_s);
    for found in &came.failures {
        eprintln!("FAILED  {}    # {}", found.replay, found.what);
    }
    came
}

fn begin(time: Duration) -> Run {
    let said = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command
            .args(arguments)
            .current_dir(workspace_root())
            .output();
        let output = output.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=10"]);
    let compiler = said("rustc", &["--version"]);
    let system = said("uname", &["-sr"]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Run {
        began: Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        given_minutes: time.as_secs_f64() / 60.0,
        version: format!(
            "{} ({})",
            env!("CARGO_PKG_VERSION"),
            commit.as_deref().unwrap_or("no commit")
        ),
        machine: format!(
            "{}, {}, {cores} processors",
            compiler.as_deref().unwrap_or("an unknown compiler"),
            system.as_deref().unwrap_or("an unknown system")
        ),
        ..Run::default()
    }
}

fn conclude(run: &Run, options: &Options, page: &Path) -> Result<()> {
    let failed: usize = run.parts.values().map(|came| came.failures.len()).sum();
    if options.json {
        let found = run.parts.iter().flat_map(|(part, came)| {
            came.failures.iter().map(move |found| {
                serde_json::json!({"part": part, "what": found.what, "replay": found.replay})
            })
        });
        let failures: Vec<serde_json::Value> = found.collect();
        let told = serde_json::json!({"run": run, "failures": failures, "report": page});
        println!("{told}");
    }
    eprintln!("the report: {}", page.display());
    ensure!(
        failed == 0,
        "{failed} failed; the report tells how to see it again"
    );
    ensure!(!run.parts.is_empty(), "stopped before anything was done");
    Ok(())
}

/// What this program is, for the parts that run it again.
fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("finding this program")
}
