//! The history of one entity as a swim-lane: a lane for every machine and one for the cloud, time from left to right.
//!
//! A pure layout in columns and lanes; how large and in which colours is the view's business.

use serde_json::Value as Json;
use studiovault_protocol::api::{HistoryPage, HistoryRow};
use studiovault_protocol::command::Op;
use studiovault_protocol::time::WallMs;

use super::case::{Case, Column};
use super::locale::moment_text;
use super::words::{change_text, changes_text, op_words};

/// Commands that fit the picture; earlier ones are in the list.
const SHOWN: usize = 18;

/// What a mark stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkKind {
    /// A command.
    Write,
    /// A side of the open conflict, by this machine.
    Mine,
    /// A side by another.
    Theirs,
    /// What the sides grew from.
    Base,
    /// A decision of a person.
    Decision,
    /// The cloud took it.
    Taken,
    /// The cloud did not take it, or not all of it.
    Refused,
}

/// One mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Which lane, from the top.
    pub lane: usize,
    /// Which column, from the left.
    pub column: usize,
    /// What it stands for.
    pub kind: MarkKind,
    /// What it is, in words.
    pub words: String,
}

/// The picture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lanes {
    /// The machines, in the order in which they wrote; the cloud last, if it decided anything.
    pub lanes: Vec<String>,
    /// The marks, by column; the verdict on a command follows it in the same column.
    pub marks: Vec<Mark>,
    /// How many columns there are.
    pub columns: usize,
    /// Commands that did not fit.
    pub left_out: usize,
}

/// What the cloud is called in a lane.
pub const CLOUD: &str = "cloud";

/// The picture of a history, with the sides of an open case marked.
pub fn lanes(history: &HistoryPage, case: Option<&Case>, (own, now): (&str, WallMs)) -> Lanes {
    let left_out = history.rows.len().saturating_sub(SHOWN);
    let rows = &history.rows[left_out..];
    let mut lanes: Vec<String> = Vec::new();
    for row in rows {
        if !lanes.contains(&row.device) {
            lanes.push(row.device.clone());
        }
    }
    lanes.sort_by_key(|device| device != own);
    let has_verdicts = rows.iter().any(|row| row.position.is_some());
    if has_verdicts {
        lanes.push(CLOUD.to_owned());
    }
    let bases = bases(history, case);
    let mut marks = Vec::new();
    for (column, row) in rows.iter().enumerate() {
        let lane = lanes.iter().position(|lane| *lane == row.device);
        let kind = kind_of(row, case, (own, &bases));
        marks.push(Mark {
            lane: lane.unwrap_or(0),
            column,
            kind,
            words: command_words(row, kind, now),
        });
        if let Some(position) = row.position {
            marks.push(Mark {
                lane: lanes.len() - 1,
                column,
                kind: if row.verdict == "accepted" {
                    MarkKind::Taken
                } else {
                    MarkKind::Refused
                },
                words: verdict_words(row, position),
            });
        }
    }
    Lanes {
        columns: rows.len(),
        lanes,
        marks,
        left_out,
    }
}

fn kind_of(row: &HistoryRow, case: Option<&Case>, (own, bases): (&str, &[&str])) -> MarkKind {
    let sides = case
        .into_iter()
        .flat_map(Case::rows)
        .flat_map(|row| &row.sides);
    let is_side = sides.into_iter().any(|side| side.dot == row.dot);
    match row.op {
        _ if is_side && row.device == own => MarkKind::Mine,
        _ if is_side => MarkKind::Theirs,
        _ if bases.contains(&row.dot.as_str()) => MarkKind::Base,
        Op::Resolve => MarkKind::Decision,
        _ => MarkKind::Write,
    }
}

/// Of each field the last write before its first side.
fn bases<'a>(history: &'a HistoryPage, case: Option<&Case>) -> Vec<&'a str> {
    let rows = case.into_iter().flat_map(Case::rows);
    let bases = rows.filter_map(|row| {
        let field = row.field.as_ref()?;
        let at = base_at(history, row)?;
        let written = history.rows[..at].iter().rev();
        let mut written = written.filter(|row| row.fields.contains_key(field));
        Some(written.next()?.dot.as_str())
    });
    bases.collect()
}

/// The place of the first side in the history.
fn base_at(history: &HistoryPage, row: &studiovault_protocol::api::ConflictView) -> Option<usize> {
    let is_side = |entry: &HistoryRow| row.sides.iter().any(|side| side.dot == entry.dot);
    history.rows.iter().position(is_side)
}

/// A command in words, as a list shows it.
pub fn command_words(row: &HistoryRow, kind: MarkKind, now: WallMs) -> String {
    let fields = changes_text(&row.fields);
    let fields = if fields.is_empty() {
        String::new()
    } else {
        format!(": {fields}")
    };
    let side = match kind {
        MarkKind::Mine => ", mine",
        MarkKind::Theirs => ", theirs",
        MarkKind::Base => ", base",
        _ => "",
    };
    let when = moment_text(row.ts, now);
    format!("{} {} {when}{side}{fields}", row.device, op_words(row.op))
}

fn verdict_words(row: &HistoryRow, position: u64) -> String {
    let why = row.detail.as_ref().map(|detail| format!(": {detail}"));
    let code = row.code.as_ref().map(|code| format!(" ({code})"));
    format!(
        "cloud {} {} at {position}{}{}",
        row.verdict,
        row.device,
        code.unwrap_or_default(),
        why.unwrap_or_default()
    )
}

/// A set, or a sum, that changed on several machines since they parted: no question, but worth seeing beside one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merged {
    /// The field.
    pub field: String,
    /// What each column's machine did to it.
    pub changes: Vec<String>,
}

/// Sets and sums that the machines of a case changed since its base.
pub fn merged(history: &HistoryPage, case: &Case, columns: &[Column]) -> Vec<Merged> {
    let firsts = case.rows().iter().filter_map(|row| base_at(history, row));
    let Some(from) = firsts.min() else {
        return Vec::new();
    };
    // What stood before the first side and was written by nobody since is the common ground.
    let base = bases(history, Some(case));
    let from = history.rows[..from]
        .iter()
        .rposition(|row| base.contains(&row.dot.as_str()))
        .map_or(from, |at| at + 1);
    let mut merged: Vec<Merged> = Vec::new();
    for row in &history.rows[from..] {
        let machine = |column: &Column| column.device == row.device && column.nth == 0;
        let Some(at) = columns.iter().position(machine) else {
            continue;
        };
        for (field, change) in row.fields.iter().filter(|(_, change)| is_part(change)) {
            let place = merged.iter().position(|one| one.field == *field);
            let place = place.unwrap_or_else(|| {
                merged.push(Merged {
                    field: field.clone(),
                    changes: vec![String::new(); columns.len()],
                });
                merged.len() - 1
            });
            let cell = &mut merged[place].changes[at];
            if !cell.is_empty() {
                cell.push_str(", ");
            }
            cell.push_str(&change_text((field, change), None));
        }
    }
    merged
}

fn is_part(change: &Json) -> bool {
    let parts = ["add", "remove", "increment"];
    change
        .as_object()
        .is_some_and(|fields| parts.iter().any(|part| fields.contains_key(*part)))
}
