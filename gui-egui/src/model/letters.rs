//! The letters on screen: what the cloud did not take, or breaks on, and what a person types to mend it.
//!
//! A value that was typed goes out as the kind that the policy names; what was not touched goes out as it was.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use studiovault_protocol::api::{DeadLetter, FixRequest};
use studiovault_protocol::command::Op;
use studiovault_protocol::policy::{Policy, Rule, TypeRule};
use studiovault_protocol::pos::CURRENCY;
use studiovault_protocol::value::ValueKind;

use super::money::{amount_to_type, is_amount, typed_amount};
use super::words::value_text;
use crate::action::Step;
use crate::message::Request;

/// All letters, and the one that is open.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Letters {
    rows: Vec<DeadLetter>,
    opened: Option<DeadLetter>,
    /// What was typed, by field.
    typed: BTreeMap<String, String>,
    reason: String,
    sending: Option<String>,
}

impl Letters {
    /// All of them, newest first.
    pub fn rows(&self) -> &[DeadLetter] {
        &self.rows
    }

    /// The one that is open.
    pub fn opened(&self) -> Option<&DeadLetter> {
        self.opened.as_ref()
    }

    /// The place of the open one.
    pub fn position(&self) -> Option<usize> {
        let open = self.opened.as_ref()?;
        self.rows.iter().position(|row| row.dot == open.dot)
    }

    /// A field of the open letter as it stands, with what was typed.
    pub fn text_of(&self, field: &str) -> String {
        let typed = self.typed.get(field).cloned();
        typed.unwrap_or_else(|| {
            let fields = self.opened.as_ref().map(|letter| &letter.fields);
            match fields.and_then(|fields| fields.get(field)) {
                None | Some(Json::Null) => String::new(),
                Some(Json::String(text)) => text.clone(),
                Some(value) => amount_to_type(field, value, self.currency().as_deref())
                    .unwrap_or_else(|| value_text(value)),
            }
        })
    }

    /// What the open letter is paid in, if it names that.
    pub fn currency(&self) -> Option<String> {
        Some(self.text_of(CURRENCY)).filter(|code| !code.is_empty())
    }

    /// Why it is given up, as typed so far.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the open letter is on its way.
    pub fn is_sending(&self) -> bool {
        let open = self.opened.as_ref().map(|letter| &letter.dot);
        open.is_some() && self.sending.as_ref() == open
    }

    pub(super) fn replace(&mut self, rows: Vec<DeadLetter>) -> Option<String> {
        let place = self.position().unwrap_or(0);
        self.rows = rows;
        let gone = |dot: &String| !self.rows.iter().any(|row| row.dot == *dot);
        let Some(open) = &self.opened else {
            return self.open_at(0);
        };
        if !gone(&open.dot) {
            return Some(open.dot.clone());
        }
        self.sending = None;
        self.open_at(place)
    }

    /// Takes one letter with what waits behind it.
    pub(super) fn take(&mut self, letter: DeadLetter) {
        let open = self.opened.as_ref().map(|open| &open.dot);
        if open == Some(&letter.dot) {
            self.opened = Some(letter);
        }
    }

    /// Opens one; returns the dot to look at.
    pub(super) fn open(&mut self, dot: &str) -> Option<String> {
        let found = self.rows.iter().find(|row| row.dot == dot).cloned();
        let before = self.opened.as_ref().map(|open| open.dot.as_str());
        if before != Some(dot) {
            self.typed.clear();
            self.reason.clear();
        }
        self.opened = found;
        self.opened.as_ref().map(|open| open.dot.clone())
    }

    pub(super) fn step(&mut self, step: Step) -> Option<String> {
        let to = match (self.position(), step) {
            (None, _) => 0,
            (Some(at), Step::Next) => at + 1,
            (Some(at), Step::Back) => at.saturating_sub(1),
        };
        self.open_at(to)
    }

    fn open_at(&mut self, place: usize) -> Option<String> {
        let last = self.rows.len().saturating_sub(1);
        let dot = self.rows.get(place.min(last)).map(|row| row.dot.clone());
        match dot {
            Some(dot) => self.open(&dot),
            None => {
                self.opened = None;
                None
            }
        }
    }

    fn typed_amount(&self, text: &str) -> Result<Json, String> {
        let currency = self.currency();
        let parts = typed_amount(text, currency.as_deref()).map(Json::from);
        let example = || amount_to_type("_cents", &12_050.into(), currency.as_deref());
        parts.ok_or_else(|| format!("an amount such as {}", example().unwrap_or_default()))
    }

