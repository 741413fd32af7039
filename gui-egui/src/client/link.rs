//! The calls: one function a path of the local API.
//!
//! Answers are read up to a limit. What is no success becomes either a failure of the connection or, for something a person
//! asked, a refusal in sentences.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::api::{
    ActivityPage, ConflictPage, DeadLetter, DeadLetterPage, DoctorView, EntityView, HistoryPage,
    InviteView, PAGE_ROWS, PREFIX, PolicyView, Problem, ResolveRequest, Status, TxAnswer,
    VerifyView, WhyView,
};
use studiovault_protocol::id::EntityId;

use super::stream::{Broken, EventStream};
use crate::failure::Failure;
use crate::folder::Entrance;
use crate::model::whole_sentence;

/// A node that has not answered by then is not well.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// The doctor tries doors that may stay silent, and the cloud.
const DOCTOR_LIMIT: Duration = Duration::from_secs(60);
/// Proving a large store takes its time.
const VERIFY_LIMIT: Duration = Duration::from_secs(3600);
/// Bytes of an answer at most: a status of a large studio is some 100 kB, ten thousand conflicts some 20 MB.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What a person asked for, or the node's refusal in sentences.
pub(super) type Asked<T> = Result<T, String>;

/// The API of one run of a node.
#[derive(Clone)]
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
        self.told("/status").await
    }

    pub(super) async fn conflicts(&self) -> Result<ConflictPage, Failure> {
        self.told("/conflicts").await
    }

    pub(super) async fn letters(&self) -> Result<DeadLetterPage, Failure> {
        self.told("/dead-letters").await
    }

    pub(super) async fn policy(&self) -> Result<PolicyView, Failure> {
        self.told("/policy").await
    }

    /// The newest, or what came before a position.
    pub(super) async fn activity(&self, before: Option<u64>) -> Result<ActivityPage, Failure> {
        let before = before.map(|before| format!("&before={before}"));
        let path = format!("/activity?limit={PAGE_ROWS}{}", before.unwrap_or_default());
        self.told(&path).await
    }

    pub(super) async fn letter(&self, dot: &str) -> Result<Asked<DeadLetter>, Failure> {
        self.find(&format!("/dead-letters/{}", plain(dot)?)).await
    }

    pub(super) async fn history(&self, entity: EntityId) -> Result<Asked<HistoryPage>, Failure> {
        self.find(&format!("/history/{entity}")).await
    }

    pub(super) async fn entity(
        &self,
        entity_type: &str,
        entity: EntityId,
    ) -> Result<Asked<EntityView>, Failure> {
        self.find(&format!("/entities/{}/{entity}", plain(entity_type)?))
            .await
    }

    /// The invite of this machine, if it has one.
    pub(super) async fn invite(&self) -> Result<Option<InviteView>, Failure> {
        Ok(self.find("/pairing").await?.ok())
    }

    pub(super) async fn verify(&self) -> Result<Asked<VerifyView>, Failure> {
        let request = self.http.post(self.url("/verify"));
        let request = request.json(&serde_json::json!({}));
        self.asked(request.timeout(VERIFY_LIMIT)).await
    }

    pub(super) async fn why(&self, entity: EntityId) -> Result<Asked<WhyView>, Failure> {
        self.find(&format!("/why/{entity}")).await
    }

    pub(super) async fn doctor(&self) -> Result<Asked<DoctorView>, Failure> {
        let request = self.http.get(self.url("/doctor"));
        self.asked(request.timeout(DOCTOR_LIMIT)).await
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
    ) -> Result<Asked<TxAnswer>, Failure> {
        let path = format!("/conflicts/{}/resolve", plain(id)?);
        self.post(&path, answer).await
    }

    /// Something a person asked for: the inner error is the node's refusal, in sentences.
    pub(super) async fn post<A: DeserializeOwned, T: Serialize>(
        &self,
        path: &str,
        body: &T,
    ) -> Result<Asked<A>, Failure> {
        let request = self.http.post(self.url(path)).json(body);
        self.asked(request.timeout(CALL_LIMIT)).await
    }

    /// Something that may not be there: the inner error says so.
    async fn find<A: DeserializeOwned>(&self, path: &str) -> Result<Asked<A>, Failure> {
        self.asked(self.http.get(self.url(path)).timeout(CALL_LIMIT))
            .await
    }

    async fn asked<A: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<Asked<A>, Failure> {
        let answer = self.send(request).await?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(self.token_refused());
        }
        let bytes = body_of(answer).await?;
        if !status.is_success() {
            return Ok(Err(refusal(status, &bytes)));
        }
        let read = serde_json::from_slice(&bytes);
        read.map(Ok).map_err(|_| wrong_version(&bytes))
    }

    async fn told<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        let bytes = self.page(path).await?;
        serde_json::from_slice(&bytes).map_err(|_| wrong_version(&bytes))
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

/// A name that may stand in an address; the node hands out no other.
fn plain(name: &str) -> Result<&str, Failure> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(name);
    }
    let reason = "it names something with a name that is none".to_owned();
    Err(Failure::Unwell { reason })
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
            .map(|part| whole_sentence(part))
            .collect::<Vec<_>>()
            .join(" "),
        Err(_) => format!("The node answered {status}. Its log says more."),
    }
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
