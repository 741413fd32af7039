//! Every route of the contract, each with its description.

use serde_json::{Value, json};
use studiovault_protocol::limits;

use super::{
    conflicts, events, logs, meta, oauth, plain, snapshots, studios, sync, telemetry, tokens,
};
use crate::contract::{Contract, Needs, Operation, list_of, reference};

/// The contract.
pub fn contract() -> Contract {
    let contract = sync_routes(meta_routes(Contract::default()));
    telling(admin(sign_in(snapshot_routes(reads(contract)))))
}

fn meta_routes(contract: Contract) -> Contract {
    contract
        .get(
            "/ping",
            meta::ping,
            Operation::new("Echoes a nonce to whoever holds a token of a studio")
                .query(
                    "nonce",
                    json!({"type": "string", "maxLength": meta::NONCE_BYTES}),
                )
                .answer(200, "Pong"),
        )
        .get(
            "/meta",
            meta::meta,
            Operation::new("Limits, codes and versions")
                .needs(Needs::Nothing)
                .answer(200, "Meta"),
        )
        .get(
            "/health",
            meta::health,
            Operation::new("Whether the server and its database answer")
                .needs(Needs::Nothing)
                .answer(200, "Health"),
        )
}

fn sync_routes(contract: Contract) -> Contract {
    contract
        .post(
            "/sync/batch",
            sync::batch,
            Operation::new("Takes commands: one outcome each, and what is new")
                .body("Batch")
                .signed_body()
                .answer(200, "BatchAnswer")
                .signed_answer(200),
        )
        .get(
            "/sync/changes",
            plain::changes,
            Operation::new("The feed after a position; `cursor` while there is more, `newSince` on the last page")
                .query("since", reference("Position"))
                .query("cursor", reference("Position"))
                .query("limit", number(1, plain::ENTRIES))
                .query("wait", number(0, sync::WAIT_S.into()))
                .answer(200, "Changes")
                .empty(304, "Nothing is new since the answer of that ETag"),
        )
        .post(
            "/sync/changes",
            sync::changes,
            Operation::new("The feed in its signed form")
                .signed_body()
                .signed_answer(200),
        )
        .post(
            "/sync/tail",
            sync::tail,
            Operation::new("Gives a server that was put back to an earlier point its own feed back")
                .signed_body()
                .signed_answer(200),
        )
        .get(
            "/sync/events",
            events::events,
            Operation::new("Server-sent events: a poke with the feed's head, never data")
                .answer_as(200, ("text/event-stream", json!({"schema": {"type": "string"}}))),
        )
}

fn reads(contract: Contract) -> Contract {
    contract
        .get(
            "/logs/{device}",
            logs::logs,
            Operation::new("Held bundles of one epoch of a device, in the signed form")
                .part("device", reference("Id"))
                .query_needed(
                    "epoch",
                    json!({"type": "string", "pattern": "^[0-9a-f]{16}$"}),
                )
                .query(
                    "from",
                    json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
                )
                .signed_answer(200),
        )
        .post(
            "/conflicts/resolve",
            conflicts::resolve_all,
            Operation::new(
                "A person's answers to conflicts, by whoever has no machine of the studio",
            )
            .body("Resolutions")
            .answer(200, "Resolved"),
        )
        .get(
            "/studios/{id}/summary",
            studios::summary,
            Operation::new("Counts and sums from the tables")
                .part("id", reference("Id"))
                .answer(200, "Summary"),
        )
        .get(
            "/studios/{id}/roster",
            studios::roster,
            Operation::new("All signed records of who belongs")
                .part("id", reference("Id"))
                .answer_as(200, ("application/json", list_of("SignedRecord"))),
        )
        .put(
            "/studios/{id}/roster",
            studios::introduce,
            Operation::new(
                "Takes signed records: a machine that joined since the last batch becomes known",
            )
            .part("id", reference("Id"))
            .body_as(list_of("SignedRecord"))
            .empty(204, "They are taken up"),
        )
}

