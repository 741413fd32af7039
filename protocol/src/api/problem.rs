//! An error as a problem document (RFC 9457) with a code, the field at fault and the next step.

use serde::{Deserialize, Serialize};

/// Body of every answer that is no success, as `application/problem+json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:studiovault:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// A few words, the same for every problem of this code.
    pub title: String,
    /// What happened, as a sentence.
    pub detail: String,
    /// For programs, such as `IMMUTABLE_FIELD`.
    pub code: String,
    /// The field at fault, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do.
    pub next_step: String,
}

impl Problem {
    /// A problem with its parts; the title is the code in words.
    pub fn new(status: u16, code: &str, detail: String, next_step: &str) -> Self {
        Self {
            kind: format!("urn:studiovault:problem:{}", code.to_ascii_lowercase()),
            status,
            title: code.to_ascii_lowercase().replace('_', " "),
            detail,
            code: code.to_owned(),
            field: None,
            next_step: next_step.to_owned(),
        }
    }

    /// The same problem at a field.
    pub fn at(self, field: Option<String>) -> Self {
        Self { field, ..self }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.detail)?;
        if !self.next_step.is_empty() {
            write!(f, "\n{}", self.next_step)?;
        }
        Ok(())
    }
}
