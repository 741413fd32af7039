//! Reads: the status, entities with where each stands, history, machines, SQL.
//!
//! Rows come from the store as they are; only where a record stands is judged here, from the row and the status.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;
use studiovault_protocol::api::{
    DEFAULT_ROWS, DevicePage, EntityPage, EntityView, HistoryPage, HistoryRow, PAGE_ROWS,
    QueryAnswer, QueryRequest, Status, SyncState, vv_from_text, vv_text,
};
use studiovault_protocol::author::capitalised;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::policy::{Policy, PolicyShelf, TypeRule, Warning};
use studiovault_protocol::receipt;
use studiovault_protocol::value::ValueKind;
use studiovault_protocol::vector::Vector;

use super::answer::{Answer, Asked, Body, Refused};
use super::conflicts::ledger_lines;
use super::routes::Shared;
use super::writes::read_token;
use crate::runner::Holders;
use crate::store::{Deleted, EntityRow, Listing, StoreError, View};

/// How long a question waits for the write that it names.
const AT_LEAST: Duration = Duration::from_secs(5);

/// The query part of an address.
pub(super) type Parameters = BTreeMap<String, String>;

/// `GET /status`.
pub(super) async fn status(State(shared): State<Shared>) -> Json<Status> {
    let status = shared.node.status_now().await;
    Json(Status::clone(&status))
}

/// `GET /devices`.
pub(super) async fn devices(State(shared): State<Shared>) -> Json<DevicePage> {
    let devices = shared.node.members();
    Json(DevicePage { devices })
}

/// `GET /entities/{type}/{id}`; a deleted one is shown as that.
pub(super) async fn entity(
    State(shared): State<Shared>,
    Path((entity_type, id)): Path<(String, String)>,
    Asked(parameters): Asked<Parameters>,
) -> Answer<EntityView> {
    let id = entity_id(&id)?;
    known_type(&entity_type, shared.node.policies().in_force())?;
    at_least(&shared, &parameters).await?;
    let row = shared.read(move |view| view.entity(id)).await?;
    let row = row.filter(|row| row.entity_type == entity_type);
    let missing = || {
        let next_step = "list what there is of that type";
        Refused::not_found(&format!("{entity_type:.64}"), next_step)
    };
    let standing = Standing::of(&shared);
    Ok(Json(standing.view(row.ok_or_else(missing)?)))
}

/// `GET /entities/{type}?limit=&after=&field.NAME=VALUE&deleted=&conflict=&at_least=`.
pub(super) async fn entities(
    State(shared): State<Shared>,
    Path(entity_type): Path<String>,
    Asked(parameters): Asked<Parameters>,
) -> Answer<EntityPage> {
    let policies = shared.node.policies();
    let listing = listing(entity_type, &parameters, policies.in_force())?;
    at_least(&shared, &parameters).await?;
    let limit = listing.limit;
    // Before the rows are read: handed back as a context it must not cover what they do not show.
    let vv = shared.node.status().applied.clone();
    let mut rows = shared.read(move |view| view.entities(&listing)).await?;
    // One row more was asked for, to know whether another page follows.
    let more = rows.len() >= limit;
    rows.truncate(limit - 1);
    let next = more.then(|| rows.last().map(|row| row.id)).flatten();
    let standing = Standing::of(&shared);
    Ok(Json(EntityPage {
        entities: rows.into_iter().map(|row| standing.view(row)).collect(),
        next,
        vv,
    }))
}

