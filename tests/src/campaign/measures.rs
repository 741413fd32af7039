//! The parts of a campaign that are no seeds of the simulator: other programs, benchmarks, labs, cuts and mutations.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::children::{self, End};
use super::ledger::Came;
use super::{Slot, this_program};
use crate::{fuzz as eating, histories as merging};
#[cfg(target_os = "linux")]
use crate::{kills as killing, lab::Lab, power as cutting, programs};

/// Lines of a program that failed, for the report.
const LAST_LINES: usize = 6;
/// Kills in one lab.
#[cfg(target_os = "linux")]
const KILLS_A_LAB: u64 = 60;
/// What one test on real links may take.
#[cfg(target_os = "linux")]
const TEST_LIMIT: Duration = Duration::from_secs(300);
/// Cuts of one lap, with each of the three tails.
#[cfg(target_os = "linux")]
const CUTS_A_LAP: usize = 60;
/// The same of each pack, snapshot and bootstrap.
#[cfg(target_os = "linux")]
const CUTS_OF_EACH: usize = 12;
/// A target eats for so long at most before somebody may want an end.
const MEAL: Duration = Duration::from_secs(20);
/// Histories between two looks at the clock.
const HISTORIES: u64 = 2_000;

/// Another campaign of this program, for twice its share at most; what it printed are the figures.
fn own(slot: &Slot, arguments: &[&str]) -> Result<Came> {
    let mut command = Command::new(this_program()?);
    let (end, lines) = children::run(command.args(arguments), slot.left() * 2)?;
    let mut came = Came::default();
    let words = arguments.join(" ");
    match end {
        End::Good => {}
        End::Stopped => came.left_out = Some("stopped".into()),
        End::TooSlow => came.left_out = Some("ended: it took twice its share".into()),
        End::Bad => came.fail(&last(&lines), format!("cargo campaign {words}"), None),
    }
    came.figures = lines;
    Ok(came)
}

/// The end of what a program printed.
fn last(lines: &[String]) -> String {
    let from = lines.len().saturating_sub(LAST_LINES);
    lines[from..].join("; ")
}

/// Known bugs, each to be caught.
pub fn sabotage(slot: &Slot) -> Result<Came> {
    let mut came = own(slot, &["sabotage"])?;
    let caught = came
        .figures
        .iter()
        .filter(|line| line.contains(" caught in "));
    let caught = caught.count() as u64;
    came.count("bugs caught", caught);
    Ok(came)
}

/// Figures beside limits and targets.
pub fn bench(slot: &Slot) -> Result<Came> {
    let mut came = own(slot, &["bench"])?;
    let rows = |ending: &str| {
        came.figures
            .iter()
            .filter(|row| row.ends_with(ending))
            .count()
    };
    let (met, missed) = (rows("| yes |"), rows("| NO |"));
    came.count("figures that meet their target", met as u64);
    came.count("that miss it", missed as u64);
    Ok(came)
}

/// The queue under refusals.
pub fn queue(slot: &Slot) -> Result<Came> {
    let mut came = own(slot, &["queue", "--rounds", "1"])?;
    came.count("commands", 200_000);
    Ok(came)
}

/// What a machine costs among more and more of them.
pub fn scale(slot: &Slot) -> Result<Came> {
    let machines = match slot.left() > Duration::from_secs(400) {
        true => "5,10,20,50,200",
        false => "5,10,20,50",
    };
    own(slot, &["large", "--machines", machines])
}

/// Machines that come and go.
pub fn churn(slot: &Slot) -> Result<Came> {
    let events = match slot.left() > Duration::from_secs(1_500) {
        true => "10000",
        false => "1000",
    };
    own(slot, &["churn", "--events", events])
}

/// Twenty real machines.
#[cfg(target_os = "linux")]
pub fn crowd(slot: &Slot) -> Result<Came> {
    if let Some(reason) = Lab::unavailable() {
        return Ok(skipped(reason));
    }
    own(slot, &["crowd", "--idle-seconds", "20"])
}

#[cfg(target_os = "linux")]
fn skipped(reason: String) -> Came {
    Came {
        left_out: Some(format!("skipped: {reason}")),
        ..Came::default()
    }
}

