//! Packs: one part at a time is taken in, and that one was made is noted. No path of this machine's disk is ever named here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use studiovault_protocol::api::{ExportRequest, PackRequest};
use studiovault_protocol::pack::{Part, Taken};

use super::answer::{Answer, Body, Refused};
use super::routes::Shared;
use crate::node::PackRefused;
use crate::wording::parted;

/// `POST /pack`.
pub(super) async fn take(
    State(shared): State<Shared>,
    Body(request): Body<PackRequest>,
) -> Answer<Taken> {
    let part = Part::decode(&request.part).map_err(|error| {
        let next_step = "send the parts of a pack as they stand in it, opened and unpacked";
        Refused::bad_request("MALFORMED", error.to_string(), next_step)
    })?;
    Ok(Json(shared.node.take_part(part).await?))
}

/// `POST /pack/made`.
pub(super) async fn made(
    State(shared): State<Shared>,
    Body(request): Body<ExportRequest>,
) -> Answer<serde_json::Value> {
    let label = Part::Label(request.label);
    let Ok(Part::Label(label)) = Part::decode(&label.encode()) else {
        let next_step = "name machines as the roster does";
        return Err(Refused::bad_request(
            "MALFORMED",
            "a name that cannot be shown",
            next_step,
        ));
    };
    shared.node.note_pack(&label);
    Ok(Json(serde_json::json!({"noted": true})))
}

impl From<PackRefused> for Refused {
    fn from(error: PackRefused) -> Self {
        let (status, code) = match error {
            PackRefused::OtherStudio => (StatusCode::UNPROCESSABLE_ENTITY, "OTHER_STUDIO"),
            PackRefused::NotKept => (StatusCode::INSUFFICIENT_STORAGE, "NOT_KEPT"),
            PackRefused::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "STOPPING"),
        };
        let text = error.to_string();
        let (detail, next_step) = parted(&text);
        Self::new(status, code, detail, next_step.unwrap_or("try again"))
    }
}
