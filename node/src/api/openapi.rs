//! The OpenAPI document of the local API, kept by hand beside the routes.
//!
//! A path that stands here answers: a test asks each of them.

use axum::Json;
use serde_json::{Map, Value, json};
use studiovault_protocol::api::PREFIX;

/// One operation: method, path below the prefix, what it is for, and its body's schema if it takes one.
type Operation = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

/// Every operation under the prefix.
pub(super) const OPERATIONS: &[Operation] = &[
    (
        "get",
        "/status",
        "What this machine knows of itself and others",
        None,
    ),
    (
        "post",
        "/tx",
        "An atomic list of mutations; durable when it answers",
        Some("TxRequest"),
    ),
    (
        "post",
        "/network",
        "Take this machine off the network, cloud included, or bring it back",
        Some("NetworkRequest"),
    ),
    (
        "get",
        "/entities/{type}",
        "Entities of a type: ?limit, ?after, ?field.NAME=VALUE, ?deleted=true|any, ?conflict=true, ?at_least=VV",
        None,
    ),
    (
        "get",
        "/entities/{type}/{id}",
        "One entity, deleted ones included: ?at_least=VV",
        None,
    ),
    ("get", "/history/{id}", "Every command of an entity", None),
    (
        "get",
        "/doctor",
        "Stage by stage whether machine, network and the way to the cloud work; takes a few seconds",
        None,
    ),
    (
        "get",
        "/why/{id}",
        "Who holds an entity, or a transaction by a dot of it, and why not everybody",
        None,
    ),
    (
        "get",
        "/activity",
        "Every command of all machines, newest first: ?before, ?limit",
        None,
    ),
    (
        "post",
        "/verify",
        "Prove the store against itself, on a copy of this moment",
        None,
    ),
    (
        "get",
        "/dead-letters",
        "Commands of any machine that the cloud did not take, or breaks on",
        None,
    ),
    (
        "get",
        "/pos/totals",
        "What the sales of a day come to, by machine and in all: ?day=YYYY-MM-DD",
        None,
    ),
    (
        "get",
        "/quarantine",
        "What was set aside: it would rewrite an entry of the point of sale, or its machine no longer belonged",
        None,
    ),
    ("get", "/dead-letters/{dot}", "One of them", None),
    (
        "post",
        "/dead-letters/{dot}/fix",
        "Send it again with other values; of the two at most one takes effect",
        Some("FixRequest"),
    ),
    (
        "post",
        "/dead-letters/{dot}/discard",
        "Give it up with a reason; never a sale",
        Some("DiscardRequest"),
    ),
    (
        "post",
        "/login",
        "A new token for the cloud truth",
        Some("LoginRequest"),
    ),
    ("get", "/devices", "The machines of the studio", None),
    (
        "post",
        "/devices/{id}/revoke",
        "Shut a machine out: what it wrote and is not held here yet is set aside",
        None,
    ),
    (
        "post",
        "/devices/{id}/lost",
        "Wait no more for what a machine had written and took with it when it died",
        None,
    ),
    (
        "post",
        "/devices/{id}/role",
        "Give a machine another role, priority or gateway preference",
        Some("RoleRequest"),
    ),
    (
        "post",
        "/retire",
        "This machine takes its leave of the studio",
        None,
    ),
    ("get", "/roster", "Every signed record of the roster", None),
    (
        "post",
        "/roster",
        "Take up a record that the recovery kit's key signed",
        None,
    ),
    (
        "post",
        "/rekey",
        "Another key under the LAN, told to whoever belongs",
        None,
    ),
    (
        "post",
        "/venue",
        "Hide this machine on its network, or no longer; stays over restarts",
        Some("VenueRequest"),
    ),
    (
        "get",
        "/telemetry",
        "What this machine tells of itself, or would, and whether it does",
        None,
    ),
    (
        "post",
        "/telemetry",
        "Let it tell the studio's cloud truth, or no longer; stays over restarts",
        Some("TelemetryRequest"),
    ),
    ("get", "/pairing", "The invite of this machine", None),
    (
        "post",
        "/pairing",
        "Show an invite: a code for two minutes, on a listener of its own",
        Some("InviteRequest"),
    ),
    (
        "post",
        "/pairing/words",
        "The two words that the joining machine shows; wrong ones are a miss",
        Some("WordsRequest"),
    ),
    ("post", "/pairing/withdraw", "Take the invite back", None),
    (
        "get",
        "/policy",
        "The policy in force: its document, version, hash, and who signed it",
        None,
    ),
    (
        "put",
        "/policy",
        "Sign a next policy and replicate it",
        Some("PolicyRequest"),
    ),
    (
        "post",
        "/query",
        "One SELECT over the views app_<type>",
        Some("QueryRequest"),
    ),
    (
        "post",
        "/subscribe",
        "The same, told again as server-sent events whenever the answer changes; Last-Event-ID goes on after that event",
        Some("SubscribeRequest"),
    ),
    (
        "get",
        "/events",
        "Server-sent events: status, entities, conflicts, peers, gateway, feed",
        None,
    ),
    ("get", "/conflicts", "Open questions for people", None),
    ("get", "/conflicts/{id}", "One of them", None),
    (
        "get",
        "/conflicts/{id}/ledger",
        "Every automatic pick and every decision about it, also after it was settled",
        None,
    ),
    (
        "post",
        "/conflicts/{id}/resolve",
        "A person's answer",
        Some("ResolveRequest"),
    ),
    (
        "post",
        "/pack",
        "Take in one part of a pack; what is held already changes nothing",
        Some("PackRequest"),
    ),
    (
        "post",
        "/pack/made",
        "Note that a pack is made of this machine's store",
        Some("ExportRequest"),
    ),
    (
        "get",
        "/audit",
        "What was done to the studio at this machine, the newest first: ?kind, ?before=ID, ?limit",
        None,
    ),
    (
        "get",
        "/metrics",
        "The status as Prometheus reads it, and how long writes and batches took",
        None,
    ),
];

