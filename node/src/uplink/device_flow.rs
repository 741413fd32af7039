//! Signing in by a code that a person approves elsewhere (RFC 8628): at the cloud itself, or at the identity provider that it names.
//!
//! Nothing is kept here: what comes of it is the caller's, and whoever stops asking has changed nothing.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use studiovault_protocol::api::{LoginRequest, Renewal};
use studiovault_protocol::cloud::CARRY;
use studiovault_protocol::id::{DeviceId, StudioId};

use super::client::{CloudClient, UplinkError, bounded, is_loopback, unreachable};
use super::credentials::{CLIENT, Given, OAuthError, ask_for_tokens, form_text, web};

/// How a device's code is exchanged.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds between two questions, where the provider says nothing, and how many more if it says `slow_down`.
const INTERVAL_S: u64 = 5;
/// No provider makes us ask faster or slower than this, s.
const SHORTEST_S: u64 = 1;
const LONGEST_S: u64 = 60;
/// No code is waited for longer, s.
const OPEN_S: u64 = 30 * 60;

/// What a person needs.
#[derive(Clone, Debug)]
pub struct Code {
    /// What they type or read out.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// How long it is open.
    pub open_for: Duration,
}

/// How far it is.
#[derive(Debug)]
pub enum Progress {
    /// Nobody has decided yet.
    Waiting,
    /// Here are the tokens.
    Done(Box<LoginRequest>),
    /// A person said no.
    Denied,
    /// The code is no longer open.
    Expired,
}

/// A sign-in under way.
pub struct DeviceFlow {
    http: Client,
    endpoint: String,
    client_id: String,
    resource: Option<String>,
    is_own: bool,
    device_code: String,
    interval: Duration,
}

#[derive(Deserialize)]
struct Opened {
    device_code: String,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

/// What the cloud says of where one signs in.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "signIn")]
    sign_in: Option<Elsewhere>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Elsewhere {
    issuer: String,
    audience: String,
    client_id: String,
}

/// What of a provider's description matters here.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    device_authorization_endpoint: String,
    token_endpoint: String,
}

impl DeviceFlow {
    /// Asks for a code, for this machine of this studio.
    pub async fn begin(
        cloud: &CloudClient,
        (studio, device, name): (StudioId, DeviceId, &str),
    ) -> Result<(Self, Code), UplinkError> {
        let meta: Meta = cloud.read_json("meta").await?;
        match meta.sign_in {
            Some(elsewhere) => Self::elsewhere(elsewhere).await,
            None => Self::at_cloud(cloud, (studio, device, name)).await,
        }
    }

    async fn at_cloud(
        cloud: &CloudClient,
        (studio, device, name): (StudioId, DeviceId, &str),
    ) -> Result<(Self, Code), UplinkError> {
        let (studio, device) = (studio.to_string(), device.to_string());
        let form = form_text(&[
            ("client_id", CLIENT),
            ("scope", CARRY),
            ("studio", &studio),
            ("device", &device),
            ("device_name", name),
        ]);
        let opened: Opened = cloud.post_form("oauth/device", form).await?;
        let flow = Self {
            http: cloud.http().clone(),
            endpoint: cloud.address("oauth/token"),
            client_id: CLIENT.into(),
            resource: None,
            is_own: true,
            device_code: String::new(),
            interval: Duration::ZERO,
        };
        Ok(flow.opened(opened))
    }

