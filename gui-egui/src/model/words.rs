//! Numbers, ages and values as people read them.

use serde_json::{Map, Value as Json};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::ConflictKind;
use studiovault_protocol::pos::CURRENCY;
use studiovault_protocol::time::WallMs;

use super::case::Case;
use super::locale::{day_text, decimal_mark, number_text};
use super::money::money_text;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Letters of a value shown in a row; the rest is cut.
const VALUE_LETTERS: usize = 160;

/// A number with its thousands apart, as the system writes it: `184,220`.
pub fn count(number: u64) -> String {
    number_text(number)
}

/// A number with what is counted: `1 machine`, `3 machines`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A size: `38 MB`.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut size = bytes as f64 / 1000.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if size < 1000.0 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    let decimals = usize::from(size < 10.0);
    let size = format!("{size:.decimals$}").replace('.', &decimal_mark().to_string());
    format!("{size} {unit}")
}

/// How long ago something was. Steps are coarse, so that a window in view is repainted a few times a minute, not 60 a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Age(i64);

impl Age {
    /// The time from `then` to `now`. A moment in the future (another machine's clock) counts as now.
    pub fn of(then: WallMs, now: WallMs) -> Self {
        Self(now.0.saturating_sub(then.0).max(0))
    }

    /// The length alone: `4 min`.
    pub fn length(self) -> String {
        match self.0 {
            ms if ms < 10 * SECOND => "a few s".to_owned(),
            ms if ms < MINUTE => format!("{} s", ms / (10 * SECOND) * 10),
            ms if ms < HOUR => format!("{} min", ms / MINUTE),
            ms if ms < 2 * DAY => format!("{} h", ms / HOUR),
            ms => format!("{} days", count((ms / DAY).unsigned_abs())),
        }
    }

    /// As a moment: `4 min ago`.
    pub fn ago(self) -> String {
        if self.0 < 10 * SECOND {
            "just now".to_owned()
        } else {
            format!("{} ago", self.length())
        }
    }
}

/// Begins with a capital and ends with a full stop.
pub fn whole_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let rest = letters.as_str().trim_end_matches('.');
    format!("{}{rest}.", first.unwrap_or_default())
}

/// A value on one line: text without its quotes, nothing as a dash, anything long cut.
pub fn value_text(value: &Json) -> String {
    let text = match value {
        Json::Null => return "(none)".to_owned(),
        Json::String(text) if text.is_empty() => return "(empty)".to_owned(),
        Json::String(text) => day_text(text).unwrap_or_else(|| text.clone()),
        Json::Array(elements) => elements
            .iter()
            .map(value_text)
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    let mut line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(VALUE_LETTERS)
        .collect();
    if text.chars().nth(VALUE_LETTERS).is_some() {
        line.push_str("...");
    }
    line
}

/// The value of a field: an amount with the studio's currency, else as it is.
pub fn field_text(field: &str, value: &Json) -> String {
    money_text(field, value, None).unwrap_or_else(|| value_text(value))
}

/// A case in one line: what happened to what.
pub fn case_title(case: &Case) -> String {
    let head = case.head();
    let what = &head.label;
    let field = match case.rows() {
        [row] => row.field.clone().unwrap_or_else(|| "a field".to_owned()),
        rows => format!("{} fields", rows.len()),
    };
    match head.kind {
        ConflictKind::DeleteUpdate => {
            format!("{what}: deleted on one machine, edited on another")
        }
        ConflictKind::CreateCreate => format!("{what}: {field} is taken by another one"),
        ConflictKind::LostAtCloud if case.rows().len() == 1 => {
            format!("{what}: {field} not taken by the cloud")
        }
        ConflictKind::UpdateUpdate | ConflictKind::LostAtCloud => {
            format!("{what}: {field} changed differently")
        }
    }
}

/// What a code of the cloud means, as a sentence; the code itself stands beside it.
pub fn code_words(code: &str) -> &'static str {
    match code {
        "VALIDATION_FAILED" => "A value breaks a rule of the policy.",
        "FORBIDDEN" => "The machine's role may not write this.",
        "IMMUTABLE_FIELD" => "The field is set once and never changes.",
        "DUPLICATE_KEY" => "Another one has this name already.",
        "CONFLICT_UPDATE_UPDATE" => "The cloud had accepted another value before.",
        "CONFLICT_DELETE_UPDATE" => "It was edited, and the cloud had accepted that before.",
        "CONFLICT_UPDATE_DELETE" => "It was deleted remotely before.",
        "ENTITY_NOT_FOUND" => "The cloud knows nothing that this could change.",
        "DEPENDS_ON_REJECTED" => "It rests on a change that was not taken.",
        "DEVICE_REVOKED" => "The machine had been shut out.",
        "APPEND_ONLY" => "An entry of the point of sale never changes.",
        "IDEMPOTENCY_MISMATCH" => "Another change came under its number.",
        "WITHDRAWN" => "Another change stands in its place.",
        "INTERNAL" | "STUCK" => "The cloud breaks on it and tries again now and then.",
        _ => "The cloud did not take it.",
    }
}

