//! The policy: the document in force with who signed it, and a person's next one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use studiovault_protocol::api::{PolicyName, PolicyRequest, PolicySignature, PolicyView};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::policy::SignedPolicy;

use super::answer::{Answer, Body, Refused};
use super::routes::Shared;
use crate::node::SetPolicyError;

/// `GET /policy`.
pub(super) async fn show(State(shared): State<Shared>) -> Json<PolicyView> {
    Json(view(&shared))
}

/// `PUT /policy`: signs the document and replicates it.
pub(super) async fn set(
    State(shared): State<Shared>,
    Body(request): Body<PolicyRequest>,
) -> Answer<PolicyView> {
    shared.node.set_policy(&request.document).await?;
    Ok(Json(view(&shared)))
}

fn view(shared: &Shared) -> PolicyView {
    let (policies, status) = (shared.node.policies(), shared.node.status());
    let name = |device: DeviceId| {
        let member = status.members.iter().find(|m| m.device == device);
        member.map_or_else(|| device.to_string(), |member| member.name.clone())
    };
    let named = |record: &SignedPolicy| PolicyName {
        version: record.version,
        hash: record.hash().to_string(),
        signed: Some(PolicySignature {
            device: record.by,
            name: name(record.by),
            at: record.at,
        }),
    };
    let (in_force, signed) = (policies.in_force(), policies.signed());
    let beside = policies
        .documents()
        .filter(|record| Some(*record) != signed);
    PolicyView {
        name: signed.map(named).unwrap_or(PolicyName {
            version: in_force.version(),
            hash: in_force.hash().to_string(),
            signed: None,
        }),
        document: in_force.text().to_owned(),
        beside: beside.map(named).collect(),
    }
}

impl From<SetPolicyError> for Refused {
    fn from(error: SetPolicyError) -> Self {
        match error {
            SetPolicyError::Refused(error) => {
                let detail = format!(
                    "line {}, column {}: {}",
                    error.line, error.column, error.reason
                );
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "POLICY_REFUSED",
                    detail,
                    &error.next_step,
                )
            }
            SetPolicyError::NotAdmin => Self::new(
                StatusCode::FORBIDDEN,
                "NOT_ADMIN",
                "this machine is no admin of the studio",
                "set the policy on one that is; `studiovault devices` lists them",
            ),
            SetPolicyError::NotKept => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "STORE_FAILED",
                "the policy could not be kept",
                "look at `studiovault status`, then set it again",
            ),
            SetPolicyError::Stopping => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "STOPPING",
                "the node is stopping",
                "start it and set the policy again",
            ),
        }
    }
}
