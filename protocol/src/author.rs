//! From what a person asked to commands that may enter the log: the author's own validation.
//!
//! A write that breaks the policy is refused here, at once, before it enters a log. Receivers never refuse: they apply what
//! is well-formed and signed by a member.

use serde_json::{Map, Value as Json};

use crate::command::{Change, Command, FieldWrite, Op};
use crate::id::{CommandId, DeviceId, Dot, EntityId, Nonce};
use crate::limits;
use crate::membership::{Member, Role, Standing};
use crate::merge::{Entity, Field};
use crate::policy::{FieldRule, Policy, Rule, TypeRule};
use crate::pos;
use crate::sabotage::Bug;
use crate::time::WallMs;
use crate::value::Value;
use crate::vector::Vector;

mod life;

/// What a person or a program wants to happen to one entity.
#[derive(Clone, PartialEq, Debug)]
pub struct Mutation {
    /// The type's name.
    pub entity_type: String,
    /// Which entity; `None` only for a create, which then gets a new id.
    pub entity: Option<EntityId>,
    /// What happens.
    pub op: Op,
    /// Field name to value; a set takes `{"add": [...], "remove": [...]}` or, on create, a plain list; a counter
    /// `{"increment": n}`.
    pub fields: Map<String, Json>,
    /// What had been read when the entity was opened, as handed out; `None`: what is applied now.
    pub read: Option<Vector>,
    /// The dead or stuck letter that it stands in the place of.
    pub replaces: Option<Dot>,
}

/// What the caller draws for one command.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The machine that writes it.
    pub device: DeviceId,
    /// Its id.
    pub id: CommandId,
    /// Hides its values.
    pub nonce: Nonce,
    /// The wall clock.
    pub ts: WallMs,
}

/// Why a write is refused. The person's or the program's fault; nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// For programs.
    pub code: &'static str,
    /// The field at fault, if one is.
    pub field: Option<String>,
    /// For people, with the next step.
    pub detail: String,
}

impl Refusal {
    fn new(code: &'static str, detail: String) -> Self {
        Self {
            code,
            field: None,
            detail,
        }
    }

    fn at(code: &'static str, field: &str, detail: String) -> Self {
        Self {
            code,
            field: Some(field.to_owned()),
            detail,
        }
    }
}

/// What a machine does that belongs to the studio no more.
pub const WAY_BACK: &str = "ask an admin to take it back with `studiovault readmit` and the recovery kit, or for an invite, and join anew into an empty folder with `studiovault join CODE --data FOLDER`";

/// The role in which a machine writes, if it belongs to the studio.
pub fn may_act(place: Option<&Member>) -> Result<Role, Refusal> {
    let shut = match place {
        Some(member) if member.is_active() => return Ok(member.grant.role),
        Some(member) if member.standing == Standing::Retired => "this machine has retired",
        _ => "this machine was shut out of the studio",
    };
    let detail = format!("{shut}; {WAY_BACK}");
    Err(Refusal {
        code: "NOT_A_MEMBER",
        field: None,
        detail,
    })
}

/// Whether a machine of that role may write entities of the mutation's type; an unknown type is another refusal.
pub fn may_write(mutation: &Mutation, policy: &Policy, role: Role) -> Result<(), Refusal> {
    match policy.entity_type(&mutation.entity_type) {
        Some(rules) if !rules.may_write(role) => {
            let detail = format!(
                "the policy lets this machine's role write no {}; do it on a machine of another role",
                mutation.entity_type
            );
            Err(Refusal::new("FORBIDDEN", detail))
        }
        _ => Ok(()),
    }
}

