//! Which policy may follow which. What concurrent writes were merged by must mean the same for ever, so rules only grow.

use super::{FieldRule, Policy, PolicyError, Rule, TypeRule, document};

/// An error points into `next`.
pub(super) fn check(held: &Policy, next: &Policy) -> Result<(), PolicyError> {
    if next.version <= held.version {
        let reason = format!(
            "version {} does not come after version {}, which this studio has",
            next.version, held.version
        );
        let step = format!("write `version = {}`", held.version.saturating_add(1));
        return fail(next, &["version"], reason, step);
    }
    check_growth(held, next)
}

/// The same, whatever the versions are.
pub(super) fn check_growth(held: &Policy, next: &Policy) -> Result<(), PolicyError> {
    for (name, before) in held.types.iter() {
        let Some(after) = next.entity_type(name) else {
            let reason = format!("type `{name}` is gone; entities of it would be unreadable");
            return fail(next, &["type"], reason, "keep it as it was".into());
        };
        if before.append_only != after.append_only {
            let reason = format!("append_only of type `{name}` never changes");
            let step = format!("write `append_only = {}`", before.append_only);
            return fail(next, &["type", name, "append_only"], reason, step);
        }
        check_fields(next, name, (before, after))?;
    }
    Ok(())
}

fn check_fields(
    next: &Policy,
    name: &str,
    (before, after): (&TypeRule, &TypeRule),
) -> Result<(), PolicyError> {
    for (field, old) in &before.fields {
        let path = ["type", name, "field", field];
        let Some(new) = after.field(field) else {
            let reason = format!("field `{field}` of type `{name}` is gone");
            return fail(next, &path, reason, "keep it as it was".into());
        };
        if (old.rule, old.kind) != (new.rule, new.kind) {
            let reason = format!(
                "field `{field}` of type `{name}` was {} and its rule and kind never change",
                worded(old)
            );
            let step = "keep both, or add a field of another name".into();
            return fail(next, &path, reason, step);
        }
    }
    Ok(())
}

fn worded(field: &FieldRule) -> String {
    let rule = match field.rule {
        Rule::Lww => "lww",
        Rule::Immutable => "immutable",
        Rule::Set => "set",
        Rule::Counter => "counter",
    };
    format!("{rule} of {}", field.kind.word())
}

fn fail(next: &Policy, path: &[&str], reason: String, step: String) -> Result<(), PolicyError> {
    let place = document::place_of(&next.text, path);
    Err(PolicyError::at(&next.text, place, reason, step))
}
