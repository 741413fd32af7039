//! The calls: one function a path of the local API.
//!
//! Answers are read up to a limit. What is no success becomes either a failure of the connection or, for something a person
//! asked, a refusal in sentences.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use studiovault_protocol::api::{
    ConflictPage, NetworkRequest, NetworkState, PREFIX, Problem, ResolveRequest, Status,
};

use super::stream::{Broken, EventStream};
use crate::folder::Entrance;
use crate::message::Failure;

/// A node that has not answered by then is not well.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of an answer at most: a status of a large studio is some 100 kB, ten thousand conflicts some 20 MB.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The API of one run of a node.
pub(super) struct Link {
    http: Client,
    entrance: Entrance,
}

impl Link {
    /// No proxy and no redirects: the token goes to loopback only.
    pub(super) fn new(entrance: Entrance) -> Result<Self, Failure> {
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .build()
            .map_err(|error| unwell(&error))?;
        Ok(Self { http, entrance })
    }

    pub(super) async fn status(&self) -> Result<Status, Failure> {
        let bytes = self.page("/status").await?;
        serde_json::from_slice(&bytes).map_err(|_| wrong_version(&bytes))
    }

    pub(super) async fn conflicts(&self) -> Result<ConflictPage, Failure> {
        let bytes = self.page("/conflicts").await?;
        serde_json::from_slice(&bytes).map_err(|_| wrong_version(&bytes))
    }

    /// The events; the stream has no end of its own.
    pub(super) async fn events(&self) -> Result<EventStream, Failure> {
        let answer = self.send(self.http.get(self.url("/events"))).await?;
        self.accepted(answer).await.map(EventStream::new)
    }

    pub(super) async fn resolve(
        &self,
        id: &str,
        answer: &ResolveRequest,
    ) -> Result<Result<(), String>, Failure> {
        if !id
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        {
            let reason = "a conflict has a name that is none".to_owned();
            return Err(Failure::Unwell { reason });
        }
        self.ask(&format!("/conflicts/{id}/resolve"), answer).await
    }

    pub(super) async fn set_network(
        &self,
        network: NetworkState,
    ) -> Result<Result<(), String>, Failure> {
        self.ask("/network", &NetworkRequest { network }).await
    }

    /// Something a person asked for: the inner error is the node's refusal, in sentences.
    async fn ask<T: Serialize>(&self, path: &str, body: &T) -> Result<Result<(), String>, Failure> {
        let request = self
            .http
            .post(self.url(path))
            .json(body)
            .timeout(CALL_LIMIT);
        let answer = self.send(request).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Ok(()));
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(self.token_refused());
        }
        let bytes = body_of(answer).await?;
        Ok(Err(refusal(status, &bytes)))
    }

    async fn page(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let request = self.http.get(self.url(path)).timeout(CALL_LIMIT);
        let answer = self.send(request).await?;
        body_of(self.accepted(answer).await?).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = request.bearer_auth(&self.entrance.token);
        request.send().await.map_err(|error| {
            if error.is_connect() {
                self.not_running()
            } else {
                unwell(&error)
            }
        })
    }

    /// The answer, if it is a success.
    async fn accepted(&self, answer: Response) -> Result<Response, Failure> {
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED => Err(self.token_refused()),
            // A node without this path speaks another version of the API.
            StatusCode::NOT_FOUND => Err(wrong_version(&[])),
            status => {
                let bytes = body_of(answer).await?;
                let reason = refusal(status, &bytes);
                let reason = reason.trim_end_matches('.').to_owned();
                Err(Failure::Unwell { reason })
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{PREFIX}{path}", self.entrance.origin)
    }

    /// The files name a port where nobody listens: what a node leaves behind that was killed.
    fn not_running(&self) -> Failure {
        let file = std::path::Path::new(&self.entrance.token_file);
        let folder = file.parent().unwrap_or(file).display().to_string();
        Failure::NotRunning { folder }
    }

    /// What the end of the events means: as a rule the node has stopped, and the next try says more.
    pub(super) fn broken_off(&self, broken: Broken) -> Failure {
        match broken {
            Broken::Gone => self.not_running(),
            Broken::TooLong => Failure::Unwell {
                reason: "it sent an event that is too long".to_owned(),
            },
        }
    }

    fn token_refused(&self) -> Failure {
        Failure::TokenRefused {
            file: self.entrance.token_file.clone(),
        }
    }
}

async fn body_of(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unwell(&error))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES {
            let reason = "its answer is larger than any should be".to_owned();
            return Err(Failure::Unwell { reason });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A refusal as sentences: what happened, then what to do.
fn refusal(status: StatusCode, bytes: &[u8]) -> String {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => [problem.detail, problem.next_step]
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| sentence(part))
            .collect::<Vec<_>>()
            .join(" "),
        Err(_) => format!("The node answered {status}. Its log says more."),
    }
}

/// Begins with a capital and ends with a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let rest = letters.as_str().trim_end_matches('.');
    format!("{}{rest}.", first.unwrap_or_default())
}

/// An answer that does not read as what was asked for; the node's version, if it can still be made out.
fn wrong_version(bytes: &[u8]) -> Failure {
    let node = serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|json| Some(json["node"]["version"].as_str()?.chars().take(32).collect()));
    Failure::WrongVersion {
        node: node.unwrap_or_else(|| "unknown".to_owned()),
        window: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The innermost reason: the outer ones only say that a request failed.
fn unwell(error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::Unwell {
        reason: cause.to_string(),
    }
}
