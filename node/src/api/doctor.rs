//! The doctor's page.

use axum::Json;
use axum::extract::State;
use studiovault_protocol::api::DoctorView;

use super::routes::Shared;

/// `GET /doctor`; takes a few seconds.
pub(super) async fn doctor(State(shared): State<Shared>) -> Json<DoctorView> {
    Json(shared.node.examine().await)
}
