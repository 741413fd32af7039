//! Problem documents (RFC 9457): what went wrong with a whole request, for programs by code and for people in words.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use studiovault_protocol::cloud::NONCE_HEADER;

use crate::issuer::IssuerError;
use crate::snapshots::SnapshotError;
use crate::store::StoreError;
use crate::studio::{BatchError, PlainError, TailError};
use crate::truth::EnrolError;

/// Every code that a problem can have.
pub const CODES: [&str; 24] = [
    "UNAUTHORISED",
    "PROOF_NEEDED",
    "FORBIDDEN",
    "DEVICE_REVOKED",
    "DEVICE_UNKNOWN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "MALFORMED",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "NOT_ACCEPTABLE",
    "POSITION_UNKNOWN",
    "BUSY",
    "TOO_MANY",
    "INTERNAL",
    "STORAGE_FULL",
    "STORE_AWAY",
    "FEED_BEHIND",
    "TAIL_REFUSED",
    "OTHER_ROOT",
    "NOT_ADMITTED",
    "WISH_UNPROVEN",
    "RANGE_UNSATISFIABLE",
    "OBJECTS_AWAY",
];

/// Why a request is not answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    next: &'static str,
    retry_after_s: Option<u32>,
    nonce: Option<String>,
    held: Option<u64>,
}

impl Problem {
    /// A problem with what to do next.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
        next: &'static str,
    ) -> Self {
        debug_assert!(CODES.contains(&code), "{code} is not in the contract");
        Self {
            status,
            code,
            detail: detail.into(),
            next,
            retry_after_s: None,
            nonce: None,
            held: None,
        }
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The server's database was put back to an earlier point.
    pub fn behind(held: u64, detail: impl Into<String>) -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "FEED_BEHIND",
            detail,
            "give the feed after `held` back with POST /v1/sync/tail; nothing is decided until then",
        );
        Self {
            held: Some(held),
            ..problem.retry_after(5)
        }
    }

    /// No token, or one that is not known.
    pub fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORISED",
            "this request carries no token that is valid here",
            "send `Authorization: Bearer` with a token of this server; sign in again",
        )
    }

    /// A machine's token without a proof, or with one that does not hold; here is the nonce for the next.
    pub fn unproven(nonce: String) -> Self {
        let problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "PROOF_NEEDED",
            "this token is for machines of the studio, and the request does not show which of them sends it",
            "sign the request with the machine's key and the nonce of this answer's `Studiovault-Nonce`",
        );
        Self {
            nonce: Some(nonce),
            ..problem
        }
    }

    /// An approval of a machine that has not shown whose it is, by somebody who does not say that they looked.
    pub fn unproven_wish() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "WISH_UNPROVEN",
            "no key of the studio's machines has signed this request: whoever knows the studio's id can send it under any name",
            "look whether the machine's own screen shows this code, then approve it with `unproven: true`",
        )
    }

    /// A proof by a machine that the studio's roster, as far as it is known here, does not name.
    pub fn unknown_device() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "DEVICE_UNKNOWN",
            "this machine is not in the studio's roster as it is known here",
            "bring the roster with PUT /v1/studios/{id}/roster",
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

    /// A range of bytes beyond the last.
    pub fn no_range(length: usize) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "RANGE_UNSATISFIABLE",
            format!("there are {length} bytes, and none of them are in the range"),
            "leave `Range` out, or ask for less",
        )
    }

    /// A method that an address does not answer to.
    pub fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "this address does not answer to this method",
            "GET /v1/openapi.json tells what it answers to",
        )
    }

    /// More at once than the server carries.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "BUSY",
            detail,
            "come again later",
        )
        .retry_after(5)
    }

    /// More than is kept for whoever has proved nothing.
    pub fn crowded(detail: impl Into<String>) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "TOO_MANY", detail, "come again later").retry_after(60)
    }

    /// Whether it is about a machine or a studio that is not known here.
    pub fn is_of_a_stranger(&self) -> bool {
        ["DEVICE_UNKNOWN", "NOT_FOUND"].contains(&self.code)
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
        let mut body = json!({
            "type": format!("urn:studiovault:problem:{}", self.code),
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "next": self.next,
        });
        if let Some(held) = self.held {
            body["held"] = held.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(nonce) = self.nonce.and_then(|nonce| nonce.parse().ok()) {
            headers.insert(NONCE_HEADER, nonce);
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
            StoreError::Away(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "STORE_AWAY",
                "the server's database is away or busy; nothing of this request was taken, unless it was taken whole",
                "keep everything and send it again",
            )
            .retry_after(2),
            _ => Self::internal(),
        }
    }
}

impl From<SnapshotError> for Problem {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::NotEnrolled => Self::not_found(error.to_string()),
            SnapshotError::Behind => Self::busy(error.to_string()),
            SnapshotError::Store(error) => error.into(),
            SnapshotError::Objects(error) => {
                tracing::error!(%error, "the place of the snapshots refused a request");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "OBJECTS_AWAY",
                    "the place where snapshots are kept is away, full or refuses; all else goes on",
                    "ask again later; whoever runs the server finds more in its log",
                )
                .retry_after(30)
            }
            SnapshotError::TooLarge | SnapshotError::Broken => {
                tracing::error!(%error, "a snapshot could not be made");
                Self::internal()
            }
        }
    }
}

impl From<IssuerError> for Problem {
    fn from(error: IssuerError) -> Self {
        match error {
            IssuerError::Refused(_) => Self {
                detail: error.to_string(),
                ..Self::unauthorised()
            },
            IssuerError::Away(_) => Self::busy(error.to_string()),
        }
    }
}

impl From<BatchError> for Problem {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::TooMany(_) => Self::too_large(error.to_string()),
            BatchError::Asks => Self::malformed(error.to_string()),
            BatchError::Behind { held, .. } => Self::behind(held, error.to_string()),
            BatchError::ShutOut => Self::shut_out(),
            BatchError::Store(error) => error.into(),
        }
    }
}

impl From<TailError> for Problem {
    fn from(error: TailError) -> Self {
        match error {
            TailError::ShutOut => Self::shut_out(),
            TailError::Store(error) => error.into(),
            TailError::Foreign
            | TailError::Elsewhere(_)
            | TailError::Incomplete
            | TailError::Mismatch => Self::new(
                StatusCode::CONFLICT,
                "TAIL_REFUSED",
                error.to_string(),
                "nothing was changed; ask anew where the feed ends",
            ),
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
            PlainError::Behind(held) => Self::behind(held, error.to_string()),
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
