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
    assert!(refused("tags", json!({"remove": ["absent"]})).contains("`tags` does not hold"));
    assert!(update("print_credits", json!({"increment": 1})).is_ok());
    assert!(update("tags", json!({"add": ["vip"]})).is_ok());
}

#[test]
fn what_a_person_must_read_is_no_blank() {
    let refused = |name: &str| create("client", json!({ "name": name })).expect_err(name);
    for blank in [
        "",
        " ",
        "\t\n",
        "\u{a0}\u{2003}",
        "\u{200b}\u{feff}",
        "\u{202e}",
    ] {
        let refusal = refused(blank);
        assert_eq!(refusal.code, "REQUIRED_FIELD");
        assert_eq!(refusal.field.as_deref(), Some("name"));
        assert_eq!(refusal.detail, "`name` may not be empty; give it");
    }
    assert!(create("client", json!({"name": " Silva", "notes": ""})).is_ok());
}

#[test]
fn a_sale_is_of_something_for_an_amount_that_a_till_takes_in_a_currency() {
    let with = |field: &str, value: Json| {
        let mut fields = json!({"sold_on": "2026-11-22", "items": 1, "amount_cents": 500});
        fields[field] = value;
        create("pos_order", fields)
    };
    for (field, wrong) in [
        ("items", json!(0)),
        ("items", json!(-1)),
        ("items", json!(4_006_381_333_931_i64)),
        ("amount_cents", json!(-1)),
        ("amount_cents", json!(i64::MAX)),
        ("currency", json!("")),
        ("currency", json!("eur")),
        ("currency", json!("EU")),
        ("currency", json!("\u{20ac}")),
        ("sold_on", json!("2026-02-30")),
        ("sold_on", json!("22.11.2026")),
        ("sold_on", json!("")),
    ] {
        let refusal = with(field, wrong.clone()).expect_err(field);
        assert_eq!(refusal.code, "VALIDATION_FAILED", "{wrong}");
        assert_eq!(refusal.field.as_deref(), Some(field), "{wrong}");
        assert!(
            refusal.detail.contains("; "),
            "no next step: {}",
            refusal.detail
        );
    }
    for (field, fine) in [
        ("items", json!(100_000)),
        ("amount_cents", json!(0)),
        ("currency", json!("USD")),
    ] {
        assert!(with(field, fine.clone()).is_ok(), "{field} {fine}");
    }
    let correction = |cents: i64| {
        let order = EntityId([4; 16]).to_string();
        create(
            "pos_correction",
            json!({"order": order, "amount_cents": cents, "reason": "a mistake"}),
        )
    };
    assert!(correction(-2_00).is_ok());
    assert!(correction(i64::MIN).is_err());
}

#[test]
fn a_policy_with_limits_of_its_own_knows_better_what_a_sale_may_be() {
    let text = Policy::default().text().to_owned();
    let own = text.replace(
        "items = { kind = \"int\", required = true }",
        "items = { kind = \"int\", required = true, min = 0, max = 3 }",
    );
    let own = Policy::parse(&own).expect("a policy");
    let items = |items: i64| {
        let Json::Object(fields) =
            json!({"sold_on": "2026-11-22", "items": items, "amount_cents": 5})
        else {
            unreachable!("an object")
        };
        let mutation = Mutation {
            entity_type: "pos_order".into(),
            entity: None,
            op: Op::Create,
            fields,
            read: None,
            replaces: None,
        };
        command(&mutation, None, &own, draw())
    };
    assert!(items(0).is_ok());
    assert!(items(4).is_err() && items(-1).is_err());
}
