//! Who may ask: programs of this machine that can read the token file, and no web page.
//!
//! A page in a browser can reach loopback ports and, by DNS rebinding, under a name of its own: so the Host must be ours, an
//! Origin is refused whatever it says, and no CORS header is ever sent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;

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
    #[cfg(unix)]
    pub fn socket(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            hosts: None,
        }
    }

    fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
        let forbidden =
            |code, detail, next_step| Refused::new(StatusCode::FORBIDDEN, code, detail, next_step);
        if let Some(hosts) = &self.hosts {
            let host = headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok());
            if !host.is_some_and(|host| hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))) {
                return Err(forbidden(
                    "FOREIGN_HOST",
                    "the request names another host",
                    "ask 127.0.0.1 with the port in api.json",
                ));
            }
        }
        if headers.contains_key(header::ORIGIN) {
            return Err(forbidden(
                "WEB_PAGE",
                "web pages may not use the local API",
                "ask from a program of this machine",
            ));
        }
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if !shown.is_some_and(|shown| same(shown.as_bytes(), self.token.as_bytes())) {
            return Err(Refused::new(
                StatusCode::UNAUTHORIZED,
                "NO_TOKEN",
                "the request shows no valid token",
                "send `Authorization: Bearer` with what api.token in the data folder holds",
            ));
        }
        let is_json = headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.split(';').next().map(str::trim) == Some("application/json"));
        if method == Method::POST && !is_json {
            return Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "NOT_JSON",
                "only JSON is taken",
                "send `Content-Type: application/json`",
            ));
        }
        Ok(())
    }
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
    match guard.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn code(host: &str, origin: Option<&str>, token: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| text.parse().expect("a header");
        headers.insert(header::HOST, value(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, value(origin));
        }
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, value(&format!("Bearer {token}")));
        }
        let checked = Guard::loopback(TOKEN, 4100).check(&Method::GET, &headers);
        checked.err().map(|refused| refused.0.code)
    }

    #[test]
    fn only_our_hosts_without_origin_and_with_the_token_pass() {
        for host in [
            "127.0.0.1:4100",
            "localhost:4100",
            "LOCALHOST:4100",
            "[::1]:4100",
        ] {
            assert_eq!(code(host, None, Some(TOKEN)), None, "{host}");
        }
        let foreign = Some("FOREIGN_HOST".to_owned());
        for host in [
            "evil.example:4100",
            "127.0.0.1:80",
            "127.0.0.1",
            "localhost.evil.example:4100",
        ] {
            assert_eq!(code(host, None, Some(TOKEN)), foreign, "{host}");
        }
        let page = Some("WEB_PAGE".to_owned());
        for origin in ["http://evil.example", "http://127.0.0.1:4100", "null"] {
            assert_eq!(
                code("127.0.0.1:4100", Some(origin), Some(TOKEN)),
                page,
                "{origin}"
            );
        }
        let none = Some("NO_TOKEN".to_owned());
        for token in [
            None,
            Some(""),
            Some("0123456789abcdee"),
            Some("0123456789abcdef0"),
        ] {
            assert_eq!(code("127.0.0.1:4100", None, token), none, "{token:?}");
        }
    }

    #[test]
    fn a_write_that_is_not_declared_as_json_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:1".parse().expect("a header"));
        let bearer = format!("Bearer {TOKEN}").parse().expect("a header");
        headers.insert(header::AUTHORIZATION, bearer);
        let guard = Guard::loopback(TOKEN, 1);
        let forms = [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
        ];
        for kind in forms {
            if let Some(kind) = kind {
                headers.insert(header::CONTENT_TYPE, kind.parse().expect("a header"));
            }
            let refused = guard.check(&Method::POST, &headers).expect_err("refused");
            assert_eq!(refused.0.status, 415, "{kind:?}");
        }
        let json = "application/json; charset=utf-8".parse().expect("a header");
        headers.insert(header::CONTENT_TYPE, json);
        assert!(guard.check(&Method::POST, &headers).is_ok());
    }
}
