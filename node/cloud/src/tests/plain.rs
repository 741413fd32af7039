//! Clients without a log: JSON commands become the truth's own, and every machine takes them like any other's.

use serde_json::{Value, json};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{CommandId, EntityId};

use super::fixture::{NOON, Says, Scene, a_confirmed_client, entity, three_machines};
use crate::position;
use crate::studio::{PlainBatch, PlainError};

fn batch(json: Value) -> PlainBatch {
    serde_json::from_value(json).expect("a batch")
}

fn take(scene: &Scene, json: Value) -> Value {
    let told = scene
        .open()
        .take_plain(&scene.truth, &batch(json), ("token 1", NOON));
    let told = json!(told.expect("an answer"));
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
    told
}

fn id(number: u8) -> CommandId {
    CommandId([number; 16])
}

/// The client's position now.
fn here(scene: &Scene) -> String {
    let studio = scene.open();
    position::token(&scene.truth.key, studio.cloud, studio.state().head.0)
}

fn rename(number: u8, client: EntityId, name: &str) -> Value {
    json!({ "id": id(number), "entityType": "client", "entityId": client, "operation": "update",
        "fields": { "name": name } })
}

#[test]
fn a_plain_command_reaches_every_machine_signed_by_the_truth() {
    let scene = three_machines();
    let create = json!({ "id": id(1), "entityType": "client", "operation": "create",
        "fields": { "name": "Silva", "tags": ["vip"] } });
    let told = take(&scene, json!({ "commands": [create] }));
    assert_eq!(told["acked"], json!([id(1)]));
    let shown = scene.stranger().entities();
    let (_, client) = shown.first_key_value().expect("one entity");
    assert_eq!(client.shown(&Default::default()).fields["name"], "Silva");
}

#[test]
fn a_plain_command_sent_again_has_one_effect_and_the_same_answer() {
    let scene = three_machines();
    let create = json!({ "id": id(1), "entityType": "client", "operation": "create",
        "fields": { "name": "Silva" } });
    let first = take(&scene, json!({ "commands": [create] }));
    let head = scene.open().state().head;
    assert_eq!(take(&scene, json!({ "commands": [create] })), first);
    assert_eq!(scene.open().state().head, head);
    let mut other = create;
    other["fields"]["name"] = "Sousa".into();
    let told = take(&scene, json!({ "commands": [other] }));
    assert_eq!(told["rejections"][0]["code"], "IDEMPOTENCY_MISMATCH");
}

#[test]
fn what_a_client_had_read_decides_who_wins() {
    let mut scene = three_machines();
    let client = a_confirmed_client(&mut scene);
    let read = here(&scene);
    let rival = scene.machines[0]
        .command(Op::Update, "client", client)
        .text("name", "Sousa");
    let rival = scene.machines[0].write(vec![rival]);
    scene.send(&[&rival]);
    let late = json!({ "since": read, "commands": [rename(1, client, "Costa")] });
    let told = take(&scene, late);
    assert_eq!(told["rejections"][0]["code"], "CONFLICT_UPDATE_UPDATE");
    assert_eq!(told["rejections"][0]["latest"]["name"], "Sousa");
    let fresh = json!({ "since": here(&scene), "commands": [rename(2, client, "Costa")] });
    assert_eq!(take(&scene, fresh)["acked"], json!([id(2)]));
}

#[test]
fn commands_of_one_batch_see_each_other() {
    let scene = three_machines();
    let create = json!({ "id": id(1), "entityType": "client", "entityId": entity(5),
        "operation": "create", "fields": { "name": "Silva" } });
    let since = here(&scene);
    let commands = [
        create,
        rename(2, entity(5), "Sousa"),
        rename(3, entity(5), "Costa"),
    ];
    let told = take(&scene, json!({ "since": since, "commands": commands }));
    assert_eq!(told["acked"], json!([id(1), id(2), id(3)]));
    assert_eq!(told["rejections"], json!([]));
}

#[test]
fn what_breaks_the_policy_never_enters_the_log() {
    let scene = three_machines();
    let head = scene.open().state().head;
    let told = take(
        &scene,
        json!({ "commands": [
            { "id": id(1), "entityType": "client", "operation": "create", "fields": {} },
            { "id": id(2), "entityType": "spaceship", "operation": "create" },
            rename(3, entity(77), "Nobody"),
        ] }),
    );
    let codes: Vec<&Value> = told["rejections"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|rejection| &rejection["code"])
        .collect();
    assert_eq!(
        codes,
        ["REQUIRED_FIELD", "UNKNOWN_TYPE", "ENTITY_NOT_FOUND"]
    );
    assert_eq!(scene.open().state().head, head);
}

#[test]
fn a_made_up_position_is_refused() {
    let scene = three_machines();
    let made_up = batch(json!({ "since": "00000000000000010000", "commands": [] }));
    let refused = scene
        .open()
        .take_plain(&scene.truth, &made_up, ("token 1", NOON));
    assert!(matches!(refused, Err(PlainError::UnknownPosition)));
}

#[test]
fn the_feed_in_json_comes_in_parts_and_misses_nothing() {
    let mut scene = three_machines();
    let client = a_confirmed_client(&mut scene);
    take(&scene, json!({ "commands": [rename(1, client, "Costa")] }));
    let studio = scene.open();
    let whole = studio.told(&scene.truth, 0, 500).expect("reads");
    assert!(!whole.more);
    assert_eq!(whole.upto, studio.state().head.0);
    let (mut parts, mut since) = (Vec::new(), 0);
    loop {
        let part = studio.told(&scene.truth, since, 2).expect("reads");
        since = part.upto;
        parts.extend(part.entries);
        if !part.more {
            break;
        }
    }
    assert_eq!(parts, whole.entries);
    let positions: Vec<u64> = parts
        .iter()
        .filter_map(|entry| entry["position"].as_u64())
        .collect();
    assert_eq!(positions, (1..=studio.state().head.0).collect::<Vec<_>>());
}
