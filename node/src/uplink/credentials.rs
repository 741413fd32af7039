//! What requests to the cloud are signed in with, and the one place where it is renewed.
//!
//! A renewal that has begun ends, whoever stops waiting for it: the provider takes each refresh token once. It touches nothing but
//! the tokens.

use std::fmt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use studiovault_protocol::api::Renewal;
use tokio::sync::Mutex;

use super::client::{UplinkError, bounded, unreachable};
use super::{REQUEST_TIMEOUT, tls};
use crate::config::SignInFile;

/// The client that asks at a cloud of ours; it has no secret.
pub(super) const CLIENT: &str = "studiovault";

/// The token in use, and how the next one is had.
pub(super) struct Credentials {
    token: RwLock<String>,
    sign_in: Mutex<Option<Kept>>,
}

struct Kept {
    file: SignInFile,
    path: PathBuf,
}

/// What a provider's token endpoint answers.
#[derive(Deserialize)]
pub(super) struct Given {
    pub access_token: String,
    pub refresh_token: Option<String>,
}

/// What it answers instead (RFC 6749, 5.2).
#[derive(Deserialize)]
pub(super) struct OAuthError {
    pub error: String,
    #[serde(default)]
    error_description: String,
}

impl OAuthError {
    /// Whether it says that the grant, or this client of it, is no longer taken. Anything else may pass, and ends no sign-in.
    fn ends_the_sign_in(&self) -> bool {
        let over = ["invalid_grant", "invalid_client", "unauthorized_client"];
        over.contains(&self.error.as_str())
    }

