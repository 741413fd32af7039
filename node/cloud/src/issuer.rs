//! An identity provider that is not ours: its access tokens are taken here as JSON Web Tokens (RFC 9068), checked against the keys
//! that it publishes.
//!
//! What a token may do stands in it: `scope` holds one of our words, and the claim `studiovault_studio` names the studio. A request
//! is never carried on to the provider, and a stranger's tokens make this server ask it once a minute at most.

mod keys;
mod token;

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use studiovault_protocol::time::WallMs;
use tokio::sync::{Mutex, RwLock};

use crate::config::IssuerConfig;
use crate::error::CloudError;
use crate::tokens::Grantee;
use keys::Keys;
pub use token::Token;

/// Keys are asked for again after so long: one that the provider took back is taken no longer here.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// If the provider cannot be asked, its keys are taken for so long.
const STALE: Duration = Duration::from_secs(60 * 60);
/// A key that is not known is asked for this often.
const ASK: Duration = Duration::from_secs(60);
/// A provider that takes longer is away.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const ANSWER_BYTES: usize = 256 * 1024;

/// Why a token of the provider is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The asker's: it is no token for this server, or its time is over.
    #[error("the identity provider's token is not taken: {0}")]
    Refused(&'static str),
    /// The provider's: its keys cannot be had.
    #[error("the identity provider cannot be asked for its keys: {0}")]
    Away(String),
}

/// The provider.
pub struct Issuer {
    config: IssuerConfig,
    http: Client,
    /// Never held while the provider is asked: whoever's key is known does not wait for a stranger's.
    keys: RwLock<Cached>,
    /// Whoever asks the provider, one at a time.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Cached {
    keys: Keys,
    fetched: Option<Instant>,
    asked: Option<Instant>,
}

impl Cached {
    /// Whether the keys are not too old to be taken, should the provider be away.
    fn is_usable(&self) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() < STALE)
    }
}

/// What of the provider's description matters here (OpenID Connect Discovery; RFC 8414).
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// Prepares the way to it; nothing is sent before the first token comes.
    pub fn new(config: IssuerConfig) -> Result<Self, CloudError> {
        let wrong = |detail: &str| CloudError::Issuer(config.url.clone(), detail.to_owned());
        may_be_asked(&config.url).map_err(wrong)?;
        if config.audience.is_empty() || config.client.is_empty() {
            return Err(wrong(
                "it needs the audience of its tokens and the client's id",
            ));
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|error| wrong(&error.to_string()))?
            .with_no_client_auth();
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| wrong(&error.to_string()))?;
        Ok(Self {
            config,
            http,
            keys: RwLock::default(),
            asking: Mutex::default(),
        })
    }

    /// How machines sign in there, as /meta tells them.
    pub fn config(&self) -> &IssuerConfig {
        &self.config
    }

    /// Who holds a token.
    pub async fn check(&self, text: &str, now: WallMs) -> Result<Grantee, IssuerError> {
        let token = Token::read(text)?;
        if !self.knows(&token).await {
            self.refresh(&token).await?;
            let cached = self.keys.read().await;
            if !token.is_signed_by(&cached.keys) {
                return Err(IssuerError::Refused("no key of the provider signed it"));
            }
        }
        token.claims()?.grantee(&self.config, now)
    }

    /// Whether a key that is fresh signed it.
    async fn knows(&self, token: &Token<'_>) -> bool {
        let cached = self.keys.read().await;
        let fresh = cached.fetched.is_some_and(|at| at.elapsed() < FRESH);
        fresh && token.is_signed_by(&cached.keys)
    }

    /// Whether a key that may still be used signed it.
    async fn may_know(&self, token: &Token<'_>) -> bool {
        let cached = self.keys.read().await;
        cached.is_usable() && token.is_signed_by(&cached.keys)
    }

    async fn refresh(&self, token: &Token<'_>) -> Result<(), IssuerError> {
        let turn = self.asking.try_lock().ok();
        let _turn = match turn {
            Some(turn) => turn,
            // Somebody asks already.
            None if self.may_know(token).await => return Ok(()),
            None => self.asking.lock().await,
        };
        if self.knows(token).await {
            return Ok(());
        }
        {
            let mut cached = self.keys.write().await;
            if cached.asked.is_some_and(|at| at.elapsed() < ASK) {
                let why = "it did not answer a moment ago";
                return if cached.is_usable() {
                    Ok(())
                } else {
                    Err(IssuerError::Away(why.into()))
                };
            }
            cached.asked = Some(Instant::now());
        }
        let fetched = self.fetch().await;
        let mut cached = self.keys.write().await;
        match fetched {
            Ok(keys) => (cached.keys, cached.fetched) = (keys, Some(Instant::now())),
            Err(error) if cached.is_usable() => {
                tracing::warn!(%error, "the keys known before are used");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn fetch(&self) -> Result<Keys, IssuerError> {
        let at = self.config.url.trim_end_matches('/');
        let place = format!("{at}/.well-known/openid-configuration");
        let description: Description = self.read(&place).await?;
        let away = |detail: &str| IssuerError::Away(detail.to_owned());
        if description.issuer != self.config.url {
            return Err(away("it calls itself by another name"));
        }
        may_be_asked(&description.jwks_uri).map_err(away)?;
        self.read(&description.jwks_uri).await
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, IssuerError> {
        let away = |error: reqwest::Error| IssuerError::Away(error.without_url().to_string());
        let mut answer = self.http.get(url).send().await.map_err(away)?;
        answer.error_for_status_ref().map_err(away)?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(away)? {
            body.extend_from_slice(&part);
            if body.len() > ANSWER_BYTES {
                return Err(IssuerError::Away("an answer over 256 KiB".into()));
            }
        }
        serde_json::from_slice(&body)
            .map_err(|_| IssuerError::Away("an answer that cannot be read".into()))
    }
}

/// TLS, or a provider on this machine.
fn may_be_asked(url: &str) -> Result<(), &'static str> {
    let parsed: Url = url.parse().map_err(|_| "it is no address")?;
    let host = parsed
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']']);
    let here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if here => Ok(()),
        _ => Err("only https:// (or http:// to this machine) is spoken"),
    }
}

#[cfg(test)]
mod tests;
