//! Open questions for people, and their answers as ordinary commands.
//!
//! An answer's context is what the person had before them: a side that came in later stops it, or is not settled by it if it
//! has not come to this machine yet.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value};
use studiovault_protocol::api::{
    Choice, ConflictPage, ConflictView, Deed, LedgerView, ResolveRequest, SideView, Status,
    TxAnswer, vv_text,
};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{ConflictKind, PickRule, SideState};
use studiovault_protocol::time::WallMs;

use super::answer::{Answer, Body, Refused};
use super::carried::{Edits, whole};
use super::reads::{deletion, device_name};
use super::routes::Shared;
use super::writes::{answer, read_token};
use crate::config::system_user;
use crate::driver::WriteRequest;
use crate::store::{ConflictRow, EntityRow, HistoryEntry, LedgerRow, NameFault, StoreError, View};

/// Conflicts of one answer at most.
const CONFLICTS: usize = 10_000;
/// Fields that name a thing for people, the first one that it has.
const LABELS: [&str; 4] = ["name", "title", "email", "customer_number"];

/// `GET /conflicts`.
pub(super) async fn list(State(shared): State<Shared>) -> Answer<ConflictPage> {
    let status = shared.node.status();
    let vv = status.applied.clone();
    let read = move |view: View<'_>| {
        let rows = view.conflicts(CONFLICTS)?;
        let views = rows.into_iter().map(|row| shown(&view, &status, row));
        views.collect::<Result<Vec<_>, _>>()
    };
    let conflicts = shared.read(read).await?;
    Ok(Json(ConflictPage { conflicts, vv }))
}

/// `GET /conflicts/{id}`.
pub(super) async fn one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Answer<ConflictView> {
    let status = shared.node.status();
    let read = move |view: View<'_>| {
        let row = view.conflict(&id)?;
        row.map(|row| shown(&view, &status, row)).transpose()
    };
    let conflict = shared.read(read).await?;
    conflict.map(Json).ok_or_else(settled)
}

/// `GET /conflicts/{id}/ledger`, also of one that was settled.
pub(super) async fn ledger(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Answer<Vec<LedgerView>> {
    let lines = shared.read(move |view| view.ledger(&id)).await?;
    if lines.is_empty() {
        let next_step = "list the open conflicts";
        return Err(Refused::not_found("conflict", next_step));
    }
    Ok(Json(ledger_lines(&shared.node.status(), lines)))
}

/// Lines of the ledger as people see them.
pub(super) fn ledger_lines(status: &Status, lines: Vec<LedgerRow>) -> Vec<LedgerView> {
    let line = |row: LedgerRow| LedgerView {
        conflict: row.conflict,
        field: row.field,
        event: row.event,
        base: row.base,
        sides: row.sides,
        winner: row.winner,
        rule: row
            .rule
            .and_then(|rule| serde_json::from_value(Value::String(rule)).ok()),
        decided_by: match row.decided_by.parse() {
            Ok(dot) => device_name(status, dot),
            Err(_) if row.decided_by.starts_with("feed") => "the cloud".to_owned(),
            Err(_) => "the roster".to_owned(),
        },
        cause: row.decided_by,
        decided_at: row.decided_at,
    };
    lines.into_iter().map(line).collect()
}

/// `POST /conflicts/{id}/resolve`.
pub(super) async fn resolve(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Body(request): Body<ResolveRequest>,
) -> Answer<TxAnswer> {
    let read = request.read.as_deref().map(read_token).transpose()?;
    let looked_at = read.clone();
    let given = match &request.choice {
        Choice::Value(value) => Some(value.clone()),
        _ => None,
    };
    let look = move |view: View<'_>| {
        let Some(row) = view.conflict(&id)? else {
            return Ok(None);
        };
        let unseen = match &looked_at {
            Some(read) => view.unseen_side(&row, read)?,
            None => None,
        };
        let history = view.history(row.entity)?;
        let fault = given.map(|value| name_fault(&view, &row, &value));
        Ok(Some((row, history, (unseen, fault.transpose()?.flatten()))))
    };
    let (row, history, (unseen, fault)) = shared.read(look).await?.ok_or_else(settled)?;
    if let Some(dot) = unseen {
        return Err(changed(&device_name(&shared.node.status(), dot)));
    }
    if let Some(fault) = fault {
        return Err(no_name(&row, fault));
    }
    let edits = match &request.choice {
        Choice::Side(dot) => Edits::Of(dot.clone()),
        _ => Edits::All,
    };
    let decided = match row.kind.as_str() {
        "create_create" => renamed(&row, request.choice)?,
        _ => vec![(row.entity, decided(&row, &history, request.choice)?)],
    };
    let mut mutations = Vec::with_capacity(decided.len());
    for (entity, (op, fields)) in decided {
        let mutation = Mutation {
            entity_type: row.entity_type.clone(),
            entity: Some(entity),
            op,
            fields,
            read: read.clone(),
            replaces: None,
        };
        mutations.push(whole(&shared, mutation, &edits).await?);
    }
    let request = WriteRequest {
        actor: request.actor.unwrap_or_else(system_user),
        mutations,
        together: false,
        skip_existing: false,
    };
    let written = shared.node.write(request).await?;
    Ok(Json(answer(written)))
}

