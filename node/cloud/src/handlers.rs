//! The routes, and what every one of them needs: who asks, for which studio, and a thread that may wait for the disk.

mod access;
mod asked;
mod conflicts;
mod events;
mod logs;
mod meta;
mod oauth;
mod plain;
mod routes;
mod snapshots;
mod studios;
mod sync;
mod telemetry;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::body::WIRE_BYTES;
use crate::contract::PREFIX;
use crate::issuer::Issuer;
use crate::metrics::{self, Metrics};
use crate::problem::Problem;
use crate::truth::Truth;

/// Streams of events open at one time.
pub const STREAMS: usize = 256;

/// What every request can reach.
#[derive(Clone)]
pub struct App {
    /// The cloud truth.
    pub truth: Arc<Truth>,
    /// Turns true when the server stops: nobody waits any longer.
    pub closing: watch::Receiver<bool>,
    /// What it counts of itself.
    pub metrics: Arc<Metrics>,
    /// One permit an open stream of events.
    pub streams: Arc<Semaphore>,
    /// An identity provider that is not ours, if there is one.
    pub issuer: Option<Arc<Issuer>>,
    /// How this server is spoken to, as it knows.
    pub scheme: &'static str,
}

impl App {
    /// Runs `work` where it may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Truth) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let truth = self.truth.clone();
        let done = tokio::task::spawn_blocking(move || work(&truth)).await;
        done.unwrap_or_else(|_| Err(Problem::internal()))
    }
}

/// All routes.
pub fn router(app: App) -> Router {
    let (routes, document) = routes::contract().finish();
    let document = Bytes::from(document.to_string());
    let served = async move || {
        (
            [(header::CONTENT_TYPE, "application/json")],
            document.clone(),
        )
    };
    let routes = routes.route("/openapi.json", get(served));
    Router::new()
        .nest(PREFIX, routes)
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || Problem::method())
        .layer(DefaultBodyLimit::max(WIRE_BYTES))
        .layer(from_fn_with_state(app.clone(), metrics::count))
        .with_state(app)
}
