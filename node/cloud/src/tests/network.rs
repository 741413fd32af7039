//! A whole server over real connections: TLS with a pin, tokens, limits, and waiting for news.

use std::net::SocketAddr;

use serde_json::{Value, json};
use studiovault_protocol::cloud::{BatchAnswer, Changes, LogPart, MEDIA_TYPE};
use studiovault_protocol::id::StudioId;
use studiovault_protocol::keys::SecretKey;

use super::fixture::enrolment;
use super::site::{a_site, asked_owned, config, problem};
use super::wire::Request;
use crate::{Transport, serve};

#[tokio::test]
async fn a_batch_travels_over_tls_and_comes_back_as_changes_and_logs() {
    let mut site = a_site().await;
    let request = site.a_client(1);
    let body = postcard::to_stdvec(&request).expect("encodes");
    let packed_body = zstd::bulk::compress(&body, 3).expect("packs");
    let sent = Request::new("POST", "/v1/sync/batch")
        .token(&site.token)
        .header("content-encoding", "zstd")
        .header("accept-encoding", "zstd")
        .body(MEDIA_TYPE, packed_body);
    let answer: BatchAnswer = site.ask(sent).await.signed();
    assert!(answer.refused.is_empty(), "{:?}", answer.refused);
    let changes: Changes = site.ask(site.changes(1, 0)).await.signed();
    assert_eq!(changes.bundles, request.bundles);
    assert_eq!(changes.pages, answer.changes.pages[1..]);
    let path = format!("/v1/logs/{}?epoch={:016x}", site.machines[0].device, 1001);
    let part: LogPart = site
        .ask(Request::new("GET", &path).token(&site.token))
        .await
        .signed();
    assert_eq!(part.bundles, request.bundles);
    let path = format!("/v1/studios/{}/summary", site.studio);
    let summary = site
        .ask(Request::new("GET", &path).token(&site.token))
        .await;
    let summary = summary.json();
    assert_eq!(summary["commands"], 1);
    assert_eq!(summary["confirmed"], 1);
    assert_eq!(summary["entities"], 1);
    let path = format!("/v1/studios/{}/roster", site.studio);
    let roster = site
        .ask(Request::new("GET", &path).token(&site.token))
        .await;
    assert_eq!(roster.json().as_array().map(Vec::len), Some(4));
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_client_with_another_pin_does_not_speak_to_the_server() {
    let site = a_site().await;
    let (address, pin) = (site.cloud.address, "00".repeat(32));
    let ping = Request::new("GET", "/v1/health");
    let refused = tokio::task::spawn_blocking(move || ping.send(address, &pin)).await;
    assert!(refused.expect("no panic").is_err());
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn only_a_valid_token_is_answered_and_only_for_its_studio() {
    let site = a_site().await;
    let ping = Request::new("GET", "/v1/ping?nonce=xyz");
    assert_eq!(problem(&site.ask(ping.clone()).await).0, 401);
    let wrong = ping.clone().token("svp_0000");
    assert_eq!(
        problem(&site.ask(wrong).await),
        (401, "UNAUTHORISED".into())
    );
    // No machine gets anything with it, so none is told that it is signed in.
    let admin = ping.clone().token(&site.cloud.admin_token);
    assert_eq!(problem(&site.ask(admin).await), (403, "FORBIDDEN".into()));
    let right = site.ask(ping.clone().token(&site.token)).await;
    assert_eq!(right.json()["nonce"], "xyz");

    let other = StudioId([6; 16]);
    let root = SecretKey::from_seed([8; 32]);
    let enrol = Request::new("POST", "/v1/studios")
        .json(&serde_json::to_value(enrolment(other, &root)).expect("JSON"));
    let as_person = enrol.clone().token(&site.token);
    assert_eq!(problem(&site.ask(as_person).await).0, 403);
    let as_admin = enrol.token(&site.cloud.admin_token);
    assert_eq!(site.ask(as_admin).await.status, 200);
    for known in [other, StudioId([9; 16])] {
        for what in ["summary", "roster"] {
            let path = format!("/v1/studios/{known}/{what}");
            let answer = site
                .ask(Request::new("GET", &path).token(&site.token))
                .await;
            assert_eq!(problem(&answer), (403, "FORBIDDEN".into()));
        }
    }
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let site = a_site().await;
    let admin = site.cloud.admin_token.clone();
    let list = site
        .ask(Request::new("GET", "/v1/tokens").token(&admin))
        .await;
    let id = list.json()[0]["id"].as_str().expect("an id").to_owned();
    assert!(!String::from_utf8_lossy(&list.body).contains("svp_"));
    let revoke = Request::new("DELETE", &format!("/v1/tokens/{id}")).token(&admin);
    assert_eq!(site.ask(revoke.clone()).await.status, 204);
    assert_eq!(problem(&site.ask(revoke).await).0, 404);
    let ping = Request::new("GET", "/v1/ping").token(&site.token);
    assert_eq!(problem(&site.ask(ping).await).0, 401);
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_token_that_may_read_or_carry_for_one_device_does_no_more() {
    let mut site = a_site().await;
    let read = json!({ "studio": site.studio, "scopes": ["read"] });
    let sync = json!({ "studio": site.studio, "scopes": ["sync"] });
    let bound = json!({ "studio": site.studio, "device": site.machines[1].device });
    let request = site.a_client(1);
    for wish in [read, sync, bound] {
        site.token = site.token(wish).await;
        let answer = site.ask(site.batch(&request)).await;
        assert_eq!(problem(&answer), (403, "FORBIDDEN".into()));
    }
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_question_for_changes_waits_until_something_is_new() {
    let mut site = a_site().await;
    let request = site.a_client(1);
    let waiting = tokio::spawn(asked_owned(&site, site.changes(1, 30)));
    let answer: BatchAnswer = site.ask(site.batch(&request)).await.signed();
    let changes: Changes = waiting.await.expect("no panic").signed();
    assert_eq!(changes.head, answer.changes.head);
    assert_eq!(changes.bundles.len(), 1);
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_stop_ends_every_question_that_waits() {
    let site = a_site().await;
    let waiting = tokio::spawn(asked_owned(&site, site.changes(1, 30)));
    // The request must have arrived before the stop; a second one behind it shows that the server reads.
    assert_eq!(
        site.ask(Request::new("GET", "/v1/health")).await.status,
        200
    );
    let begun = std::time::Instant::now();
    site.cloud.shutdown().await;
    assert!(begun.elapsed().as_secs() < 10);
    let _ = waiting.await;
}

#[tokio::test]
async fn what_is_too_large_or_cannot_be_read_is_told_so() {
    let site = a_site().await;
    let post = |body: Vec<u8>| {
        Request::new("POST", "/v1/sync/batch")
            .token(&site.token)
            .body(MEDIA_TYPE, body)
    };
    let large = site.ask(post(vec![0; 1024 * 1024 + 1])).await;
    assert_eq!(problem(&large), (413, "PAYLOAD_TOO_LARGE".into()));
    let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 1).expect("packs");
    let bomb = post(bomb).header("content-encoding", "zstd");
    let bomb = site.ask(bomb).await;
    assert_eq!(problem(&bomb), (413, "PAYLOAD_TOO_LARGE".into()));
    let garbage = site.ask(post(vec![9; 40])).await;
    assert_eq!(problem(&garbage), (400, "MALFORMED".into()));
    let brotli = post(vec![0]).header("content-encoding", "br");
    let brotli = site.ask(brotli).await;
    assert_eq!(problem(&brotli), (415, "UNSUPPORTED_MEDIA_TYPE".into()));
    let other = Request::new("POST", "/v1/sync/batch")
        .token(&site.token)
        .body("text/plain", vec![1]);
    assert_eq!(problem(&site.ask(other).await).0, 415);
    let nowhere = Request::new("GET", "/v1/nowhere").token(&site.token);
    assert_eq!(problem(&site.ask(nowhere).await), (404, "NOT_FOUND".into()));
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_restart_keeps_certificate_tokens_and_feed() {
    let mut site = a_site().await;
    let request = site.a_client(1);
    let first: BatchAnswer = site.ask(site.batch(&request)).await.signed();
    let (pin, admin) = (site.pin.clone(), site.cloud.admin_token.clone());
    site.cloud.shutdown().await;
    let again = serve(site.config.clone()).await.expect("starts again");
    assert_eq!(again.pin.as_ref(), Some(&pin));
    assert_eq!(again.admin_token, admin);
    site.cloud = again;
    let second: BatchAnswer = site.ask(site.batch(&request)).await.signed();
    assert_eq!(second.changes.pages, first.changes.pages);
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn plain_http_is_served_on_loopback_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(folder.path());
    config.transport = Transport::PlainLoopback;
    let cloud = serve(config.clone()).await.expect("starts");
    assert_eq!(cloud.pin, None);
    let address = cloud.address;
    let health = Request::new("GET", "/v1/health");
    let answer = tokio::task::spawn_blocking(move || health.send_plain(address)).await;
    let answer: Value = answer.expect("no panic").expect("an answer").json();
    assert_eq!(answer["status"], "ok");
    cloud.shutdown().await;
    config.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = serve(config).await.expect_err("refused").to_string();
    assert!(refused.contains("127.0.0.1"), "{refused}");
}

#[tokio::test]
async fn a_client_without_logs_lives_on_json_alone() {
    let mut site = a_site().await;
    let wish = json!({ "studio": site.studio, "scopes": ["sync"] });
    site.token = site.token(wish).await;
    let ask = |path: String| site.ask(Request::new("GET", &path).token(&site.token));
    let start = ask("/v1/sync/changes".into()).await;
    assert_eq!(start.json()["serverChanges"][0]["kind"], "genesis");
    let since = start.json()["newSince"]
        .as_str()
        .expect("a position")
        .to_owned();
    let etag = start.head.split("etag: ").nth(1).expect("a tag");
    let etag = etag.lines().next().expect("a line").to_owned();

    let again = Request::new("GET", &format!("/v1/sync/changes?since={since}"))
        .token(&site.token)
        .header("if-none-match", &etag);
    assert_eq!(site.ask(again).await.status, 304);
    let foreign = ask(format!("/v1/sync/changes?since={}", "0".repeat(40))).await;
    assert_eq!(problem(&foreign), (410, "POSITION_UNKNOWN".into()));

    let create = json!({ "since": since, "commands": [{
        "id": "6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d11", "entityType": "client",
        "operation": "create", "fields": { "name": "Silva" } }] });
    let sent = Request::new("POST", "/v1/sync/batch")
        .token(&site.token)
        .json(&create);
    let answer = site.ask(sent).await.json();
    assert_eq!(answer["acked"][0], create["commands"][0]["id"]);
    let changes = answer["serverChanges"].as_array().expect("a list");
    let kinds: Vec<&Value> = changes.iter().map(|change| &change["kind"]).collect();
    assert_eq!(kinds, ["bundle", "verdicts", "checkpoint"]);
    assert_eq!(changes[0]["commands"][0]["fields"]["name"], "Silva");

    let part = ask(format!("/v1/sync/changes?since={since}&limit=1"))
        .await
        .json();
    assert_eq!(part["serverChanges"], json!([changes[0]]));
    let cursor = part["cursor"].as_str().expect("a cursor").to_owned();
    let rest = ask(format!("/v1/sync/changes?cursor={cursor}"))
        .await
        .json();
    assert_eq!(rest["serverChanges"], json!(changes[1..]));
    assert_eq!(rest["newSince"], answer["newSince"]);
    site.cloud.shutdown().await;
}
