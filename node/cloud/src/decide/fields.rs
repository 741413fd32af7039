//! Field by field: which writes lose against what the truth confirmed before.

use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::merge::{Code, Field, Register};
use studiovault_protocol::policy::{Rule, TypeRule};
use studiovault_protocol::value::Value;

use super::{Refusal, Situation};

/// The fields that lose, with the reason of each. Sets and counters never do.
pub fn check(
    command: &Command,
    rules: &TypeRule,
    situation: &Situation<'_>,
) -> Result<Vec<(String, Code)>, Refusal> {
    let mut lost = Vec::new();
    for write in &command.writes {
        let (Change::Write(value), Some(rule)) = (&write.change, rules.field(&write.field)) else {
            continue;
        };
        let register = match situation.entity.fields.get(&write.field) {
            Some(Field::Register(register)) => Some(register),
            _ => None,
        };
        if rule.rule == Rule::Immutable && rewrites(command.op, register, (value, situation)) {
            let detail = format!("`{}` is set by create and never changes", write.field);
            return Err(Refusal::new(Code::ImmutableField, detail));
        }
        if register.is_some_and(|register| beaten(register, value, situation)) {
            lost.push((write.field.clone(), Code::ConflictUpdateUpdate));
        }
    }
    Ok(lost)
}

/// A value of an immutable field that its author knew to be another. Only an update may not even repeat it.
fn rewrites(
    op: Op,
    register: Option<&Register>,
    (value, situation): (&Value, &Situation<'_>),
) -> bool {
    match op {
        Op::Update => true,
        Op::Create | Op::Restore => register.is_some_and(|register| {
            register
                .siblings
                .iter()
                .any(|sibling| situation.ctx.covers(sibling.dot) && sibling.value != *value)
        }),
        // A person settles which of two concurrent creates was right.
        Op::Delete | Op::Resolve | Op::Discard | Op::Newer(_) => false,
    }
}

/// The server wins: another value was confirmed that the author had not seen.
fn beaten(register: &Register, value: &Value, situation: &Situation<'_>) -> bool {
    register.siblings.iter().any(|sibling| {
        sibling.accepted.is_some()
            && sibling.value != *value
            && !situation.ctx.covers(sibling.dot)
            && !situation.after.contains(&sibling.dot)
    })
}
