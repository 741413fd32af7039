//! Benchmarks: each figure beside its physical limit, measured in the same run, and beside its target.
//!
//! Medians and ratios are what to quote; absolute times are this machine's.

use std::time::{Duration, Instant};

pub mod agent;
pub mod local;
#[cfg(target_os = "linux")]
pub mod mesh;
pub mod receive;
#[cfg(target_os = "linux")]
pub mod snapshot;
pub mod studio;

/// One measured figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value with its unit.
    pub value: String,
    /// The physical limit in the same run.
    pub limit: String,
    /// What it should be.
    pub target: String,
    /// Whether it is.
    pub met: bool,
}

impl Figure {
    /// A figure in words.
    pub(crate) fn new(
        name: &str,
        (value, limit, target): (String, String, &str),
        met: bool,
    ) -> Self {
        Self {
            name: name.into(),
            value,
            limit,
            target: target.into(),
            met,
        }
    }
}

/// Prints figures as a table that reads as text too.
pub fn print(figures: &[Figure]) {
    let width = |of: fn(&Figure) -> &str, least: usize| {
        figures
            .iter()
            .map(|f| of(f).chars().count())
            .max()
            .unwrap_or(0)
            .max(least)
    };
    let columns = [
        width(|f| &f.name, 6),
        width(|f| &f.value, 5),
        width(|f| &f.limit, 5),
        width(|f| &f.target, 6),
    ];
    let row = |cells: [&str; 4], met: &str| {
        let [a, b, c, d] = columns;
        println!(
            "| {:a$} | {:b$} | {:c$} | {:d$} | {met} |",
            cells[0], cells[1], cells[2], cells[3]
        );
    };
    row(
        ["figure", "value", "limit in the same run", "target"],
        "met",
    );
    row(["---", "---", "---", "---"], "---");
    for figure in figures {
        let met = if figure.met { "yes" } else { "NO" };
        row(
            [&figure.name, &figure.value, &figure.limit, &figure.target],
            met,
        );
    }
}

/// The value below which `share` (0 to 1) of the samples lie.
pub fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    assert!(!samples.is_empty(), "nothing was measured");
    samples.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = ((samples.len() - 1) as f64 * share).round() as usize;
    samples[at]
}

/// How many a second.
pub fn rate(count: usize, took: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    count / took.as_secs_f64()
}

/// Runs once and says how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Milliseconds with two digits.
pub fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
