//! What the contract offers beside the main road: encodings, pokes, answers to conflicts, its own description, and walls
//! between studios.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use studiovault_protocol::cloud::{BatchAnswer, BatchRequest, Changes, EnrolAnswer, MEDIA_TYPE};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{Author, StudioId};
use studiovault_protocol::keys::SecretKey;

use super::fixture::{Machine, Says, empty_request, enrolment, entity, packed};
use super::site::{Site, a_site, config, problem};
use super::wire::{Answer, Request};
use crate::{Transport, serve};

fn get(site: &Site, path: &str) -> Request {
    Request::new("GET", path).token(&site.token)
}

async fn newest(site: &Site) -> String {
    let told = site.ask(get(site, "/v1/sync/changes")).await.json();
    told["newSince"].as_str().expect("a position").to_owned()
}

fn gunzip(answer: &Answer) -> Vec<u8> {
    assert!(
        answer.head.contains("content-encoding: gzip"),
        "{}",
        answer.head
    );
    let mut whole = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(&answer.body[..]);
    reader.read_to_end(&mut whole).expect("gzip");
    whole
}

#[tokio::test]
async fn gzip_is_spoken_both_ways_where_it_is_asked_for() {
    let mut site = a_site().await;
    let mut many = empty_request();
    for number in 1..=8 {
        many.bundles.extend(site.a_client(number).bundles);
    }
    let body = postcard::to_stdvec(&many).expect("encodes");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&body).expect("packs");
    let sent = Request::new("POST", "/v1/sync/batch")
        .token(&site.token)
        .header("content-encoding", "gzip")
        .body(MEDIA_TYPE, packer.finish().expect("packs"));
    let answer: BatchAnswer = site.ask(sent).await.signed();
    assert!(answer.refused.is_empty());
    let told = site
        .ask(
            site.changes(0, 0)
                .header("accept-encoding", "zstd;q=0, gzip"),
        )
        .await;
    let changes: Changes = postcard::from_bytes(&gunzip(&told)).expect("postcard");
    assert_eq!(changes.head, answer.changes.head);
    let news = get(&site, "/v1/sync/changes").header("accept-encoding", "gzip");
    let told: Value = serde_json::from_slice(&gunzip(&site.ask(news).await)).expect("JSON");
    assert!(told["newSince"].is_string());

    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(&vec![0; 16 * 1024 * 1024]).expect("packs");
    let sent = Request::new("POST", "/v1/sync/batch")
        .token(&site.token)
        .header("content-encoding", "gzip")
        .body(MEDIA_TYPE, bomb.finish().expect("packs"));
    assert_eq!(problem(&site.ask(sent).await).0, 413);
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_poke_tells_the_new_head_and_no_data() {
    let mut site = a_site().await;
    let mut plain = site.config.clone();
    let request = site.a_client(1);
    let wish = json!({ "studio": site.studio, "scopes": ["read"] });
    let token = site.token(wish).await;
    let sent = site.proven(site.batch(&request));
    // Over plain HTTP, so that a line can be read as it comes.
    site.cloud.shutdown().await;
    plain.transport = Transport::PlainLoopback;
    site.cloud = serve(plain).await.expect("starts");
    let address = site.cloud.address;
    let reading = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("connects");
        let asked = format!(
            "GET /v1/sync/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(asked.as_bytes()).expect("sends");
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let mut told = lines.filter(|line| line.starts_with("data: "));
        let first = told.next().expect("the head at once");
        let sent = sent.send_plain(address);
        assert_eq!(sent.expect("an answer").status, 200);
        (first, told.next().expect("a poke"))
    });
    let (first, second_poke) = reading.await.expect("no panic");
    assert_ne!(first, second_poke);
    let told: Value = serde_json::from_str(second_poke.trim_start_matches("data: ")).expect("JSON");
    assert_eq!(
        told.as_object().map(serde_json::Map::len),
        Some(1),
        "{told}"
    );
    assert_eq!(told["head"].as_str().map(str::len), Some(40));
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_conflict_is_settled_by_whoever_read_all_its_sides_and_stays_open_for_others() {
    let mut site = a_site().await;
    let create = site_client(&mut site, 0);
    let created: BatchAnswer = site.ask(site.batch(&create)).await.signed();
    assert!(created.rejections.is_empty());
    let base = newest(&site).await;
    for (machine, name) in [(0, "Souza"), (1, "Sousa")] {
        let mut edit = rename(&mut site, machine, name);
        edit.device = site.machines[0].device;
        let _: BatchAnswer = site.ask(site.batch(&edit)).await.signed();
    }
    let wish = json!({ "studio": site.studio, "scopes": ["sync"] });
    let person = site.token(wish).await;
    let resolve = |id: &str, value: &str| json!({ "id": id, "entityId": entity(1), "fields": { "name": value } });
    let post = |body: Value| {
        Request::new("POST", "/v1/conflicts/resolve")
            .token(&person)
            .json(&body)
    };
    let unread =
        json!({ "resolutions": [resolve("6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d20", "Silva")] });
    assert_eq!(
        problem(&site.ask(post(unread)).await),
        (400, "MALFORMED".into())
    );

    // Who had read only what stood before the edits has not seen the sides.
    let early = json!({ "since": base, "resolutions": [resolve("6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d21", "Early")] });
    let early = site.ask(post(early)).await.json();
    assert_eq!(
        early["rejections"][0]["code"], "CONFLICT_UPDATE_UPDATE",
        "{early}"
    );
    let read = newest(&site).await;
    let settled = json!({ "resolutions": [{
        "id": "6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d22", "entityId": entity(1), "read": read,
        "fields": { "name": "Sousa e Souza" } }] });
    let answer = site.ask(post(settled.clone())).await.json();
    assert_eq!(
        answer["acked"][0], "6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d22",
        "{answer}"
    );
    assert_eq!(answer["rejections"], json!([]));
    let again = site.ask(post(settled)).await.json();
    assert_eq!(again, answer, "the same question again has the same answer");

    // Every machine that folds the feed has no question any more.
    let changes: Changes = site.ask(site.changes(0, 0)).await.signed();
    let mut stranger = Machine::new(9, site.studio);
    stranger.take_in(&changes, &site.enrolled);
    let entity = &stranger.entities()[&entity(1)];
    assert!(entity.conflicts(&Default::default()).is_empty());
    let shown = entity.shown(&Default::default()).fields;
    assert_eq!(shown["name"], "Sousa e Souza");
    site.cloud.shutdown().await;
}

