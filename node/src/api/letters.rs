//! Dead and stuck letters: what the cloud did not take, and the two ways out of it.
//!
//! Both are ordinary commands that name the letter, so every machine sees them, and the cloud lets at most one of the two
//! take effect.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value};
use studiovault_protocol::api::{
    DeadLetter, DeadLetterPage, DiscardRequest, FixRequest, Status, TxAnswer,
};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::receipt;

use super::answer::{Answer, Body, Refused};
use super::conflicts::named;
use super::reads::device_name;
use super::routes::Shared;
use super::writes::answer;
use crate::config::system_user;
use crate::driver::WriteRequest;
use crate::store::{DeadLetterRow, StoreError, View};

/// Letters of one answer at most.
const LETTERS: usize = 10_000;
/// The code of a letter that the cloud breaks on.
const STUCK: &str = "STUCK";

/// `GET /dead-letters`.
pub(super) async fn list(State(shared): State<Shared>) -> Answer<DeadLetterPage> {
    let status = shared.node.status();
    let read = |view: View<'_>| {
        let rows = view.dead_letters(LETTERS)?.into_iter();
        let named = rows.map(|row| Ok((label_of(&view, (row.entity, &row.fields))?, row)));
        named.collect::<Result<Vec<_>, StoreError>>()
    };
    let rows = shared.read(read).await?.into_iter();
    let letters = rows.map(|(label, row)| DeadLetter {
        label,
        ..shown(&status, row)
    });
    Ok(Json(DeadLetterPage {
        dead_letters: letters.collect(),
    }))
}

/// `GET /dead-letters/{dot}`.
pub(super) async fn one(
    State(shared): State<Shared>,
    Path(dot): Path<String>,
) -> Answer<DeadLetter> {
    let row = letter(&shared, &dot).await?;
    let (entity, dot, stuck) = (row.entity, row.dot, row.code == STUCK);
    let fields = row.fields.clone();
    let read = move |view: View<'_>| {
        let waiting = match stuck {
            true => view.undecided_beside(entity, dot)?,
            false => view.refused_beside(entity, dot)?,
        };
        Ok((label_of(&view, (entity, &fields))?, waiting))
    };
    let (label, waiting) = shared.read(read).await?;
    Ok(Json(DeadLetter {
        label,
        waiting: Some(waiting),
        ..shown(&shared.node.status(), row)
    }))
}

/// `POST /dead-letters/{dot}/fix`: the same once more, with other values, in its place.
pub(super) async fn fix(
    State(shared): State<Shared>,
    Path(dot): Path<String>,
    Body(request): Body<FixRequest>,
) -> Answer<TxAnswer> {
    let row = open(letter(&shared, &dot).await?)?;
    let mut fields = row.fields.clone();
    for (name, value) in request.fields {
        match value {
            Value::Null => drop(fields.remove(&name)),
            // Handed back as it was shown: the number stays.
            Value::String(text) if name == receipt::FIELD && row.receipt == Some(text.clone()) => {}
            value => drop(fields.insert(name, value)),
        }
    }
    let op = op_of(&row);
    let is_new = request.new_id && op == Op::Create;
    let mutation = Mutation {
        entity: (!is_new).then_some(row.entity),
        entity_type: row.entity_type,
        op,
        fields,
        read: None,
        replaces: Some(row.dot),
    };
    write(&shared, request.actor, mutation).await
}

/// `POST /dead-letters/{dot}/discard`.
pub(super) async fn discard(
    State(shared): State<Shared>,
    Path(dot): Path<String>,
    Body(request): Body<DiscardRequest>,
) -> Answer<TxAnswer> {
    let row = open(letter(&shared, &dot).await?)?;
    let mutation = Mutation {
        entity_type: row.entity_type,
        entity: Some(row.entity),
        op: Op::Discard,
        fields: Map::from_iter([("reason".to_owned(), Value::String(request.reason))]),
        read: None,
        replaces: Some(row.dot),
    };
    write(&shared, request.actor, mutation).await
}

async fn write(shared: &Shared, actor: Option<String>, mutation: Mutation) -> Answer<TxAnswer> {
    let request = WriteRequest {
        actor: actor.unwrap_or_else(system_user),
        mutations: vec![mutation],
        together: false,
        skip_existing: false,
    };
    let written = shared.node.write(request).await?;
    Ok(Json(answer(written)))
}

async fn letter(shared: &Shared, text: &str) -> Result<DeadLetterRow, Refused> {
    let dot: Dot = text
        .parse()
        .map_err(|error: studiovault_protocol::id::IdError| {
            Refused::bad_request(
                "BAD_ID",
                error.to_string(),
                "correct the dot; a dot is as the list of dead letters shows it",
            )
        })?;
    let row = shared.read(move |view| view.dead_letter(dot)).await?;
    row.ok_or_else(|| {
        let next_step = "list the open dead letters";
        Refused::not_found("letter", next_step)
    })
}

/// A letter that nobody settled yet.
fn open(row: DeadLetterRow) -> Result<DeadLetterRow, Refused> {
    match &row.settled {
        None => Ok(row),
        Some(how) => Err(Refused::new(
            axum::http::StatusCode::CONFLICT,
            "ALREADY_SETTLED",
            format!("the letter was {how} already"),
            "see what became of it in the history of its entity",
        )),
    }
}

fn op_of(row: &DeadLetterRow) -> Op {
    match row.operation.as_str() {
        "void" => Op::Create,
        word => serde_json::from_value(Value::from(word)).unwrap_or(Op::Update),
    }
}

fn shown(status: &Status, mut row: DeadLetterRow) -> DeadLetter {
    if let (Some(printed), Some(field)) = (&row.receipt, row.fields.get_mut(receipt::FIELD)) {
        *field = printed.clone().into();
    }
    DeadLetter {
        dot: row.dot.to_string(),
        device: device_name(status, row.dot),
        op: op_of(&row),
        stuck: row.code == STUCK,
        entity: row.entity,
        entity_type: row.entity_type,
        fields: row.fields,
        code: row.code,
        detail: row.detail,
        ts: row.rejected_at,
        settled: row.settled,
        label: String::new(),
        waiting: None,
    }
}

/// What people would call a letter's entity; one that was never taken, by what it was to be.
fn label_of(
    view: &View<'_>,
    (entity, written): (EntityId, &Map<String, Value>),
) -> Result<String, StoreError> {
    let row = view.entity(entity)?;
    let named = row.as_ref().and_then(|row| named(&row.fields));
    let named = named.or_else(|| self::named(written));
    Ok(named.map_or_else(|| entity.to_string(), str::to_owned))
}
