//! Values of fields. Closed and ordered, without floats: equal on one machine is equal on all.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::EntityId;

/// A value of one field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number: money in cents, counts, days.
    Int(i64),
    /// Text, at most a command's size.
    Text(String),
    /// The id of another entity.
    Ref(EntityId),
}

/// The kind of value that a field takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// An ISO 8601 day, `2026-11-20`.
    Date,
    /// The id of another entity.
    Ref,
}

impl ValueKind {
    /// The word for this kind in a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Text => "text",
            Self::Date => "a day such as 2026-11-20",
            Self::Ref => "an entity id (a UUID)",
        }
    }

    /// Reads a JSON value as this kind; `None` if it is of another kind.
    pub fn from_json(self, json: &serde_json::Value) -> Option<Value> {
        use serde_json::Value as Json;
        Some(match (self, json) {
            (_, Json::Null) => Value::Null,
            (Self::Bool, Json::Bool(flag)) => Value::Bool(*flag),
            (Self::Int, Json::Number(number)) => Value::Int(number.as_i64()?),
            (Self::Text, Json::String(text)) => Value::Text(text.clone()),
            (Self::Date, Json::String(text)) if is_date(text) => Value::Text(text.clone()),
            (Self::Ref, Json::String(text)) => Value::Ref(text.parse().ok()?),
            _ => return None,
        })
    }

    /// Whether a decoded value is of this kind.
    pub fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null)
            | (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Text, Value::Text(_))
            | (Self::Ref, Value::Ref(_)) => true,
            (Self::Date, Value::Text(text)) => is_date(text),
            _ => false,
        }
    }
}

/// Whether `text` is a day of the calendar, `YYYY-MM-DD`, from the year 1 on.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| -> Option<u32> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
        part.parse().ok()
    };
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

impl Value {
    /// This value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(flag) => (*flag).into(),
            Self::Int(number) => (*number).into(),
            Self::Text(text) => text.clone().into(),
            Self::Ref(id) => id.to_string().into(),
        }
    }

    /// The number, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Bool(flag) => flag.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Ref(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_of_the_wrong_kind_is_refused() {
        assert_eq!(ValueKind::Int.from_json(&json!(1.5)), None);
        assert_eq!(ValueKind::Int.from_json(&json!("1")), None);
        for none in [
            "2026-13-01",
            "2026-02-29",
            "2026-04-31",
            "2100-02-29",
            "0000-01-01",
            "2026-01-00",
        ] {
            assert_eq!(ValueKind::Date.from_json(&json!(none)), None, "{none}");
        }
        for day in ["2026-12-31", "2028-02-29", "2000-02-29", "0001-01-01"] {
            assert!(ValueKind::Date.from_json(&json!(day)).is_some(), "{day}");
        }
        assert_eq!(ValueKind::Ref.from_json(&json!("x")), None);
        assert_eq!(ValueKind::Int.from_json(&json!(-7)), Some(Value::Int(-7)));
        assert_eq!(
            ValueKind::Date.from_json(&json!("1997-01-18")),
            Some(Value::Text("1997-01-18".into()))
        );
    }
}
