//! Seeds of the simulator on all processors until their time is over; each run goes on where the last one ended.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Slot;
use super::ledger::{Came, Ledger};
use crate::sim::{self, Cast, Report};

/// The first seed of the first run: `cargo sim` and the tests have those below.
const FIRST: u64 = 200_000;
/// One seed in so many runs twice and must go the same way.
const TWICE: u64 = 40;
/// How often progress is told.
const TELL: Duration = Duration::from_secs(15);

/// Every fault.
pub fn seeds(slot: &Slot) -> Result<Came> {
    Ok(play(slot, Cast::Honest))
}

/// A member that lies.
pub fn liar(slot: &Slot) -> Result<Came> {
    Ok(play(slot, Cast::Liar))
}

/// Rights that end.
pub fn rights(slot: &Slot) -> Result<Came> {
    Ok(play(slot, Cast::Rights))
}

/// Machines of several versions.
pub fn mixed(slot: &Slot) -> Result<Came> {
    Ok(play(slot, Cast::Mixed))
}

/// The cast of a part, if it is one of these.
fn cast_of(part: &str) -> Option<Cast> {
    match part {
        "seeds" => Some(Cast::Honest),
        "liar" => Some(Cast::Liar),
        "rights" => Some(Cast::Rights),
        "mixed" => Some(Cast::Mixed),
        _ => None,
    }
}

fn replay(seed: u64, cast: Cast) -> String {
    format!("SEED={seed} cargo sim{}", cast.flag())
}

fn play(slot: &Slot, cast: Cast) -> Came {
    let hook = panic::take_hook();
    // A seed that panics is a failure with its words; the hook would print them between the lines.
    panic::set_hook(Box::new(|_| {}));
    let next = AtomicU64::new(slot.next.unwrap_or(FIRST));
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let (tell, hear) = mpsc::channel();
    let mut came = Came::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                while !slot.is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if tell.send(once_or_twice(seed, cast)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        let mut told = Instant::now();
        for (report, runs) in hear {
            add(&mut came, (report, cast), runs);
            if told.elapsed() > TELL {
                told = Instant::now();
                let (seeds, left) = (came.sums["seeds"], slot.left().as_secs());
                eprintln!(
                    "    {seeds} seeds, {} failed, {left} s left",
                    came.failures.len()
                );
            }
        }
    });
    panic::set_hook(hook);
    came.next = next.into_inner();
    came
}

/// A seed's report, and how often it ran.
fn once_or_twice(seed: u64, cast: Cast) -> (Report, u64) {
    let mut report = sim::run_with(seed, cast);
    if !seed.is_multiple_of(TWICE) || report.failure.is_some() {
        return (report, 1);
    }
    if sim::run_with(seed, cast).hash != report.hash {
        report.failure = Some("I8: a second run of this seed went another way".into());
    }
    (report, 2)
}

fn add(came: &mut Came, (report, cast): (Report, Cast), runs: u64) {
    came.count("seeds", 1);
    came.count("that count", u64::from(report.counts()));
    came.count("run twice", runs - 1);
    came.count("steps", report.events);
    came.count("commands", report.commands);
    came.count("faults", report.faults.values().sum());
    came.peak("slowest to become calm, virtual ms:", report.calm_after_ms);
    if let Some(failure) = report.failure {
        came.fail(&failure, replay(report.seed, cast), Some(report.seed));
    }
}

/// Runs the seeds that failed once and are still open; those that pass are said to, from this version on.
pub fn look_again(ledger: &mut Ledger, now: &str) {
    let open = ledger.failures.iter_mut();
    for failure in open.filter(|failure| failure.passes_since.is_none()) {
        let cast = cast_of(&failure.part);
        let (Some(seed), Some(cast)) = (failure.seed, cast) else {
            continue;
        };
        let passes = sim::run_with(seed, cast).failure.is_none();
        failure.passes_since = passes.then(|| now.to_owned());
        let word = if passes { "passes" } else { "still fails" };
        eprintln!("{}: {word}", failure.replay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ledger::{Failure, Run};

    #[test]
    fn a_seed_that_failed_once_and_passes_now_is_said_to_pass_and_others_stay_open() {
        let failure = |part: &str, seed| Failure {
            part: part.into(),
            what: "I6".into(),
            replay: String::new(),
            seed,
            found: String::new(),
            passes_since: None,
        };
        let mut ledger = Ledger::default().with(&Run::default());
        ledger.failures = vec![failure("seeds", Some(3)), failure("netns", None)];
        look_again(&mut ledger, "today");
        assert_eq!(ledger.failures[0].passes_since.as_deref(), Some("today"));
        assert_eq!(ledger.failures[1].passes_since, None);
    }

    #[test]
    fn seeds_go_on_where_the_last_run_ended_and_end_with_their_time() {
        let slot = |next| Slot {
            until: Instant::now() + Duration::from_millis(300),
            next,
        };
        let first = play(&slot(None), Cast::Honest);
        let seeds = first.sums["seeds"];
        assert!(seeds > 0 && first.failures.is_empty(), "{first:?}");
        assert_eq!(first.next, FIRST + seeds);
        let second = play(&slot(Some(first.next)), Cast::Honest);
        assert_eq!(second.next, first.next + second.sums["seeds"]);
    }
}
