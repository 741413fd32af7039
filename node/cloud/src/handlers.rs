//! The routes, and what every one of them needs: who asks, for which studio, and a thread that may wait for the disk.

mod access;
mod logs;
mod meta;
mod plain;
mod studios;
mod sync;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use tokio::sync::watch;

use crate::body::WIRE_BYTES;
use crate::problem::Problem;
use crate::truth::Truth;

/// What every request can reach.
#[derive(Clone)]
pub struct App {
    /// The cloud truth.
    pub truth: Arc<Truth>,
    /// Turns true when the server stops: nobody waits any longer.
    pub closing: watch::Receiver<bool>,
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
    let routes = Router::new()
        .route("/ping", get(meta::ping))
        .route("/meta", get(meta::meta))
        .route("/health", get(meta::health))
        .route("/studios", post(studios::enrol))
        .route("/studios/{id}/summary", get(studios::summary))
        .route("/studios/{id}/roster", get(studios::roster))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/sync/batch", post(sync::batch))
        .route("/sync/changes", get(plain::changes).post(sync::changes))
        .route("/logs/{device}", get(logs::logs));
    Router::new()
        .nest("/v1", routes)
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            Problem::not_found("this address does not answer to this method")
        })
        .layer(DefaultBodyLimit::max(WIRE_BYTES))
        .with_state(app)
}
