//! Outcomes in words: for the answer to a batch, and for the audit log.

use std::collections::BTreeMap;

use studiovault_protocol::merge::{Code, Outcome};

/// What became of a bundle's commands, in a line of the audit log.
pub(super) fn tally(outcomes: &[Option<Outcome>]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes.iter().flatten() {
        *counts.entry(word(outcome)).or_default() += 1;
    }
    let decided: usize = counts.values().sum();
    let counts = counts.iter().map(|(word, count)| format!("{count} {word}"));
    let counts: Vec<String> = counts.collect();
    format!("{decided} decided: {}", counts.join(", "))
}

/// An outcome in one word: `accepted`, or the code of what stood against it.
pub(super) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Rejected { code, .. } => code.word(),
        Outcome::Merged(lost) => lost
            .first()
            .map_or(Code::ConflictUpdateUpdate, |(_, code)| *code)
            .word(),
    }
}

/// Code, words and fields of an outcome that is not a plain acceptance.
pub(super) fn words(outcome: Outcome) -> (Code, String, Vec<String>) {
    match outcome {
        Outcome::Rejected { code, detail } => (code, detail, Vec::new()),
        Outcome::Merged(lost) => {
            let code = lost
                .first()
                .map_or(Code::ConflictUpdateUpdate, |(_, code)| *code);
            let fields: Vec<String> = lost.into_iter().map(|(field, _)| field).collect();
            let detail = format!("another value was confirmed before: {}", shorten(&fields));
            (code, detail, fields)
        }
        Outcome::Accepted => unreachable!("an acceptance needs no words"),
    }
}

fn shorten(fields: &[String]) -> String {
    let named: Vec<String> = fields
        .iter()
        .take(3)
        .map(|field| format!("`{field}`"))
        .collect();
    let more = fields.len().saturating_sub(3);
    if more > 0 {
        format!("{} and {more} more", named.join(", "))
    } else {
        named.join(", ")
    }
}
