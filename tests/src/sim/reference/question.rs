//! Conflicts, bases and natural keys once more, from the model's words alone.
//!
//! Ids of conflicts are hashes and left out; everything else is compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{
    Conflict, ConflictKind, Entity, Field, LifeKind, PickRule, Priorities, Register, Sibling, Side,
    SideState,
};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;

use super::{Deed, entity};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Live entities with one name: in the order in which they keep it, each with the name that it shows meanwhile.
pub type Twins = Vec<(EntityId, Dot, Option<String>)>;

fn priority(priorities: &Priorities, dot: Dot) -> i32 {
    let held = priorities.0.get(&dot.author.device);
    held.copied().unwrap_or(0)
}

/// The formula of the model, and which part of it decided.
fn pick<'a>(all: &'a [Sibling], priorities: &Priorities) -> Option<(&'a Sibling, PickRule)> {
    let a: Vec<&Sibling> = all.iter().filter(|x| x.leads).collect();
    let by_server = !a.is_empty();
    let s = if by_server { a } else { all.iter().collect() };
    let t = s.iter().map(|x| x.ts.0).max()?;
    let mut c: Vec<&Sibling> = s
        .iter()
        .copied()
        .filter(|x| t - x.ts.0 <= 2 * MINUTE)
        .collect();
    c.sort_by_key(|x| (priority(priorities, x.dot), x.ts, x.dot));
    let best = c.pop()?;
    let rule = match c.pop() {
        _ if s.len() == 1 && all.len() > 1 => PickRule::Confirmed,
        _ if s.len() == 1 => PickRule::Only,
        None => PickRule::Latest,
        Some(next) if priority(priorities, next.dot) != priority(priorities, best.dot) => {
            PickRule::Priority
        }
        Some(next) if next.ts != best.ts => PickRule::Clock,
        Some(_) => PickRule::Dot,
    };
    Some((best, rule))
}

fn suspect(sides: &[Side]) -> bool {
    sides.len() > 1
        && sides.iter().any(|one| {
            let others = sides.iter().filter(|other| other.dot != one.dot);
            let mut others = others.map(|other| other.ts.0);
            others.all(|ts| one.ts.0 - ts > DAY)
        })
}

fn state(accepted: bool) -> SideState {
    match accepted {
        true => SideState::Confirmed,
        false => SideState::Tentative,
    }
}

/// The open questions of an entity, without ids.
pub fn questions(entity: &Entity, priorities: &Priorities) -> Vec<Conflict> {
    let mut questions: Vec<Conflict> = life(entity).into_iter().collect();
    if !entity.life.is_deleted() {
        for (name, field) in &entity.fields {
            if let Field::Register(register) = field {
                questions.extend(value(entity.id, (name, register), priorities));
            }
        }
    }
    questions
}

fn life(entity: &Entity) -> Option<Conflict> {
    let side = |dot, ts: WallMs, state| Side {
        entity: entity.id,
        dot,
        ts,
        value: None,
        state,
        code: None,
    };
    let mut sides = BTreeMap::new();
    let deletes = || {
        let writes = entity.life.writes.iter();
        writes.filter(|write| write.kind == LifeKind::Deleted)
    };
    let asked =
        !entity.life.lost.is_empty() || deletes().any(|delete| !delete.survivors.is_empty());
    if !asked {
        return None;
    }
    for lost in entity.life.lost.iter().rev() {
        let code = Some(lost.code);
        let lost = side(lost.dot, lost.ts, SideState::Rejected);
        sides.insert(lost.dot, Side { code, ..lost });
    }
    for survivor in deletes().flat_map(|delete| &delete.survivors) {
        let again = deletes().flat_map(|delete| &delete.survivors);
        let confirmed = again.filter(|s| s.dot == survivor.dot).any(|s| s.accepted);
        sides.insert(
            survivor.dot,
            side(survivor.dot, survivor.ts, state(confirmed)),
        );
    }
    for write in &entity.life.writes {
        sides.insert(
            write.dot,
            side(write.dot, write.ts, state(write.accepted.is_some())),
        );
    }
    let saved = deletes()
        .flat_map(|delete| &delete.survivors)
        .find(|s| s.accepted);
    let (suggested, rule) = match (saved, deletes().next()) {
        (Some(saved), _) => (saved.dot, PickRule::Confirmed),
        (None, Some(delete)) if delete.accepted.is_none() => (delete.dot, PickRule::Deletion),
        (None, Some(delete)) => (delete.dot, PickRule::Confirmed),
        (None, None) => {
            let newest = entity.life.writes.last().map(|write| write.dot);
            (
                newest.or(sides.keys().next().copied())?,
                PickRule::Confirmed,
            )
        }
    };
    let sides: Vec<Side> = sides.into_values().collect();
    Some(Conflict {
        id: String::new(),
        entity: entity.id,
        field: None,
        kind: ConflictKind::DeleteUpdate,
        suggested,
        rule,
        clock_suspect: suspect(&sides),
        sides,
    })
}