/// A word for an operation.
pub fn op_words(op: Op) -> &'static str {
    match op {
        Op::Create => "created",
        Op::Update => "changed",
        Op::Delete => "deleted",
        Op::Restore => "restored",
        Op::Resolve => "decided",
        Op::Discard => "given up",
        Op::Newer(_) => "written by a newer version",
    }
}

/// A change of a field: a value, `+added -removed` of a set, `+3` of a counter.
pub fn change_text((field, change): (&str, &Json), currency: Option<&str>) -> String {
    let text = |value| money_text(field, value, currency).unwrap_or_else(|| value_text(value));
    let Json::Object(parts) = change else {
        return text(change);
    };
    let list = |name: &str, sign: &str| {
        let elements = parts.get(name).and_then(Json::as_array);
        let elements = elements.into_iter().flatten();
        elements
            .map(|element| format!("{sign}{}", value_text(element)))
            .collect::<Vec<_>>()
    };
    let mut words = list("add", "+");
    words.extend(list("remove", "-"));
    if let Some(by) = parts.get("increment").filter(|by| by.is_i64()) {
        let plus = if by.as_i64() < Some(0) { "" } else { "+" };
        words.push(format!("{plus}{}", text(by)));
    }
    if words.is_empty() {
        value_text(change)
    } else {
        words.join(", ")
    }
}

/// The changes of a command on one line; amounts in the currency that it names itself, if it does.
pub fn changes_text(fields: &Map<String, Json>) -> String {
    let currency = fields.get(CURRENCY).and_then(Json::as_str);
    // What is only an id says least to a person.
    let is_id = |change: &Json| {
        let text = change.as_str();
        text.is_some_and(|text| text.parse::<EntityId>().is_ok())
    };
    let (ids, values): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, change)| is_id(change));
    let parts = values.into_iter().chain(ids);
    let parts =
        parts.map(|(name, change)| format!("{name} {}", change_text((name, change), currency)));
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let shown: Vec<String> = [0, 999, 1000, 184_220, 1_000_000].map(count).into();
        assert_eq!(shown, ["0", "999", "1,000", "184,220", "1,000,000"]);
        assert_eq!(counted(1, "machine"), "1 machine");
        assert_eq!(counted(3, "machine"), "3 machines");
    }

    #[test]
    fn an_age_is_told_in_coarse_steps_and_never_in_the_future() {
        let ago = |ms: i64| Age::of(WallMs(1_000_000_000 - ms), WallMs(1_000_000_000)).ago();
        assert_eq!(ago(-5_000), "just now");
        assert_eq!(ago(9_999), "just now");
        assert_eq!(ago(34_000), "30 s ago");
        assert_eq!(ago(5 * MINUTE), "5 min ago");
        assert_eq!(ago(47 * HOUR), "47 h ago");
        assert_eq!(ago(3 * DAY), "3 days ago");
    }

    #[test]
    fn a_long_value_stays_on_one_line() {
        let text = value_text(&Json::String(format!("first\nsecond {}", "x".repeat(1000))));
        assert!(text.starts_with("first second x") && text.ends_with("..."));
        assert_eq!(value_text(&Json::Null), "(none)");
        assert_eq!(value_text(&serde_json::json!(12)), "12");
    }

    #[test]
    fn a_sale_says_its_amount_in_what_it_was_paid_and_before_the_ids() {
        let sale = serde_json::json!({
            "client": "350fd61f-5119-855b-bf28-000000000001",
            "items": 2,
            "amount_cents": -1999,
            "currency": "GBP",
        });
        let sale = sale.as_object().cloned().unwrap_or_default();
        assert_eq!(
            changes_text(&sale),
            "items 2, amount_cents -\u{a3}19.99, currency GBP, client 350fd61f-5119-855b-bf28-000000000001"
        );
        let more = serde_json::json!({"print_credits": {"increment": 3}, "tags": {"add": ["vip"]}});
        let more = more.as_object().cloned().unwrap_or_default();
        assert_eq!(changes_text(&more), "print_credits +3, tags +vip");
    }

    #[test]
    fn sizes_read_like_sizes() {
        assert_eq!(bytes_text(1_234), "1.2 kB");
        assert_eq!(bytes_text(38_000_000), "38 MB");
    }
}
