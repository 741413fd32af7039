//! The API of a real node over real sockets: who is let in, what is refused, and that writes read back.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use studiovault_lab::served::{Served, answer};
use studiovault_protocol::api::BODY_BYTES;

fn create(fields: Value) -> Value {
    json!({"mutations": [{"type": "client", "op": "create", "fields": fields}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_host_token_and_good_manners_reaches_a_handler() {
    let served = Served::start().await;
    let status = "/local/v1/status";
    let plain = || served.http.get(served.address(status));
    let cases = [
        (plain(), 401, "NO_TOKEN"),
        (plain().bearer_auth("guess"), 401, "NO_TOKEN"),
        (
            served.get(status).header("host", "evil.example"),
            403,
            "FOREIGN_HOST",
        ),
        (
            served.get(status).header("origin", "http://evil.example"),
            403,
            "WEB_PAGE",
        ),
        (
            served.get("/metrics").header("origin", "null"),
            403,
            "WEB_PAGE",
        ),
        (served.get("/nowhere"), 404, "NOT_FOUND"),
        (served.get("/local/v1/tx"), 405, "WRONG_METHOD"),
        (
            served.post("/local/v1/tx", &json!({"mutations": 1})),
            422,
            "MALFORMED",
        ),
    ];
    for (request, expected, code) in cases {
        let (status, problem) = answer(request).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (expected, Some(code))
        );
        assert!(
            problem["next_step"]
                .as_str()
                .is_some_and(|step| !step.is_empty()),
            "{problem}"
        );
    }
    let cross = served.get(status).send().await.expect("an answer");
    assert!(cross.headers().get("access-control-allow-origin").is_none());
    let form = served
        .http
        .post(served.address("/local/v1/tx"))
        .bearer_auth(&served.token);
    let (status, _) = answer(form.header("content-type", "text/plain").body("{}")).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, problem) = answer(served.post(
        "/local/v1/tx",
        &create(json!({"notes": "x".repeat(BODY_BYTES)})),
    ))
    .await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, Some("BODY_TOO_LARGE"))
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_reads_back_and_bad_ones_change_nothing() {
    let served = Served::start().await;
    let (status, written) = answer(served.post(
        "/local/v1/tx",
        &create(json!({"name": "Silva", "tags": ["vip"]})),
    ))
    .await;
    assert_eq!(status, StatusCode::OK, "{written}");
    let (id, vv) = (
        written["ids"][0].as_str().expect("an id"),
        written["vv"].as_str().expect("a token"),
    );
    let (status, client) =
        answer(served.get(&format!("/local/v1/entities/client/{id}?at_least={vv}"))).await;
    assert_eq!(
        (status, &client["fields"]["name"]),
        (StatusCode::OK, &json!("Silva")),
        "{client}"
    );
    assert_eq!(client["sync_state"], json!({"state": "saved_here"}));
    let (_, page) = answer(served.get("/local/v1/entities/client?field.tags=vip&limit=1")).await;
    assert_eq!(
        (page["entities"].as_array().map(Vec::len), &page["next"]),
        (Some(1), &Value::Null),
        "{page}"
    );
    let (status, problem) = answer(served.post("/local/v1/tx", &create(json!({"shoe": 4})))).await;
    assert_eq!(
        (status.as_u16(), &problem["code"], &problem["field"]),
        (422, &json!("UNKNOWN_FIELD"), &json!("shoe"))
    );
    let two = json!({"mutations": [
        {"type": "client", "op": "create", "fields": {"name": "Costa"}},
        {"type": "client", "op": "create", "fields": {"name": 7}},
    ]});
    assert_eq!(
        answer(served.post("/local/v1/tx", &two)).await.0.as_u16(),
        422
    );
    let again = json!({"skip_existing": true, "mutations": [{"type": "client", "op": "create", "id": id, "fields": {"name": "Silva"}}]});
    let (_, skipped) = answer(served.post("/local/v1/tx", &again)).await;
    assert_eq!(
        (&skipped["skipped"], &skipped["bundle"]),
        (&json!(1), &Value::Null)
    );
    let sql = json!({"sql": "SELECT count(*) FROM app_client"});
    let (_, counted) = answer(served.post("/local/v1/query", &sql)).await;
    assert_eq!(counted["rows"], json!([[1]]), "{counted}");
    let (status, problem) =
        answer(served.post("/local/v1/query", &json!({"sql": "DELETE FROM entity"}))).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::BAD_REQUEST, &json!("BAD_QUERY"))
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_client_comes_back_whole() {
    let served = Served::start().await;
    let (_, written) = answer(served.post(
        "/local/v1/tx",
        &create(json!({"name": "Silva", "tags": ["vip"]})),
    ))
    .await;
    let id = written["ids"][0].clone();
    for op in ["delete", "restore"] {
        let body = json!({"mutations": [{"type": "client", "op": op, "id": id}]});
        let (status, answer) = answer(served.post("/local/v1/tx", &body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let path = format!("/local/v1/entities/client/{}", id.as_str().expect("an id"));
    let (_, client) = answer(served.get(&path)).await;
    assert_eq!(client["deleted"], json!(false));
    assert_eq!(client["fields"], json!({"name": "Silva", "tags": ["vip"]}));
    let (_, history) = answer(served.get(&format!(
        "/local/v1/history/{}",
        id.as_str().expect("an id")
    )))
    .await;
    let ops: Vec<&Value> = history["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| &row["op"])
        .collect();
    assert_eq!(ops, [&json!("create"), &json!("delete"), &json!("restore")]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_token_given_back_tells_what_the_person_had_seen() {
    let served = Served::start().await;
    let (_, written) = answer(served.post("/local/v1/tx", &create(json!({"name": "Silva"})))).await;
    let id = written["ids"][0].as_str().expect("an id");
    let path = format!("/local/v1/entities/client/{id}");
    let token = answer(served.get(&path)).await.1["vv"].clone();
    let update = |read: &Value, name: &str| {
        let fields = json!({"name": name});
        json!({"mutations": [{"type": "client", "op": "update", "id": id, "fields": fields, "read": read}]})
    };
    // Two windows that had both read the same: neither covers the other.
    for name in ["Sousa", "Costa"] {
        let (status, _) = answer(served.post("/local/v1/tx", &update(&token, name))).await;
        assert_eq!(status, StatusCode::OK);
    }
    let listed = async |query: &str| {
        let (_, page) = answer(served.get(&format!("/local/v1/entities/client?{query}"))).await;
        page["entities"].as_array().expect("entities").len()
    };
    assert_eq!(listed("conflict=true").await, 1);
    let (_, client) = answer(served.get(&path)).await;
    answer(served.post("/local/v1/tx", &update(&client["vv"], "Costa"))).await;
    assert_eq!(
        (
            listed("conflict=true").await,
            listed("conflict=false").await
        ),
        (0, 1)
    );
    let delete = json!({"mutations": [{"type": "client", "op": "delete", "id": id}]});
    answer(served.post("/local/v1/tx", &delete)).await;
    assert_eq!(listed("").await, 0);
    assert_eq!(
        (listed("deleted=true").await, listed("deleted=any").await),
        (1, 1)
    );
    let (_, history) = answer(served.get(&format!("/local/v1/history/{id}"))).await;
    let rows = history["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 5);
    let known = |row: &Value| {
        row["device"] == "front-desk" && row["ts"].is_i64() && row["actor"].is_string()
    };
    assert!(rows.iter().all(known), "who, on which machine, when");
    served.stop().await;
}

/// A conflict is decided on what was seen: its read token covers all sides shown beside it, however old the status is, and an
/// answer that did not see one of them is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_conflict_that_changed_after_it_was_read_is_stopped() {
    let served = Served::start().await;
    let (_, written) = answer(served.post("/local/v1/tx", &create(json!({"name": "Silva"})))).await;
    let id = written["ids"][0].as_str().expect("an id");
    let read = written["vv"].clone();
    let update = async |name: &str| {
        let fields = json!({"name": name});
        let mutation =
            json!({"type": "client", "op": "update", "id": id, "fields": fields, "read": read});
        answer(served.post("/local/v1/tx", &json!({"mutations": [mutation]}))).await
    };
    update("Sousa").await;
    update("Costa").await;
    let (_, page) = answer(served.get("/local/v1/conflicts")).await;
    let seen = page["conflicts"][0].clone();
    let path = format!(
        "/local/v1/conflicts/{}",
        seen["id"].as_str().expect("an id")
    );
    let resolve = async |conflict: &Value| {
        let request = json!({"choice": {"value": "Reis"}, "read": conflict["vv"]});
        answer(served.post(&format!("{path}/resolve"), &request)).await
    };
    update("Lopes").await;
    let (status, problem) = resolve(&seen).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("CHANGED_MEANWHILE")),
        "{problem}"
    );
    let (_, now) = answer(served.get(&path)).await;
    let (status, written) = resolve(&now).await;
    assert_eq!(status, StatusCode::OK, "{written}");
    let (_, page) = answer(served.get("/local/v1/conflicts")).await;
    assert_eq!(page["conflicts"], json!([]));
    served.stop().await;
}

/// Whoever decides whether a thing is deleted sees who deleted it and who edited what to which value.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_life_carries_what_each_side_did() {
    let served = Served::start().await;
    let (_, written) = answer(served.post("/local/v1/tx", &create(json!({"name": "Silva"})))).await;
    let id = written["ids"][0].as_str().expect("an id");
    let read = written["vv"].clone();
    for (op, fields) in [("update", json!({"phone": "912"})), ("delete", json!({}))] {
        let mutation =
            json!({"type": "client", "op": op, "id": id, "fields": fields, "read": read});
        let request = json!({"actor": op, "mutations": [mutation]});
        let (status, told) = answer(served.post("/local/v1/tx", &request)).await;
        assert_eq!(status, StatusCode::OK, "{told}");
    }
    let (_, page) = answer(served.get("/local/v1/conflicts")).await;
    let conflict = &page["conflicts"][0];
    assert_eq!(conflict["field"], json!(null), "{page}");
    let deeds = conflict["sides"].as_array().expect("sides").iter();
    let deeds: Vec<&Value> = deeds.map(|side| &side["deed"]).collect();
    let edit = json!({"op": "update", "actor": "update", "fields": {"phone": "912"}});
    let delete = json!({"op": "delete", "actor": "delete", "fields": {}});
    assert!(deeds.contains(&&edit) && deeds.contains(&&delete), "{page}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_path_answers() {
    let served = Served::start().await;
    let (_, document) = answer(served.get("/openapi.json")).await;
    assert_eq!(document["openapi"], json!("3.1.0"));
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 12);
    for (path, operations) in paths {
        let method = operations
            .as_object()
            .and_then(|held| held.keys().next())
            .expect("a method");
        let path = path.replace("{type}", "client").replace("{id}", "none");
        let request = if method == "get" {
            served.get(&path)
        } else {
            served.post(&path, &json!({}))
        };
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let unrouted = match status {
            404 => response.json::<Value>().await.is_ok_and(|problem| {
                problem["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.contains("such path"))
            }),
            405 => true,
            _ => false,
        };
        assert!(!unrouted && status < 500, "{method} {path}: {status}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_query_tells_what_changes() {
    let served = Served::start().await;
    let sql = json!({"sql": "SELECT id, name FROM app_client"});
    let mut stream = served
        .post("/local/v1/subscribe", &sql)
        .send()
        .await
        .expect("a stream");
    let mut text = String::new();
    let mut until = async |stream: &mut reqwest::Response, what: &str| {
        while !text.contains(what) {
            let part = stream.chunk().await.expect("a stream").expect("more of it");
            text.push_str(&String::from_utf8_lossy(&part));
        }
        text.clone()
    };
    until(&mut stream, "event: end").await;
    answer(served.post("/local/v1/tx", &create(json!({"name": "Silva"})))).await;
    let told = until(&mut stream, "event: change").await;
    assert!(
        told.contains("\"change\":\"added\"") && told.contains("Silva"),
        "{told}"
    );
    drop(stream);
    served.stop().await;
}

/// Reads a stream until it has said something; all that it said.
async fn until(stream: &mut reqwest::Response, what: &str) -> String {
    let mut text = String::new();
    while !text.contains(what) || !text.ends_with("\n\n") {
        let part = stream.chunk().await.expect("a stream").expect("more of it");
        text.push_str(&String::from_utf8_lossy(&part));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_query_goes_on_after_the_last_event_that_a_client_has() {
    let served = Served::start().await;
    let sql = json!({"sql": "SELECT id, name FROM app_client"});
    let ask = |last: Option<String>| {
        let request = served.post("/local/v1/subscribe", &sql);
        match last {
            Some(id) => request.header("last-event-id", id).send(),
            None => request.send(),
        }
    };
    let last_id = |text: &str| {
        let id = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("id: "));
        id.map(str::to_owned)
    };
    let mut stream = ask(None).await.expect("a stream");
    let snapshot = last_id(&until(&mut stream, "event: end").await);
    answer(served.post("/local/v1/tx", &create(json!({"name": "Silva"})))).await;
    let seen = last_id(&until(&mut stream, "Silva").await);
    drop(stream);
    // Written while nobody listens.
    answer(served.post("/local/v1/tx", &create(json!({"name": "Costa"})))).await;
    let mut back = ask(seen).await.expect("a stream");
    let told = until(&mut back, "Costa").await;
    assert!(told.contains("\"change\":\"added\""), "{told}");
    assert!(
        !told.contains("Silva") && !told.contains("event: columns"),
        "{told}"
    );
    drop(back);
    // From further back both are told again, and an id of nobody begins anew.
    let mut back = ask(snapshot).await.expect("a stream");
    let told = until(&mut back, "Costa").await;
    assert!(
        told.contains("Silva") && !told.contains("event: columns"),
        "{told}"
    );
    let mut anew = ask(Some("0-0-0".into())).await.expect("a stream");
    assert!(
        until(&mut anew, "event: end")
            .await
            .contains("event: columns")
    );
    drop((back, anew));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_and_its_files_stand_while_the_api_does_and_are_private() {
    let served = Served::start().await;
    let folder = served.folder();
    assert!(folder.api_path().exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for path in [folder.token_path(), folder.socket_path()] {
            let mode = std::fs::metadata(&path)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        let socket = Client::builder()
            .unix_socket(folder.socket_path())
            .build()
            .expect("a client");
        let request = socket.get("http://anything/local/v1/status");
        assert_eq!(
            answer(request.try_clone().expect("no body"))
                .await
                .0
                .as_u16(),
            401
        );
        assert_eq!(
            answer(request.bearer_auth(&served.token)).await.0.as_u16(),
            200
        );
    }
    let _made = served.stop().await;
    assert!(!folder.api_path().exists() && !folder.token_path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lan_is_off_once_the_switch_has_answered() {
    let served = Served::start().await;
    for network in ["offline", "online"] {
        let body = json!({"network": network});
        let (status, told) = answer(served.post("/local/v1/network", &body)).await;
        assert_eq!(
            (status, &told["network"]),
            (StatusCode::OK, &json!(network))
        );
        let (status, _) =
            answer(served.post("/local/v1/tx", &create(json!({"name": network})))).await;
        assert_eq!(status, StatusCode::OK, "it takes writes either way");
    }
    served.stop().await;
}

async fn set_policy(served: &Served, document: &str) -> (StatusCode, Value) {
    let request = served.http.put(served.address("/local/v1/policy"));
    let body = json!({"document": document});
    answer(request.bearer_auth(&served.token).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_shown_checked_and_set_and_its_types_work_at_once() {
    let served = Served::start().await;
    let (_, held) = answer(served.get("/local/v1/policy")).await;
    assert_eq!(
        (&held["version"], &held["signed"]),
        (&json!(1), &Value::Null)
    );
    let document = held["document"].as_str().expect("a document");
    let next = document.replacen("version = 1", "version = 2", 1)
        + "\n[type.prop.field]\nname = { kind = \"text\", required = true, max_bytes = 8 }\n";

    let (status, problem) = set_policy(&served, &next.replacen("\"set\"", "\"sett\"", 1)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("POLICY_REFUSED"))
    );
    let changed = next.replacen("rule = \"set\"", "rule = \"lww\"", 1);
    let (status, problem) = set_policy(&served, &changed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(
        detail.starts_with("line ") && detail.contains("never change"),
        "{detail}"
    );
    assert!(
        !problem["next_step"]
            .as_str()
            .expect("a next step")
            .is_empty()
    );

    let prop = |name: &str| json!({"mutations": [{"type": "prop", "op": "create", "fields": {"name": name}}]});
    let (status, _) = answer(served.post("/local/v1/tx", &prop("Ladder"))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "not known yet");
    let (status, set) = set_policy(&served, &next).await;
    assert_eq!((status, &set["version"]), (StatusCode::OK, &json!(2)));
    assert_eq!(set["signed"]["name"], json!("front-desk"));
    let (status, _) = answer(served.post("/local/v1/tx", &prop("Ladder"))).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = answer(served.post("/local/v1/tx", &prop("Ladder on wheels"))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["field"], json!("name"));
    let (_, page) = answer(served.get("/local/v1/entities/prop")).await;
    assert_eq!(page["entities"][0]["fields"]["name"], json!("Ladder"));
    let sql = json!({"sql": "SELECT name FROM app_prop"});
    let (_, rows) = answer(served.post("/local/v1/query", &sql)).await;
    assert_eq!(rows["rows"], json!([["Ladder"]]));

    let (status, _) = set_policy(&served, &next).await;
    assert_eq!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "not the same version twice"
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_tells_what_happened_newest_first_and_page_by_page() {
    let served = Served::start().await;
    for name in ["Silva", "Costa", "Reis"] {
        answer(served.post("/local/v1/tx", &create(json!({"name": name})))).await;
    }
    let (status, page) = answer(served.get("/local/v1/activity?limit=2")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let labels = |page: &Value| -> Vec<String> {
        let rows = page["rows"].as_array().expect("rows").iter();
        rows.map(|row| row["label"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(labels(&page), ["Reis", "Costa"]);
    assert_eq!(page["rows"][0]["device"], json!("front-desk"));
    assert_eq!(page["rows"][0]["fields"], json!({"name": "Reis"}));
    assert_eq!(
        page["rows"][0]["sync_state"],
        json!({"state": "saved_here"})
    );
    let next = page["next"].as_u64().expect("another page");
    let (_, page) = answer(served.get(&format!("/local/v1/activity?before={next}"))).await;
    assert_eq!(
        (labels(&page), &page["next"]),
        (vec!["Silva".into()], &Value::Null)
    );
    let (status, _) = answer(served.get("/local/v1/activity?limit=0")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_proves_its_store_and_leaves_no_copy_behind() {
    let served = Served::start().await;
    answer(served.post("/local/v1/tx", &create(json!({"name": "Silva"})))).await;
    let (status, found) = answer(served.post("/local/v1/verify", &json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    assert_eq!(
        (
            &found["commands"],
            &found["entities"],
            &found["fault_count"]
        ),
        (&json!(1), &json!(1), &json!(0))
    );
    let folder = served.folder().path().to_owned();
    assert!(!folder.join("check").exists());
    served.stop().await;
}