fn value(
    entity: EntityId,
    (name, register): (&str, &Register),
    priorities: &Priorities,
) -> Option<Conflict> {
    let mut sides: Vec<Side> = Vec::new();
    for s in &register.siblings {
        sides.push(Side {
            entity,
            dot: s.dot,
            ts: s.ts,
            value: Some(s.value.clone()),
            state: state(s.accepted.is_some()),
            code: None,
        });
    }
    let something_stands = !sides.is_empty();
    for lost in &register.lost {
        sides.push(Side {
            entity,
            dot: lost.dot,
            ts: lost.ts,
            value: Some(lost.value.clone()),
            state: if lost.rejected {
                SideState::Rejected
            } else {
                SideState::Lost
            },
            code: Some(lost.code),
        });
    }
    let all_equal = sides.iter().all(|side| side.value == sides[0].value);
    if sides.is_empty() || something_stands && all_equal {
        return None;
    }
    sides.sort_by_key(|side| side.dot);
    let (suggested, rule) = match pick(&register.siblings, priorities) {
        Some((best, PickRule::Only)) => (best.dot, PickRule::Confirmed),
        Some((best, rule)) => (best.dot, rule),
        None => (sides[sides.len() - 1].dot, PickRule::Only),
    };
    let lost = !register.lost.is_empty();
    Some(Conflict {
        id: String::new(),
        entity,
        field: Some(name.to_owned()),
        kind: if lost {
            ConflictKind::LostAtCloud
        } else {
            ConflictKind::UpdateUpdate
        },
        suggested,
        rule,
        clock_suspect: suspect(&sides),
        sides,
    })
}

/// What the sides of a field's conflict grew from.
pub fn base(deeds: &[Deed], conflict: &Conflict, priorities: &Priorities) -> Option<Value> {
    let field = conflict.field.as_deref()?;
    let of_it = || {
        deeds
            .iter()
            .filter(|deed| deed.command.entity == conflict.entity)
    };
    let sides: Vec<&Deed> = of_it()
        .filter(|deed| conflict.sides.iter().any(|side| side.dot == deed.dot))
        .collect();
    let common: Vec<&Deed> = of_it()
        .filter(|deed| deed.value(field).is_some() && deed.lost(field).is_none())
        .filter(|deed| sides.iter().all(|side| side.sees(deed)))
        .collect();
    let newest = common
        .iter()
        .filter(|deed| !common.iter().any(|other| other.sees(deed)));
    let siblings: Vec<Sibling> = newest
        .map(|deed| Sibling {
            dot: deed.dot,
            ts: deed.command.ts,
            value: deed.value(field).expect("a write of the field").clone(),
            accepted: None,
            leads: false,
        })
        .collect();
    pick(&siblings, priorities).map(|(best, _)| best.value.clone())
}

