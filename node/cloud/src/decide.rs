//! What the truth decides on one command, from the state it has decided before: no database, no clock, no network.
//!
//! Validation comes first, then existence, then field by field: the server wins. A command that this version's policy does
//! not know gets no verdict, since a newer version may know it.

mod fields;
mod life;
mod values;

use studiovault_protocol::command::{Command, FieldWrite, Op};
use studiovault_protocol::id::Dot;
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::{Code, Context, Entity, Outcome};
use studiovault_protocol::policy::{Policy, TypeRule};

/// A command of the entity's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Earlier {
    /// Its name.
    pub dot: Dot,
    /// What it did.
    pub op: Op,
    /// The truth confirmed it.
    pub confirmed: bool,
}

/// Everything that a decision depends on besides the command.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The rules in force.
    pub policy: &'a Policy,
    /// The author's role.
    pub role: Role,
    /// The entity as decided so far.
    pub entity: &'a Entity,
    /// Its create was rejected.
    pub orphan: bool,
    /// Decided commands whose authors had seen this one: it waited, and none of them stands against it.
    pub after: &'a [Dot],
    /// What the author had seen.
    pub ctx: Context<'a>,
    /// The entity's earlier commands; needed only where the entity is folded anew.
    pub history: &'a [Earlier],
}

/// Why a command is rejected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub detail: String,
}

impl Refusal {
    /// A rejection and its words.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { code, detail }
    }

    /// Its device no longer belongs to the studio.
    pub fn shut_out() -> Self {
        Self::new(
            Code::DeviceRevoked,
            "the machine that wrote it no longer belonged to the studio; an admin can review it with `studiovault quarantine`",
        )
    }

    /// The server broke on this command alone.
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "the server could not work on this one command; it is kept, tell whoever runs the server",
        )
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Rejected {
            code: refusal.code,
            detail: refusal.detail,
        }
    }
}

/// Decides on one command. `None`: the policy does not know its type or a field of it, or this version of the program its
/// operation, so there is no verdict.
pub fn decide(command: &Command, situation: &Situation<'_>) -> Option<Outcome> {
    if matches!(command.op, Op::Newer(_)) {
        return None;
    }
    let rules = known(command, situation.policy)?;
    if command.op == Op::Discard {
        return Some(discard(command, rules.append_only, situation));
    }
    let checked = permission(command, situation)
        .and_then(|()| values::check(command, rules))
        .and_then(|()| life::check(command, rules, situation))
        .and_then(|()| fields::check(command, rules, situation));
    let lost = match checked {
        Ok(lost) => lost,
        Err(refusal) => return Some(refusal.into()),
    };
    Some(match lost.first() {
        None => Outcome::Accepted,
        Some((field, code)) if rules.atomic => Refusal::new(
            *code,
            format!(
                "`{field}` was changed before, and a {} is taken whole or not at all",
                command.entity_type
            ),
        )
        .into(),
        Some(_) => Outcome::Merged(lost),
    })
}

/// The rules of a command's type, if the policy knows it and all of its fields.
pub fn known<'p>(command: &Command, policy: &'p Policy) -> Option<&'p TypeRule> {
    let rules = policy.entity_type(&command.entity_type)?;
    let knows = |write: &FieldWrite| rules.field(&write.field).is_some();
    (command.op == Op::Discard || command.writes.iter().all(knows)).then_some(rules)
}

/// Gives up a command that was not taken. An entry of the point of sale is never given up.
fn discard(command: &Command, append_only: bool, situation: &Situation<'_>) -> Outcome {
    let name = &command.entity_type;
    if append_only {
        let detail = format!("a {name} is never discarded: correct it and send it again");
        return Refusal::new(Code::AppendOnly, detail).into();
    }
    match permission(command, situation) {
        Ok(()) => Outcome::Accepted,
        Err(refusal) => refusal.into(),
    }
}

/// Whether the policy lets the author's role write the type. Only the truth itself writes as a cloud truth, and it never asks itself.
fn permission(command: &Command, situation: &Situation<'_>) -> Result<(), Refusal> {
    let rules = situation.policy.entity_type(&command.entity_type);
    // An entry of the point of sale has happened, whoever wrote it down.
    let may = rules.is_none_or(|rules| rules.append_only || rules.may_write(situation.role));
    match situation.role {
        Role::Admin | Role::Member | Role::Guest if may => Ok(()),
        Role::Admin | Role::Member | Role::Guest => Err(Refusal::new(
            Code::Forbidden,
            format!(
                "the policy lets this machine's role write no {}",
                command.entity_type
            ),
        )),
        Role::Cloud => Err(Refusal::new(
            Code::Forbidden,
            "another cloud truth does not write in this studio",
        )),
    }
}