    async fn elsewhere(place: Elsewhere) -> Result<(Self, Code), UplinkError> {
        let http = web()?;
        may_be_asked(&place.issuer)?;
        let base = place.issuer.trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        let answer = http.get(address).send().await.map_err(unreachable)?;
        let description: Description = read(answer).await?;
        if description.issuer != place.issuer {
            return Err(nonsense(
                "the identity provider calls itself by another name",
            ));
        }
        may_be_asked(&description.token_endpoint)?;
        may_be_asked(&description.device_authorization_endpoint)?;
        let form = form_text(&[
            ("client_id", &place.client_id),
            ("scope", "openid offline_access carry"),
            ("resource", &place.audience),
        ]);
        let request = http
            .post(&description.device_authorization_endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = request.send().await.map_err(unreachable)?;
        let opened: Opened = read(answer).await?;
        let flow = Self {
            http,
            endpoint: description.token_endpoint,
            client_id: place.client_id,
            resource: Some(place.audience),
            is_own: false,
            device_code: String::new(),
            interval: Duration::ZERO,
        };
        Ok(flow.opened(opened))
    }

    fn opened(mut self, opened: Opened) -> (Self, Code) {
        let plain = |text: String| -> String {
            text.chars().filter(|c| !c.is_control()).take(300).collect()
        };
        self.device_code = opened.device_code;
        self.interval = paced(opened.interval.unwrap_or(INTERVAL_S));
        let code = Code {
            user_code: plain(opened.user_code),
            verification_uri: plain(opened.verification_uri),
            open_for: Duration::from_secs(opened.expires_in.min(OPEN_S)),
        };
        (self, code)
    }

    /// How long to wait before the next question.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Asks whether a person has decided. What the network breaks may be asked again.
    pub async fn ask(&mut self) -> Result<Progress, UplinkError> {
        let mut form = vec![
            ("grant_type", DEVICE_GRANT),
            ("client_id", self.client_id.as_str()),
            ("device_code", self.device_code.as_str()),
        ];
        if let Some(resource) = &self.resource {
            form.push(("resource", resource));
        }
        match ask_for_tokens(&self.http, &self.endpoint, &form).await? {
            Ok(given) => Ok(Progress::Done(Box::new(self.login(given)))),
            Err(error) => self.heard(&error),
        }
    }

    fn heard(&mut self, error: &OAuthError) -> Result<Progress, UplinkError> {
        match error.error.as_str() {
            "authorization_pending" => Ok(Progress::Waiting),
            "slow_down" => {
                self.interval = paced(self.interval.as_secs() + INTERVAL_S);
                Ok(Progress::Waiting)
            }
            "access_denied" => Ok(Progress::Denied),
            "expired_token" => Ok(Progress::Expired),
            _ => Err(nonsense(&error.words())),
        }
    }

    fn login(&self, given: Given) -> LoginRequest {
        let renewal = given.refresh_token.map(|refresh_token| Renewal {
            refresh_token,
            endpoint: (!self.is_own).then(|| self.endpoint.clone()),
            client_id: self.client_id.clone(),
            resource: self.resource.clone(),
        });
        LoginRequest {
            token: given.access_token,
            renewal,
        }
    }
}

async fn read<T: serde::de::DeserializeOwned>(answer: reqwest::Response) -> Result<T, UplinkError> {
    let status = answer.status();
    let body = bounded(answer).await?;
    if !status.is_success() {
        let told = serde_json::from_slice::<OAuthError>(&body);
        let words = told.map_or_else(|_| status.to_string(), |error| error.words());
        return Err(nonsense(&format!("the identity provider says {words}")));
    }
    serde_json::from_slice(&body)
        .map_err(|_| nonsense("the identity provider's answer cannot be read"))
}

/// The wait between two questions, within our own bounds.
fn paced(seconds: u64) -> Duration {
    Duration::from_secs(seconds.clamp(SHORTEST_S, LONGEST_S))
}

fn nonsense(words: &str) -> UplinkError {
    UplinkError::Nonsense(words.to_owned())
}

/// TLS, or a provider on this machine: whoever else listens on the way would read the tokens.
pub fn may_be_asked(url: &str) -> Result<(), UplinkError> {
    let parsed: Option<Url> = url.parse().ok();
    match parsed.as_ref().map(|url| (url.scheme(), is_loopback(url))) {
        Some(("https", _)) | Some(("http", true)) => Ok(()),
        _ => Err(UplinkError::Address(format!(
            "{url:.200}: an identity provider is reached by https"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(expires_in: u64, interval: Option<u64>) -> (DeviceFlow, Code) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let flow = DeviceFlow {
            http: Client::builder().no_proxy().build().expect("a client"),
            endpoint: String::new(),
            client_id: CLIENT.into(),
            resource: None,
            is_own: true,
            device_code: String::new(),
            interval: Duration::ZERO,
        };
        flow.opened(Opened {
            device_code: "d".into(),
            user_code: "BCDF-GHJK".into(),
            verification_uri: "https://cloud.test".into(),
            expires_in,
            interval,
        })
    }

    #[test]
    fn no_provider_makes_us_wait_for_ever_or_ask_without_a_pause() {
        let (_, code) = opened(u64::MAX, None);
        assert_eq!(code.open_for, Duration::from_secs(30 * 60));
        for (said, paced) in [(Some(0), 1), (None, 5), (Some(7), 7), (Some(u64::MAX), 60)] {
            let (mut flow, code) = opened(600, said);
            assert_eq!(code.open_for, Duration::from_secs(600));
            assert_eq!(flow.interval(), Duration::from_secs(paced), "{said:?}");
            let error: OAuthError =
                serde_json::from_str(r#"{"error":"slow_down"}"#).expect("reads");
            assert!(matches!(flow.heard(&error), Ok(Progress::Waiting)));
            let slower = Duration::from_secs((paced + 5).min(60));
            assert_eq!(flow.interval(), slower, "{said:?}");
        }
    }
}