/// Why a value that a person gives would settle nothing: as a name it is empty, or another entity has it.
fn name_fault(
    view: &View<'_>,
    row: &ConflictRow,
    value: &Value,
) -> Result<Option<NameFault>, StoreError> {
    let Some(field) = &row.field else {
        return Ok(None);
    };
    let renamed = match row.kind.as_str() {
        // Of two with one name the later one is renamed.
        "create_create" => row.sides.get(1).map(|side| side["entity"].clone()),
        _ => None,
    };
    let renamed = renamed.and_then(|entity| serde_json::from_value(entity).ok());
    let entity = renamed.unwrap_or(row.entity);
    view.name_fault(&row.entity_type, (entity, field), value)
}

fn no_name(row: &ConflictRow, fault: NameFault) -> Refused {
    let field = row.field.as_deref().unwrap_or_default();
    let kind = &row.entity_type;
    let (rule, next_step) = match fault {
        NameFault::Empty => ("a name is not empty".to_owned(), "give a name"),
        NameFault::Taken => (
            format!("another {kind} has this name, however it is written"),
            "give a name that no other one has",
        ),
    };
    Refused::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "VALIDATION_FAILED",
        format!("`{field}` names the {kind}, and {rule}"),
        next_step,
    )
}

fn changed(device: &str) -> Refused {
    Refused::new(
        StatusCode::CONFLICT,
        "CHANGED_MEANWHILE",
        format!("{device} changed it after it was read here"),
        "look at the conflict again, then decide",
    )
}

fn settled() -> Refused {
    Refused::not_found(
        "open conflict",
        "it may have been settled meanwhile: list the open conflicts",
    )
}

/// What a choice does to entities with one name: the chosen one keeps it, each other one takes its proposed name; or of
/// two the later one takes a name that the person gives.
fn renamed(row: &ConflictRow, choice: Choice) -> Result<Vec<(EntityId, Change)>, Refused> {
    let wrong =
        |detail: &str, next_step: &str| Refused::bad_request("WRONG_CHOICE", detail, next_step);
    let field = row.field.clone().unwrap_or_default();
    let entity = |side: &Value| serde_json::from_value(side["entity"].clone()).ok();
    let rename = |side: &Value, name: Value| {
        let fields = Map::from_iter([(field.clone(), name)]);
        Some((entity(side)?, (Op::Resolve, fields)))
    };
    match choice {
        Choice::Side(dot) => {
            let keeps = row.sides.iter().position(|side| side["dot"] == *dot);
            let keeps = keeps.ok_or_else(|| {
                let next_step = "choose by its dot the side that keeps the name";
                wrong("no side of this conflict has that dot", next_step)
            })?;
            // Whoever gives the name up takes the proposal of the one that keeps it instead.
            let given_up = &row.sides[keeps]["proposed"];
            let others = row.sides.iter().enumerate().filter(|(at, _)| *at != keeps);
            let renames = others.filter_map(|(_, side)| match &side["proposed"] {
                Value::Null => rename(side, given_up.clone()),
                proposed => rename(side, proposed.clone()),
            });
            Ok(renames.collect())
        }
        Choice::Value(name) if row.sides.len() == 2 => {
            Ok(rename(&row.sides[1], name).into_iter().collect())
        }
        Choice::Value(_) => Err(wrong(
            "more than two have this name",
            "choose the side that keeps it; the others take their proposed names",
        )),
        Choice::Restore | Choice::AcceptDelete => Err(wrong(
            "nothing is deleted here",
            "choose by its dot the side that keeps the name, or give a `value` for the other one",
        )),
    }
}

/// An operation and its fields.
type Change = (Op, Map<String, Value>);

