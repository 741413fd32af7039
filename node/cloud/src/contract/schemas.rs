//! What bodies look like in JSON. A test asks the running server whether its answers are so.

use serde_json::{Value, json};
use studiovault_protocol::limits;
use studiovault_protocol::merge::Code;

use super::reference;
use crate::problem::CODES;

/// Every named schema.
pub fn schemas() -> Value {
    let parts = [around(), on_the_road(), signing_in(), telling()];
    let all = parts.into_iter().filter_map(|part| match part {
        Value::Object(part) => Some(part),
        _ => None,
    });
    Value::Object(all.flatten().collect())
}

/// What commands, changes and resolutions look like.
fn on_the_road() -> Value {
    json!({
        "Command": command(),
        "Batch": object(&["commands"], json!({
            "since": reference("Position"),
            "commands": {
                "type": "array", "items": reference("Command"),
                "maxItems": crate::studio::PLAIN_COMMANDS,
            },
        })),
        "BatchAnswer": object(&["acked", "rejections", "serverChanges", "serverTime"], json!({
            "acked": {"type": "array", "items": id()},
            "rejections": {"type": "array", "items": reference("Rejection")},
            "serverChanges": {"type": "array", "items": {"type": "object"}},
            "cursor": reference("Position"), "newSince": reference("Position"),
            "serverTime": reference("Time"),
        })),
        "Changes": object(&["serverChanges", "serverTime"], json!({
            "serverChanges": {"type": "array", "items": {"type": "object"}},
            "cursor": reference("Position"), "newSince": reference("Position"),
            "serverTime": reference("Time"),
        })),
        "Resolution": resolution(),
        "Resolutions": object(&["resolutions"], json!({
            "since": reference("Position"),
            "resolutions": {
                "type": "array", "items": reference("Resolution"),
                "maxItems": crate::studio::PLAIN_COMMANDS,
            },
        })),
        "Resolved": object(&["acked", "rejections"], json!({
            "acked": {"type": "array", "items": id()},
            "rejections": {"type": "array", "items": reference("Rejection")},
        })),
        "Rejection": object(&["id", "code", "detail", "fields", "latest"], json!({
            "id": id(),
            "code": {"type": "string", "description": "One of the contract's, or of those that stand at /v1/meta"},
            "detail": {"type": "string"},
            "fields": {"type": "array", "items": {"type": "string"}},
            "latest": {},
        })),
    })
}