/// Validates one mutation against the policy and the entity's state (`None` if there is none) and words it as a command.
pub fn command(
    mutation: &Mutation,
    state: Option<&Entity>,
    policy: &Policy,
    draw: Draw,
) -> Result<Command, Refusal> {
    let rules = policy.entity_type(&mutation.entity_type).ok_or_else(|| {
        let known: Vec<&str> = policy.types().keys().map(String::as_str).collect();
        Refusal::new(
            "UNKNOWN_TYPE",
            format!(
                "the policy has no type `{}`; use one of {}",
                shorten(&mutation.entity_type),
                known.join(", ")
            ),
        )
    })?;
    if matches!(mutation.op, Op::Newer(_)) {
        let detail = "this is no operation; use create, update, delete, restore or resolve";
        return Err(Refusal::new("UNKNOWN_OPERATION", detail.into()));
    }
    if mutation.op == Op::Discard {
        return discard(mutation, rules, draw);
    }
    life::check(mutation, state, rules, draw.device)?;
    let mut writes = Vec::with_capacity(mutation.fields.len());
    for (name, json) in &mutation.fields {
        let rule = rules
            .field(name)
            .ok_or_else(|| unknown_field(mutation, rules, name))?;
        if !matches!(mutation.op, Op::Create | Op::Restore) {
            check_is_change(mutation, (name, json), rule)?;
        }
        let field = state.and_then(|state| state.fields.get(name));
        for change in changes(name, json, rule, field)? {
            if let Change::Write(value) = &change
                && let Some(broken) = pos::value_broken((&mutation.entity_type, name), value, rule)
            {
                let detail = format!("`{name}` {broken}");
                return Err(Refusal::at("VALIDATION_FAILED", name, detail));
            }
            writes.push(FieldWrite {
                field: name.clone(),
                change,
            });
        }
    }
    if mutation.op == Op::Create {
        check_required(mutation, rules)?;
    }
    if writes.is_empty() && matches!(mutation.op, Op::Update | Op::Resolve) {
        return Err(nothing_to_do(mutation));
    }
    fit(Command {
        id: draw.id,
        entity_type: mutation.entity_type.clone(),
        entity: mutation.entity.unwrap_or(EntityId(draw.id.0)),
        op: mutation.op,
        writes,
        ctx: mutation.read.clone().filter(|_| !Bug::StaleContext.is_on()),
        replaces: mutation.replaces,
        ts: draw.ts,
        nonce: draw.nonce,
    })
}

/// What is said of an update that writes nothing.
fn nothing_to_do(mutation: &Mutation) -> Refusal {
    let detail = match mutation.fields.keys().next() {
        None => "the update names no field; give at least one".into(),
        Some(name) => format!(
            "nothing would change: `{name}` does not hold what is to be removed; look at it again"
        ),
    };
    Refusal::new("NOTHING_TO_DO", detail)
}

/// Words the giving up of a letter.
fn discard(mutation: &Mutation, rules: &TypeRule, draw: Draw) -> Result<Command, Refusal> {
    let name = &mutation.entity_type;
    if rules.append_only {
        let detail = format!("a {name} is never discarded; correct it and send it again");
        return Err(Refusal::new("APPEND_ONLY", detail));
    }
    let (Some(replaces), Some(entity)) = (mutation.replaces, mutation.entity) else {
        let detail = "only a command that the cloud did not take is discarded; name it by its dot";
        return Err(Refusal::new("NOTHING_TO_DISCARD", detail.into()));
    };
    let reason = mutation.fields.get("reason").and_then(Json::as_str);
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    let Some(reason) = reason.filter(|reason| reason.len() <= limits::DETAIL_BYTES) else {
        let detail = format!(
            "a discard needs a `reason` of 1 to {} bytes; give it",
            limits::DETAIL_BYTES
        );
        return Err(Refusal::at("REQUIRED_FIELD", "reason", detail));
    };
    fit(Command {
        id: draw.id,
        entity_type: name.clone(),
        entity,
        op: Op::Discard,
        writes: vec![FieldWrite {
            field: "reason".into(),
            change: Change::Write(Value::Text(reason.into())),
        }],
        ctx: None,
        replaces: Some(replaces),
        ts: draw.ts,
        nonce: draw.nonce,
    })
}

/// Checks the bounds that hold for every command.
fn fit(command: Command) -> Result<Command, Refusal> {
    let bytes = postcard::to_stdvec(&command)
        .expect("wire types always encode")
        .len();
    if bytes > limits::COMMAND_BYTES {
        let detail =
            format!("one change of {bytes} bytes, and at most 65536 fit; shorten the longest text");
        return Err(Refusal::new("PAYLOAD_TOO_LARGE", detail));
    }
    match command.fault() {
        Some(fault) => Err(Refusal::new("VALIDATION_FAILED", fault.into())),
        None => Ok(command),
    }
}

fn unknown_field(mutation: &Mutation, rules: &TypeRule, name: &str) -> Refusal {
    let known: Vec<&str> = rules.fields.keys().map(String::as_str).collect();
    let detail = format!(
        "{} has no field `{}`; use one of {}",
        mutation.entity_type,
        shorten(name),
        known.join(", ")
    );
    Refusal::at("UNKNOWN_FIELD", &shorten(name), detail)
}

fn check_required(mutation: &Mutation, rules: &TypeRule) -> Result<(), Refusal> {
    for (name, rule) in &rules.fields {
        let given = mutation
            .fields
            .get(name)
            .is_some_and(|value| !value.is_null());
        if rule.required && !given {
            let detail = format!(
                "a {} needs `{name}`; give a value for it",
                mutation.entity_type
            );
            return Err(Refusal::at("REQUIRED_FIELD", name, detail));
        }
    }
    Ok(())
}

