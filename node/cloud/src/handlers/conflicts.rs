//! Answers to conflicts from people without a machine of the studio: ordinary commands whose context is what they had read.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{CommandId, EntityId};
use studiovault_protocol::time::WallMs;

use super::App;
use super::access::{Asker, open};
use crate::body::{self, Raw};
use crate::clock::wall_now;
use crate::problem::Problem;
use crate::studio::{PlainBatch, PlainCommand};
use crate::tokens::Scope;

/// Body of `POST /v1/conflicts/resolve`.
#[derive(Deserialize)]
pub struct Resolutions {
    /// The position at which the conflicts were read.
    #[serde(default)]
    since: Option<String>,
    /// In order, at most 200.
    resolutions: Vec<Resolution>,
}

/// One answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resolution {
    id: CommandId,
    entity_id: EntityId,
    #[serde(default = "resolve")]
    operation: Op,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    ts: Option<WallMs>,
    #[serde(default)]
    read: Option<String>,
}

fn resolve() -> Op {
    Op::Resolve
}

/// Settles conflicts.
pub async fn resolve_all(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Response, Problem> {
    let person = asker.person(Scope::Sync)?.clone();
    body::json_form(&headers)?;
    let asked: Resolutions = body::plain(&body::inflate(&headers, raw)?)?;
    let settles = |op| matches!(op, Op::Resolve | Op::Restore | Op::Delete);
    for resolution in &asked.resolutions {
        if !settles(resolution.operation) {
            return Err(Problem::malformed(
                "a conflict is settled by `resolve`, `restore` or `delete`",
            ));
        }
        if resolution.read.is_none() && asked.since.is_none() {
            return Err(Problem::malformed(
                "a resolution says in `read` or `since` at which position its sides were read",
            ));
        }
    }
    let told = app
        .run(move |truth| {
            let studio = open(truth, person.studio)?;
            let mut commands = Vec::new();
            for resolution in asked.resolutions {
                let entity_type = studio.type_of(truth, resolution.entity_id)?;
                commands.push(PlainCommand {
                    id: resolution.id,
                    // What nobody created is refused with its code, whatever its type.
                    entity_type: entity_type.unwrap_or_else(|| "client".into()),
                    entity_id: Some(resolution.entity_id),
                    operation: resolution.operation,
                    fields: resolution.fields,
                    ts: resolution.ts,
                    read: resolution.read,
                });
            }
            let batch = PlainBatch {
                since: asked.since,
                commands,
            };
            let actor = format!("token {}", person.id);
            Ok(studio.take_plain(truth, &batch, (&actor, wall_now()))?)
        })
        .await?;
    Ok(body::answer_plain(&headers, &told))
}
