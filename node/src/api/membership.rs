//! Who belongs: invites and the places of devices. Nothing secret is ever in an answer but the code of an invite.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use studiovault_protocol::api::{DevicePage, InviteRequest, InviteView, RoleRequest, WordsRequest};
use studiovault_protocol::engine::{ChangeRefused, RosterChange};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::SignedRecord;

use super::answer::{Answer, Body, Refused};
use super::reads;
use super::routes::Shared;
use crate::node::MembershipError;
use crate::pairing::InviteError;
use crate::wording::parted;

/// `GET /pairing`.
pub(super) async fn invited(State(shared): State<Shared>) -> Answer<InviteView> {
    let view = shared.node.invited();
    view.map(Json)
        .ok_or_else(|| Refused::not_found("invite", "show one with `studiovault invite`"))
}

/// `POST /pairing`.
pub(super) async fn invite(
    State(shared): State<Shared>,
    Body(request): Body<InviteRequest>,
) -> Answer<InviteView> {
    Ok(Json(shared.node.invite(request).await?))
}

/// `POST /pairing/words`.
pub(super) async fn words(
    State(shared): State<Shared>,
    Body(request): Body<WordsRequest>,
) -> Answer<InviteView> {
    Ok(Json(shared.node.say_words(&request.words).await?))
}

/// `POST /pairing/withdraw`.
pub(super) async fn withdraw(State(shared): State<Shared>) -> Answer<InviteView> {
    shared.node.withdraw_invite();
    invited(State(shared)).await
}

/// `POST /devices/{id}/revoke`.
pub(super) async fn revoke(
    State(shared): State<Shared>,
    Path(device): Path<String>,
) -> Answer<DevicePage> {
    let change = RosterChange::Revoke(id(&device)?);
    shared.node.change(change).await?;
    Ok(reads::devices(State(shared)).await)
}

/// `POST /devices/{id}/lost`.
pub(super) async fn lost(
    State(shared): State<Shared>,
    Path(device): Path<String>,
) -> Answer<DevicePage> {
    let change = RosterChange::Lose(id(&device)?);
    shared.node.change(change).await?;
    Ok(reads::devices(State(shared)).await)
}

/// `POST /devices/{id}/role`.
pub(super) async fn role(
    State(shared): State<Shared>,
    Path(device): Path<String>,
    Body(request): Body<RoleRequest>,
) -> Answer<DevicePage> {
    shared.node.set_role(id(&device)?, &request).await?;
    Ok(reads::devices(State(shared)).await)
}

/// `GET /roster`: every signed record.
pub(super) async fn records(State(shared): State<Shared>) -> Json<Vec<SignedRecord>> {
    Json(shared.node.roster().records().cloned().collect())
}

/// `POST /roster`: a record that the root key signed.
pub(super) async fn signed(
    State(shared): State<Shared>,
    Body(record): Body<SignedRecord>,
) -> Answer<DevicePage> {
    let change = RosterChange::Signed(Box::new(record));
    shared.node.change(change).await?;
    Ok(reads::devices(State(shared)).await)
}

/// `POST /rekey`.
pub(super) async fn rekey(State(shared): State<Shared>) -> Answer<serde_json::Value> {
    shared.node.rekey().await?;
    Ok(Json(serde_json::json!({"rekeyed": true})))
}

/// `POST /retire`.
pub(super) async fn retire(State(shared): State<Shared>) -> Answer<DevicePage> {
    shared.node.change(RosterChange::Retire).await?;
    Ok(reads::devices(State(shared)).await)
}

fn id(text: &str) -> Result<DeviceId, Refused> {
    text.parse().map_err(|_| {
        Refused::not_found("machine", "`studiovault devices` lists them with their ids")
    })
}

impl From<MembershipError> for Refused {
    fn from(error: MembershipError) -> Self {
        let (status, code) = match &error {
            MembershipError::Refused(ChangeRefused::NotAdmin) => {
                (StatusCode::FORBIDDEN, "NOT_ADMIN")
            }
            MembershipError::Refused(ChangeRefused::NoSuchDevice) => {
                (StatusCode::NOT_FOUND, "NOT_FOUND")
            }
            MembershipError::Refused(ChangeRefused::LastAdmin) => {
                (StatusCode::CONFLICT, "LAST_ADMIN")
            }
            MembershipError::Refused(ChangeRefused::NameTaken(_)) => {
                (StatusCode::CONFLICT, "NAME_TAKEN")
            }
            MembershipError::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"),
            MembershipError::Invite(InviteError::WrongWords) => {
                (StatusCode::FORBIDDEN, "WRONG_WORDS")
            }
            MembershipError::Invite(InviteError::NobodyWaits) => {
                (StatusCode::CONFLICT, "NOBODY_WAITS")
            }
            MembershipError::Invite(InviteError::Port(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "NO_PORT")
            }
            MembershipError::Offline => (StatusCode::CONFLICT, "OFFLINE"),
            MembershipError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "STOPPING"),
        };
        let text = error.to_string();
        let (detail, next_step) = parted(&text);
        Self::new(status, code, detail, next_step.unwrap_or("try again"))
    }
}
