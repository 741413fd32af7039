//! Problem documents (RFC 9457): what went wrong with a whole request, for programs by code and for people in words.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::StoreError;
use crate::studio::{BatchError, PlainError};
use crate::truth::EnrolError;

/// Why a request is not answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    next: &'static str,
    retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem with what to do next.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
        next: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            next,
            retry_after_s: None,
        }
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// No token, or one that is not known.
    pub fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORISED",
            "this request carries no token that is valid here",
            "send `Authorization: Bearer` with a token of this server; ask its admin for a new one",
        )
    }

    /// A valid token that does not reach so far.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            detail,
            "use a token of this studio with the scope that is needed",
        )
    }

    /// A device that no longer belongs to its studio.
    pub fn shut_out() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "DEVICE_REVOKED",
            "this machine no longer belongs to the studio",
            "ask an admin of the studio for an invite, and join anew with an empty folder",
        )
    }

    /// Something that is not here.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            detail,
            "check the address",
        )
    }

    /// A request that cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "MALFORMED",
            detail,
            "correct the request; GET /v1/meta tells versions and limits",
        )
    }

    /// More than a request may carry.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            detail,
            "send smaller batches; GET /v1/meta tells the limits",
        )
    }

    /// A form or an encoding that is not read here.
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            detail,
            "GET /v1/meta tells what is read",
        )
    }

    /// A position of a feed that is not this one.
    pub fn gone() -> Self {
        Self::new(
            StatusCode::GONE,
            "POSITION_UNKNOWN",
            "this token names no position of the studio's feed",
            "leave `since` out and take the feed from its beginning; keep what is pending",
        )
    }

    /// A bug.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL",
            "the server could not work on this request; nothing of it was taken",
            "send it again later; whoever runs the server finds more in its log",
        )
        .retry_after(5)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:studiovault:problem:{}", self.code),
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "next": self.next,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the database refused a request");
        match error {
            StoreError::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "STORAGE_FULL",
                "the server's disk is full; nothing of this request was taken",
                "keep everything and send it again later; whoever runs the server must free some space",
            )
            .retry_after(60),
            _ => Self::internal(),
        }
    }
}

impl From<BatchError> for Problem {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::TooMany(_) => Self::too_large(error.to_string()),
            BatchError::Asks => Self::malformed(error.to_string()),
            BatchError::Behind { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "FEED_BEHIND",
                error.to_string(),
                "keep everything; nothing is decided until the server has its own feed back",
            )
            .retry_after(60),
            BatchError::ShutOut => Self::shut_out(),
            BatchError::Store(error) => error.into(),
        }
    }
}

impl From<EnrolError> for Problem {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::OtherRoot => Self::new(
                StatusCode::CONFLICT,
                "OTHER_ROOT",
                error.to_string(),
                "nothing was changed",
            ),
            EnrolError::Malformed => Self::malformed(error.to_string()),
            EnrolError::Store(error) => error.into(),
        }
    }
}

impl From<PlainError> for Problem {
    fn from(error: PlainError) -> Self {
        match error {
            PlainError::TooMany(_) => Self::too_large(error.to_string()),
            PlainError::UnknownPosition => Self::gone(),
            PlainError::NotAdmitted => Self::new(
                StatusCode::CONFLICT,
                "NOT_ADMITTED",
                error.to_string(),
                "let a gateway of the studio synchronise once; it brings the record",
            ),
            PlainError::Store(error) => error.into(),
        }
    }
}
