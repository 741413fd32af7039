//! The HTTP client of the cloud contract: bounded answers, compressed bodies, errors that say whose fault they are.

mod answer;
mod examine;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::author::WAY_BACK;
use studiovault_protocol::cloud::{
    BatchAnswer, BatchRequest, CARRY, Changes, ChangesRequest, EnrolAnswer, EnrolRequest,
    MEDIA_TYPE, NONCE_HEADER, PROOF_HEADER, Pong, Proof, Prover, TailAnswer, TailRequest, Target,
};
use studiovault_protocol::id::{Hash, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::SignedRecord;

pub(super) use answer::bounded;
use answer::{check, json};

use super::clock::CloudClock;
use super::credentials::Credentials;
use super::pins::PinError;
use super::{REQUEST_TIMEOUT, tls};
use crate::clock;
use crate::config::{CloudAccess, SignInFile};

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
    /// The network's: somebody who is not the cloud.
    #[error(
        "the cloud cannot be reached: something else answers in its place; work goes on, and it is tried again by itself"
    )]
    Impostor,
    /// This machine no longer belongs to the studio.
    #[error(
        "this machine no longer belongs to the studio, and the cloud serves it no more: it was shut out, or left; {WAY_BACK}"
    )]
    ShutOut,
    /// The token is refused.
    #[error("the cloud refuses the token: {0}; sign in again with `studiovault login`")]
    Unauthorised(String),
    /// The cloud has not heard yet that this machine belongs.
    #[error("the cloud does not know this machine yet: {0}; the roster is brought to it by itself")]
    Unknown(String),
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
    /// The cloud lost the end of its own feed.
    #[error("{detail}; what this machine holds of it is given back by itself")]
    Behind {
        /// The last position that it holds.
        held: u64,
        /// In words.
        detail: String,
    },
    /// The body is too large.
    #[error("the cloud takes no batch of this size; a smaller one is sent by itself")]
    TooLarge,
    /// The asker's: the cloud holds nothing of that name.
    #[error("{0}; check what was named, and that the address is the cloud's")]
    Missing(String),
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
    credentials: Arc<Credentials>,
    signer: Option<Signer>,
    clock: CloudClock,
}

/// Proves with every request whose it is.
#[derive(Clone, Debug)]
struct Signer {
    prover: Prover,
    key: SecretKey,
    /// From the cloud's last word on it.
    nonce: Arc<RwLock<String>>,
}

impl CloudClient {
    /// Checks the address and prepares the connection; nothing is sent.
    pub fn new(access: CloudAccess) -> Result<Self, UplinkError> {
        let address = |detail: &str| UplinkError::Address(format!("{}: {detail}", access.url));
        let url: Url = access
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
            ("https", pins) => {
                let pins = pins.as_deref().map(str::parse).transpose();
                let pins = pins.map_err(|error: PinError| address(&error.to_string()))?;
                let config = tls::of_system(pins).map_err(|error| address(&error.to_string()))?;
                builder = builder.tls_backend_preconfigured(config);
            }
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
        let credentials = Arc::new(Credentials::new(access.token.clone()));
        Ok(Self {
            http,
            access,
            credentials,
            signer: None,
            clock: CloudClock::default(),
        })
    }

    /// From now on every request is signed: machines' tokens are worth nothing without.
    pub fn proving(mut self, prover: Prover, key: SecretKey) -> Self {
        let nonce = Arc::default();
        self.signer = Some(Signer { prover, key, nonce });
        self
    }

    /// Goes on with a sign-in that was kept.
    pub fn signed_in(mut self, sign_in: (SignInFile, PathBuf)) -> Self {
        let mut credentials = Credentials::new(String::new());
        credentials.begin(sign_in);
        self.credentials = Arc::new(credentials);
        self
    }

    /// The same way with another token, which nobody else uses.
    pub fn trying(&self, token: String) -> Self {
        let credentials = Arc::new(Credentials::new(token));
        Self {
            credentials,
            ..self.clone()
        }
    }