fn listing(
    entity_type: String,
    parameters: &Parameters,
    policy: &Policy,
) -> Result<Listing, Refused> {
    let rules = known_type(&entity_type, policy)?;
    let mut filter = Vec::new();
    for (name, text) in parameters {
        let Some(field) = name.strip_prefix("field.") else {
            if ["limit", "after", "at_least", "deleted", "conflict"].contains(&name.as_str()) {
                continue;
            }
            let detail = format!("`{name:.64}` is no parameter");
            let next_step =
                "use limit, after, at_least, deleted, conflict, and field.NAME for filters";
            return Err(Refused::bad_request("UNKNOWN_PARAMETER", detail, next_step));
        };
        let Some(rule) = rules.field(field) else {
            let known: Vec<&str> = rules.fields.keys().map(String::as_str).collect();
            let detail = format!("{entity_type} has no field `{field:.64}`");
            let next_step = format!("use one of {}", known.join(", "));
            return Err(Refused::bad_request("UNKNOWN_FIELD", detail, &next_step));
        };
        let value = match rule.kind {
            ValueKind::Int => text.parse::<i64>().ok().map(Value::from),
            ValueKind::Bool => text.parse::<bool>().ok().map(Value::from),
            _ => Some(Value::from(text.as_str())),
        };
        let wrong = || {
            let detail = format!("`{field}` takes {}", rule.kind.word());
            Refused::bad_request("VALIDATION_FAILED", detail, "correct the filter")
        };
        filter.push((field.to_owned(), value.ok_or_else(wrong)?));
    }
    let after = parameters
        .get("after")
        .map(|text| entity_id(text))
        .transpose()?;
    let limit = match parameters.get("limit").map(|text| text.parse::<usize>()) {
        None => DEFAULT_ROWS,
        Some(Ok(limit)) if (1..=PAGE_ROWS).contains(&limit) => limit,
        Some(_) => {
            let detail = format!("`limit` takes 1 to {PAGE_ROWS}");
            return Err(Refused::bad_request(
                "VALIDATION_FAILED",
                detail,
                "ask for the rest page by page",
            ));
        }
    };
    let (deleted, conflict) = states(parameters)?;
    Ok(Listing {
        entity_type,
        filter,
        deleted,
        conflict,
        after,
        limit: limit + 1,
    })
}

/// The rules of a type that the policy in force has.
fn known_type<'p>(name: &str, policy: &'p Policy) -> Result<&'p TypeRule, Refused> {
    policy.entity_type(name).ok_or_else(|| {
        let known: Vec<&str> = policy.types().keys().map(String::as_str).collect();
        let detail = format!("the policy has no type `{name:.64}`");
        let next_step = format!("use one of {}", known.join(", "));
        Refused::new(StatusCode::NOT_FOUND, "UNKNOWN_TYPE", detail, &next_step)
    })
}

/// Whether deleted ones, and which by their conflicts.
fn states(parameters: &Parameters) -> Result<(Deleted, Option<bool>), Refused> {
    let wrong = |name: &str, words: &str| {
        let detail = format!("`{name}` takes {words}");
        Refused::bad_request("VALIDATION_FAILED", detail, "correct the filter")
    };
    let deleted = match parameters.get("deleted").map(String::as_str) {
        None | Some("false") => Deleted::No,
        Some("true") => Deleted::Yes,
        Some("any") => Deleted::Any,
        Some(_) => return Err(wrong("deleted", "true, false or any")),
    };
    let conflict = match parameters.get("conflict").map(|text| text.parse::<bool>()) {
        None => None,
        Some(Ok(flag)) => Some(flag),
        Some(Err(_)) => return Err(wrong("conflict", "true or false")),
    };
    Ok((deleted, conflict))
}

/// An id in an address.
pub(super) fn entity_id(text: &str) -> Result<EntityId, Refused> {
    text.parse()
        .map_err(|error: studiovault_protocol::id::IdError| {
            Refused::bad_request("BAD_ID", error.to_string(), "correct the id")
        })
}

/// Waits until what the question names is applied: how a program reads its own write.
async fn at_least(shared: &Shared, parameters: &Parameters) -> Result<(), Refused> {
    let Some(text) = parameters.get("at_least") else {
        return Ok(());
    };
    let asked = read_token(text)?;
    let mut events = shared.node.events();
    let applied = async {
        while !reached(&shared.node.applied(), &asked) {
            // Whatever it says, and if events were missed: look again.
            let _ = events.recv().await;
        }
    };
    tokio::time::timeout(AT_LEAST, applied).await.map_err(|_| {
        Refused::new(
            StatusCode::CONFLICT,
            "NOT_YET",
            "this machine has not applied all of what `at_least` names",
            "ask again in a moment, or leave `at_least` out to see what is here",
        )
    })
}

