//! Reading an answer: within bounds, and if it is none, whose fault that is.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use super::{ANSWER_BYTES, UplinkError, unreachable};

/// Sorts answers that are none.
pub(super) async fn check(response: Response) -> Result<Response, UplinkError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let seconds = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok());
    let retry_after =
        Duration::from_secs(seconds.and_then(|s| s.parse().ok()).unwrap_or(0).min(3600));
    let body = bounded(response).await.unwrap_or_default();
    let problem: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let detail = problem
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    let detail: String = detail
        .unwrap_or(status.as_str())
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    let code = problem
        .as_ref()
        .and_then(|problem| problem["code"].as_str());
    let held = problem
        .as_ref()
        .and_then(|problem| problem["held"].as_u64());
    if let (StatusCode::SERVICE_UNAVAILABLE, Some(held)) = (status, held) {
        return Err(UplinkError::Behind { held, detail });
    }
    Err(match status {
        StatusCode::FORBIDDEN if code == Some("DEVICE_UNKNOWN") => UplinkError::Unknown(detail),
        StatusCode::FORBIDDEN if code == Some("DEVICE_REVOKED") => UplinkError::ShutOut,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => UplinkError::Unauthorised(detail),
        StatusCode::NOT_FOUND if code == Some("NOT_FOUND") => UplinkError::Missing(detail),
        StatusCode::PAYLOAD_TOO_LARGE => UplinkError::TooLarge,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            UplinkError::Busy {
                retry_after,
                detail,
            }
        }
        StatusCode::INTERNAL_SERVER_ERROR => UplinkError::Broken(detail),
        status if status.is_server_error() => UplinkError::Busy {
            retry_after,
            detail,
        },
        _ => UplinkError::Nonsense(detail),
    })
}

pub(super) async fn json<A: DeserializeOwned>(response: Response) -> Result<A, UplinkError> {
    let body = bounded(response).await?;
    serde_json::from_slice(&body).map_err(|_| UplinkError::Nonsense("not the expected JSON".into()))
}

/// Reads a body up to [`ANSWER_BYTES`].
pub(in crate::uplink) async fn bounded(response: Response) -> Result<Vec<u8>, UplinkError> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(unreachable)?);
        if body.len() > ANSWER_BYTES {
            return Err(UplinkError::Nonsense("an answer over 8 MiB".into()));
        }
    }
    Ok(body)
}
