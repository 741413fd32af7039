//! `import`: a file's rows as creates, so that importing it again adds nothing.
//!
//! The whole file is read and checked by the policy before the first row is written: a line that does not parse leaves
//! nothing of the file behind. Ids come from the rows' content, so a second run finds them all there already.

mod cdnow;
mod identity;
mod money;
mod plan;
mod send;
mod table;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use studiovault_node::config::open_plain;
use studiovault_protocol::policy::Policy;

use super::failure::{Exit, Failure};
use super::folder::client;
use super::output::{print_json, say};
use super::policy::in_force;
use super::{Call, Outcome, runtime};
use plan::{BadLine, Plan};

pub(crate) use cdnow::{cents_of, plan as plan_cdnow};
pub(crate) use send::send;

/// Bytes of a file at most: it is checked whole, in memory.
const FILE_BYTES: u64 = 512 * 1024 * 1024;
/// Bad lines that are shown; all are counted.
const SHOWN_LINES: usize = 20;

#[derive(Args)]
pub(crate) struct Import {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// What its rows become, such as client or project; not for --format cdnow, whose rows say so themselves
    #[arg(long = "type", value_name = "TYPE")]
    entity_type: Option<String>,
    /// How the file is written [default: told by its name]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The columns' names, if the file has no line that names them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// The column that tells rows apart; without one the whole row does
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// Leave bad lines out instead of refusing the file
    #[arg(long)]
    skip_bad_lines: bool,
    /// Who acts [default: the system's user]
    #[arg(long, value_name = "PERSON")]
    actor: Option<String>,
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Commas, quotes, and a first line of names
    Csv,
    /// Tabs, and a first line of names
    Tsv,
    /// Columns parted by blanks, and a first line of names
    Columns,
    /// One JSON object a line
    Jsonl,
    /// The CDNOW purchases: customer, its number in the sample, day, items, dollars
    Cdnow,
}

/// What an import came to.
#[derive(Serialize)]
struct Report {
    rows: u64,
    written: u64,
    skipped: u64,
    transactions: u64,
    bad_lines: Vec<BadLine>,
}

/// `studiovault import`.
pub(crate) fn import(call: &Call, import: Import) -> Outcome {
    let client = client(call)?;
    let file = read_file(&import)?;
    let policy = runtime()?.block_on(in_force(&client))?;
    let plan = planned(&import, &file, &policy)?;
    if !plan.bad.is_empty() && !import.skip_bad_lines {
        return Err(refused(&plan, &import));
    }
    let bar = progress_bar(plan.rows.len() as u64, "written");
    let sent = runtime()?.block_on(send(&client, &plan, import.actor.as_deref(), |rows| {
        bar.inc(rows);
    }))?;
    bar.finish_and_clear();
    let report = Report {
        rows: plan.rows.len() as u64,
        written: sent.written,
        skipped: sent.skipped,
        transactions: sent.transactions,
        bad_lines: plan.bad,
    };
    if call.json {
        print_json(&report);
        return Ok(());
    }
    say!(
        "{} written, {} there already",
        report.written,
        report.skipped
    );
    if !report.bad_lines.is_empty() {
        say!(
            "{} bad lines left out:\n{}",
            report.bad_lines.len(),
            listed(&report.bad_lines)
        );
    }
    Ok(())
}

/// What a file says.
struct Content {
    text: String,
    /// Some of it was no UTF-8 text: the replacement character stands there.
    is_patched: bool,
}

fn planned(import: &Import, file: &Content, policy: &Policy) -> Result<Plan, Failure> {
    let format = import.format.or_else(|| by_name(&import.file));
    let format = format.ok_or_else(|| {
        let text = "the file's name does not say how it is written\nGive --format csv, tsv, columns, jsonl or cdnow.";
        Failure::new(Exit::Usage, text)
    })?;
    if format == Format::Cdnow {
        return Ok(cdnow::plan(&file.text, policy));
    }
    let Some(entity_type) = import.entity_type.as_deref() else {
        let text = "what the rows become is not said\nGive --type, such as --type client.";
        return Err(Failure::new(Exit::Usage, text));
    };
    let shape = table::Shape {
        entity_type,
        format,
        columns: &import.columns,
        key: import.key.as_deref(),
        is_patched: file.is_patched,
    };
    table::plan(&shape, &file.text, policy)
}

fn by_name(file: &std::path::Path) -> Option<Format> {
    match file.extension()?.to_str()? {
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        _ => None,
    }
}

/// What there is, and one byte more than may be at most.
fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_file(import: &Import) -> Result<Content, Failure> {
    let name = import.file.display();
    let failed = |exit, what: String, next_step: &str| {
        Failure::new(exit, format!("{name}: {what}\n{next_step}"))
    };
    let bytes = if import.file.as_os_str() == "-" {
        bounded(std::io::stdin())
    } else {
        match fs::metadata(&import.file) {
            Ok(facts) if facts.len() > FILE_BYTES => {
                return Err(failed(
                    Exit::Refused,
                    "over 512 MiB".into(),
                    "Split it and import the parts.",
                ));
            }
            _ => open_plain(&import.file).and_then(bounded),
        }
    };
    let bytes = bytes.map_err(|error| {
        failed(
            Exit::NotFound,
            error.to_string(),
            "Check the path and that you may read it.",
        )
    })?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(failed(
            Exit::Refused,
            "over 512 MiB".into(),
            "Split it and import the parts.",
        ));
    }
    // Some programs begin a text file with this mark; it is no part of the first name.
    let bytes = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .map(<[u8]>::to_vec)
        .unwrap_or(bytes);
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Content {
            text,
            is_patched: false,
        }),
        // The lines that it concerns are left out, like others that cannot be taken.
        Err(error) if import.skip_bad_lines => Ok(Content {
            text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            is_patched: true,
        }),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(failed(
                Exit::Refused,
                format!("line {line} is not UTF-8 text"),
                "Save the file as UTF-8 and import it again, or leave such lines out with --skip-bad-lines; nothing was written.",
            ))
        }
    }
}

fn refused(plan: &Plan, import: &Import) -> Failure {
    let text = format!(
        "{}: {} of {} lines cannot be taken:\n{}\nCorrect them and import again, or leave them out with --skip-bad-lines. Nothing was written.",
        import.file.display(),
        plan.bad.len(),
        plan.lines,
        listed(&plan.bad),
    );
    Failure::new(Exit::Refused, text)
}

fn listed(bad: &[BadLine]) -> String {
    let mut lines: Vec<String> = bad
        .iter()
        .take(SHOWN_LINES)
        .map(|bad| format!("  line {}: {}", bad.line, bad.reason))
        .collect();
    if bad.len() > SHOWN_LINES {
        lines.push(format!("  ... and {} more", bad.len() - SHOWN_LINES));
    }
    lines.join("\n")
}

/// A bar on the error stream; none if nobody looks at it.
pub(crate) fn progress_bar(length: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} {elapsed}")
        .expect("the template is well-formed");
    ProgressBar::new(length)
        .with_style(style)
        .with_message(what.to_owned())
}