fn snapshot_routes(contract: Contract) -> Contract {
    let bytes = (
        "application/octet-stream",
        json!({"schema": {"type": "string", "format": "binary"}}),
    );
    contract
        .get(
            "/snapshots/latest",
            snapshots::latest,
            Operation::new("The signed manifest of the newest snapshot of the token's studio")
                .signed_answer(200),
        )
        .get(
            "/snapshots/{id}/chunks/{n}",
            snapshots::chunk,
            Operation::new(
                "A chunk of a snapshot by its place in the manifest, or a range of its bytes",
            )
            .part("id", json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}))
            .part("n", number(0, limits::SNAPSHOT_CHUNKS - 1))
            .answer_as(200, bytes.clone())
            .answer_as(206, bytes),
        )
        .post(
            "/snapshots",
            snapshots::make,
            Operation::new("Makes a snapshot of a studio as it is now")
                .needs(Needs::Admin)
                .body("NewSnapshot")
                .answer(200, "MadeSnapshot"),
        )
}

fn sign_in(contract: Contract) -> Contract {
    let problem = (
        "application/json",
        json!({"schema": reference("OAuthError")}),
    );
    contract
        .get(
            "/oauth/device",
            oauth::page,
            Operation::new("Tells people what to do with a code")
                .needs(Needs::Nothing)
                .answer_as(200, ("text/html", json!({"schema": {"type": "string"}}))),
        )
        .post(
            "/oauth/device",
            oauth::device,
            Operation::new("Opens a code with which a machine signs in (RFC 8628)")
                .needs(Needs::Nothing)
                .form(
                    &["client_id", "studio"],
                    &["device", "device_name", "scope"],
                )
                .answer(200, "DeviceCode")
                .answer_as(400, problem.clone()),
        )
        .post(
            "/oauth/token",
            oauth::token,
            Operation::new("Gives tokens for an approved code, or for a refresh token")
                .needs(Needs::Nothing)
                .form(
                    &["client_id", "grant_type"],
                    &["device_code", "refresh_token"],
                )
                .answer(200, "SignedIn")
                .answer_as(400, problem),
        )
        .post(
            "/oauth/codes",
            oauth::look,
            Operation::new("What an open code is for, before anybody decides")
                .needs(Needs::Admin)
                .body("NamedCode")
                .answer(200, "SignInWish"),
        )
        .post(
            "/oauth/decisions",
            oauth::decide,
            Operation::new("A person's word on a code")
                .needs(Needs::Admin)
                .body("Decision")
                .answer(200, "SignInWish"),
        )
}

fn admin(contract: Contract) -> Contract {
    contract
        .get(
            "/metrics",
            meta::metrics,
            Operation::new("What the server counts of itself, for Prometheus")
                .needs(Needs::Admin)
                .answer_as(200, ("text/plain", json!({"schema": {"type": "string"}}))),
        )
        .post(
            "/studios",
            studios::enrol,
            Operation::new("Enrols a studio, or tells again what is enrolled")
                .needs(Needs::Admin)
                .body("EnrolRequest")
                .answer(200, "EnrolAnswer"),
        )
        .get(
            "/tokens",
            tokens::list,
            Operation::new("Every token, without its secret")
                .needs(Needs::Admin)
                .answer_as(200, ("application/json", list_of("Token"))),
        )
        .post(
            "/tokens",
            tokens::create,
            Operation::new("Makes a personal access token; its secret is shown this once")
                .needs(Needs::Admin)
                .body("NewToken")
                .answer(201, "MintedToken"),
        )
        .delete(
            "/tokens/{id}",
            tokens::revoke,
            Operation::new("Revokes a token at once")
                .needs(Needs::Admin)
                .part("id", json!({"type": "string"}))
                .empty(204, "It is gone"),
        )
}

fn telling(contract: Contract) -> Contract {
    contract
        .get(
            "/telemetry",
            telemetry::told,
            Operation::new("The newest report of each machine that tells how it fares")
                .needs(Needs::Admin)
                .answer_as(200, ("application/json", list_of("Told"))),
        )
        .post(
            "/telemetry",
            telemetry::tell,
            Operation::new("A machine's counts and latencies, if its people let it")
                .body("TelemetryReport")
                .empty(204, "It is kept in place of the one before"),
        )
}

fn number(least: usize, most: usize) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}