/// What the sides of a conflict over an entity's life both knew of the fields that were written since.
pub fn life_base(
    deeds: &[Deed],
    conflict: &Conflict,
    (priorities, policy): (&Priorities, &Policy),
) -> Map<String, Json> {
    let of_it: Vec<&Deed> = deeds
        .iter()
        .filter(|deed| deed.command.entity == conflict.entity)
        .collect();
    let is_side = |deed: &&&Deed| conflict.sides.iter().any(|side| side.dot == deed.dot);
    let sides: Vec<&Deed> = of_it.iter().filter(is_side).copied().collect();
    // A side that another one had read is where that one began.
    let began = |deed: &&&Deed| !sides.iter().any(|other| other.sees(deed));
    let newest: Vec<&Deed> = sides.iter().filter(began).copied().collect();
    let (known, since): (Vec<Deed>, Vec<Deed>) = of_it
        .into_iter()
        .cloned()
        .partition(|deed| newest.iter().all(|side| side.sees(deed)));
    if newest.is_empty() || known.is_empty() {
        return Map::new();
    }
    let writes = since.iter().flat_map(|deed| &deed.command.writes);
    let written: BTreeSet<&str> = writes.map(|write| write.field.as_str()).collect();
    let shown = entity(conflict.entity, &known, policy).shown(priorities);
    let fields = shown.fields.into_iter();
    fields
        .filter(|(name, _)| written.contains(name.as_str()))
        .collect()
}

/// How people read a name: only what the histories write needs to be known here.
fn plain(name: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff21}'..='\u{ff5a}' => char::from_u32(c as u32 - 0xff21 + 0x41).unwrap_or(c),
        c => c,
    };
    let text: String = name.chars().map(narrow).collect();
    text.trim().to_lowercase().replace('\u{df}', "ss")
}

/// In the order in which they keep the name: when it was accepted, its dot, whose it is, and the shown key.
type Namesake = (u64, Dot, EntityId, Vec<Value>);

type Shown = (Option<Vec<Value>>, Option<u64>, Dot);

/// The shown key of a living entity, when it was accepted, and the dot of the name.
fn shown_key(entity: &Entity, key: &[String], priorities: &Priorities) -> Option<Shown> {
    if key.is_empty() || entity.life.writes.is_empty() || entity.life.is_deleted() {
        return None;
    }
    let (mut values, mut accepted, mut dot) = (Vec::new(), Some(0), None);
    for name in key {
        let shown = match entity.fields.get(name) {
            Some(Field::Register(register)) => pick(&register.siblings, priorities),
            _ => None,
        };
        let shown = shown.map(|(sibling, _)| sibling);
        values.push(shown.map_or(Value::Null, |s| s.value.clone()));
        dot = shown.map(|s| s.dot);
        if let Some(shown) = shown {
            accepted = match (accepted, shown.accepted) {
                (Some(one), Some(other)) => Some(one.max(other)),
                _ => None,
            };
        }
    }
    let dot = dot?;
    let named = match values.last()? {
        Value::Text(text) => !plain(text).is_empty(),
        other => *other != Value::Null,
    };
    named.then_some((Some(values), accepted, dot))
}

/// All groups of living entities of one type with one key.
pub fn twins(
    entities: &BTreeMap<EntityId, Entity>,
    (entity_type, key): (&str, &[String]),
    priorities: &Priorities,
) -> Vec<Twins> {
    let compared = |values: &[Value]| -> Vec<Value> {
        let each = values.iter().map(|value| match value {
            Value::Text(text) => Value::Text(plain(text)),
            other => other.clone(),
        });
        each.collect()
    };
    let mut groups: BTreeMap<Vec<Value>, Vec<Namesake>> = BTreeMap::new();
    for entity in entities
        .values()
        .filter(|entity| entity.entity_type == entity_type)
    {
        if let Some((Some(values), accepted, dot)) = shown_key(entity, key, priorities) {
            let group = groups.entry(compared(&values)).or_default();
            group.push((accepted.unwrap_or(u64::MAX), dot, entity.id, values));
        }
    }
    let mut all = Vec::new();
    for group in groups.values().filter(|group| group.len() > 1) {
        let mut group = group.clone();
        group.sort();
        let (mut twins, mut number) = (Twins::new(), 1);
        for (at, (_, dot, id, values)) in group.iter().enumerate() {
            let mut proposed = None;
            if let (true, Some(Value::Text(name))) = (at > 0, values.last()) {
                loop {
                    number += 1;
                    let name = format!("{} ({number})", name.trim());
                    let mut wanted = values.clone();
                    wanted.pop();
                    wanted.push(Value::Text(name.clone()));
                    if !groups.contains_key(&compared(&wanted)) {
                        proposed = Some(name);
                        break;
                    }
                }
            }
            twins.push((*id, *dot, proposed));
        }
        all.push(twins);
    }
    all
}
