//! What people may write: bad values, edits of what was deleted elsewhere, and sales that stay as they are.

use super::*;
use crate::id::{Author, Epoch};
use crate::merge::{LifeKind, LifeWrite};
use serde_json::json;

fn draw() -> Draw {
    Draw {
        device: DeviceId([1; 16]),
        id: CommandId([1; 16]),
        nonce: Nonce([2; 16]),
        ts: WallMs(0),
    }
}

fn create(entity_type: &str, fields: Json) -> Result<Command, Refusal> {
    let Json::Object(fields) = fields else {
        unreachable!("an object")
    };
    let mutation = Mutation {
        entity_type: entity_type.into(),
        entity: None,
        op: Op::Create,
        fields,
        read: None,
        replaces: None,
    };
    command(&mutation, None, &Policy::default(), draw())
}

#[test]
fn bad_writes_are_refused_with_a_code_and_the_field() {
    let code = |result: Result<Command, Refusal>| result.expect_err("refused").code;
    assert_eq!(code(create("spaceship", json!({}))), "UNKNOWN_TYPE");
    assert_eq!(
        code(create("client", json!({"name": "A", "shoe": 4}))),
        "UNKNOWN_FIELD"
    );
    assert_eq!(code(create("client", json!({}))), "REQUIRED_FIELD");
    assert_eq!(
        code(create("client", json!({"name": 7}))),
        "VALIDATION_FAILED"
    );
    assert_eq!(
        code(create("client", json!({"name": "x".repeat(600)}))),
        "VALIDATION_FAILED"
    );
    assert!(create("client", json!({"name": "Silva", "tags": ["vip"]})).is_ok());
}

/// A project that `device` deleted; with its content, or after that was collected.
fn deleted_by(device: u8, title: Option<&str>) -> Entity {
    let id = EntityId([5; 16]);
    let mut entity = Entity::new("project", id);
    let author = Author {
        device: DeviceId([device; 16]),
        epoch: Epoch(1),
    };
    entity.life.writes = vec![LifeWrite {
        dot: author.at(2),
        ts: WallMs(0),
        kind: LifeKind::Deleted,
        accepted: None,
        survivors: Vec::new(),
    }];
    let change = |title: &str| Change::Write(Value::Text(title.into()));
    if let Some(change) = title.map(change) {
        let field = Field::empty_for(&change);
        entity.fields.insert("title".into(), field);
    }
    entity
}

#[test]
fn whoever_edits_what_was_deleted_elsewhere_is_told_so_with_what_can_be_done() {
    let edit = |op, entity: &Entity, fields: Json| {
        let Json::Object(fields) = fields else {
            unreachable!("an object")
        };
        let mutation = Mutation {
            entity_type: "project".into(),
            entity: Some(entity.id),
            op,
            fields,
            read: None,
            replaces: None,
        };
        let made = command(&mutation, Some(entity), &Policy::default(), draw());
        made.map(drop).map_err(|refusal| refusal.detail)
    };
    let title = || json!({"title": "Harbour"});
    let (here, there) = (
        deleted_by(1, Some("Harbour")),
        deleted_by(2, Some("Harbour")),
    );
    let told = |entity| edit(Op::Update, entity, title()).expect_err("refused");
    assert_eq!(
        told(&there),
        "Project was deleted remotely; restore it before you change it"
    );
    assert_eq!(
        told(&here),
        "Project was deleted; restore it before you change it"
    );
    assert_eq!(edit(Op::Restore, &there, json!({})), Ok(()));
    let collected = deleted_by(2, None);
    assert_eq!(
        told(&collected),
        "Project was deleted remotely; create it anew"
    );
    assert_eq!(
        edit(Op::Restore, &collected, json!({})).expect_err("nothing is left to restore"),
        "Project was deleted remotely, and its content is gone; create it anew"
    );
    assert_eq!(edit(Op::Restore, &collected, title()), Ok(()));
    let again = edit(Op::Create, &there, title()).expect_err("refused");
    assert!(again.contains("restore it"), "{again}");
}

#[test]
fn a_sale_is_never_changed_or_deleted() {
    for op in [Op::Update, Op::Delete, Op::Restore, Op::Resolve] {
        let mutation = Mutation {
            entity_type: "pos_order".into(),
            entity: Some(EntityId([1; 16])),
            op,
            fields: Map::new(),
            read: None,
            replaces: None,
        };
        let refused = command(&mutation, None, &Policy::default(), draw());
        assert_eq!(refused.expect_err("refused").code, "APPEND_ONLY");
    }
}

#[test]
fn a_counter_and_a_set_that_are_there_are_changed_and_not_written() {
    let mut project = Entity::new("project", EntityId([5; 16]));
    let author = Author {
        device: DeviceId([1; 16]),
        epoch: Epoch(1),
    };
    project.life.writes = vec![LifeWrite {
        dot: author.at(1),
        ts: WallMs(0),
        kind: LifeKind::Created,
        accepted: None,
        survivors: Vec::new(),
    }];
    let counted = Field::Counter(i64::MAX - 1);
    project.fields.insert("print_credits".into(), counted);
    let update = |name: &str, change: Json| {
        let mutation = Mutation {
            entity_type: "project".into(),
            entity: Some(project.id),
            op: Op::Update,
            fields: serde_json::Map::from_iter([(name.to_owned(), change)]),
            read: None,
            replaces: None,
        };
        let done = command(&mutation, Some(&project), &Policy::default(), draw());
        done.map_err(|refusal| refusal.detail)
    };
    let refused = |name, change| update(name, change).expect_err("refused");
    assert!(refused("print_credits", json!(5)).contains("print_credits+=n"));
    assert!(refused("tags", json!(["vip"])).contains("tags+="));
    assert!(refused("print_credits", json!({"increment": 2})).contains("beyond"));
    assert!(update("print_credits", json!({"increment": 1})).is_ok());
    assert!(update("tags", json!({"add": ["vip"]})).is_ok());
}
