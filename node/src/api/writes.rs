//! Writes: a list of mutations that is durable when the answer goes out, and the switch of the LAN.
//!
//! The node validates; here texts only become types.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use studiovault_protocol::api::{
    BundleName, LoginRequest, MutationRequest, NetworkRequest, NetworkState, Status,
    TelemetryRequest, TelemetryView, TxAnswer, TxRequest, VenueRequest, vv_from_text,
};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::event::Network;
use studiovault_protocol::vector::Vector;

use super::answer::{Answer, Body, Refused};
use super::carried::{Edits, whole};
use super::pos;
use super::routes::Shared;
use crate::config::system_user;
use crate::driver::{WriteRequest, Written};
use crate::uplink::may_be_asked;

/// How long the switch of the LAN waits for the status to show it.
const SHOWN: Duration = Duration::from_secs(3);

/// `POST /tx`.
pub(super) async fn tx(
    State(shared): State<Shared>,
    Body(request): Body<TxRequest>,
) -> Answer<TxAnswer> {
    let mut mutations = Vec::with_capacity(request.mutations.len());
    for asked in request.mutations {
        mutations.push(whole(&shared, mutation(asked)?, &Edits::All).await?);
    }
    let entries: Vec<Mutation> = mutations
        .iter()
        .filter(|m| pos::follows(m))
        .cloned()
        .collect();
    let notes = match entries.is_empty() {
        true => Vec::new(),
        false => shared.read(move |view| pos::notes(&view, &entries)).await?,
    };
    let request = WriteRequest {
        actor: request.actor.unwrap_or_else(system_user),
        mutations,
        together: request.together,
        skip_existing: request.skip_existing,
    };
    let written = shared.node.write(request).await?;
    Ok(Json(TxAnswer {
        notes,
        ..answer(written)
    }))
}

/// `POST /login`.
pub(super) async fn login(
    State(shared): State<Shared>,
    Body(request): Body<LoginRequest>,
) -> Answer<serde_json::Value> {
    let token = request.token.trim().to_owned();
    let renewal = request.renewal;
    let refused = |detail: &str, next_step: &str| {
        Err(Refused::bad_request("VALIDATION_FAILED", detail, next_step))
    };
    if !is_token(&token) {
        let detail = "`token` takes 1 to 8192 plain characters";
        return refused(detail, "give the token as whoever hosts the cloud gave it");
    }
    if let Some(renewal) = &renewal {
        let told = [&renewal.refresh_token, &renewal.client_id];
        let others = renewal.resource.iter().chain(&renewal.endpoint);
        if !told.into_iter().chain(others).all(|text| is_token(text)) {
            let detail = "every part of `renewal` takes 1 to 8192 plain characters";
            return refused(detail, "sign in with `studiovault login`");
        }
        let place = renewal.endpoint.as_deref().map_or(Ok(()), may_be_asked);
        if let Err(error) = place {
            return refused(&error.to_string(), "sign in with `studiovault login`");
        }
    }
    let kept = shared.node.login(LoginRequest { token, renewal }).await;
    kept.map_err(|error| {
        Refused::new(
            StatusCode::CONFLICT,
            "NOT_KEPT",
            error.to_string(),
            "see the message",
        )
    })?;
    Ok(Json(serde_json::json!({"token": "kept"})))
}

/// Fits into a header.
fn is_token(text: &str) -> bool {
    (1..=8192).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `POST /network`.
pub(super) async fn network(
    State(shared): State<Shared>,
    Body(request): Body<NetworkRequest>,
) -> Answer<Status> {
    let mut events = shared.node.events();
    let network = match request.network {
        NetworkState::Online => Network::Online,
        NetworkState::Offline => Network::Offline,
    };
    shared.node.set_network(network).await.map_err(|error| {
        tracing::error!(%error, "the LAN could not be switched");
        Refused::broken()
    })?;
    // The status follows the switch; whoever asked sees it done.
    let shown = async {
        while shared.node.status().network != request.network {
            // Whatever it says, and if events were missed: look again.
            let _ = events.recv().await;
        }
    };
    let _ = tokio::time::timeout(SHOWN, shown).await;
    Ok(Json(Status::clone(&shared.node.status())))
}

/// `POST /venue`.
pub(super) async fn venue(
    State(shared): State<Shared>,
    Body(request): Body<VenueRequest>,
) -> Answer<Status> {
    shared
        .node
        .set_venue(request.venue)
        .await
        .map_err(|error| {
            let next_step = "see the message, then try again";
            Refused::new(
                StatusCode::CONFLICT,
                "NOT_KEPT",
                error.to_string(),
                next_step,
            )
        })?;
    Ok(Json(Status::clone(&shared.node.status())))
}

/// `GET /telemetry`.
pub(super) async fn telemetry(State(shared): State<Shared>) -> Answer<TelemetryView> {
    let node = shared.node.clone();
    let view = tokio::task::spawn_blocking(move || node.telemetry()).await;
    let view = view.map_err(|_| Refused::broken())?;
    Ok(Json(view?))
}

/// `POST /telemetry`.
pub(super) async fn set_telemetry(
    State(shared): State<Shared>,
    Body(request): Body<TelemetryRequest>,
) -> Answer<TelemetryView> {
    let set = shared.node.set_telemetry(request.state).await;
    set.map_err(|error| {
        let (told, next_step) = (error.to_string(), "see the message, then try again");
        Refused::new(StatusCode::CONFLICT, "NOT_KEPT", told, next_step)
    })?;
    telemetry(State(shared)).await
}

fn mutation(request: MutationRequest) -> Result<Mutation, Refused> {
    Ok(Mutation {
        entity_type: request.entity_type,
        entity: request.id,
        op: request.op,
        fields: request.fields,
        read: request.read.as_deref().map(read_token).transpose()?,
        replaces: None,
    })
}

/// A read token as it came back.
pub(super) fn read_token(text: &str) -> Result<Vector, Refused> {
    vv_from_text(text).ok_or_else(|| {
        Refused::bad_request(
            "BAD_READ_TOKEN",
            "this is no read token that a node handed out",
            "hand back the `vv` of the entity or conflict as it was read, or leave it out",
        )
    })
}

/// What a durable write is told as.
pub(super) fn answer(written: Written) -> TxAnswer {
    TxAnswer {
        bundle: written.bundle.map(|(author, first, last)| BundleName {
            first: author.at(first).to_string(),
            last: author.at(last).to_string(),
        }),
        ids: written.ids,
        receipts: written.receipts,
        skipped: written.skipped,
        notes: Vec::new(),
        vv: written.vv,
    }
}