    pub(super) fn write(&mut self, field: String, text: String) {
        self.typed.insert(field, text);
    }

    pub(super) fn write_reason(&mut self, text: String) {
        self.reason = text;
    }

    /// What to send to mend the open letter.
    pub(super) fn fix(&mut self, policy: &Policy) -> Result<Option<Request>, String> {
        let Some(letter) = self.opened.clone().filter(|_| !self.is_sending()) else {
            return Ok(None);
        };
        let rules = policy.entity_type(&letter.entity_type);
        let mut fields = Map::new();
        for (name, text) in &self.typed {
            let before = letter.fields.get(name);
            let kind = rules.and_then(|rules| Some(rules.field(name)?.kind));
            let kind = kind.or_else(|| before.and_then(kind_of));
            let is_amount = is_amount(name) && kind == Some(ValueKind::Int);
            let value = if is_amount && !text.trim().is_empty() {
                self.typed_amount(text)
            } else {
                typed(text, kind)
            };
            let value =
                value.map_err(|wants| format!("Nothing was sent: {name} takes {wants}."))?;
            if before != Some(&value) {
                fields.insert(name.clone(), value);
            }
        }
        self.sending = Some(letter.dot.clone());
        Ok(Some(Request::Fix {
            dot: letter.dot,
            label: letter.label,
            fix: FixRequest {
                fields,
                new_id: letter.code == "IDEMPOTENCY_MISMATCH" && letter.op == Op::Create,
                actor: None,
            },
        }))
    }

    /// What to send to give the open letter up.
    pub(super) fn discard(&mut self, policy: &Policy) -> Result<Option<Request>, String> {
        let Some(letter) = self.opened.clone().filter(|_| !self.is_sending()) else {
            return Ok(None);
        };
        if is_sale(&letter, policy) {
            return Err(
                "Nothing was sent: a sale is never discarded. Mend it and send it again."
                    .to_owned(),
            );
        }
        let reason = self.reason.trim();
        if reason.is_empty() {
            return Err(
                "Nothing was sent: say why it is given up; the reason stays in the history."
                    .to_owned(),
            );
        }
        self.sending = Some(letter.dot.clone());
        Ok(Some(Request::Discard {
            dot: letter.dot,
            label: letter.label,
            reason: reason.to_owned(),
        }))
    }

    pub(super) fn answered(&mut self, dot: &str, taken: bool) {
        if !taken {
            self.sending.take_if(|sending| sending == dot);
        }
    }
}

/// Whether it is an entry of the point of sale, which nobody discards.
pub fn is_sale(letter: &DeadLetter, policy: &Policy) -> bool {
    let rules = policy.entity_type(&letter.entity_type);
    rules.is_some_and(|rules| rules.append_only)
}

/// The field at fault, as the cloud's words name it in backticks.
pub fn failing_field(letter: &DeadLetter) -> Option<&str> {
    letter.detail.split('`').nth(1)
}

/// The fields of a letter that can be written anew: the one at fault first, also if it was left out.
pub fn fields_to_mend<'a>(letter: &'a DeadLetter, rules: Option<&TypeRule>) -> Vec<&'a str> {
    let writable = |name: &str| {
        let rule = rules.and_then(|rules| rules.field(name));
        let plain = !letter.fields.get(name).is_some_and(Json::is_object);
        plain && rule.is_none_or(|rule| matches!(rule.rule, Rule::Lww | Rule::Immutable))
    };
    let failing = failing_field(letter);
    let known = |name: &&str| {
        letter.fields.contains_key(*name) || rules.is_some_and(|rules| rules.field(name).is_some())
    };
    let first = failing.filter(known);
    let rest = letter.fields.keys().map(String::as_str);
    first
        .into_iter()
        .chain(rest.filter(|name| Some(*name) != first))
        .filter(|name| writable(name))
        .collect()
}

/// The kind of a value that no policy names.
fn kind_of(value: &Json) -> Option<ValueKind> {
    match value {
        Json::Bool(_) => Some(ValueKind::Bool),
        value => value.is_i64().then_some(ValueKind::Int),
    }
}

/// What was typed as a value of a kind; or what the kind takes.
fn typed(text: &str, kind: Option<ValueKind>) -> Result<Json, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Json::Null);
    }
    match kind {
        Some(ValueKind::Int) => text
            .parse::<i64>()
            .map(Json::from)
            .map_err(|_| "a whole number".to_owned()),
        Some(ValueKind::Bool) => text
            .parse::<bool>()
            .map(Json::from)
            .map_err(|_| "true or false".to_owned()),
        _ => Ok(Json::String(text.to_owned())),
    }
}