fn around() -> Value {
    json!({
        "Id": id(),
        "Position": {
            "type": "string", "pattern": "^[0-9a-f]{40}$",
            "description": "A position of a studio's feed; opaque",
        },
        "Time": {"type": "integer", "description": "Milliseconds since 1970"},
        "Pong": object(&["nonce", "server_time"], json!({
            "nonce": {"type": "string"}, "server_time": reference("Time"),
            "head": {
                "description": "Where the feed of the token's studio ends; null for a token of none",
                "oneOf": [{"type": "null"}, object(&["position", "hash"], json!({
                    "position": count(), "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                }))],
            },
            "scopes": scopes(),
        })),
        "Health": object(&["status", "serverTime"], json!({
            "status": {"const": "ok"}, "serverTime": reference("Time"),
        })),
        "Meta": object(&["server", "protocol", "limits", "codes"], json!({
            "server": {"type": "string"},
            "signIn": {"oneOf": [{"type": "null"}, {"type": "object"}]},
            "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
            "encodings": {"type": "array", "items": {"type": "string"}},
            "codes": {"type": "array", "items": {"type": "string"}},
        })),
        "EnrolRequest": object(&["studio", "name", "root"], json!({
            "studio": id(),
            "name": {"type": "string", "minLength": 1, "maxLength": limits::NAME_BYTES},
            "root": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "genesis": {"type": "array", "maxItems": limits::GENESIS_AUTHORS},
        })),
        "EnrolAnswer": object(&["device", "key"], json!({
            "device": id(), "key": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        })),
        "Summary": object(
            &["commands", "confirmed", "rejected", "entities", "head", "state_hash"],
            json!({
                "commands": count(), "confirmed": count(), "rejected": count(), "entities": count(),
                "pos_gross_cents": {"type": "integer"}, "pos_voided_cents": {"type": "integer"},
                "head": count(), "state_hash": {"type": "string"},
            }),
        ),
        "SignedRecord": {"type": "object"},
        "NewSnapshot": object(&["studio"], json!({"studio": id()})),
        "MadeSnapshot": object(
            &["id", "studio", "position", "chunks", "bytes", "issued", "expires"],
            json!({
                "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "studio": id(),
                "position": count(), "chunks": count(), "bytes": count(),
                "issued": reference("Time"), "expires": reference("Time"),
            }),
        ),
        "NewToken": object(&["studio"], json!({
            "studio": id(),
            "device": {"oneOf": [id(), {"type": "null"}]},
            "scopes": scopes(),
        })),
        "Token": object(&["id", "studio", "scopes"], token()),
        "MintedToken": object(&["token", "id", "studio", "scopes"], minted()),
        "Problem": object(&["type", "title", "status", "code", "detail", "next"], json!({
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "code": {"enum": CODES},
            "detail": {"type": "string"}, "next": {"type": "string"},
        })),
    })
}

/// What signing in looks like; the names are OAuth's.
fn signing_in() -> Value {
    json!({
        "DeviceCode": object(
            &["device_code", "user_code", "verification_uri", "expires_in", "interval"],
            json!({
                "device_code": {"type": "string"}, "user_code": {"type": "string"},
                "verification_uri": {"type": "string"},
                "expires_in": count(), "interval": count(),
            }),
        ),
        "SignedIn": object(
            &["access_token", "token_type", "expires_in", "refresh_token", "scope"],
            json!({
                "access_token": {"type": "string"}, "token_type": {"const": "Bearer"},
                "expires_in": count(), "refresh_token": {"type": "string"},
                "scope": {"type": "string"},
            }),
        ),
        "OAuthError": object(&["error"], json!({
            "error": {"type": "string"}, "error_description": {"type": "string"},
        })),
        "NamedCode": object(&["code"], json!({"code": {"type": "string"}})),
        "Decision": object(&["code", "decision"], json!({
            "code": {"type": "string"}, "decision": {"enum": ["approve", "deny"]},
            "unproven": {
                "type": "boolean",
                "description": "Approve it although no key of the studio has signed the request",
            },
        })),
        "SignInWish": object(&["studio", "name", "scope", "proven"], json!({
            "studio": id(), "device": {"oneOf": [id(), {"type": "null"}]},
            "name": {"type": "string"}, "scope": {"type": "string"},
            "proven": {"type": "boolean", "description": "Whether the machine's key signed the request"},
        })),
    })
}

/// What a machine tells of itself.
fn telling() -> Value {
    let counts = |names: &[&str]| {
        let each = names.iter().map(|name| ((*name).to_owned(), count()));
        object(names, Value::Object(each.collect()))
    };
    let steps = json!({"type": "array", "items": count(), "minItems": 9, "maxItems": 9});
    json!({
        "TelemetryReport": object(
            &["version", "system", "machines", "linked", "counts", "conflicts", "writes", "batches"],
            json!({
                "version": {"type": "string"}, "system": {"type": "string"},
                "machines": count(), "linked": count(),
                "counts": counts(&[
                    "entities", "commands", "pending", "confirmed", "rejected", "dead_letters",
                    "log_bytes",
                ]),
                "conflicts": counts(&["open", "opened", "closed"]),
                "writes": steps, "batches": steps,
            }),
        ),
        "Told": object(&["studio", "device", "at", "report"], json!({
            "studio": id(), "device": id(), "at": reference("Time"),
            "report": reference("TelemetryReport"),
        })),
    })
}

/// Every code that a command's outcome can have.
const OUTCOMES: [Code; 14] = [
    Code::ConflictUpdateUpdate,
    Code::ConflictDeleteUpdate,
    Code::ConflictUpdateDelete,
    Code::DuplicateKey,
    Code::ValidationFailed,
    Code::EntityNotFound,
    Code::ImmutableField,
    Code::AppendOnly,
    Code::Forbidden,
    Code::DeviceRevoked,
    Code::IdempotencyMismatch,
    Code::DependsOnRejected,
    Code::Withdrawn,
    Code::Internal,
];

/// The words of every code that a command's outcome can have.
pub fn outcome_codes() -> Vec<&'static str> {
    OUTCOMES.iter().map(|code| code.word()).collect()
}

fn object(needed: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": needed, "properties": properties})
}

fn id() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn scopes() -> Value {
    json!({"type": "array", "minItems": 1, "items": {"enum": ["read", "sync", "carry"]}})
}

fn token() -> Value {
    json!({
        "id": {"type": "string"}, "studio": id(),
        "device": {"oneOf": [id(), {"type": "null"}]}, "scopes": scopes(),
    })
}

fn minted() -> Value {
    let mut properties = token();
    properties["token"] = json!({"type": "string", "pattern": "^svp_[0-9a-f]{64}$"});
    properties
}

fn command() -> Value {
    object(
        &["id", "entityType", "operation"],
        json!({
            "id": id(),
            "entityType": {"type": "string"},
            "entityId": id(),
            "operation": {"enum": ["create", "update", "delete", "restore", "resolve"]},
            "fields": {"type": "object"},
            "ts": reference("Time"),
            "read": reference("Position"),
        }),
    )
}

/// Which sides a person had seen must be said: what nobody has seen is never settled.
fn resolution() -> Value {
    object(
        &["id", "entityId"],
        json!({
            "id": id(),
            "entityId": id(),
            "operation": {"enum": ["resolve", "restore", "delete"], "default": "resolve"},
            "fields": {"type": "object"},
            "ts": reference("Time"),
            "read": reference("Position"),
        }),
    )
}
