//! `cargo sim`: runs seeds of the simulator. `SEED=n cargo sim` replays one of them line by line.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Parser;
use studiovault_lab::sim::{self, Cast, Report};

/// Runs seeds of the simulator.
#[derive(Parser)]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many at once; by default as many as there are cores.
    #[arg(long)]
    jobs: Option<usize>,
    /// Runs each of the first so many seeds twice and compares.
    #[arg(long, default_value_t = 0)]
    twice: u64,
    /// One of the machines lies
    #[arg(long)]
    liar: bool,
    /// No machine loses its disk
    #[arg(long, conflicts_with_all = ["liar", "rights"])]
    spared: bool,
    /// Machines are shut out, retire and are taken back
    #[arg(long, conflicts_with = "liar")]
    rights: bool,
    /// Some machines run a newer version of the program
    #[arg(long, conflicts_with_all = ["liar", "spared", "rights"])]
    mixed: bool,
}

impl Options {
    fn cast(&self) -> Cast {
        let flags = [
            (self.liar, Cast::Liar),
            (self.spared, Cast::Spared),
            (self.rights, Cast::Rights),
            (self.mixed, Cast::Mixed),
        ];
        let given = flags.into_iter().find(|(is_given, _)| *is_given);
        given.map_or(Cast::Honest, |(_, cast)| cast)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Ok(text) = std::env::var("SEED") {
        return match text.parse() {
            Ok(seed) => replay(seed, options.cast()),
            Err(_) => {
                eprintln!(
                    "SEED={text} is no whole number; give one such as SEED=3, or leave it out"
                );
                ExitCode::from(2)
            }
        };
    }
    let jobs = options
        .jobs
        .or(std::thread::available_parallelism().ok().map(usize::from));
    let (next, began) = (AtomicU64::new(options.from), Instant::now());
    let (tell, hear) = mpsc::channel();
    let mut summary = Summary::default();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..jobs.unwrap_or(1).max(1) {
            let (tell, next, options) = (tell.clone(), &next, &options);
            scope.spawn(move || work(options, next, &tell));
        }
        drop(tell);
        let bar = indicatif::ProgressBar::new(options.seeds);
        for (report, took) in hear {
            if let Some(failure) = &report.failure {
                let cast = options.cast().flag();
                bar.suspend(|| eprintln!("SEED={} cargo sim{cast}    # {failure}", report.seed));
            }
            summary.add(report, took);
            bar.inc(1);
        }
        bar.finish_and_clear();
    });
    summary.print(began.elapsed());
    if summary.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn work(options: &Options, next: &AtomicU64, tell: &mpsc::Sender<(Report, Duration)>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= options.from + options.seeds {
            return;
        }
        let began = Instant::now();
        let mut report = sim::run_with(seed, options.cast());
        if seed < options.from + options.twice && report.failure.is_none() {
            let again = sim::run_with(seed, options.cast());
            if again.hash != report.hash {
                report.failure = Some("I8: a second run of this seed went another way".into());
            }
        }
        if tell.send((report, began.elapsed())).is_err() {
            return;
        }
    }
}

fn replay(seed: u64, cast: Cast) -> ExitCode {
    let report = sim::replay(seed, cast);
    let Report {
        nodes,
        events,
        commands,
        hash,
        failure,
        ..
    } = &report;
    println!("seed {seed}: {nodes} machines, {events} steps, {commands} commands, trace {hash}");
    println!("faults: {:?}", report.faults);
    match failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// All seeds together.
#[derive(Default)]
struct Summary {
    ran: u64,
    counted: u64,
    failed: u64,
    without_cloud: u64,
    events: u64,
    commands: u64,
    slowest_calm_ms: u64,
    faults: BTreeMap<&'static str, u64>,
    slowest: Option<(Duration, u64)>,
    busy: Duration,
}

impl Summary {
    fn add(&mut self, report: Report, took: Duration) {
        self.ran += 1;
        self.counted += u64::from(report.counts());
        self.failed += u64::from(report.failure.is_some());
        self.without_cloud += u64::from(!report.has_cloud);
        self.events += report.events;
        self.commands += report.commands;
        self.slowest_calm_ms = self.slowest_calm_ms.max(report.calm_after_ms);
        for (kind, count) in report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.slowest = self.slowest.max(Some((took, report.seed)));
        self.busy += took;
    }

    fn print(&self, took: Duration) {
        let (slowest, seed) = self.slowest.unwrap_or_default();
        let each = self.busy.as_secs_f64() / self.ran.max(1) as f64;
        println!(
            "{} seeds in {:.1} s ({each:.3} s each), {} counted, {} without a cloud, {} failed",
            self.ran,
            took.as_secs_f64(),
            self.counted,
            self.without_cloud,
            self.failed
        );
        println!(
            "{} steps, {} commands; slowest seed {seed} with {:.2} s; slowest to become calm: {:.1} virtual s",
            self.events,
            self.commands,
            slowest.as_secs_f64(),
            self.slowest_calm_ms as f64 / 1000.0
        );
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        println!("faults: {}", faults.join(", "));
    }
}