/// Tests on real links, from where the last run ended; as many as there is time for, and each once at most.
#[cfg(target_os = "linux")]
pub fn netns(slot: &Slot) -> Result<Came> {
    if let Some(reason) = Lab::unavailable() {
        return Ok(skipped(reason));
    }
    let programs = programs::all()?;
    let program = programs
        .get("netns")
        .context("no program of tests `netns`")?;
    let mut list = Command::new(&program.executable);
    let (_, lines) = children::run(list.arg("--list"), TEST_LIMIT)?;
    let names = lines.iter().filter_map(|line| line.strip_suffix(": test"));
    let names: Vec<&str> = names.collect();
    ensure!(!names.is_empty(), "the program `netns` has no tests");
    let mut came = Came {
        next: slot.next.unwrap_or(0),
        ..Came::default()
    };
    for _ in 0..names.len() {
        if slot.is_over() {
            break;
        }
        let name = names[came.next as usize % names.len()];
        let began = Instant::now();
        let mut command = Command::new(&program.executable);
        command.current_dir(&program.folder);
        command.args(["--exact", name, "--nocapture"]);
        let (end, lines) = children::run(&mut command, TEST_LIMIT)?;
        if end == End::Stopped {
            break;
        }
        came.next += 1;
        note(&mut came, (name, end), (&lines, began.elapsed()));
    }
    Ok(came)
}

/// How a test went, and what it measured.
#[cfg(target_os = "linux")]
fn note(came: &mut Came, (name, end): (&str, End), (lines, took): (&[String], Duration)) {
    let is_skipped = lines.iter().any(|line| line.starts_with("SKIPPED"));
    let word = match end {
        End::Good if is_skipped => "skipped",
        End::Good => "passed",
        _ => "FAILED",
    };
    came.count(&format!("tests {}", word.to_lowercase()), 1);
    if end != End::Good {
        let what = format!("{name}: {}", last(lines));
        came.fail(&what, format!("cargo netns {name}"), None);
    }
    came.figures
        .push(format!("{word:<7} {:>6.1} s  {name}", took.as_secs_f64()));
    let measured = lines.iter().filter(|line| line.starts_with("    "));
    came.figures.extend(measured.take(2).cloned());
    eprintln!("    {word} {name}");
}

/// Laps, each with a seed of its own, from where the last run ended until the time is over.
fn laps(
    slot: &Slot,
    (first, step): (u64, u64),
    mut lap: impl FnMut(&mut Came, u64) -> Result<()>,
) -> Result<Came> {
    let mut came = Came {
        next: slot.next.unwrap_or(first),
        ..Came::default()
    };
    while !slot.is_over() {
        let seed = came.next;
        came.next += step;
        lap(&mut came, seed)?;
    }
    Ok(came)
}

/// Labs in which processes are killed.
#[cfg(target_os = "linux")]
pub fn kills(slot: &Slot) -> Result<Came> {
    if let Some(reason) = Lab::unavailable() {
        return Ok(skipped(reason));
    }
    laps(slot, (1_000, 1), |came, seed| {
        match killing::run(seed, KILLS_A_LAB) {
            Ok(outcome) => {
                came.count("kills", outcome.kills);
                came.count("acknowledged transactions", outcome.acknowledged);
                came.count("requests unanswered", outcome.unanswered);
                let settled = outcome.settled.as_millis() as u64;
                came.peak("slowest to settle, ms:", settled);
            }
            Err(error) => {
                let replay = format!("cargo campaign kills --count {KILLS_A_LAB} --seed {seed}");
                came.fail(&format!("{error:#}"), replay, Some(seed));
            }
        }
        eprintln!("    {} kills", came.sums.get("kills").unwrap_or(&0));
        Ok(())
    })
}

