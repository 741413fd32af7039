//! Which path leads where.
//!
//! Every route stands behind the guard and the body limit; one that is not listed in the OpenAPI document fails its test.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use studiovault_protocol::api::BODY_BYTES;
use tokio::sync::{Semaphore, watch};

use super::answer::Refused;
use super::guard::{self, Guard};
use super::told::Streams;
use super::{
    activity, audit, conflicts, doctor, events, letters, membership, metrics, openapi, pack,
    policy, pos, reads, subscribe, why, writes,
};
use crate::node::Node;
use crate::store::{StoreError, View};

/// Streams open at one time; each holds a receiver and a connection.
const STREAMS: usize = 64;

/// What every handler has.
#[derive(Clone)]
pub(super) struct Shared {
    /// The node.
    pub node: Node,
    /// True once the API stops.
    pub stopped: watch::Receiver<bool>,
    /// What live queries have told.
    pub told: Arc<Streams>,
    /// One permit a stream.
    pub streams: Arc<Semaphore>,
}

impl Shared {
    /// For one served API.
    pub fn new(node: Node, stopped: watch::Receiver<bool>) -> Self {
        let told = Arc::new(Streams::new(node.status().node.run.clone()));
        Self {
            node,
            stopped,
            told,
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    /// Asks the store on a thread that may block.
    pub async fn read<T, F>(&self, question: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnOnce(View<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let node = self.node.clone();
        let answer = tokio::task::spawn_blocking(move || node.reader().read(question)).await;
        let answer = answer.map_err(|error| {
            tracing::error!(%error, "a read broke off");
            Refused::broken()
        })?;
        answer.map_err(Refused::from)
    }
}

/// All routes behind one guard.
pub(super) fn router(shared: Shared, guard: Arc<Guard>) -> Router {
    let local = Router::new()
        .route("/status", get(reads::status))
        .route("/tx", post(writes::tx))
        .route("/network", post(writes::network))
        .route("/entities/{type}", get(reads::entities))
        .route("/entities/{type}/{id}", get(reads::entity))
        .route("/history/{id}", get(reads::history))
        .route("/why/{id}", get(why::why))
        .route("/doctor", get(doctor::doctor))
        .route("/activity", get(activity::activity))
        .route("/verify", post(activity::verify))
        .route("/pos/totals", get(pos::totals))
        .route("/quarantine", get(pos::quarantine))
        .route("/dead-letters", get(letters::list))
        .route("/dead-letters/{dot}", get(letters::one))
        .route("/dead-letters/{dot}/fix", post(letters::fix))
        .route("/dead-letters/{dot}/discard", post(letters::discard))
        .route("/login", post(writes::login))
        .route("/devices", get(reads::devices))
        .route("/devices/{id}/revoke", post(membership::revoke))
        .route("/devices/{id}/lost", post(membership::lost))
        .route("/devices/{id}/role", post(membership::role))
        .route("/retire", post(membership::retire))
        .route("/roster", get(membership::records).post(membership::signed))
        .route("/rekey", post(membership::rekey))
        .route("/venue", post(writes::venue))
        .route(
            "/telemetry",
            get(writes::telemetry).post(writes::set_telemetry),
        )
        .route(
            "/pairing",
            get(membership::invited).post(membership::invite),
        )
        .route("/pairing/words", post(membership::words))
        .route("/pairing/withdraw", post(membership::withdraw))
        .route("/policy", get(policy::show).put(policy::set))
        .route("/query", post(reads::query))
        .route("/subscribe", post(subscribe::subscribe))
        .route("/events", get(events::events))
        .route("/conflicts", get(conflicts::list))
        .route("/conflicts/{id}", get(conflicts::one))
        .route("/conflicts/{id}/ledger", get(conflicts::ledger))
        .route("/conflicts/{id}/resolve", post(conflicts::resolve))
        .route("/pack", post(pack::take))
        .route("/pack/made", post(pack::made))
        .route("/audit", get(audit::list))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document));
    Router::new()
        .nest(studiovault_protocol::api::PREFIX, local)
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
        .fallback(async || Refused::not_found("path", "see /openapi.json for the paths there are"))
        .method_not_allowed_fallback(async || {
            Refused::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "WRONG_METHOD",
                "the path is there, but not for this method",
                "see /openapi.json for the methods there are",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(shared)
}