/// `GET /openapi.json`.
pub(super) async fn document() -> Json<Value> {
    let mut paths = Map::new();
    for (method, path, summary, body) in OPERATIONS {
        let mut operation = json!({
            "summary": summary,
            "parameters": parameters(path),
            "responses": {
                "200": {"description": "Done"},
                "default": {
                    "description": "Refused or failed",
                    "content": {"application/problem+json": {"schema": reference("Problem")}},
                },
            },
        });
        if let Some(name) = body {
            let content = json!({"application/json": {"schema": reference(name)}});
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        let held = paths
            .entry(format!("{PREFIX}{path}"))
            .or_insert_with(|| json!({}));
        held[method] = operation;
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": {"title": "StudioVault local API", "version": env!("CARGO_PKG_VERSION")},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
        },
    }))
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The parts of a path in braces.
fn parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter =
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    names.map(parameter).collect()
}

/// An object of which one property must be given.
fn needing(name: &str, properties: Value) -> Value {
    json!({"type": "object", "required": [name], "properties": properties})
}

fn schemas() -> Value {
    let (text, flag) = (
        json!({"type": "string"}),
        json!({"type": "boolean", "default": false}),
    );
    let sql = json!({
        "type": "object",
        "required": ["sql"],
        "properties": {"sql": text, "params": {"type": "array"}},
    });
    json!({
        "Mutation": mutation(),
        "TxRequest": {
            "type": "object",
            "required": ["mutations"],
            "properties": {
                "actor": text,
                "mutations": {"type": "array", "items": reference("Mutation"), "minItems": 1, "maxItems": 1000},
                "together": flag,
                "skip_existing": flag,
            },
        },
        "NetworkRequest": needing("network", json!({"network": {"enum": ["online", "offline"]}})),
        "TelemetryRequest": needing("state", json!({"state": {"enum": ["on", "off"]}})),
        "VenueRequest": needing("venue", json!({"venue": {"enum": ["on", "off"]}})),
        "FixRequest": {
            "type": "object",
            "properties": {"fields": {"type": "object"}, "new_id": flag, "actor": text},
        },
        "PolicyRequest": needing("document", json!({"document": {"type": "string", "description": "TOML"}})),
        "RoleRequest": {"type": "object", "properties": place()},
        "InviteRequest": {"type": "object", "properties": place()},
        "WordsRequest": needing("words", json!({"words": text})),
        "DiscardRequest": needing("reason", json!({"reason": text, "actor": text})),
        "LoginRequest": needing("token", json!({
            "token": text,
            "renewal": {
                "type": "object",
                "required": ["refresh_token", "client_id"],
                "properties": {"refresh_token": text, "client_id": text, "endpoint": text, "resource": text},
            },
        })),
        "QueryRequest": sql,
        "SubscribeRequest": sql,
        "PackRequest": needing("part", json!({"part": {"type": "string", "pattern": "^([0-9a-fA-F]{2})*$"}})),
        "ExportRequest": needing("label", json!({"label": label()})),
        "ResolveRequest": {
            "type": "object",
            "required": ["choice"],
            "properties": {
                "choice": {"oneOf": [
                    {"enum": ["restore", "accept_delete"]},
                    {"type": "object", "properties": {"side": text}, "required": ["side"]},
                    {"type": "object", "properties": {"value": {}}, "required": ["value"]},
                ]},
                "actor": text,
                "read": text,
            },
        },
        "Problem": {
            "type": "object",
            "required": ["type", "status", "title", "detail", "code", "next_step"],
            "properties": {
                "type": text, "status": {"type": "integer"}, "title": text, "detail": text,
                "code": text, "field": text, "next_step": text,
            },
        },
    })
}

/// One change of one entity.
fn mutation() -> Value {
    let (text, id) = (
        json!({"type": "string"}),
        json!({"type": "string", "format": "uuid"}),
    );
    json!({
        "type": "object",
        "required": ["type", "op"],
        "properties": {
            "type": text,
            "id": id,
            "op": {"enum": ["create", "update", "delete", "restore", "resolve"]},
            "fields": {"type": "object"},
            "read": {"type": "string", "description": "the `vv` of what had been read"},
        },
    })
}

/// Whose pack it is and what it holds.
fn label() -> Value {
    let (text, count) = (json!({"type": "string"}), json!({"type": "integer"}));
    let of_one = needing("for", json!({"for": text}));
    json!({
        "type": "object",
        "required": ["studio", "device", "name", "at", "scope", "bundles", "pages"],
        "properties": {
            "studio": text, "device": text, "name": text, "at": count,
            "scope": {"oneOf": [{"enum": ["everything", "since"]}, of_one]},
            "bundles": count, "pages": count,
        },
    })
}

/// What a machine counts for.
fn place() -> Value {
    json!({
        "role": {"enum": ["admin", "member", "guest"]},
        "priority": {"type": "integer"},
        "gateway_preference": {"type": "integer"},
    })
}