/// Whether every tip asked for is at or below one that is applied. Of another epoch of the same device the higher counter
/// is the later one, unless the device exists twice; then the answer may come early, which costs a glance.
fn reached(applied: &str, asked: &Vector) -> bool {
    let applied = vv_from_text(applied).unwrap_or(Vector::EMPTY);
    asked.tips().iter().all(|tip| {
        applied
            .tips()
            .iter()
            .any(|have| have.author.device == tip.author.device && have.counter >= tip.counter)
    })
}

/// Where records stand, as far as this machine knows.
pub(super) struct Standing {
    pub status: std::sync::Arc<Status>,
    pub holders: std::sync::Arc<Holders>,
    policies: std::sync::Arc<PolicyShelf>,
}

impl Standing {
    pub fn of(shared: &Shared) -> Self {
        Self {
            status: shared.node.status(),
            holders: shared.node.holders(),
            policies: shared.node.policies(),
        }
    }

    fn view(&self, mut row: EntityRow) -> EntityView {
        // One spelling of a receipt wherever a person meets it: the one on the paper.
        if let (Some(printed), Some(field)) = (&row.receipt, row.fields.get_mut(receipt::FIELD)) {
            *field = printed.clone().into();
        }
        EntityView {
            sync_state: self.sync_state(&row),
            deletion: deletion(&self.status, &row),
            warnings: self.warnings(&row),
            id: row.id,
            entity_type: row.entity_type,
            fields: row.fields,
            deleted: row.deleted,
            receipt: row.receipt,
            voided: row.voided,
            corrections_cents: row.corrections_cents,
            conflict: row.conflict,
            proposed: row.proposed,
            needs_newer_version: row.opaque,
            vv: vv_text(&row.vv),
        }
    }

    /// What is deleted, or cannot be read in full, is nobody's to correct.
    fn warnings(&self, row: &EntityRow) -> Vec<Warning> {
        if row.deleted || row.opaque {
            return Vec::new();
        }
        let rules = self.policies.in_force().entity_type(&row.entity_type);
        rules.map_or_else(Vec::new, |rules| rules.warnings(&row.fields))
    }

    pub fn sync_state(&self, row: &EntityRow) -> SyncState {
        if row.conflict || row.fixing {
            return SyncState::NeedsFixing;
        }
        if row.rejected {
            return SyncState::Rejected;
        }
        if row.confirmed {
            return SyncState::Confirmed;
        }
        let status = &self.status;
        let holders: Vec<_> = self.holders.of(&row.vv).collect();
        if let Some(gateway) = status.gateway.as_ref().filter(|_| status.cloud.configured)
            && (gateway.device == status.node.device || holders.contains(&gateway.device))
        {
            return SyncState::WithGateway;
        }
        match holders.len() {
            0 => SyncState::SavedHere,
            n => SyncState::OnMachines {
                n: u32::try_from(n + 1).unwrap_or(u32::MAX),
                m: status.copies.machines,
            },
        }
    }
}

/// Who deleted something, as a sentence for whoever looks for it.
pub(super) fn deletion(status: &Status, row: &EntityRow) -> Option<String> {
    let (dot, collected) = row.tombstone?;
    let what = capitalised(&row.entity_type);
    let mut sentence = if dot.author.device == status.node.device {
        format!("{what} was deleted on this machine")
    } else {
        format!(
            "{what} was deleted remotely, by {}",
            device_name(status, dot)
        )
    };
    if collected {
        sentence += "; its content is gone, since that was more than 90 days ago";
    }
    Some(sentence)
}