fn site_client(site: &mut Site, machine: usize) -> BatchRequest {
    let machine = &mut site.machines[machine];
    let create = machine
        .command(Op::Create, "client", entity(1))
        .text("name", "Silva");
    let bundle = machine.write(vec![create]);
    for machine in &mut site.machines {
        machine.receive(&bundle);
    }
    BatchRequest {
        bundles: vec![packed(&bundle)],
        ..empty_request()
    }
}

fn rename(site: &mut Site, machine: usize, name: &str) -> BatchRequest {
    let machine = &mut site.machines[machine];
    let update = machine
        .command(Op::Update, "client", entity(1))
        .text("name", name);
    BatchRequest {
        device: machine.device,
        bundles: vec![packed(&machine.write(vec![update]))],
        ..empty_request()
    }
}

#[tokio::test]
async fn every_address_of_the_document_answers_and_every_code_stands_in_it() {
    let site = a_site().await;
    let document = site
        .ask(Request::new("GET", "/v1/openapi.json"))
        .await
        .json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let path = path
            .replace("{id}", &site.studio.to_string())
            .replace("{device}", &site.machines[0].device.to_string());
        for method in operations.as_object().expect("operations").keys() {
            let request = Request::new(&method.to_uppercase(), &path).header("content-length", "0");
            let answer = site.ask(request).await;
            assert!(![404, 405].contains(&answer.status), "{method} {path}");
            let wrong = site.ask(Request::new("PATCH", &path)).await;
            assert_eq!(problem(&wrong), (405, "METHOD_NOT_ALLOWED".into()));
            assert!(wrong.head.contains("allow: "), "{}", wrong.head);
        }
    }
    let named = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].clone();
    assert_eq!(named, json!(crate::problem::CODES));
    let meta = site.ask(Request::new("GET", "/v1/meta")).await.json();
    assert!(
        meta["codes"]
            .as_array()
            .is_some_and(|codes| codes.len() == 14)
    );
    assert_eq!(meta["limits"]["plainBatchCommands"], 200);
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_token_of_one_studio_reads_and_writes_nothing_of_another_at_any_address() {
    let mut site = a_site().await;
    let secret = site.a_client(1);
    let _: BatchAnswer = site.ask(site.batch(&secret)).await.signed();
    let foreign = newest(&site).await;
    let (other, root) = (StudioId([6; 16]), SecretKey::from_seed([8; 32]));
    let admin = site.cloud.admin_token.clone();
    let enrol = serde_json::to_value(enrolment(other, &root)).expect("JSON");
    let enrolled = site
        .ask(
            Request::new("POST", "/v1/studios")
                .token(&admin)
                .json(&enrol),
        )
        .await;
    let _: EnrolAnswer = serde_json::from_value(enrolled.json()).expect("an answer");
    let wish = json!({ "studio": other, "scopes": ["sync"] });
    let thief = site.token(wish).await;
    let before = site
        .ask(get(&site, &format!("/v1/studios/{}/summary", site.studio)))
        .await
        .json();

    let author = Author {
        device: site.machines[0].device,
        epoch: studiovault_protocol::id::Epoch(1001),
    };
    let document = site
        .ask(Request::new("GET", "/v1/openapi.json"))
        .await
        .json();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            // A stream of the thief's own studio never ends.
            if path.ends_with("/events") {
                continue;
            }
            let named = path
                .replace("{id}", &site.studio.to_string())
                .replace("{device}", &author.device.to_string());
            let query = format!(
                "?epoch={:016x}&since={foreign}&cursor={foreign}",
                author.epoch.0
            );
            let request = Request::new(&method.to_uppercase(), &(named + &query)).token(&thief);
            let body = postcard::to_stdvec(&secret).expect("encodes");
            let answer = site.ask(request.body(MEDIA_TYPE, body)).await;
            let told = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!told.contains("Silva"), "{method} {path}: {told}");
            let bundle = &secret.bundles[0].0;
            let leaked = answer
                .body
                .windows(bundle.len())
                .any(|part| part == &bundle[..]);
            assert!(!leaked, "{method} {path}");
        }
    }
    steal(&site, (&thief, &foreign), &secret).await;
    let after = site
        .ask(get(&site, &format!("/v1/studios/{}/summary", site.studio)))
        .await
        .json();
    assert_eq!(after, before);
    site.cloud.shutdown().await;
}

