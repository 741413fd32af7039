//! What people write, as a machine's driver takes it.

use serde_json::{Map, Value as Json};
use studiovault_node::driver::WriteRequest;
use studiovault_protocol::author::Mutation;
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;

/// The fields of an object.
///
/// # Panics
/// On anything else: tests give objects.
pub fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => unreachable!("only objects are given"),
    }
}

/// What happens to an entity, by somebody who read nothing before.
pub fn mutation(
    entity_type: &str,
    entity: Option<EntityId>,
    op: Op,
    fields: impl Into<Json>,
) -> Mutation {
    Mutation {
        entity_type: entity_type.into(),
        entity,
        op,
        fields: object(fields.into()),
        read: None,
        replaces: None,
    }
}

/// Something new.
pub fn create(entity_type: &str, fields: impl Into<Json>) -> Mutation {
    mutation(entity_type, None, Op::Create, fields)
}

/// One transaction, not marked `together`.
pub fn transaction(actor: &str, mutations: Vec<Mutation>) -> WriteRequest {
    WriteRequest {
        actor: actor.into(),
        mutations,
        together: false,
        skip_existing: false,
    }
}