/// `GET /history/{id}`.
pub(super) async fn history(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Answer<HistoryPage> {
    let entity = entity_id(&id)?;
    let read = move |view: View<'_>| Ok((view.history(entity)?, view.ledger_of(entity)?));
    let (entries, ledger) = shared.read(read).await?;
    if entries.is_empty() {
        return Err(Refused::not_found(
            "entity",
            "check the id; nothing was ever written to it here",
        ));
    }
    let status = shared.node.status();
    let rows = entries.into_iter().map(|entry| HistoryRow {
        dot: entry.dot.to_string(),
        device: device_name(&status, entry.dot),
        actor: entry.actor,
        op: entry.op,
        fields: entry.fields,
        ts: entry.ts,
        verdict: entry
            .ruling
            .as_ref()
            .map_or("tentative", |ruling| ruling.word)
            .to_owned(),
        code: entry
            .ruling
            .as_ref()
            .and_then(|ruling| Some(ruling.code?.word().to_owned())),
        position: entry.ruling.as_ref().map(|ruling| ruling.position),
        detail: entry
            .ruling
            .map(|ruling| ruling.why)
            .filter(|why| !why.is_empty()),
    });
    Ok(Json(HistoryPage {
        entity,
        rows: rows.collect(),
        ledger: ledger_lines(&status, ledger),
    }))
}

/// What people call the machine that wrote something; the cloud is a member, but none of the machines.
pub(super) fn device_name(status: &Status, dot: studiovault_protocol::id::Dot) -> String {
    let device = dot.author.device;
    let member = status.members.iter().find(|member| member.device == device);
    member.map_or_else(|| device.to_string(), |member| member.name.clone())
}

/// `POST /query`.
pub(super) async fn query(
    State(shared): State<Shared>,
    Body(request): Body<QueryRequest>,
) -> Answer<QueryAnswer> {
    run_query(&shared, request.sql, request.params)
        .await
        .map(Json)
}

/// Asks in SQL; a question that the store does not take is the asker's fault.
pub(super) async fn run_query(
    shared: &Shared,
    sql: String,
    params: Vec<Value>,
) -> Result<QueryAnswer, Refused> {
    let asked = shared.read(move |view| match view.query(&sql, &params) {
        Ok(rows) => Ok(Ok(rows)),
        Err(StoreError::Query(detail)) => Ok(Err(detail)),
        Err(error) => Err(error),
    });
    let rows = asked.await?.map_err(|detail| {
        let next_step = "ask one SELECT over the views app_<type>";
        Refused::bad_request("BAD_QUERY", detail, next_step)
    })?;
    Ok(QueryAnswer {
        columns: rows.columns,
        rows: rows.rows,
        truncated: rows.truncated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use studiovault_protocol::id::{Author, DeviceId, Epoch};

    #[test]
    fn a_later_epoch_of_a_device_has_reached_what_an_earlier_one_wrote() {
        let author = |epoch| Author {
            device: DeviceId([1; 16]),
            epoch: Epoch(epoch),
        };
        let one = |dot| Vector::from_tips(vec![dot]).expect("one tip");
        let applied = vv_text(&one(author(3).at(7)));
        assert!(reached(&applied, &one(author(9).at(7))));
        assert!(!reached(&applied, &one(author(3).at(8))));
        assert!(reached("0", &Vector::EMPTY));
        assert!(!reached("0", &one(author(3).at(1))));
    }

    #[test]
    fn a_listing_takes_known_fields_and_a_bounded_page() {
        let asked = |pairs: &[(&str, &str)]| {
            let parameters = pairs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()));
            let policy = Policy::default();
            listing("pos_order".into(), &parameters.collect(), &policy)
        };
        let found = asked(&[("field.items", "2"), ("limit", "10")]).expect("a listing");
        assert_eq!(found.filter, [("items".to_owned(), Value::from(2))]);
        for wrong in [
            ("field.shoe", "1"),
            ("field.items", "two"),
            ("limit", "0"),
            ("limit", "1001"),
            ("after", "x"),
            ("order", "y"),
            ("deleted", "maybe"),
            ("conflict", "any"),
        ] {
            assert!(asked(&[wrong]).is_err(), "{wrong:?}");
        }
        let policy = Policy::default();
        assert!(listing("spaceship".into(), &Parameters::new(), &policy).is_err());
    }
}
