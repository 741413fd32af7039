//! What the sides of a conflict grew from: the part of the history that all of them had seen.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::pick::pick;
use super::{Conflict, Outcome, Priorities, Record, Sibling, fold};
use crate::command::Change;
use crate::id::Dot;
use crate::policy::Policy;
use crate::value::Value;

/// The value that the sides of a conflict about a register grew from: of the standing writes that every side had seen, the
/// pick among the newest. `None` if they had none in common, or if it is about an entity's life.
pub fn base(records: &[Record], conflict: &Conflict, priorities: &Priorities) -> Option<Value> {
    let field = conflict.field.as_ref()?;
    let sides = sides(records, conflict);
    let written = |r: &Record| {
        let mut writes = r.command.writes.iter();
        writes.find_map(|write| match &write.change {
            Change::Write(value) if write.field == *field && r.takes(field) => Some(value.clone()),
            _ => None,
        })
    };
    let seen = |dot: Dot| !sides.is_empty() && sides.iter().all(|side| side.ctx.covers(dot));
    let common: Vec<(&Record, Value)> = records
        .iter()
        .filter(|r| seen(r.dot))
        .filter_map(|r| Some((r, written(r)?)))
        .collect();
    let newest = common
        .iter()
        .filter(|(r, _)| !common.iter().any(|(other, _)| other.ctx.covers(r.dot)));
    let siblings: Vec<Sibling> = newest
        .map(|(r, value)| Sibling {
            dot: r.dot,
            ts: r.command.ts,
            value: value.clone(),
            accepted: None,
            leads: false,
        })
        .collect();
    pick(&siblings, priorities).map(|pick| pick.sibling.value.clone())
}

/// What the sides of a conflict about an entity's life both knew of the fields that were written since, as it was shown. Empty if
/// they knew nothing in common, or if nothing was written.
pub fn life_base(
    records: &[Record],
    conflict: &Conflict,
    (priorities, policy): (&Priorities, &Policy),
) -> Map<String, Json> {
    let sides = sides(records, conflict);
    let outdone = |side: &Record| {
        let mut others = sides.iter();
        others.any(|other| other.dot != side.dot && other.ctx.covers(side.dot))
    };
    // What another side had seen is where that one began, as the create under an edit that nobody confirmed.
    let newest: Vec<&&Record> = sides.iter().filter(|side| !outdone(side)).collect();
    let seen = |r: &&Record| newest.iter().all(|side| side.ctx.covers(r.dot));
    let (known, since): (Vec<&Record>, Vec<&Record>) = records.iter().partition(seen);
    let Some(first) = known.first().filter(|_| !newest.is_empty()) else {
        return Map::new();
    };
    let writes = since.iter().flat_map(|r| &r.command.writes);
    let written: BTreeSet<&str> = writes.map(|write| write.field.as_str()).collect();
    let known = known.iter().map(|r| **r);
    let entity = fold(&first.command.entity_type, conflict.entity, known, policy);
    let fields = entity.shown(priorities).fields.into_iter();
    fields
        .filter(|(name, _)| written.contains(name.as_str()))
        .collect()
}

fn sides<'r, 'a>(records: &'r [Record<'a>], conflict: &Conflict) -> Vec<&'r Record<'a>> {
    let is_side = |r: &&Record| conflict.sides.iter().any(|side| side.dot == r.dot);
    records.iter().filter(is_side).collect()
}

impl Record<'_> {
    /// Whether its write of a field stands.
    fn takes(&self, field: &str) -> bool {
        match self.verdict.map(|verdict| &verdict.outcome) {
            Some(Outcome::Rejected { .. }) => false,
            Some(Outcome::Merged(lost)) => !lost.iter().any(|(name, _)| name == field),
            _ => true,
        }
    }
}
