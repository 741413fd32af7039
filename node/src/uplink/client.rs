//! The HTTP client of the cloud contract: bounded answers, compressed bodies, errors that say whose fault they are.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::cloud::{
    BatchAnswer, BatchRequest, Changes, ChangesRequest, EnrolAnswer, EnrolRequest, MEDIA_TYPE, Pong,
};
use studiovault_protocol::id::Hash;

use super::{REQUEST_TIMEOUT, tls};
use crate::config::CloudAccess;

/// Bytes of an answer at most, packed and unpacked: a page of changes is at most 1 MiB.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// A connection that takes longer is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A probe that takes longer counts as unreachable.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The person's fault: the address or pin is unusable.
    #[error("{0}")]
    Address(String),
    /// The network's: nobody there, or somebody who is not the cloud.
    #[error("the cloud cannot be reached: {0}; work goes on, and it is tried again by itself")]
    Unreachable(String),
    /// The token is refused.
    #[error(
        "the cloud refuses the token: {0}; ask who hosts the cloud for a new one and give it with `studiovault login --token TOKEN`"
    )]
    Unauthorised(String),
    /// The cloud is overloaded or broken.
    #[error("the cloud is busy: {detail}; it is tried again by itself")]
    Busy {
        /// Not before.
        retry_after: Duration,
        /// In words.
        detail: String,
    },
    /// The cloud broke on this very request.
    #[error(
        "the cloud broke on a request: {0}; what it breaks on is found and set aside by itself"
    )]
    Broken(String),
    /// The body is too large.
    #[error("the cloud takes no batch of this size; a smaller one is sent by itself")]
    TooLarge,
    /// The answer makes no sense.
    #[error(
        "an answer that makes no sense: {0}; check that the address is the cloud's and both are up to date"
    )]
    Nonsense(String),
}

/// A client of one cloud.
#[derive(Clone, Debug)]
pub struct CloudClient {
    http: reqwest::Client,
    access: CloudAccess,
    token: Arc<RwLock<String>>,
}

impl CloudClient {
    /// Checks the address and prepares the connection; nothing is sent.
    pub fn new(access: CloudAccess) -> Result<Self, UplinkError> {
        let address = |detail: &str| UplinkError::Address(format!("{}: {detail}", access.url));
        let url: reqwest::Url = access
            .url
            .parse()
            .map_err(|_| address("no usable address; give it as https://host:port"))?;
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            // A redirect could lead a request past the pin, or out of TLS.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(120));
        match (url.scheme(), &access.pin) {
            ("https", Some(pin)) => {
                let pin: Hash = pin
                    .trim()
                    .parse()
                    .map_err(|_| address("the pin is not 64 hexadecimal digits"))?;
                let config =
                    tls::pinned(pin.0).map_err(|error| UplinkError::Address(error.to_string()))?;
                builder = builder.tls_backend_preconfigured(config);
            }
            ("https", None) => {}
            ("http", _) if is_loopback(&url) => {}
            ("http", _) => return Err(address("plain http is for this machine alone; use https")),
            _ => {
                return Err(address(
                    "only https:// (or http:// to this machine) is spoken",
                ));
            }
        }
        let http = builder
            .build()
            .map_err(|error| UplinkError::Address(error.to_string()))?;
        let token = Arc::new(RwLock::new(access.token.clone()));
        Ok(Self {
            http,
            access,
            token,
        })
    }

    /// Uses another token from now on, in every clone.
    pub fn sign_in(&self, token: String) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn token(&self) -> String {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    fn address(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.access.url.trim_end_matches('/'))
    }

    /// Asks whether the cloud is there and takes the token. The answer must echo a nonce: a captive portal cannot.
    pub async fn ping(&self) -> Result<Pong, UplinkError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| UplinkError::Unreachable(error.to_string()))?;
        let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = self
            .http
            .get(self.address("ping"))
            .query(&[("nonce", &nonce)])
            .timeout(PING_TIMEOUT)
            .bearer_auth(self.token());
        let pong: Pong = json(check(request.send().await.map_err(unreachable)?).await?).await?;
        if pong.nonce == nonce {
            Ok(pong)
        } else {
            Err(UplinkError::Unreachable(
                "something else answers in its place".into(),
            ))
        }
    }

    /// Sends a batch.
    pub async fn batch(&self, batch: &BatchRequest) -> Result<BatchAnswer, UplinkError> {
        self.signed("sync/batch", batch, REQUEST_TIMEOUT).await
    }

    /// Asks for changes; waits as long as the question says and a little longer.
    pub async fn changes(&self, question: &ChangesRequest) -> Result<Changes, UplinkError> {
        let timeout = REQUEST_TIMEOUT + Duration::from_secs(u64::from(question.wait_s));
        self.signed("sync/changes", question, timeout).await
    }

    /// Enrols a studio; the token must be the cloud's admin token.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolAnswer, UplinkError> {
        self.post_json("studios", request).await
    }

    /// Posts JSON and reads JSON.
    pub async fn post_json<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, UplinkError> {
        let request = self
            .http
            .post(self.address(path))
            .timeout(REQUEST_TIMEOUT)
            .bearer_auth(self.token())
            .json(body);
        json(check(request.send().await.map_err(unreachable)?).await?).await
    }

    /// Reads JSON.
    pub async fn read_json<A: DeserializeOwned>(&self, path: &str) -> Result<A, UplinkError> {
        let request = self
            .http
            .get(self.address(path))
            .timeout(REQUEST_TIMEOUT)
            .bearer_auth(self.token());
        json(check(request.send().await.map_err(unreachable)?).await?).await
    }

    /// Posts the signed form, packed by zstd, and reads it.
    async fn signed<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<A, UplinkError> {
        let raw = postcard::to_stdvec(body).expect("wire types always encode");
        let packed = zstd::bulk::compress(&raw, 3).expect("compression into memory succeeds");
        let request = self
            .http
            .post(self.address(path))
            .timeout(timeout)
            .bearer_auth(self.token())
            .header("content-type", MEDIA_TYPE)
            .header("content-encoding", "zstd")
            .header("accept", MEDIA_TYPE)
            .header("accept-encoding", "zstd")
            .body(packed);
        let response = check(request.send().await.map_err(unreachable)?).await?;
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        if header("content-type").as_deref() != Some(MEDIA_TYPE) {
            return Err(UplinkError::Nonsense("not the sync form".into()));
        }
        let zstd = header("content-encoding").as_deref() == Some("zstd");
        let body = bounded(response).await?;
        let body = if zstd {
            zstd::bulk::decompress(&body, ANSWER_BYTES)
                .map_err(|_| UplinkError::Nonsense("it cannot be unpacked".into()))?
        } else {
            body
        };
        postcard::from_bytes(&body)
            .map_err(|_| UplinkError::Nonsense("it cannot be decoded".into()))
    }
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn unreachable(error: reqwest::Error) -> UplinkError {
    // The innermost cause is what a person can act on; the outer ones repeat the address.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    UplinkError::Unreachable(cause.to_string())
}

/// Sorts answers that are none.
async fn check(response: Response) -> Result<Response, UplinkError> {
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
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => UplinkError::Unauthorised(detail),
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

async fn json<A: DeserializeOwned>(response: Response) -> Result<A, UplinkError> {
    let body = bounded(response).await?;
    serde_json::from_slice(&body).map_err(|_| UplinkError::Nonsense("not the expected JSON".into()))
}

/// Reads a body up to [`ANSWER_BYTES`].
async fn bounded(response: Response) -> Result<Vec<u8>, UplinkError> {
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
