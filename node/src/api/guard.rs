//! Who may ask: programs of this machine that can read the token file, and no web page.
//!
//! A page in a browser can reach loopback ports and, by DNS rebinding, under a name of its own: so the one Host must be ours, whatever
//! only a browser sends is refused whatever it says, and no CORS header is ever sent. The token is asked for on the Unix socket too:
//! one rule for every way in, and a socket whose mode somebody loosened gives nothing away. A refused connection is closed.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;

/// Headers that a browser adds by itself and programs do not send.
const OF_BROWSERS: [HeaderName; 3] = [
    ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("access-control-request-method"),
];

/// What a request must show.
#[derive(Debug)]
pub(super) struct Guard {
    token: String,
    /// `None` on the Unix socket, which no browser reaches.
    hosts: Option<Vec<String>>,
}

impl Guard {
    /// For requests that come over loopback to this port.
    pub fn loopback(token: &str, port: u16) -> Self {
        let names = ["127.0.0.1", "localhost", "[::1]"];
        Self {
            token: token.to_owned(),
            hosts: Some(names.map(|name| format!("{name}:{port}")).into()),
        }
    }

    /// For requests that come over the Unix socket.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such socket"))]
    pub fn socket(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            hosts: None,
        }
    }

    fn check(&self, parts: &Parts) -> Result<(), Refused> {
        self.check_host(parts)?;
        let headers = &parts.headers;
        if OF_BROWSERS.iter().any(|name| headers.contains_key(name)) {
            return Err(Refused::new(
                StatusCode::FORBIDDEN,
                "WEB_PAGE",
                "web pages may not use the local API",
                "ask from a program of this machine",
            ));
        }
        let shown = only(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if !shown.is_some_and(|shown| same(shown.as_bytes(), self.token.as_bytes())) {
            return Err(Refused::new(
                StatusCode::UNAUTHORIZED,
                "NO_TOKEN",
                "the request shows no valid token",
                "send `Authorization: Bearer` with what api.token in the data folder holds",
            ));
        }
        let is_json = only(headers, &CONTENT_TYPE)
            .is_some_and(|kind| kind.split(';').next().map(str::trim) == Some("application/json"));
        let changes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
        if changes && !is_json {
            return Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "NOT_JSON",
                "only JSON is taken",
                "send `Content-Type: application/json`",
            ));
        }
        Ok(())
    }

    /// The host in the header, and the one in the address if it names one, are ours.
    fn check_host(&self, parts: &Parts) -> Result<(), Refused> {
        let Some(hosts) = &self.hosts else {
            return Ok(());
        };
        let is_ours = |host: &str| hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
        let named = parts.uri.authority().map(|authority| authority.as_str());
        let told = only(&parts.headers, &HOST);
        let missing = told.is_none() && parts.headers.contains_key(HOST);
        let either = told.or(named);
        if !missing && either.is_some() && told.is_none_or(is_ours) && named.is_none_or(is_ours) {
            return Ok(());
        }
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            "FOREIGN_HOST",
            "the request names another host",
            "ask 127.0.0.1 with the port in api.json",
        ))
    }
}

/// The value of a header that is there once and is text.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Compares in a time that does not tell how much is right.
fn same(shown: &[u8], token: &[u8]) -> bool {
    shown.len() == token.len()
        && shown
            .iter()
            .zip(token)
            .fold(0, |different, (a, b)| different | (a ^ b))
            == 0
}

/// Lets a request through or answers for the handlers.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    match guard.check(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refused) => {
            let mut response = refused.into_response();
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
            response
        }
    }
}
