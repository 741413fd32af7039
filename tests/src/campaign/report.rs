//! The report of the campaigns as a page: what was counted, what failed, what was measured, in which version.

use std::fmt::Write;

use super::ledger::{Account, Failure, Ledger, Run};
use super::parts::PARTS;
use crate::sim::found;

/// Runs that are shown.
const SHOWN_RUNS: usize = 12;
/// Lines of figures of one part at most.
const LINES: usize = 120;

/// The page.
pub fn page(ledger: &Ledger, run: &Run) -> String {
    let mut page = String::from(
        "# What the campaigns came to\n\nWritten by `cargo campaign` (45 minutes, `--hours` for more; `cargo campaign --help`). Every run goes on with the next seeds, and its counts are added to those of the runs \
         before it, which `REPORT.json` keeps. A failure stays here with the command that shows it.\n\n",
    );
    heading(&mut page, ledger, run);
    counted(&mut page, ledger, run);
    failures(&mut page, &ledger.failures);
    mended(&mut page);
    measured(&mut page, ledger);
    runs(&mut page, ledger);
    // One line ends the page.
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn heading(page: &mut String, ledger: &Ledger, run: &Run) {
    let ended = if run.is_stopped {
        ", stopped before its time"
    } else {
        ""
    };
    let runs = ledger.run_count;
    line(
        page,
        format_args!(
            "The last run, the {}: {}, {:.1} of {:.1} minutes{ended}. Version {}, {}.\n",
            nth(runs),
            run.began,
            run.took_minutes,
            run.given_minutes,
            run.version,
            run.machine
        ),
    );
}

fn nth(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn counted(page: &mut String, ledger: &Ledger, run: &Run) {
    page.push_str("## Counted\n\n| part | what it does | in the last run | in all runs | failed, in all runs |\n| --- | --- | --- | --- | --- |\n");
    let nothing = Account::default();
    for part in PARTS {
        let account = ledger.parts.get(part.name).unwrap_or(&nothing);
        let came = run.parts.get(part.name);
        let last = match came {
            None => "not reached".to_owned(),
            Some(came) => {
                let why = came.left_out.iter().cloned();
                let told = told(&came.sums).into_iter().chain(why);
                told.collect::<Vec<_>>().join(", ")
            }
        };
        let failed = account.sums.get("failed").copied().unwrap_or(0);
        let mut all = told(&account.sums);
        let peaks = account.peaks.iter();
        all.extend(peaks.map(|(what, value)| format!("{what} {}", grouped(*value))));
        line(
            page,
            format_args!(
                "| {} | {} | {last} | {} | {failed} |",
                part.name,
                part.what,
                all.join(", ")
            ),
        );
    }
    page.push('\n');
}

fn told(sums: &std::collections::BTreeMap<String, u64>) -> Vec<String> {
    let counts = sums.iter().filter(|(what, _)| *what != "failed");
    let told = counts.map(|(what, count)| format!("{} {what}", grouped(*count)));
    told.collect()
}

fn failures(page: &mut String, failures: &[Failure]) {
    page.push_str("## Failed\n\n");
    if failures.is_empty() {
        page.push_str("Nothing in the runs that are counted here.\n\n");
        return;
    }
    page.push_str(
        "| part | found | what | shows it | passes since |\n| --- | --- | --- | --- | --- |\n",
    );
    for failure in failures {
        let since = failure.passes_since.as_deref().unwrap_or("**open**");
        let what = cell(&failure.what);
        line(
            page,
            format_args!(
                "| {} | {} | {what} | `{}` | {since} |",
                failure.part, failure.found, failure.replay
            ),
        );
    }
    page.push('\n');
}

/// What fits into a cell of a table.
fn cell(text: &str) -> String {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or_default().trim().replace('|', "\\|");
    first.chars().take(300).collect()
}

fn mended(page: &mut String) {
    page.push_str("## Found by seeds, and mended\n\nEach of them runs in every `cargo test` (`tests/src/sim/found.rs`).\n\n| seed | what it was |\n| --- | --- |\n");
    for (seed, cast, what) in found::FOUND {
        let flag = cast.flag();
        line(
            page,
            format_args!("| `SEED={seed} cargo sim{flag}` | {what} |"),
        );
    }
    page.push('\n');
}

fn measured(page: &mut String, ledger: &Ledger) {
    page.push_str("## Measured\n\nFigures of the last run that measured them, on the machine of that run.\n\n");
    for part in PARTS {
        let account = ledger.parts.get(part.name);
        let Some(account) = account.filter(|account| !account.figures.is_empty()) else {
            continue;
        };
        let (name, measured) = (part.name, &account.measured);
        line(page, format_args!("### {name} ({measured})\n\n```text"));
        for figure in account.figures.iter().take(LINES) {
            line(page, format_args!("{}", figure.trim_end()));
        }
        page.push_str("```\n\n");
    }
}

/// The latest runs, each with what it had time for.
fn runs(page: &mut String, ledger: &Ledger) {
    page.push_str("## Runs\n\n| began | minutes | version | parts |\n| --- | --- | --- | --- |\n");
    for run in ledger.runs.iter().rev().take(SHOWN_RUNS) {
        let ran = run.parts.iter().filter(|(_, came)| came.left_out.is_none());
        let names: Vec<&str> = ran.map(|(name, _)| name.as_str()).collect();
        let (began, minutes, version) = (&run.began, run.took_minutes, &run.version);
        let names = names.join(", ");
        line(
            page,
            format_args!("| {began} | {minutes:.1} | {version} | {names} |"),
        );
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes all");
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::ledger::Came;

    #[test]
    fn a_failure_stands_in_the_report_with_what_shows_it_and_counts_add_up() {
        let mut came = Came::default();
        came.count("seeds", 1_234);
        came.fail("I6: not calm | at all", "SEED=7 cargo sim".into(), Some(7));
        let mut run = Run::default();
        run.parts.insert("seeds".into(), came);
        let ledger = Ledger::default().with(&run).with(&run);
        let page = page(&ledger, &run);
        assert!(page.contains("| 1,234 seeds | 2,468 seeds | 2 |"), "{page}");
        let shown = "I6: not calm \\| at all | `SEED=7 cargo sim` | **open** |";
        assert!(page.contains(shown), "{page}");
        assert!(page.contains("the 2nd"), "{page}");
    }
}