    /// Uses another token from now on, in every clone, and renews it if there is a sign-in, kept at that path.
    pub async fn sign_in(&self, token: String, sign_in: Option<(SignInFile, PathBuf)>) {
        self.credentials.replace(token, sign_in).await;
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn address(&self, path: &str) -> String {
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
            .timeout(PING_TIMEOUT);
        let asked = clock::wall().0;
        let pong: Pong = json(self.ask(request).await?).await?;
        if pong.nonce != nonce {
            return Err(UplinkError::Impostor);
        }
        let answered = clock::wall().0;
        self.clock.note(pong.server_time.0, (asked, answered));
        let for_programs = |scopes: &&Vec<String>| !scopes.iter().any(|one| one == CARRY);
        match pong.scopes.as_ref().filter(for_programs) {
            Some(scopes) if self.signer.is_some() => {
                let allows = scopes.join(", ");
                Err(UplinkError::Unauthorised(format!(
                    "it is for programs (it allows {allows}), and not for a machine"
                )))
            }
            _ => Ok(pong),
        }
    }

    /// By how much the cloud's clock is off, as its answers show it.
    pub fn clock(&self) -> CloudClock {
        self.clock.clone()
    }

    /// Sends a batch.
    pub async fn batch(&self, batch: &BatchRequest) -> Result<BatchAnswer, UplinkError> {
        self.signed("sync/batch", batch, REQUEST_TIMEOUT).await
    }

    /// Gives a part of its own feed back.
    pub async fn tail(&self, tail: &TailRequest) -> Result<TailAnswer, UplinkError> {
        self.signed("sync/tail", tail, REQUEST_TIMEOUT).await
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

    /// Makes the roster known, so that the cloud can tell who belongs.
    pub async fn introduce(
        &self,
        studio: StudioId,
        records: &[SignedRecord],
    ) -> Result<(), UplinkError> {
        let request = self
            .http
            .put(self.address(&format!("studios/{studio}/roster")))
            .timeout(REQUEST_TIMEOUT)
            .json(records);
        self.ask(request).await.map(|_| ())
    }

    /// Tells how this machine fares; the report goes as it is.
    pub async fn tell(&self, report: String) -> Result<(), UplinkError> {
        let request = self
            .http
            .post(self.address("telemetry"))
            .timeout(REQUEST_TIMEOUT)
            .header("content-type", "application/json")
            .body(report);
        self.ask(request).await.map(|_| ())
    }

    /// The manifest of the newest snapshot, as it came.
    pub async fn snapshot(&self) -> Result<Vec<u8>, UplinkError> {
        self.bytes("snapshots/latest").await
    }

    /// A chunk of a snapshot by its place in the manifest, as it came.
    pub async fn snapshot_chunk(&self, id: Hash, place: usize) -> Result<Vec<u8>, UplinkError> {
        self.bytes(&format!("snapshots/{id}/chunks/{place}")).await
    }

    async fn bytes(&self, path: &str) -> Result<Vec<u8>, UplinkError> {
        let request = self.http.get(self.address(path)).timeout(REQUEST_TIMEOUT);
        bounded(self.ask(request).await?).await
    }

    /// Sends a request with token and proof. What has run out is replaced, each once: a nonce by the one that the refusal brings,
    /// an access token by the provider's next.
    async fn ask(&self, request: RequestBuilder) -> Result<Response, UplinkError> {
        let (mut nonce, mut token) = (true, true);
        loop {
            let Some(this) = request.try_clone() else {
                return Err(UplinkError::Nonsense(
                    "a request that cannot be sent twice".into(),
                ));
            };
            let used = self.credentials.token();
            let answer = self.send(this, &used).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return check(answer).await;
            }
            if nonce && self.renew(&answer) {
                nonce = false;
            } else if token && self.next_token(used).await? {
                (nonce, token) = (true, false);
            } else {
                return check(answer).await;
            }
        }
    }

    /// Has the next access token given, on a task of its own: the provider gives it once, whoever stops waiting.
    async fn next_token(&self, refused: String) -> Result<bool, UplinkError> {
        let client = self.clone();
        let renewed = tokio::spawn(async move {
            let own = (&client.http, &*client.address("oauth/token"));
            client.credentials.renew(&refused, own).await
        });
        match renewed.await {
            Ok(renewed) => renewed,
            Err(_) => Err(UplinkError::Unreachable("the program is ending".into())),
        }
    }

    async fn send(&self, request: RequestBuilder, token: &str) -> Result<Response, UplinkError> {
        let signed = request.bearer_auth(token).build();
        let mut request = signed.map_err(unreachable)?;
        if let Some(signer) = &self.signer {
            let proof = signer.prove(request.method().as_str(), request.url());
            let value = proof.parse().expect("a proof is plain ASCII");
            request.headers_mut().insert(PROOF_HEADER, value);
        }
        self.http.execute(request).await.map_err(unreachable)
    }

    /// Takes a new nonce from a refusal. Whether there was one.
    fn renew(&self, refusal: &Response) -> bool {
        let given = refusal.headers().get(NONCE_HEADER);
        let given = given.and_then(|value| value.to_str().ok());
        let (Some(signer), Some(given)) = (&self.signer, given) else {
            return false;
        };
        let mut known = signer.nonce.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = *known != given;
        given.clone_into(&mut known);
        is_new
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
            .json(body);
        json(self.ask(request).await?).await
    }

    /// Posts a form and reads JSON.
    pub(super) async fn post_form<A: DeserializeOwned>(
        &self,
        path: &str,
        form: String,
    ) -> Result<A, UplinkError> {
        let request = self
            .http
            .post(self.address(path))
            .timeout(REQUEST_TIMEOUT)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        json(self.ask(request).await?).await
    }

    /// Reads JSON.
    pub async fn read_json<A: DeserializeOwned>(&self, path: &str) -> Result<A, UplinkError> {
        let request = self.http.get(self.address(path)).timeout(REQUEST_TIMEOUT);
        json(self.ask(request).await?).await
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
            .header("content-type", MEDIA_TYPE)
            .header("content-encoding", "zstd")
            .header("accept", MEDIA_TYPE)
            .header("accept-encoding", "zstd")
            .body(packed);
        let response = self.ask(request).await?;
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

impl Signer {
    fn prove(&self, method: &str, url: &Url) -> String {
        let nonce = self.nonce.read().unwrap_or_else(PoisonError::into_inner);
        // The server hands a nonce to whoever comes without; until then there is nothing to sign.
        let nonce = if nonce.is_empty() { "none" } else { &nonce };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let target = Target {
            method,
            path: &path,
        };
        Proof::new(self.prover, nonce.to_owned(), target, &self.key).to_string()
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn unreachable(error: reqwest::Error) -> UplinkError {
    // The innermost cause is what a person can act on; the outer ones repeat the address.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    UplinkError::Unreachable(cause.to_string())
}
