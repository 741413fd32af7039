//! Whether a command's values fit the policy: kinds, sizes, required fields, and the kind of change each rule takes.

use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::merge::Code;
use studiovault_protocol::policy::{FieldRule, Rule, TypeRule};
use studiovault_protocol::pos;
use studiovault_protocol::value::Value;

use super::Refusal;

/// Every field must be known to `rules`.
pub fn check(command: &Command, rules: &TypeRule) -> Result<(), Refusal> {
    for write in &command.writes {
        let Some(rule) = rules.field(&write.field) else {
            continue;
        };
        let named = (command.entity_type.as_str(), write.field.as_str());
        let of_entry = || match &write.change {
            Change::Write(value) => pos::value_broken(named, value, rule),
            _ => None,
        };
        if let Some(fault) = fault(&write.change, rule).or_else(of_entry) {
            return Err(invalid(&write.field, &fault));
        }
    }
    if !matches!(command.op, Op::Create | Op::Restore) {
        return Ok(());
    }
    let missing = rules.fields.iter().find(|(name, rule)| {
        let given = command.writes.iter().any(|write| {
            write.field == **name && !matches!(write.change, Change::Write(Value::Null))
        });
        rule.required && !given
    });
    match missing {
        // A restore may leave out what the entity still holds.
        Some((name, _)) if command.op == Op::Create => Err(invalid(name, "is required")),
        _ => Ok(()),
    }
}

fn invalid(field: &str, what: &str) -> Refusal {
    Refusal::new(Code::ValidationFailed, format!("`{field}` {what}"))
}

fn fault(change: &Change, rule: &FieldRule) -> Option<String> {
    match (rule.rule, change) {
        (Rule::Lww | Rule::Immutable, Change::Write(value)) => value_fault(value, rule),
        (Rule::Set, Change::Add(elements)) => {
            elements.iter().find_map(|value| value_fault(value, rule))
        }
        (Rule::Set, Change::Remove(elements)) => elements
            .iter()
            .find_map(|(value, _)| value_fault(value, rule)),
        (Rule::Counter, Change::Increment(_)) => None,
        (Rule::Set, _) => Some("takes elements to add or to remove".into()),
        (Rule::Counter, _) => Some("takes increments".into()),
        (Rule::Lww | Rule::Immutable, _) => Some("takes one value".into()),
    }
}

fn value_fault(value: &Value, rule: &FieldRule) -> Option<String> {
    if !rule.kind.admits(value) {
        return Some(format!("takes {}", rule.kind.word()));
    }
    rule.limit_broken(value)
}
