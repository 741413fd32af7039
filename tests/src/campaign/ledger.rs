//! What all campaigns together have counted, found and measured: one JSON file beside the report, added to by every run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Runs remembered with their versions; the counts of earlier ones stay in the sums.
const RUNS: usize = 40;

/// All that is known of all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// How many runs there were.
    pub run_count: u64,
    /// The latest of them, in order.
    pub runs: Vec<Run>,
    /// By part.
    pub parts: BTreeMap<String, Account>,
    /// Everything that ever failed, in the order in which it was found.
    pub failures: Vec<Failure>,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// When it began, UTC.
    pub began: String,
    /// Minutes that it was given.
    pub given_minutes: f64,
    /// Minutes that it took.
    pub took_minutes: f64,
    /// Whether somebody ended it before its time.
    pub is_stopped: bool,
    /// Of the product, as `version (commit)`.
    pub version: String,
    /// Of compiler and system.
    pub machine: String,
    /// What each part came to, by its name.
    pub parts: BTreeMap<String, Came>,
}

/// What a part came to in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Came {
    /// Counts that add up across runs.
    pub sums: BTreeMap<String, u64>,
    /// The worst value of each.
    pub peaks: BTreeMap<String, u64>,
    /// What was measured, as lines for people.
    pub figures: Vec<String>,
    /// What was wrong.
    #[serde(skip)]
    pub failures: Vec<Found>,
    /// The next seed, or whatever the part counts on by.
    pub next: u64,
    /// Why it did not run, or not all of it.
    pub left_out: Option<String>,
    /// Seconds.
    pub took_s: u64,
}

/// Something that was wrong, as the part tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What was wrong.
    pub what: String,
    /// The command that shows it again.
    pub replay: String,
    /// The seed, where that is all it takes.
    pub seed: Option<u64>,
}

/// Something that failed once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// In which part.
    pub part: String,
    /// What was wrong.
    pub what: String,
    /// The command that shows it again.
    pub replay: String,
    /// The seed, where that is all it takes.
    pub seed: Option<u64>,
    /// When and in which version it was found.
    pub found: String,
    /// When and in which version it was first seen to pass again.
    pub passes_since: Option<String>,
}

/// What all runs of a part came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The next seed.
    pub next: u64,
    /// Counts of all runs.
    pub sums: BTreeMap<String, u64>,
    /// The worst of all runs.
    pub peaks: BTreeMap<String, u64>,
    /// What was last measured.
    pub figures: Vec<String>,
    /// When that was, and in which version.
    pub measured: String,
}

impl Came {
    /// Counts something.
    pub fn count(&mut self, what: &str, by: u64) {
        *self.sums.entry(what.to_owned()).or_default() += by;
    }

    /// Remembers the worst.
    pub fn peak(&mut self, what: &str, value: u64) {
        let known = self.peaks.entry(what.to_owned()).or_default();
        *known = value.max(*known);
    }

    /// Something is wrong.
    pub fn fail(&mut self, what: &str, replay: String, seed: Option<u64>) {
        self.count("failed", 1);
        let what = what.to_owned();
        self.failures.push(Found { what, replay, seed });
    }
}

impl Ledger {
    /// The ledger in a file; an empty one if there is none yet.
    pub fn load(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is no ledger of campaigns; put it right or move it away",
                path.display()
            )
        })
    }

    /// Writes it beside its place and moves it there, so that a run that is killed leaves the one or the other whole.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        write_whole(path, &text)
    }

    /// Where a part goes on.
    pub fn next(&self, part: &str) -> Option<u64> {
        self.parts.get(part).map(|account| account.next)
    }

    /// This ledger with one run more.
    pub fn with(&self, run: &Run) -> Self {
        let mut all = self.clone();
        all.run_count += 1;
        for (name, came) in &run.parts {
            let account = all.parts.entry(name.clone()).or_default();
            account.add(came, &format!("{}, {}", run.began, run.version));
            let failures = came.failures.iter().map(|found| Failure {
                part: name.clone(),
                what: found.what.clone(),
                replay: found.replay.clone(),
                seed: found.seed,
                found: format!("{}, {}", run.began, run.version),
                passes_since: None,
            });
            all.failures.extend(failures);
        }
        all.runs.push(run.clone());
        let surplus = all.runs.len().saturating_sub(RUNS);
        all.runs.drain(..surplus);
        all
    }
}

impl Account {
    fn add(&mut self, came: &Came, measured: &str) {
        self.next = self.next.max(came.next);
        for (what, count) in &came.sums {
            *self.sums.entry(what.clone()).or_default() += count;
        }
        for (what, value) in &came.peaks {
            let known = self.peaks.entry(what.clone()).or_default();
            *known = (*value).max(*known);
        }
        if !came.figures.is_empty() {
            self.figures.clone_from(&came.figures);
            measured.clone_into(&mut self.measured);
        }
    }
}

/// Writes a file so that nobody ever sees half of it.
pub fn write_whole(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).with_context(|| format!("writing {}", fresh.display()))?;
    std::fs::rename(&fresh, path).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(seeds: u64, next: u64) -> Run {
        let mut came = Came {
            next,
            ..Came::default()
        };
        came.count("seeds", seeds);
        came.peak("slowest ms", seeds);
        let mut run = Run::default();
        run.parts.insert("sim".into(), came);
        run
    }

    #[test]
    fn counts_add_up_across_runs_and_a_part_goes_on_where_the_last_run_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("REPORT.json");
        let first = Ledger::load(&path).expect("none yet").with(&run_of(30, 31));
        first.save(&path).expect("saves");
        let known = Ledger::load(&path).expect("loads");
        assert_eq!(known.next("sim"), Some(31));
        let both = known.with(&run_of(12, 43));
        assert_eq!((both.run_count, both.next("sim")), (2, Some(43)));
        assert_eq!(both.parts["sim"].sums["seeds"], 42);
        assert_eq!(both.parts["sim"].peaks["slowest ms"], 30);
    }

    #[test]
    fn what_failed_stays_with_the_command_that_shows_it() {
        let mut run = run_of(1, 2);
        let came = run.parts.get_mut("sim").expect("it is there");
        came.fail("I6: not calm", "SEED=1 cargo sim".into(), Some(1));
        let ledger = Ledger::default().with(&run).with(&run_of(1, 3));
        assert_eq!(ledger.failures.len(), 1);
        assert_eq!(ledger.failures[0].replay, "SEED=1 cargo sim");
        assert_eq!(ledger.parts["sim"].sums["failed"], 1);
    }
}
