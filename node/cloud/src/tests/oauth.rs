//! Signing in over real connections: the two endpoints as RFC 8628 has them, and what a person decides between.

use serde_json::{Value, json};
use studiovault_protocol::id::StudioId;

use super::site::{Site, a_site, asked, problem};
use super::wire::{Answer, Request};

const FORM: &str = "application/x-www-form-urlencoded";

fn form(path: &str, text: &str) -> Request {
    Request::new("POST", path).body(FORM, text.as_bytes().to_vec())
}

fn wish(site: &Site) -> String {
    let (studio, device) = (site.studio, site.machines[0].device);
    format!("client_id=studiovault&studio={studio}&device={device}&device_name=front+desk")
}

/// An error as OAuth words it.
fn refused(answer: &Answer) -> String {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(
        answer.head.contains("cache-control: no-store"),
        "{}",
        answer.head
    );
    let body = answer.json();
    assert!(!text(&body, "error_description").is_empty());
    text(&body, "error")
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

async fn decide(site: &Site, code: &str, decision: &str) -> Answer {
    let word = json!({"code": code, "decision": decision});
    let request = Request::new("POST", "/v1/oauth/decisions")
        .token(&site.cloud.admin_token)
        .json(&word);
    asked(site.cloud.address, &site.pin, request).await
}

async fn exchange(site: &Site, grant: &str, value: &str) -> Answer {
    let (grant, name) = match grant {
        "device" => (
            "urn:ietf:params:oauth:grant-type:device_code",
            "device_code",
        ),
        _ => ("refresh_token", "refresh_token"),
    };
    let body = format!("client_id=studiovault&grant_type={grant}&{name}={value}");
    asked(
        site.cloud.address,
        &site.pin,
        form("/v1/oauth/token", &body),
    )
    .await
}

#[tokio::test]
async fn a_machine_signs_in_by_a_code_and_its_token_is_worth_nothing_without_its_key() {
    let mut site = a_site().await;
    let opened = site
        .ask(form("/v1/oauth/device", &wish(&site)))
        .await
        .json();
    assert_eq!(
        text(&opened, "verification_uri"),
        "https://localhost/v1/oauth/device"
    );
    let (device, user) = (text(&opened, "device_code"), text(&opened, "user_code"));
    assert_eq!(
        refused(&exchange(&site, "device", &device).await),
        "authorization_pending"
    );
    assert_eq!(
        refused(&exchange(&site, "device", &device).await),
        "slow_down"
    );
    let decided = decide(&site, &user, "approve").await;
    assert_eq!(decided.status, 200);
    assert_eq!(decided.json()["proven"], true, "its key signed the request");
    assert_eq!(text(&decided.json(), "name"), "front desk");
    assert_eq!(problem(&decide(&site, &user, "deny").await).0, 404);

    // Without waiting: a code of its own, asked about once.
    let opened = site
        .ask(form("/v1/oauth/device", &wish(&site)))
        .await
        .json();
    decide(&site, &text(&opened, "user_code"), "approve").await;
    let given = exchange(&site, "device", &text(&opened, "device_code")).await;
    assert_eq!(given.status, 200);
    assert!(
        given.head.contains("cache-control: no-store"),
        "{}",
        given.head
    );
    let given = given.json();
    assert_eq!(
        (text(&given, "token_type"), text(&given, "scope")),
        ("Bearer".into(), "carry".into())
    );
    site.token = text(&given, "access_token");
    let batch = site.a_client(1);
    assert_eq!(site.ask(site.batch(&batch)).await.status, 200);
    let bare = site.batch(&batch);
    let bare = asked(site.cloud.address, &site.pin, bare).await;
    assert_eq!(problem(&bare), (401, "PROOF_NEEDED".into()));

    let renewed = exchange(&site, "refresh", &text(&given, "refresh_token"))
        .await
        .json();
    assert_eq!(
        problem(&site.ask(site.batch(&batch)).await),
        (401, "UNAUTHORISED".into())
    );
    site.token = text(&renewed, "access_token");
    assert_eq!(site.ask(site.batch(&batch)).await.status, 200);
    let list = Request::new("GET", "/v1/tokens").token(&site.cloud.admin_token);
    let list = site.ask(list).await.json();
    let id = text(&list[1], "id");
    let revoke = Request::new("DELETE", &format!("/v1/tokens/{id}")).token(&site.cloud.admin_token);
    assert_eq!(site.ask(revoke).await.status, 204);
    assert_eq!(problem(&site.ask(site.batch(&batch)).await).0, 401);
    let ended = exchange(&site, "refresh", &text(&renewed, "refresh_token")).await;
    assert_eq!(refused(&ended), "invalid_grant");
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn whoever_proves_nothing_is_told_apart_and_a_forged_proof_is_refused() {
    let site = a_site().await;
    let request = form("/v1/oauth/device", &wish(&site));
    let opened = asked(site.cloud.address, &site.pin, request.clone())
        .await
        .json();
    let user = text(&opened, "user_code");
    let named = json!({"code": user});
    let look = Request::new("POST", "/v1/oauth/codes").json(&named);
    assert_eq!(problem(&site.ask(look.clone()).await).0, 401);
    let admin = &site.cloud.admin_token;
    let seen = site.ask(look.token(admin)).await.json();
    assert_eq!(
        (text(&seen, "name"), text(&seen, "scope"), &seen["proven"]),
        ("front desk".into(), "carry".into(), &json!(false))
    );
    assert_eq!(text(&seen, "studio"), site.studio.to_string());
    let refused = decide(&site, &user, "approve").await;
    assert_eq!(problem(&refused), (409, "WISH_UNPROVEN".into()));
    let word = json!({"code": user, "decision": "approve", "unproven": true});
    let decision = Request::new("POST", "/v1/oauth/decisions").json(&word);
    let decided = site.ask(decision.token(admin)).await;
    assert_eq!(decided.json()["proven"], false);
    let again = Request::new("POST", "/v1/oauth/codes").json(&named);
    assert_eq!(problem(&site.ask(again.token(admin)).await).0, 404);
    let first = &site.machines[0];
    let prover = studiovault_protocol::cloud::Prover::Device(first.device);
    let forged = request.proven(prover, &site.nonce, &site.machines[1].key);
    let forged = asked(site.cloud.address, &site.pin, forged).await;
    assert_eq!(problem(&forged), (401, "PROOF_NEEDED".into()));
    // Another machine's proof does not open a code for this one.
    let other = form("/v1/oauth/device", &wish(&site));
    let prover = studiovault_protocol::cloud::Prover::Device(site.machines[1].device);
    let other = other.proven(prover, &site.nonce, &site.machines[1].key);
    let other = asked(site.cloud.address, &site.pin, other).await;
    assert_eq!(problem(&other), (403, "FORBIDDEN".into()));
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn only_the_admin_decides_and_only_for_a_studio_that_is_enrolled() {
    let site = a_site().await;
    let opened = site
        .ask(form("/v1/oauth/device", &wish(&site)))
        .await
        .json();
    let word = json!({"code": text(&opened, "user_code"), "decision": "approve"});
    let request = Request::new("POST", "/v1/oauth/decisions").json(&word);
    assert_eq!(problem(&site.ask(request.clone()).await).0, 401);
    let as_machine = request.token(&site.token);
    assert_eq!(problem(&site.ask(as_machine).await).0, 403);
    let elsewhere = StudioId([8; 16]);
    let stray = format!("client_id=studiovault&studio={elsewhere}&scope=read");
    let opened = asked(
        site.cloud.address,
        &site.pin,
        form("/v1/oauth/device", &stray),
    )
    .await;
    let code = text(&opened.json(), "user_code");
    assert_eq!(problem(&decide(&site, &code, "approve").await).0, 404);
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_request_that_is_wrong_is_told_in_the_words_of_oauth() {
    let site = a_site().await;
    let studio = site.studio;
    let device = |text: String| ("/v1/oauth/device", text);
    let token = |text: &str| ("/v1/oauth/token", text.to_owned());
    let cases = [
        (
            device(format!("client_id=other&studio={studio}")),
            "invalid_client",
        ),
        (device("client_id=studiovault".into()), "invalid_request"),
        (
            device(format!(
                "client_id=studiovault&studio={studio}&studio={studio}"
            )),
            "invalid_request",
        ),
        (
            device(format!("client_id=studiovault&studio={studio}&scope=admin")),
            "invalid_scope",
        ),
        (
            device(format!(
                "client_id=studiovault&studio={studio}&device_name=%00"
            )),
            "invalid_request",
        ),
        (
            device(format!(
                "client_id=studiovault&studio={}",
                "a".repeat(9_000)
            )),
            "invalid_request",
        ),
        (token("client_id=studiovault"), "invalid_request"),
        (
            token("client_id=studiovault&grant_type=password"),
            "unsupported_grant_type",
        ),
        (
            token("client_id=studiovault&grant_type=refresh_token"),
            "invalid_request",
        ),
        (
            token("client_id=studiovault&grant_type=refresh_token&refresh_token=svr_00"),
            "invalid_grant",
        ),
    ];
    for ((path, body), error) in cases {
        let answer = asked(site.cloud.address, &site.pin, form(path, &body)).await;
        assert_eq!(refused(&answer), error, "{body:.80}");
    }
    let json = Request::new("POST", "/v1/oauth/token").json(&json!({}));
    assert_eq!(refused(&site.ask(json).await), "invalid_request");
    let page = site.ask(Request::new("GET", "/v1/oauth/device")).await;
    assert!(String::from_utf8_lossy(&page.body).contains("studiovault cloud approve"));
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_name_shows_nothing_that_turns_text_around_or_cannot_be_seen() {
    let site = a_site().await;
    let studio = site.studio;
    let admin = &site.cloud.admin_token;
    for (sent, shown) in [
        ("front%E2%80%AEksed%E2%81%A6", "frontksed"),
        ("%E2%80%8B%EF%BB%BF", "a program"),
        ("Jos%C3%A9", "José"),
    ] {
        let wish = format!("client_id=studiovault&studio={studio}&device_name={sent}");
        let request = form("/v1/oauth/device", &wish);
        let opened = asked(site.cloud.address, &site.pin, request).await;
        let named = json!({"code": text(&opened.json(), "user_code")});
        let look = Request::new("POST", "/v1/oauth/codes").json(&named);
        let seen = site.ask(look.token(admin)).await.json();
        assert_eq!(text(&seen, "name"), shown, "{sent}");
    }
    site.cloud.shutdown().await;
}
