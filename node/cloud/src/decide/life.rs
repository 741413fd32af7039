//! Whether the entity is there for what the command does to it.

use studiovault_protocol::author::capitalised;
use studiovault_protocol::command::{Change, Command, Op};
use studiovault_protocol::merge::{Code, Field, LifeKind};
use studiovault_protocol::policy::TypeRule;

use super::{Refusal, Situation};

/// Existence, append-only types, and deletes against edits.
pub fn check(
    command: &Command,
    rules: &TypeRule,
    situation: &Situation<'_>,
) -> Result<(), Refusal> {
    let (name, entity) = (&command.entity_type, situation.entity);
    let exists = entity.life.exists();
    if exists && entity.entity_type != command.entity_type {
        let detail = format!("{} is a {}, not a {name}", entity.id, entity.entity_type);
        return Err(Refusal::new(Code::ValidationFailed, detail));
    }
    if rules.append_only {
        return append_only(command, situation);
    }
    if !exists && command.op != Op::Create {
        return Err(if situation.orphan {
            Refusal::new(
                Code::DependsOnRejected,
                format!("the create of this {name} was rejected"),
            )
        } else {
            Refusal::new(
                Code::EntityNotFound,
                format!("there never was such a {name}"),
            )
        });
    }
    match command.op {
        Op::Delete => unseen_edit(command, situation),
        Op::Create if entity.life.has_delete() => Err(Refusal::new(
            Code::ConflictDeleteUpdate,
            format!("{} was deleted; restore it instead", capitalised(name)),
        )),
        Op::Create | Op::Update | Op::Restore | Op::Resolve | Op::Newer(_) => {
            unseen_delete(command, situation)
        }
        Op::Discard => Ok(()),
    }
}

/// An entry is created once and never changed; the same entry once more changes nothing.
fn append_only(command: &Command, situation: &Situation<'_>) -> Result<(), Refusal> {
    let name = &command.entity_type;
    if command.op != Op::Create {
        let detail = format!(
            "a {name} is never changed or deleted: record a correction or a void that names it"
        );
        return Err(Refusal::new(Code::AppendOnly, detail));
    }
    if !situation.entity.life.exists() {
        return Ok(());
    }
    let same = command.writes.iter().all(|write| {
        match (&write.change, situation.entity.fields.get(&write.field)) {
            (Change::Write(value), Some(Field::Register(register))) => register
                .siblings
                .iter()
                .all(|sibling| sibling.value == *value),
            _ => false,
        }
    });
    if same {
        Ok(())
    } else {
        let detail = format!(
            "{} is another {name} already; record this one anew",
            command.entity
        );
        Err(Refusal::new(Code::AppendOnly, detail))
    }
}

/// A delete yields to a confirmed edit that its author had not seen.
fn unseen_edit(command: &Command, situation: &Situation<'_>) -> Result<(), Refusal> {
    let unseen = situation.history.iter().any(|earlier| {
        earlier.confirmed
            && earlier.op != Op::Delete
            && !situation.ctx.covers(earlier.dot)
            && !situation.after.contains(&earlier.dot)
    });
    if unseen {
        let detail = format!(
            "this {} was edited before the delete arrived",
            command.entity_type
        );
        return Err(Refusal::new(Code::ConflictUpdateDelete, detail));
    }
    Ok(())
}

/// An edit yields to a confirmed delete that its author had not seen.
fn unseen_delete(command: &Command, situation: &Situation<'_>) -> Result<(), Refusal> {
    let unseen = situation.entity.life.writes.iter().any(|write| {
        write.kind == LifeKind::Deleted
            && write.accepted.is_some()
            && !situation.ctx.covers(write.dot)
            && !situation.after.contains(&write.dot)
    });
    if unseen {
        let detail = format!("{} was deleted remotely", capitalised(&command.entity_type));
        return Err(Refusal::new(Code::ConflictDeleteUpdate, detail));
    }
    Ok(())
}