/// Writing with a foreign token: nothing of it is taken.
async fn steal(site: &Site, (thief, foreign): (&str, &str), secret: &BatchRequest) {
    let stolen = Request::new("POST", "/v1/sync/batch").token(thief);
    let stolen = stolen.body(MEDIA_TYPE, postcard::to_stdvec(&secret).expect("encodes"));
    assert_eq!(problem(&site.ask(stolen).await).0, 403);
    let settle = json!({ "since": foreign, "resolutions": [{
        "id": "6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d30", "entityId": entity(1),
        "fields": { "name": "stolen" } }] });
    let settle = Request::new("POST", "/v1/conflicts/resolve")
        .token(thief)
        .json(&settle);
    assert!(site.ask(settle).await.status >= 400);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_tell_nobody() {
    let site = a_site().await;
    let asked = site.ask(Request::new("GET", "/v1/metrics")).await;
    assert_eq!(problem(&asked).0, 401);
    assert_eq!(problem(&site.ask(get(&site, "/v1/metrics")).await).0, 403);
    let admin = site.cloud.admin_token.clone();
    let told = site
        .ask(Request::new("GET", "/v1/metrics").token(&admin))
        .await;
    let text = String::from_utf8_lossy(&told.body).into_owned();
    let line = "studiovault_cloud_requests_total{route=\"/v1/sync/batch\",status=\"200\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains(&site.studio.to_string()) && !text.contains(&site.token));
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn two_servers_on_one_folder_run_only_on_a_shared_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let first = serve(config.clone()).await.expect("starts");
    match serve(config.clone()).await {
        Ok(second) => {
            assert!(config.database.is_some());
            assert_eq!(second.admin_token, first.admin_token);
            second.shutdown().await;
        }
        Err(error) => assert!(config.database.is_none(), "{error}"),
    }
    first.shutdown().await;
}
