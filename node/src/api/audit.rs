//! The audit log: what was done to the studio at this machine. It can be read here and nothing else.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use studiovault_protocol::api::{AuditEntry, AuditPage, DEFAULT_ROWS, PAGE_ROWS, Status};

use super::answer::{Answer, Asked, Refused};
use super::routes::Shared;
use crate::store::{AuditKind, AuditQuestion, AuditRow};

/// What may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    kind: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// `GET /audit`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Asked(question): Asked<Question>,
) -> Answer<AuditPage> {
    if let Some(kind) = &question.kind
        && !AuditKind::ALL.iter().any(|known| known.word() == kind)
    {
        let words = AuditKind::ALL.map(AuditKind::word).join(", ");
        let next_step = format!("ask for one of {words}");
        return Err(Refused::bad_request(
            "MALFORMED",
            "`kind` names nothing that is kept",
            &next_step,
        ));
    }
    let limit = question.limit.unwrap_or(DEFAULT_ROWS).min(PAGE_ROWS);
    if limit == 0 {
        let detail = format!("`limit` takes 1 to {PAGE_ROWS}");
        let next_step = "ask for one line at least";
        return Err(Refused::bad_request("MALFORMED", detail, next_step));
    }
    let asked = AuditQuestion {
        kind: question.kind,
        before: question.before,
        limit,
    };
    let rows = shared.read(move |view| view.audit(&asked)).await?;
    let next = rows
        .last()
        .filter(|_| rows.len() == limit)
        .map(|row| row.id);
    let status = shared.node.status();
    let audit = rows.into_iter().map(|row| shown(&status, row)).collect();
    Ok(Json(AuditPage { audit, next }))
}

fn shown(status: &Status, row: AuditRow) -> AuditEntry {
    let named = row.device.map(|device| {
        let member = status.members.iter().find(|member| member.device == device);
        member.map_or_else(|| device.to_string(), |member| member.name.clone())
    });
    AuditEntry {
        id: row.id,
        at: row.at,
        kind: row.kind,
        by: named,
        actor: row.actor,
        what: row.what,
    }
}