/// Cuts at random points of what the store and the real program wrote.
#[cfg(target_os = "linux")]
pub fn power(slot: &Slot) -> Result<Came> {
    let writer = this_program()?.with_file_name("store-writer");
    let store = cutting::store::recorded(&writer)?;
    let machines = cutting::machine::recorded()?;
    let place = cutting::place::Place::new()?;
    let mut came = laps(slot, (1_000, 1), |came, seed| {
        let of = |recording: &cutting::Recording| recording.random_cuts(CUTS_A_LAP, seed);
        let (of_store, of_machines) = (of(&store), of(machines.recording()));
        came.count("cuts of the store", of_store.len() as u64);
        came.count("cuts of the program", of_machines.len() as u64);
        let (one, other, carried) = std::thread::scope(|scope| {
            let one = scope.spawn(|| cutting::store::failing_cuts(&store, &of_store));
            let other = machines.failing_cuts(&of_machines);
            let carried = place.random_cuts(CUTS_OF_EACH, seed);
            (one.join().expect("no check panics"), other, carried)
        });
        let (tried, of_place) = carried?;
        came.count("cuts of packs, snapshots and bootstraps", tried as u64);
        for what in one?.iter().chain(&other?).chain(&of_place) {
            let replay = format!("cargo campaign --part power, lap {seed}");
            came.fail(what, replay, None);
        }
        Ok(())
    })?;
    let written = store.events() + machines.recording().events() + place.events();
    came.count("writes recorded", written as u64);
    Ok(came)
}

/// Each call of the disk in packs, bootstraps and a short run of the store going wrong once, in each way, from where the last run ended.
#[cfg(target_os = "linux")]
pub fn disk(slot: &Slot) -> Result<Came> {
    let mut came = Came {
        next: slot.next.unwrap_or(0),
        ..Came::default()
    };
    let writer = this_program()?.with_file_name("store-writer");
    let whole = cutting::store::recorded_few(&writer)?;
    let of = |fault| (1..=whole.targets(fault)).map(move |number| (fault, number));
    let of_store: Vec<(cutting::Fault, u64)> =
        cutting::Fault::ALL.into_iter().flat_map(of).collect();
    let place = cutting::place::Place::new()?;
    let of_place = place.faults();
    let ways = of_place.len() + of_store.len();
    for _ in 0..ways {
        if slot.is_over() {
            break;
        }
        let at = came.next as usize % ways;
        came.next += 1;
        came.count("calls that went wrong", 1);
        let (tried, name) = match of_place.get(at) {
            Some((errand, fault)) => (
                errand.broken_once(*fault),
                format!("{}, {fault:?}", errand.name()),
            ),
            None => {
                let fault = of_store[at - of_place.len()];
                (
                    cutting::store::broken_once(&writer, fault),
                    format!("the store, {fault:?}"),
                )
            }
        };
        if let Err(error) = tried {
            let what = format!("{name}: {error:#}");
            came.fail(&what, "cargo campaign --part disk".into(), None);
        }
    }
    came.figures
        .push(format!("{ways} calls and ways in which each can go wrong"));
    Ok(came)
}

/// Every target, each with the same share.
pub fn fuzz(slot: &Slot) -> Result<Came> {
    let mut came = Came {
        next: slot.next.unwrap_or(1_000),
        ..Came::default()
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let targets = eating::targets();
    for (at, target) in targets.iter().enumerate() {
        let mut left = slot.left() / (targets.len() - at) as u32;
        while !left.is_zero() && !slot.is_over() {
            let meal = left.min(MEAL);
            left -= meal;
            let seed = came.next;
            came.next += 1;
            match eating::run(target, seed, meal, 0) {
                Ok(run) => {
                    came.count("inputs", run.inputs);
                    let slowest = run.slowest.as_micros() as u64;
                    came.peak("slowest input, us:", slowest);
                    came.figures.push(eating::line(target, &run));
                }
                Err(error) => {
                    let name = target.name;
                    let replay = format!("cargo campaign fuzz --only {name} --seconds 0");
                    came.fail(&format!("{error:#}"), replay, None);
                    break;
                }
            }
        }
    }
    std::panic::set_hook(hook);
    Ok(came)
}

/// Random histories, merged twice.
pub fn histories(slot: &Slot) -> Result<Came> {
    laps(slot, (10_000_000, HISTORIES), |came, seed| {
        match merging::compare(seed, HISTORIES) {
            Ok(tally) => {
                came.count("histories", tally.histories);
                came.count("commands", tally.commands);
                came.count("conflicts agreed on", tally.conflicts);
            }
            Err(difference) => {
                let replay = format!("cargo campaign histories --seed {seed} --count {HISTORIES}");
                came.fail(&difference, replay, Some(seed));
            }
        }
        Ok(())
    })
}
