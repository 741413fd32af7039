//! What of a provider's tokens is taken, held against a provider that lies in every part.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Json;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use studiovault_protocol::id::StudioId;
use studiovault_protocol::time::WallMs;

use super::{FRESH, Issuer, IssuerError};
use crate::config::IssuerConfig;
use crate::tokens::{Grantee, Scope};

const NOW: WallMs = WallMs(1_790_000_000_000);
const NOW_S: i64 = 1_790_000_000;
const STUDIO: StudioId = StudioId([5; 16]);

/// A provider on loopback with a key of Ed25519, `d`, and one of P-256, `e`.
struct Provider {
    issuer: Issuer,
    url: String,
    edwards: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    asked: Arc<AtomicUsize>,
    /// The keys are given while it is open.
    gate: Arc<tokio::sync::Semaphore>,
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    async fn start() -> Self {
        let random = SystemRandom::new();
        let edwards = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let edwards = Ed25519KeyPair::from_pkcs8(edwards.as_ref()).expect("a key");
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p256 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        let p256 = EcdsaKeyPair::from_pkcs8(kind, p256.as_ref(), &random).expect("a key");
        let point = p256.public_key().as_ref();
        let keys = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "d", "use": "sig", "x": text(edwards.public_key())},
            {"kty": "EC", "crv": "P-256", "kid": "e", "alg": "ES256", "x": text(&point[1..33]), "y": text(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "sealing", "use": "enc", "x": text(edwards.public_key())},
            {"kty": "oct", "kid": "secret", "k": "AAAA"}, "nonsense",
        ]});
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("listens");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let described = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let gate = Arc::new(tokio::sync::Semaphore::new(1));
        let way = gate.clone();
        let routes = axum::Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || Json(described.clone())),
            )
            .route(
                "/keys",
                get(async move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    let _open = way.acquire().await.expect("it is never taken away");
                    Json(keys.clone())
                }),
            );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let issuer = Issuer::new(config(&url)).expect("can be used");
        Self {
            issuer,
            url,
            edwards,
            p256,
            asked,
            gate,
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": "https://cloud.test", "sub": "ines", "exp": NOW_S + 60,
            "scope": "openid carry", "studiovault_studio": STUDIO,
        })
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let signature = if header["kid"] == "e" {
            let made = self.p256.sign(&SystemRandom::new(), message.as_bytes());
            text(made.expect("signs"))
        } else {
            text(self.edwards.sign(message.as_bytes()))
        };
        format!("{message}.{signature}")
    }

    async fn check(&self, token: &str) -> Result<Grantee, IssuerError> {
        self.issuer.check(token, NOW).await
    }
}

fn config(url: &str) -> IssuerConfig {
    IssuerConfig {
        url: url.into(),
        audience: "https://cloud.test".into(),
        client: "machine".into(),
    }
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "d"})
}

fn with(mut value: Value, name: &str, other: Value) -> Value {
    value[name] = other;
    value
}

#[tokio::test]
async fn a_token_for_this_server_is_taken_by_each_kind_of_key() {
    let provider = Provider::start().await;
    let es256 = json!({"alg": "ES256", "typ": "application/at+jwt", "kid": "e"});
    let nameless = json!({"alg": "EdDSA", "typ": "at+JWT"});
    for header in [header(), es256, nameless] {
        let grantee = provider
            .check(&provider.token(&header, &provider.claims()))
            .await;
        let grantee = grantee.expect("is taken");
        assert_eq!((grantee.id.as_str(), grantee.studio), ("ines", STUDIO));
        assert_eq!(
            (grantee.device, &grantee.scopes[..]),
            (None, &[Scope::Carry][..])
        );
    }
    let many = with(
        provider.claims(),
        "aud",
        json!(["https://other.test", "https://cloud.test"]),
    );
    assert!(
        provider
            .check(&provider.token(&header(), &many))
            .await
            .is_ok()
    );
    assert_eq!(
        provider.asked.load(Ordering::Relaxed),
        1,
        "keys are asked for once"
    );
}