/// What a choice does to the entity.
fn decided(row: &ConflictRow, history: &[HistoryEntry], choice: Choice) -> Result<Change, Refused> {
    let wrong =
        |detail: &str, next_step: &str| Refused::bad_request("WRONG_CHOICE", detail, next_step);
    let side = |dot: &str| {
        let side = row.sides.iter().find(|side| side["dot"] == *dot);
        side.ok_or_else(|| {
            wrong(
                "no side of this conflict has that dot",
                "choose one of its sides by its dot",
            )
        })
    };
    let Some(field) = &row.field else {
        let op = match choice {
            Choice::Restore => Op::Restore,
            Choice::AcceptDelete => Op::Delete,
            Choice::Side(dot) => {
                side(&dot)?;
                let entry = history.iter().find(|entry| entry.dot.to_string() == dot);
                match entry.map(|entry| entry.op) {
                    Some(Op::Delete) => Op::Delete,
                    _ => Op::Restore,
                }
            }
            Choice::Value(_) => {
                return Err(wrong(
                    "the question is whether it is deleted",
                    "choose `restore` or `accept_delete`",
                ));
            }
        };
        return Ok((op, Map::new()));
    };
    let value = match choice {
        Choice::Side(dot) => side(&dot)?["value"].clone(),
        Choice::Value(value) => value,
        Choice::Restore | Choice::AcceptDelete => {
            return Err(wrong(
                "nothing is deleted here",
                "choose a `side` by its dot, or give a `value`",
            ));
        }
    };
    Ok((Op::Resolve, Map::from_iter([(field.clone(), value)])))
}

/// A conflict as people see it.
fn shown(view: &View<'_>, status: &Status, row: ConflictRow) -> Result<ConflictView, StoreError> {
    let (entity, context) = (view.entity(row.entity)?, view.conflict_context(&row)?);
    let suggested = device_name(status, row.suggested);
    // Of a field the sides' values say it all; of a life only what each of them did.
    let history = match row.field {
        None => view.history(row.entity)?,
        Some(_) => Vec::new(),
    };
    let sides = row.sides.iter().map(|side| {
        let shown = side_view(status, (row.entity, side));
        let deed = deed(&history, &shown.dot);
        SideView { deed, ..shown }
    });
    let sides = sides.collect();
    Ok(ConflictView {
        deletion: entity.as_ref().and_then(|row| deletion(status, row)),
        label: entity.map_or_else(|| row.entity.to_string(), |entity| label(&entity)),
        sides,
        kind: serde_json::from_value(Value::String(row.kind)).unwrap_or(ConflictKind::UpdateUpdate),
        suggested: row.suggested.to_string(),
        rule: reason(&row.rule, &suggested).to_owned(),
        vv: vv_text(&context),
        id: row.id,
        entity: row.entity,
        entity_type: row.entity_type,
        field: row.field,
        clock_suspect: row.clock_suspect,
        base: row.base,
    })
}

/// What people would call an entity.
pub(super) fn label(entity: &EntityRow) -> String {
    named(&entity.fields).map_or_else(|| entity.id.to_string(), str::to_owned)
}

/// What people would call what has these fields.
pub(super) fn named(fields: &Map<String, Value>) -> Option<&str> {
    LABELS.iter().find_map(|field| fields.get(*field)?.as_str())
}

fn side_view(status: &Status, (entity, side): (EntityId, &Value)) -> SideView {
    let dot = side["dot"].as_str().unwrap_or_default();
    let state = serde_json::from_value::<SideState>(side["state"].clone());
    SideView {
        device: dot
            .parse()
            .map_or_else(|_| dot.to_owned(), |dot| device_name(status, dot)),
        dot: dot.to_owned(),
        ts: WallMs(side["ts"].as_i64().unwrap_or_default()),
        value: side["value"].clone(),
        state: state.unwrap_or(SideState::Tentative),
        code: side["code"].as_str().map(str::to_owned),
        entity: serde_json::from_value(side["entity"].clone()).unwrap_or(entity),
        proposed: side["proposed"].as_str().map(str::to_owned),
        deed: None,
    }
}

fn deed(history: &[HistoryEntry], dot: &str) -> Option<Deed> {
    let entry = history.iter().find(|entry| entry.dot.to_string() == dot)?;
    Some(Deed {
        op: entry.op,
        actor: entry.actor.clone(),
        fields: entry.fields.clone(),
    })
}

/// Why a side is suggested, as a sentence.
fn reason(rule: &str, device: &str) -> String {
    let rule = serde_json::from_value(Value::String(rule.to_owned())).unwrap_or(PickRule::Dot);
    match rule {
        PickRule::Only => "There is nothing else to choose.".to_owned(),
        PickRule::Confirmed => format!("The cloud took the write of {device} first."),
        PickRule::Latest => {
            format!("The write of {device} is more than 2 minutes later than the others.")
        }
        PickRule::Priority => {
            format!("Written within 2 minutes of each other; {device} has the higher priority.")
        }
        PickRule::Clock => format!("Of equal priority, {device} wrote last."),
        PickRule::First => {
            format!("Nobody's name is confirmed; a fixed order of machines lets {device} keep it.")
        }
        PickRule::Deletion => "A deletion shows before edits that nobody confirmed.".to_owned(),
        PickRule::Dot => {
            format!("Equal in time and priority; a fixed order of machines puts {device} first.")
        }
    }
}

#[cfg(test)]
mod tests;
