//! The way to the cloud step by step, for the doctor: name, connection, certificate, who answers, token.
//!
//! Every step ends by itself within seconds. What is asked of whoever may sit in the cloud's place carries no token.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::LOCATION;

use super::{CloudClient, UplinkError};
use crate::doctor::{CloudAnswer, CloudFacts};

/// A step that takes longer has failed.
const STEP: Duration = Duration::from_secs(4);

impl CloudClient {
    /// Looks at every step of the way.
    pub async fn examine(&self) -> CloudFacts {
        let url = self.access.url.clone();
        let parsed = url.parse::<Url>().ok();
        let host = parsed.as_ref().and_then(|url| url.host_str());
        let host = host.unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = parsed.as_ref().and_then(Url::port_or_known_default);
        let port = port.unwrap_or(443);
        let mut facts = CloudFacts {
            url,
            dns: look_up(&host, port).await,
            tcp: Err("no address to connect to".into()),
            answer: CloudAnswer::NotAsked,
            impostor: None,
        };
        if let Ok(addresses) = &facts.dns {
            facts.tcp = connect(addresses, port).await;
        }
        if facts.tcp.is_ok() {
            facts.answer = self.question().await;
        }
        if matches!(facts.answer, CloudAnswer::Tls(_) | CloudAnswer::Silent(_)) {
            facts.impostor = self.in_its_place(&host, port).await;
        }
        facts
    }

    async fn question(&self) -> CloudAnswer {
        let began = Instant::now();
        match self.ping().await {
            Ok(_) => CloudAnswer::Echoed {
                offset_ms: self.clock().offset_ms().unwrap_or_default(),
                took_ms: began.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
            },
            Err(error @ (UplinkError::Unauthorised(_) | UplinkError::Unknown(_))) => {
                CloudAnswer::SignIn(error.to_string())
            }
            Err(error @ UplinkError::ShutOut) => CloudAnswer::ShutOut(error.to_string()),
            Err(UplinkError::Impostor) => {
                self.why_unreachable("something else answers in its place".into())
                    .await
            }
            Err(UplinkError::Nonsense(detail) | UplinkError::Missing(detail)) => {
                CloudAnswer::Somebody(format!(
                    "something else answers in the cloud's place: {detail}"
                ))
            }
            Err(UplinkError::Unreachable(words)) => self.why_unreachable(words).await,
            Err(error) => CloudAnswer::Busy(error.to_string()),
        }
    }

    async fn why_unreachable(&self, words: String) -> CloudAnswer {
        let request = self.http.get(self.address("health")).timeout(STEP);
        match request.send().await {
            Ok(_) => CloudAnswer::Somebody(words),
            // A connection just stood, so what broke the next one off is what came right after.
            Err(error) => match tls_failure(&error) {
                Some(failure) => CloudAnswer::Tls(failure),
                None if error.is_connect() && !error.is_timeout() => {
                    CloudAnswer::Tls("the connection was closed instead of a handshake".into())
                }
                None => CloudAnswer::Silent(words),
            },
        }
    }

    /// Who answers without TLS at that name, unless it only leads on to the cloud.
    async fn in_its_place(&self, host: &str, port: u16) -> Option<String> {
        let name = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        for port in [port, 80] {
            let request = self
                .http
                .get(format!("http://{name}:{port}/"))
                .timeout(STEP);
            let Ok(answer) = request.send().await else {
                continue;
            };
            let status = answer.status();
            let to = answer.headers().get(LOCATION);
            let to = to.and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to: String = to.chars().filter(|c| !c.is_control()).take(100).collect();
            let leads_to_it = to
                .parse::<Url>()
                .is_ok_and(|to| to.host_str() == Some(host));
            // A server of TLS says 400 to whoever speaks without.
            if leads_to_it || status.is_client_error() {
                continue;
            }
            let where_to = if to.is_empty() {
                String::new()
            } else {
                format!(" and leads to {to}")
            };
            return Some(format!(
                "something at {name}:{port} answers {status} without TLS in the cloud's place{where_to}"
            ));
        }
        None
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    let found = tokio::time::timeout(STEP, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| "the name server does not answer".to_owned())?;
    let found = found.map_err(|error| format!("the name has no address: {error}"))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err("the name has no address".into());
    }
    Ok(addresses)
}

async fn connect(addresses: &[IpAddr], port: u16) -> Result<SocketAddr, String> {
    let mut failures = Vec::new();
    for ip in addresses.iter().take(4) {
        let address = SocketAddr::new(*ip, port);
        let connected = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(STEP, connected).await {
            Ok(Ok(_)) => return Ok(address),
            Ok(Err(error)) => failures.push(format!("{address}: {error}")),
            Err(_) => failures.push(format!("{address}: no answer")),
        }
    }
    Err(failures.join(", "))
}

/// What TLS had against the other side, if it was TLS.
fn tls_failure(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<rustls::Error>() {
            return Some(failure.to_string());
        }
        let inner = error.downcast_ref::<std::io::Error>();
        let inner = inner.and_then(|error| error.get_ref());
        if let Some(failure) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(failure.to_string());
        }
        cause = error.source();
    }
    None
}
