//! What is wrong with a policy document, and where. Lines and columns count from 1, columns in characters.

use std::ops::Range;

/// Why a document is no policy. The writer's fault; nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: {reason}; {next_step}")]
pub struct PolicyError {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Which rule is broken, naming type and field.
    pub reason: String,
    /// What to do about it.
    pub next_step: String,
}

impl PolicyError {
    /// At a byte range of the document.
    pub(super) fn at(
        text: &str,
        span: Range<usize>,
        reason: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        let mut upto = span.start.min(text.len());
        while !text.is_char_boundary(upto) {
            upto -= 1;
        }
        let before = &text[..upto];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: small(line),
            column: small(column),
            reason: reason.into(),
            next_step: next_step.into(),
        }
    }
}
