//! Answers that are no success: every one a problem document with a code and the next step.
//!
//! What went wrong inside is logged here and told in general words; a stranger's input is never echoed at length.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use studiovault_protocol::api::{BODY_BYTES, Problem};

use crate::driver::WriteError;
use crate::store::StoreError;
use crate::wording::parted;

/// A body has this long to come, and a second more for so many of its bytes: whoever sends half of one and waits holds a place of
/// the API for seconds only.
const BODY: Duration = Duration::from_secs(10);
/// The least speed of a body; no program on this machine is slower.
const BODY_BYTES_A_SECOND: u64 = 256 * 1024;

/// What every handler returns.
pub(super) type Answer<T> = Result<Json<T>, Refused>;

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct Refused(pub Box<Problem>);

impl Refused {
    /// A refusal with its parts.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>, next_step: &str) -> Self {
        let problem = Problem::new(status.as_u16(), code, detail.into(), next_step);
        Self(Box::new(problem))
    }

    /// Nothing of that name here.
    pub fn not_found(what: &str, next_step: &str) -> Self {
        let detail = format!("there is no such {what} on this machine");
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail, next_step)
    }

    /// A question that cannot be read.
    pub fn bad_request(code: &str, detail: impl Into<String>, next_step: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail, next_step)
    }

    /// A thread of ours broke off.
    pub fn broken() -> Self {
        let next_step = "try again; if it happens again, look into the node's log and report it";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL",
            "the node broke on this request; nothing was changed",
            next_step,
        )
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status)
            .expect("every problem of ours carries a status of HTTP");
        let mut response = (status, Json(self.0)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refusal) => {
                let status = match refusal.code {
                    "ENTITY_NOT_FOUND" => StatusCode::NOT_FOUND,
                    "ALREADY_EXISTS" | "ENTITY_DELETED" => StatusCode::CONFLICT,
                    "TRANSACTION_TOO_LARGE" | "PAYLOAD_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                let (detail, next_step) = split_next_step(&refusal.detail);
                let problem = Problem::new(status.as_u16(), refusal.code, detail, &next_step);
                Self(Box::new(problem.at(refusal.field)))
            }
            WriteError::DiskFull(detail) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "DISK_FULL",
                detail,
                "make room on the disk that holds the data folder, then write again",
            ),
            WriteError::Store(detail) => {
                tracing::error!(detail, "a write failed in the store");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "STORE_FAILED",
                    detail,
                    "write again; if it fails again, stop the node and run `studiovault verify`",
                )
            }
            WriteError::Stopping => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "STOPPING",
                "the node is stopping",
                "start it again and write once more",
            ),
        }
    }
}

/// A refusal's detail reads "what; what to do".
fn split_next_step(detail: &str) -> (String, String) {
    let (what, next_step) = parted(detail);
    let next_step = next_step.unwrap_or("correct it and send it again");
    (what.to_owned(), next_step.to_owned())
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a read failed in the store");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "STORE_FAILED",
            error.to_string(),
            "try again; if it fails again, stop the node and run `studiovault verify`",
        )
    }
}

/// A JSON body, or a problem that says what is wrong with it.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        within(due(length), Json::<T>::from_request(request, state)).await
    }
}

/// How long a body of that length may take; one that does not say how long it is may be as long as any.
fn due(length: Option<u64>) -> Duration {
    let bytes = length.unwrap_or(u64::MAX).min(BODY_BYTES as u64);
    BODY + Duration::from_secs(bytes / BODY_BYTES_A_SECOND)
}

async fn within<T>(
    due: Duration,
    read: impl Future<Output = Result<Json<T>, JsonRejection>>,
) -> Result<Body<T>, Refused> {
    match tokio::time::timeout(due, read).await {
        Ok(Ok(Json(body))) => Ok(Body(body)),
        Ok(Err(rejection)) => Err(body_refused(&rejection)),
        Err(_) => Err(Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            "BODY_TOO_SLOW",
            "the body did not come in time",
            "send the whole body at once, then try again",
        )),
    }
}

fn body_refused(rejection: &JsonRejection) -> Refused {
    let detail: String = rejection.body_text().chars().take(400).collect();
    let (code, next_step) = match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            ("NOT_JSON", "send `Content-Type: application/json`")
        }
        JsonRejection::BytesRejection(_) => (
            "BODY_TOO_LARGE",
            "send at most 4 MiB; split a long list into several transactions",
        ),
        _ => ("MALFORMED", "correct the body; /openapi.json describes it"),
    };
    Refused::new(rejection.status(), code, detail, next_step)
}

/// The query part of the address, or a problem that says what is wrong with it.
pub(super) struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let asked = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        asked
            .map(|axum::extract::Query(asked)| Self(asked))
            .map_err(|rejection: QueryRejection| {
                Refused::bad_request(
                    "MALFORMED",
                    rejection.body_text().chars().take(400).collect::<String>(),
                    "correct the address; /openapi.json describes it",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body as Sent;
    use studiovault_protocol::author::Refusal;

    #[tokio::test]
    async fn a_body_that_does_not_come_holds_its_place_for_seconds() {
        let first = futures::stream::iter([Ok::<_, std::io::Error>("{\"a\":")]);
        let half = futures::StreamExt::chain(first, futures::stream::pending());
        let request = Request::post("/tx").header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Sent::from_stream(half)).expect("a request");
        let read = Json::<serde_json::Value>::from_request(request, &());
        let Err(Refused(problem)) = within(Duration::from_millis(30), read).await else {
            unreachable!("half of it is no JSON")
        };
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (408, "BODY_TOO_SLOW")
        );
        let most = due(Some(BODY_BYTES as u64)).as_secs();
        assert_eq!((due(Some(20)).as_secs(), most), (10, 26));
        for any in [None, Some(u64::MAX)] {
            assert_eq!(due(any).as_secs(), most);
        }
    }

    #[test]
    fn a_refused_write_tells_code_field_and_next_step() {
        let refusal = Refusal {
            code: "IMMUTABLE_FIELD",
            field: Some("customer_number".to_owned()),
            detail: "`customer_number` is set once; create another client".to_owned(),
        };
        let Refused(problem) = Refused::from(WriteError::Refused(refusal));
        assert_eq!(problem.status, 422);
        assert_eq!(problem.code, "IMMUTABLE_FIELD");
        assert_eq!(problem.field.as_deref(), Some("customer_number"));
        assert_eq!(problem.next_step, "create another client");
    }
}
