//! What a restore carries: the whole entity as it was last shown, and on top of it what the cloud refused because of the
//! deletion.
//!
//! Every restore passes here, also one that answers a conflict: its context covers the refused edits, so what it does not
//! carry of them is gone for good.

use serde_json::{Map, Value, json};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::command::Op;
use studiovault_protocol::policy::{Rule, TypeRule};

use super::answer::Refused;
use super::routes::Shared;
use crate::store::{HistoryEntry, StoreError, View};

/// Which refused edits come back with an entity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Edits {
    /// All of them, the latest on top.
    All,
    /// Those of the side with this dot, none if it was not refused.
    Of(String),
}

/// A restore carries the whole entity: one that names no fields carries what was last shown, with refused edits. Every other
/// mutation is left as it is.
pub(super) async fn whole(
    shared: &Shared,
    mutation: Mutation,
    edits: &Edits,
) -> Result<Mutation, Refused> {
    if mutation.op != Op::Restore || mutation.entity.is_none() || !mutation.fields.is_empty() {
        return Ok(mutation);
    }
    let policies = shared.node.policies();
    let rules = policies.in_force().entity_type(&mutation.entity_type);
    let (rules, edits, asked) = (rules.cloned(), edits.clone(), mutation.clone());
    let fields = move |view: View<'_>| carried(&view, (&asked, rules.as_ref()), &edits);
    let fields = shared.read(fields).await?;
    Ok(Mutation { fields, ..mutation })
}

/// The fields of a restore.
fn carried(
    view: &View<'_>,
    (restore, rules): (&Mutation, Option<&TypeRule>),
    edits: &Edits,
) -> Result<Map<String, Value>, StoreError> {
    let Some(id) = restore.entity else {
        return Ok(Map::new());
    };
    let row = view.entity(id)?;
    let mut fields = row.map(|row| row.fields).unwrap_or_default();
    // A counter is a sum of increments that all stand: carrying it would count them twice.
    fields.retain(|name, _| {
        let rule = rules.and_then(|rules| rules.field(name));
        rule.is_some_and(|rule| rule.rule != Rule::Counter)
    });
    for edit in view.refused_edits(id, restore.read.as_ref())? {
        let comes_back = match edits {
            Edits::All => true,
            Edits::Of(chosen) => edit.dot.to_string() == *chosen,
        };
        if comes_back {
            take_over(&mut fields, &edit);
        }
    }
    Ok(fields)
}

/// Puts an edit on top of the fields that a restore carries.
fn take_over(fields: &mut Map<String, Value>, edit: &HistoryEntry) {
    for (name, change) in &edit.fields {
        let field = fields.entry(name).or_insert(Value::Null);
        if let Some(by) = change["increment"].as_i64() {
            let sum = field["increment"].as_i64().unwrap_or_default();
            *field = json!({ "increment": sum.saturating_add(by) });
        } else if change["add"].is_array() || change["remove"].is_array() {
            *field = gathered(field, change);
        } else {
            *field = change.clone();
        }
    }
}

/// A set's elements, or its changes so far, with another change on top.
fn gathered(before: &Value, change: &Value) -> Value {
    let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
    let mut add = match before {
        Value::Array(elements) => elements.clone(),
        changes => list(&changes["add"]),
    };
    let mut remove = list(&before["remove"]);
    let gone = list(&change["remove"]);
    add.retain(|element| !gone.contains(element));
    remove.extend(gone);
    for element in list(&change["add"]) {
        remove.retain(|other| *other != element);
        if !add.contains(&element) {
            add.push(element);
        }
    }
    json!({ "add": add, "remove": remove })
}

#[cfg(test)]
mod tests;