/// What may only be written when an entity begins: an immutable field; and a bare number or list, which would be taken for what a field
/// that has something already shall be.
fn check_is_change(
    mutation: &Mutation,
    (name, json): (&str, &Json),
    rule: &FieldRule,
) -> Result<(), Refusal> {
    if rule.rule == Rule::Immutable {
        let detail = format!(
            "`{name}` is set when a {} is created and never changes",
            mutation.entity_type
        );
        return Err(Refusal::at("IMMUTABLE_FIELD", name, detail));
    }
    let way = match (rule.rule, json) {
        (Rule::Counter, Json::Number(_)) => {
            format!("is counted up or down: {{\"increment\": n}}, on the command line `{name}+=n`")
        }
        (Rule::Set, Json::Array(_)) => format!(
            "is added to and removed from: {{\"add\": [...], \"remove\": [...]}}, on the command line `{name}+=…` and `{name}-=…`"
        ),
        _ => return Ok(()),
    };
    Err(Refusal::at(
        "VALIDATION_FAILED",
        name,
        format!("`{name}` {way}"),
    ))
}

/// The changes that one JSON value stands for.
fn changes(
    name: &str,
    json: &Json,
    rule: &FieldRule,
    field: Option<&Field>,
) -> Result<Vec<Change>, Refusal> {
    let value = |json: &Json| value_of(name, json, rule);
    let list = |json: &Json| -> Result<Vec<Value>, Refusal> {
        match json {
            Json::Array(items) => items.iter().map(value).collect(),
            _ => Err(wrong_kind(name, rule, "a list")),
        }
    };
    match rule.rule {
        Rule::Lww | Rule::Immutable => Ok(vec![Change::Write(value(json)?)]),
        Rule::Counter => increment(name, json, rule, field).map(|change| vec![change]),
        Rule::Set => {
            let (add, remove) = match json {
                Json::Array(_) => (list(json)?, Vec::new()),
                Json::Object(object)
                    if object.keys().all(|key| key == "add" || key == "remove") =>
                {
                    let part = |key: &str| object.get(key).map_or(Ok(Vec::new()), list);
                    (part("add")?, part("remove")?)
                }
                _ => {
                    return Err(wrong_kind(
                        name,
                        rule,
                        "a list, or {\"add\": [...], \"remove\": [...]}",
                    ));
                }
            };
            let seen = |element: Value| {
                let dots = match field {
                    Some(Field::Set(set)) => set.dots_of(&element).to_vec(),
                    _ => Vec::new(),
                };
                (element, dots)
            };
            let removed: Vec<_> = remove
                .into_iter()
                .map(seen)
                .filter(|(_, dots)| !dots.is_empty())
                .collect();
            let mut changes = Vec::new();
            if !removed.is_empty() {
                changes.push(Change::Remove(removed));
            }
            if !add.is_empty() {
                changes.push(Change::Add(add));
            }
            Ok(changes)
        }
    }
}

fn increment(
    name: &str,
    json: &Json,
    rule: &FieldRule,
    field: Option<&Field>,
) -> Result<Change, Refusal> {
    let by = match json {
        Json::Object(object) if object.len() == 1 => object.get("increment").and_then(Json::as_i64),
        Json::Number(number) => number.as_i64(),
        _ => None,
    };
    let by = by.ok_or_else(|| wrong_kind(name, rule, "{\"increment\": n} with a whole number"))?;
    let sum = match field {
        Some(Field::Counter(sum)) => *sum,
        _ => 0,
    };
    if sum.checked_add(by).is_none() {
        let detail = format!("`{name}` is {sum}, and {by} more is beyond what is counted");
        return Err(Refusal::at("VALIDATION_FAILED", name, detail));
    }
    Ok(Change::Increment(by))
}

fn wrong_kind(name: &str, rule: &FieldRule, expected: &str) -> Refusal {
    let kind = if rule.rule == Rule::Set {
        format!("{expected} of {}", rule.kind.word())
    } else {
        expected.to_owned()
    };
    Refusal::at(
        "VALIDATION_FAILED",
        name,
        format!("`{name}` takes {kind}; correct it"),
    )
}

fn value_of(name: &str, json: &Json, rule: &FieldRule) -> Result<Value, Refusal> {
    let value = rule.kind.from_json(json).ok_or_else(|| {
        let detail = format!(
            "`{name}` takes {}, not {}; give it one",
            rule.kind.word(),
            shorten(&json.to_string())
        );
        Refusal::at("VALIDATION_FAILED", name, detail)
    })?;
    let Some(broken) = rule.limit_broken(&value) else {
        return Ok(value);
    };
    let code = match rule.lacks(&value) {
        true => "REQUIRED_FIELD",
        false => "VALIDATION_FAILED",
    };
    Err(Refusal::at(code, name, format!("`{name}` {broken}")))
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// A type's name where a sentence begins with it.
pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests;
