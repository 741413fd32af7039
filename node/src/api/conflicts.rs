//! Open questions for people, and their answers as ordinary commands.
//!
//! An answer's context is what the person had before them: a side that came in later is not settled by it.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value};
use studiovault_protocol::api::{
    Choice, ConflictPage, ConflictView, ResolveRequest, SideView, Status, TxAnswer,
};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::command::Op;
use studiovault_protocol::merge::{ConflictKind, PickRule, SideState};
use studiovault_protocol::time::WallMs;

use super::answer::{Answer, Body, Refused};
use super::reads::device_name;
use super::routes::Shared;
use super::writes::{answer, read_token, whole};
use crate::config::system_user;
use crate::driver::WriteRequest;
use crate::store::{ConflictRow, EntityRow, HistoryEntry, StoreError, View};

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

/// `POST /conflicts/{id}/resolve`.
pub(super) async fn resolve(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Body(request): Body<ResolveRequest>,
) -> Answer<TxAnswer> {
    let read = move |view: View<'_>| {
        let Some(row) = view.conflict(&id)? else {
            return Ok(None);
        };
        let history = view.history(row.entity)?;
        Ok(Some((row, history)))
    };
    let (row, history) = shared.read(read).await?.ok_or_else(settled)?;
    let (op, fields) = decided(&row, &history, request.choice)?;
    let mutation = Mutation {
        entity_type: row.entity_type,
        entity: Some(row.entity),
        op,
        fields,
        read: request.read.as_deref().map(read_token).transpose()?,
    };
    let request = WriteRequest {
        actor: request.actor.unwrap_or_else(system_user),
        mutations: vec![whole(&shared, mutation).await?],
        together: false,
        skip_existing: false,
    };
    let written = shared.node.write(request).await?;
    Ok(Json(answer(written)))
}

fn settled() -> Refused {
    Refused::not_found(
        "open conflict",
        "it may have been settled meanwhile: list the open ones with GET /local/v1/conflicts",
    )
}

/// What a choice does to the entity.
fn decided(
    row: &ConflictRow,
    history: &[HistoryEntry],
    choice: Choice,
) -> Result<(Op, Map<String, Value>), Refused> {
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
    let entity = view.entity(row.entity)?;
    let base = match &row.field {
        Some(field) => base(&view.history(row.entity)?, &row, field),
        None => None,
    };
    let suggested = device_name(status, row.suggested);
    Ok(ConflictView {
        label: entity.map_or_else(|| row.entity.to_string(), |entity| label(&entity)),
        sides: row
            .sides
            .iter()
            .map(|side| side_view(status, side))
            .collect(),
        kind: serde_json::from_value(Value::String(row.kind)).unwrap_or(ConflictKind::UpdateUpdate),
        suggested: row.suggested.to_string(),
        rule: reason(&row.rule, &suggested).to_owned(),
        vv: status.applied.clone(),
        id: row.id,
        entity: row.entity,
        entity_type: row.entity_type,
        field: row.field,
        clock_suspect: row.clock_suspect,
        base,
    })
}

fn label(entity: &EntityRow) -> String {
    let named = LABELS
        .iter()
        .find_map(|field| entity.fields.get(*field)?.as_str());
    named.map_or_else(|| entity.id.to_string(), str::to_owned)
}

fn side_view(status: &Status, side: &Value) -> SideView {
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
    }
}

/// The field's last value before the first side: the order of application is causal, so every side came after it.
fn base(history: &[HistoryEntry], row: &ConflictRow, field: &str) -> Option<Value> {
    let is_side = |entry: &&HistoryEntry| {
        let dot = entry.dot.to_string();
        row.sides.iter().any(|side| side["dot"] == dot)
    };
    let before = history.iter().take_while(|entry| !is_side(entry));
    before
        .filter_map(|entry| entry.fields.get(field))
        .last()
        .cloned()
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
mod tests {
    use super::*;
    use serde_json::json;
    use studiovault_protocol::id::{Author, DeviceId, Dot, EntityId, Epoch};

    fn dot(device: u8) -> Dot {
        let author = Author {
            device: DeviceId([device; 16]),
            epoch: Epoch(1),
        };
        author.at(2)
    }

    fn entry(device: u8, op: Op, fields: Value) -> HistoryEntry {
        let Value::Object(fields) = fields else {
            unreachable!("an object")
        };
        HistoryEntry {
            dot: dot(device),
            actor: "Ines".into(),
            ts: WallMs(0),
            op,
            fields,
            ruling: None,
        }
    }

    fn a_conflict(field: Option<&str>) -> ConflictRow {
        let side = |device, value| json!({"dot": dot(device).to_string(), "ts": 0, "value": value, "state": "tentative", "code": null});
        ConflictRow {
            id: "c".into(),
            entity: EntityId([9; 16]),
            entity_type: "client".into(),
            field: field.map(str::to_owned),
            kind: "update_update".into(),
            suggested: dot(2),
            rule: "priority".into(),
            clock_suspect: false,
            sides: vec![side(1, json!("a")), side(2, json!("b"))],
            opened_at: WallMs(0),
        }
    }

    #[test]
    fn a_field_is_settled_by_a_side_or_another_value() {
        let row = a_conflict(Some("notes"));
        let side = Choice::Side(dot(1).to_string());
        let (op, fields) = decided(&row, &[], side).expect("decided");
        assert_eq!((op, &fields["notes"]), (Op::Resolve, &json!("a")));
        let (_, fields) = decided(&row, &[], Choice::Value(json!("both"))).expect("decided");
        assert_eq!(fields["notes"], json!("both"));
        for wrong in [
            Choice::Restore,
            Choice::AcceptDelete,
            Choice::Side("x".into()),
        ] {
            assert!(decided(&row, &[], wrong.clone()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_life_is_settled_by_what_the_chosen_side_did() {
        let row = a_conflict(None);
        let history = [
            entry(1, Op::Delete, json!({})),
            entry(2, Op::Update, json!({})),
        ];
        let op = |choice| decided(&row, &history, choice).map(|(op, _)| op).ok();
        assert_eq!(op(Choice::Side(dot(1).to_string())), Some(Op::Delete));
        assert_eq!(op(Choice::Side(dot(2).to_string())), Some(Op::Restore));
        assert_eq!(op(Choice::AcceptDelete), Some(Op::Delete));
        assert_eq!(op(Choice::Value(json!(1))), None);
    }

    #[test]
    fn the_base_is_the_value_before_the_sides_parted() {
        let row = a_conflict(Some("notes"));
        let history = [
            entry(7, Op::Create, json!({"notes": "first"})),
            entry(8, Op::Update, json!({"phone": "1"})),
            entry(1, Op::Update, json!({"notes": "a"})),
            entry(2, Op::Update, json!({"notes": "b"})),
        ];
        assert_eq!(base(&history, &row, "notes"), Some(json!("first")));
        assert_eq!(base(&history[1..], &row, "notes"), None);
    }
}
