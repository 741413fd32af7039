//! What happened on all machines, and the proof of the store against itself.
//!
//! The proof runs on a copy of one moment, so that neither the node nor its applications wait for it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use studiovault_protocol::api::{
    ActivityPage, ActivityRow, DEFAULT_ROWS, PAGE_ROWS, SyncState, VerifyView,
};
use studiovault_protocol::vector::Vector;

use super::answer::{Answer, Asked, Refused};
use super::conflicts::label;
use super::reads::{Parameters, device_name};
use super::routes::Shared;
use crate::store::ActivityEntry;

/// `GET /activity?before=&limit=`.
pub(super) async fn activity(
    State(shared): State<Shared>,
    Asked(parameters): Asked<Parameters>,
) -> Answer<ActivityPage> {
    let before = number(&parameters, "before", (0, u64::MAX >> 1))?;
    let limit = number(&parameters, "limit", (1, PAGE_ROWS as u64))?;
    let limit = limit.map_or(DEFAULT_ROWS, |limit| {
        usize::try_from(limit).unwrap_or(PAGE_ROWS)
    });
    let (entries, next) = shared
        .read(move |view| view.activity(before, limit))
        .await?;
    let rows = entries.into_iter().map(|entry| row(&shared, entry));
    Ok(Json(ActivityPage {
        rows: rows.collect(),
        next,
    }))
}

fn number(
    parameters: &Parameters,
    name: &str,
    (least, most): (u64, u64),
) -> Result<Option<u64>, Refused> {
    let Some(text) = parameters.get(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => {
            let detail = format!("`{name}` takes {least} to {most}");
            let next_step = "correct the address, or leave it out";
            Err(Refused::bad_request("VALIDATION_FAILED", detail, next_step))
        }
    }
}

fn row(shared: &Shared, entry: ActivityEntry) -> ActivityRow {
    let status = shared.node.status();
    let sync_state = match entry.ruling.as_ref().map(|ruling| ruling.word) {
        Some("rejected") => SyncState::Rejected,
        Some(_) => SyncState::Confirmed,
        None => {
            let tip = Vector::from_tips(vec![entry.dot]).unwrap_or(Vector::EMPTY);
            let holders = shared.node.holders();
            let holders: Vec<_> = holders.of(&tip).collect();
            let gateway = status.gateway.as_ref().filter(|_| status.cloud.configured);
            let carried = gateway.is_some_and(|gateway| {
                gateway.device == status.node.device || holders.contains(&gateway.device)
            });
            match holders.len() {
                _ if carried => SyncState::WithGateway,
                0 => SyncState::SavedHere,
                n => SyncState::OnMachines {
                    n: u32::try_from(n + 1).unwrap_or(u32::MAX),
                    m: status.copies.machines,
                },
            }
        }
    };
    ActivityRow {
        device: device_name(&status, entry.dot),
        dot: entry.dot.to_string(),
        actor: entry.actor,
        op: entry.op,
        entity: entry.entity,
        entity_type: entry.entity_type,
        voided: entry.shown.as_ref().is_some_and(|row| row.voided),
        label: entry
            .shown
            .map_or_else(|| entry.entity.to_string(), |row| label(&row)),
        fields: entry.fields,
        ts: entry.ts,
        sync_state,
        code: entry
            .ruling
            .and_then(|ruling| Some(ruling.code?.word().to_owned())),
    }
}

/// `POST /verify`.
pub(super) async fn verify(State(shared): State<Shared>) -> Answer<VerifyView> {
    let node = shared.node.clone();
    let found = tokio::task::spawn_blocking(move || node.verify()).await;
    let found = found.map_err(|error| {
        tracing::error!(%error, "a check broke off");
        Refused::broken()
    })?;
    let found = found.map_err(|error| {
        Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "NOT_VERIFIED",
            format!("the store could not be checked: {error}"),
            "see that the disk has room for a second copy of the data folder, then try again",
        )
    })?;
    Ok(Json(found.into()))
}