    /// In words, whoever wrote them.
    pub fn words(&self) -> String {
        let words = match self.error_description.as_str() {
            "" => &self.error,
            words => words,
        };
        words
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

impl Credentials {
    pub fn new(token: String) -> Self {
        Self {
            token: RwLock::new(token),
            sign_in: Mutex::new(None),
        }
    }

    pub fn token(&self) -> String {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    fn set(&self, token: String) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Uses another token from now on, and whatever renews it.
    pub async fn replace(&self, token: String, sign_in: Option<(SignInFile, PathBuf)>) {
        let mut kept = self.sign_in.lock().await;
        *kept = sign_in.map(|(file, path)| Kept { file, path });
        self.set(token);
    }

    /// Before anybody else can ask.
    pub fn begin(&mut self, (file, path): (SignInFile, PathBuf)) {
        self.set(file.access.clone());
        *self.sign_in.get_mut() = Some(Kept { file, path });
    }

    /// Gets another token than `refused`. `false`: there is no way to have one.
    pub async fn renew(
        &self,
        refused: &str,
        (http, own): (&Client, &str),
    ) -> Result<bool, UplinkError> {
        let mut kept = self.sign_in.lock().await;
        if self.token() != refused {
            return Ok(true);
        }
        let Some(kept) = kept.as_mut().filter(|kept| !kept.file.ended) else {
            return Ok(false);
        };
        let renewed = match &kept.file.renewal.endpoint {
            None => exchange(http, own, &kept.file.renewal).await,
            Some(place) => exchange(&web()?, place, &kept.file.renewal).await,
        };
        let failed =
            |error: crate::config::ConfigError| UplinkError::Unreachable(error.to_string());
        match renewed? {
            Ok(given) => {
                if let Some(refresh) = given.refresh_token {
                    kept.file.renewal.refresh_token = refresh;
                }
                kept.file.access.clone_from(&given.access_token);
                kept.file.save(&kept.path).map_err(failed)?;
                self.set(given.access_token);
                Ok(true)
            }
            Err(error) if !error.ends_the_sign_in() => Err(UplinkError::Unreachable(format!(
                "the token endpoint says {}",
                error.words()
            ))),
            Err(error) => {
                kept.file.ended = true;
                kept.file.save(&kept.path).map_err(failed)?;
                Err(UplinkError::Unauthorised(error.words()))
            }
        }
    }
}

/// A client for providers that are not the cloud: the web's authorities decide.
pub(super) fn web() -> Result<Client, UplinkError> {
    let address = |error: String| UplinkError::Address(error);
    let config = tls::of_system(None).map_err(|error| address(error.to_string()))?;
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(REQUEST_TIMEOUT)
        .tls_backend_preconfigured(config)
        .build()
        .map_err(|error| address(error.to_string()))
}

async fn exchange(
    http: &Client,
    endpoint: &str,
    renewal: &Renewal,
) -> Result<Result<Given, OAuthError>, UplinkError> {
    let mut form = vec![
        ("grant_type", "refresh_token"),
        ("client_id", &renewal.client_id),
        ("refresh_token", &renewal.refresh_token),
    ];
    if let Some(resource) = &renewal.resource {
        form.push(("resource", resource));
    }
    ask_for_tokens(http, endpoint, &form).await
}

/// Asks a token endpoint. An error of its own is one of OAuth's; whatever may pass is none.
pub(super) async fn ask_for_tokens(
    http: &Client,
    endpoint: &str,
    form: &[(&str, &str)],
) -> Result<Result<Given, OAuthError>, UplinkError> {
    let body = form_text(form);
    let request = http
        .post(endpoint)
        .timeout(REQUEST_TIMEOUT)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(body);
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let nonsense = || UplinkError::Nonsense("the token endpoint's answer cannot be read".into());
    match status {
        StatusCode::OK => {
            let body = bounded(answer).await?;
            serde_json::from_slice(&body)
                .map(Ok)
                .map_err(|_| nonsense())
        }
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
            let body = bounded(answer).await?;
            serde_json::from_slice(&body)
                .map(Err)
                .map_err(|_| nonsense())
        }
        _ => Err(UplinkError::Unreachable(format!(
            "the token endpoint answers {status}"
        ))),
    }
}

/// A form as browsers send it.
pub(super) fn form_text(form: &[(&str, &str)]) -> String {
    let mut text = reqwest::Url::parse("http://form").expect("an address");
    text.query_pairs_mut().extend_pairs(form);
    text.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn kept(folder: &std::path::Path) -> Credentials {
        let renewal = Renewal {
            refresh_token: "svr_1".into(),
            endpoint: None,
            client_id: CLIENT.into(),
            resource: None,
        };
        let file = SignInFile {
            access: "svp_1".into(),
            renewal,
            ended: false,
        };
        let mut credentials = Credentials::new(String::new());
        credentials.begin((file, folder.join("sign-in.json")));
        credentials
    }

    /// A token endpoint that answers every question with one error.
    async fn a_provider_that_says(error: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("listens");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = vec![0; 4096];
                let _ = stream.read(&mut asked).await;
                let body = format!("{{\"error\":\"{error}\"}}");
                let answer = format!(
                    "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                // What is not read would take the answer back.
                let _ = stream.shutdown().await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        });
        format!("http://{address}/token")
    }

    #[tokio::test]
    async fn only_a_grant_that_is_no_longer_taken_ends_a_sign_in() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build().expect("a client");
        for (error, ends) in [
            ("invalid_request", false),
            ("temporarily_unavailable", false),
            ("slow_down", false),
            ("invalid_grant", true),
            ("invalid_client", true),
            ("unauthorized_client", true),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let credentials = kept(folder.path());
            let place = a_provider_that_says(error).await;
            let first = credentials.renew("svp_1", (&http, place.as_str())).await;
            let is_unauthorised = matches!(first, Err(UplinkError::Unauthorised(_)));
            assert_eq!(is_unauthorised, ends, "{error}: {first:?}");
            assert!(first.is_err(), "{error}");
            // One that has ended asks nobody any more.
            let again = credentials.renew("svp_1", (&http, place.as_str())).await;
            assert_eq!(matches!(again, Ok(false)), ends, "{error}: {again:?}");
        }
    }
}
