//! Whether an operation fits the life of its entity: what is there, what is not, what was deleted and by whom.
//!
//! Looks only at what the author has applied; what others did meanwhile is the merge's to settle.

use super::{Mutation, Refusal, capitalised, check_required};
use crate::command::Op;
use crate::id::{DeviceId, Dot, EntityId};
use crate::merge::Entity;
use crate::policy::TypeRule;

/// Refuses what cannot be done to the entity as it stands; `device` is the machine that asks.
pub(super) fn check(
    mutation: &Mutation,
    state: Option<&Entity>,
    rules: &TypeRule,
    device: DeviceId,
) -> Result<(), Refusal> {
    if mutation.entity == Some(EntityId([0; 16])) {
        let detail = "the id of all zeros names nothing; leave `id` out for a fresh one";
        return Err(Refusal::at("VALIDATION_FAILED", "id", detail.into()));
    }
    if rules.append_only && mutation.op != Op::Create {
        let detail = format!(
            "a {} is never changed or deleted; record a correction or a void that names it",
            mutation.entity_type
        );
        return Err(Refusal::new("APPEND_ONLY", detail));
    }
    let named = named(mutation);
    let Some(state) = state.filter(|state| state.life.exists()) else {
        if mutation.op == Op::Create {
            return Ok(());
        }
        let detail = format!(
            "there is no {} {named} here; list what there is, or create it",
            mutation.entity_type
        );
        return Err(Refusal::new("ENTITY_NOT_FOUND", detail));
    };
    if state.opaque {
        let detail = format!(
            "{named} holds something that this version cannot read; update this node first"
        );
        return Err(Refusal::new("NEEDS_NEWER_VERSION", detail));
    }
    if state.entity_type != mutation.entity_type {
        let detail = format!(
            "{named} is a {}, not a {}",
            state.entity_type, mutation.entity_type
        );
        return Err(Refusal::new("WRONG_TYPE", detail));
    }
    if state.life.is_deleted() {
        return of_deleted(mutation, state, rules, device);
    }
    if mutation.op == Op::Create && !is_replaced(mutation, state, rules) {
        let detail = format!("{named} exists already; update it, or create with another id");
        return Err(Refusal::new("ALREADY_EXISTS", detail));
    }
    Ok(())
}

/// What can be done to something that shows as deleted: restore it, or delete it once more to settle its conflict.
fn of_deleted(
    mutation: &Mutation,
    state: &Entity,
    rules: &TypeRule,
    device: DeviceId,
) -> Result<(), Refusal> {
    let refuse = |code, detail: String| Err(Refusal::new(code, detail));
    let named = named(mutation);
    let what = deletion(state, device);
    let is_collected = state.fields.is_empty();
    match mutation.op {
        Op::Create if is_replaced(mutation, state, rules) => Ok(()),
        Op::Create => {
            let detail = format!("{named} exists already; restore it, or create with another id");
            refuse("ALREADY_EXISTS", detail)
        }
        Op::Update | Op::Resolve => {
            let next_step = if is_collected {
                "create it anew"
            } else {
                "restore it before you change it"
            };
            refuse("ENTITY_DELETED", format!("{what}; {next_step}"))
        }
        Op::Delete if !state.life.in_conflict() => {
            refuse("ENTITY_DELETED", format!("{named} is deleted already"))
        }
        Op::Restore if is_collected => check_required(mutation, rules).map_err(|refusal| {
            let detail = format!("{what}, and its content is gone; create it anew");
            Refusal {
                code: "ENTITY_DELETED",
                detail,
                ..refusal
            }
        }),
        _ => Ok(()),
    }
}

fn named(mutation: &Mutation) -> String {
    let id = mutation.entity.map(|id| id.to_string());
    id.unwrap_or("without an id".into())
}

/// Who deleted it, as a person wants to know: "Project was deleted remotely".
fn deletion(state: &Entity, device: DeviceId) -> String {
    let what = capitalised(&state.entity_type);
    let here = |dot: Dot| dot.author.device == device;
    match state.life.delete() {
        Some(dot) if !here(dot) => format!("{what} was deleted remotely"),
        _ => format!("{what} was deleted"),
    }
}

/// What stands in the place of an undecided create may create the same thing. Of an entry the first create goes on showing, also
/// beside a mended letter that is mended again.
fn is_replaced(mutation: &Mutation, state: &Entity, rules: &TypeRule) -> bool {
    if rules.append_only {
        return mutation.replaces.is_some();
    }
    let mut writes = state.life.writes.iter();
    writes.all(|write| Some(write.dot) == mutation.replaces)
}