#[tokio::test]
async fn a_token_whose_claims_are_for_somebody_else_or_another_time_is_refused() {
    let provider = Provider::start().await;
    let cases = [
        ("iss", json!("https://other.test")),
        ("aud", json!("https://other.test")),
        ("aud", json!([])),
        ("exp", json!(NOW_S - 5)),
        ("exp", json!("4000000000")),
        ("exp", Value::Null),
        ("nbf", json!(NOW_S + 60)),
        ("nbf", json!("soon")),
        ("sub", Value::Null),
        ("scope", json!("openid")),
        ("scope", json!("carry sync")),
        ("studiovault_studio", Value::Null),
        ("studiovault_studio", json!("all")),
    ];
    for (name, value) in cases {
        let claims = with(provider.claims(), name, value.clone());
        let checked = provider.check(&provider.token(&header(), &claims)).await;
        assert!(
            matches!(checked, Err(IssuerError::Refused(_))),
            "{name} {value}: {checked:?}"
        );
    }
}

#[tokio::test]
async fn the_key_alone_decides_how_a_signature_is_checked() {
    let provider = Provider::start().await;
    let claims = provider.claims();
    let cases = [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("alg", json!("RS256")),
        ("kid", json!("e2")),
        ("kid", json!("sealing")),
        ("kid", json!("secret")),
        ("typ", json!("JWT")),
        ("crit", json!(["exp"])),
    ];
    for (name, value) in cases {
        let token = provider.token(&with(header(), name, value.clone()), &claims);
        let checked = provider.check(&token).await;
        assert!(
            matches!(checked, Err(IssuerError::Refused(_))),
            "{name} {value}: {checked:?}"
        );
    }
    let good = provider.token(&header(), &claims);
    assert!(provider.check(&good).await.is_ok());
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let other = provider.token(&header(), &with(claims, "sub", json!("root")));
    let (_, of_other) = other.rsplit_once('.').expect("three parts");
    let long = "a".repeat(9_000);
    let bent = [
        format!("{message}.{of_other}"),
        format!("{message}."),
        message.to_owned(),
        format!("{message}.{signature}="),
        format!("{good}.{signature}"),
        "..".to_owned(),
        format!("{long}.{long}.{long}"),
    ];
    for token in bent {
        let checked = provider.check(&token).await;
        assert!(
            matches!(checked, Err(IssuerError::Refused(_))),
            "{token:.80}: {checked:?}"
        );
    }
    assert_eq!(
        provider.asked.load(Ordering::Relaxed),
        1,
        "a stranger makes nobody ask"
    );
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_apart_from_a_token_that_is_refused() {
    let mut provider = Provider::start().await;
    let token = provider.token(&header(), &provider.claims());
    // Nobody listens there.
    provider.issuer = Issuer::new(config("http://127.0.0.1:9")).expect("can be used");
    for _ in 0..2 {
        let checked = provider.check(&token).await;
        assert!(matches!(checked, Err(IssuerError::Away(_))), "{checked:?}");
    }
    // It answers under another name than the one that is trusted.
    let other = provider.url.replace("127.0.0.1", "localhost");
    provider.issuer = Issuer::new(config(&other)).expect("can be used");
    let checked = provider.check(&token).await;
    assert!(matches!(checked, Err(IssuerError::Away(_))), "{checked:?}");
    for url in ["http://issuer.test", "ftp://127.0.0.1", "nonsense"] {
        assert!(Issuer::new(config(url)).is_err(), "{url}");
    }
}

#[tokio::test]
async fn whoever_holds_a_good_token_does_not_wait_while_a_strangers_key_is_asked_for() {
    let provider = Provider::start().await;
    let good = provider.token(&header(), &provider.claims());
    assert!(provider.check(&good).await.is_ok());
    // A minute later a stranger comes, and the provider takes its time.
    provider.issuer.keys.write().await.asked = None;
    let closed = provider.gate.acquire().await.expect("is there");
    let unknown = with(header(), "kid", json!("nobody's"));
    let unknown = provider.token(&unknown, &provider.claims());
    let others = async {
        while provider.asked.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        assert!(provider.issuer.keys.try_read().is_ok(), "nobody waits");
        assert!(provider.check(&good).await.is_ok());
        // Nor once the keys are no longer fresh, as long as they may be used.
        if let Some(aged) = Instant::now().checked_sub(FRESH) {
            provider.issuer.keys.write().await.fetched = Some(aged);
            assert!(provider.check(&good).await.is_ok());
        }
        drop(closed);
    };
    let (stranger, ()) = tokio::join!(provider.check(&unknown), others);
    assert!(
        matches!(stranger, Err(IssuerError::Refused(_))),
        "{stranger:?}"
    );
    assert_eq!(provider.asked.load(Ordering::Relaxed), 2);
}
