//! What a choice does, by the kind of the question.

use serde_json::json;

use super::*;
use studiovault_protocol::id::{Author, DeviceId, Dot, Epoch};

fn dot(device: u8) -> Dot {
    let author = Author {
        device: DeviceId([device; 16]),
        epoch: Epoch(1),
    };
    author.at(2)
}

fn entry(device: u8, op: Op, fields: Value) -> HistoryEntry {
    let Value::Object(fields) = fields else {
        unreachable!("an object")
    };
    HistoryEntry {
        dot: dot(device),
        actor: "Ines".into(),
        ts: WallMs(0),
        op,
        fields,
        ruling: None,
    }
}

fn a_conflict(field: Option<&str>) -> ConflictRow {
    let side = |device, value| json!({"dot": dot(device).to_string(), "ts": 0, "value": value, "state": "tentative", "code": null});
    ConflictRow {
        id: "c".into(),
        entity: EntityId([9; 16]),
        entity_type: "client".into(),
        field: field.map(str::to_owned),
        kind: "update_update".into(),
        suggested: dot(2),
        rule: "priority".into(),
        clock_suspect: false,
        base: None,
        sides: vec![side(1, json!("a")), side(2, json!("b"))],
        opened_at: WallMs(0),
    }
}

#[test]
fn a_field_is_settled_by_a_side_or_another_value() {
    let row = a_conflict(Some("notes"));
    let side = Choice::Side(dot(1).to_string());
    let (op, fields) = decided(&row, &[], side).expect("decided");
    assert_eq!((op, &fields["notes"]), (Op::Resolve, &json!("a")));
    let (_, fields) = decided(&row, &[], Choice::Value(json!("both"))).expect("decided");
    assert_eq!(fields["notes"], json!("both"));
    for wrong in [
        Choice::Restore,
        Choice::AcceptDelete,
        Choice::Side("x".into()),
    ] {
        assert!(decided(&row, &[], wrong.clone()).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_life_is_settled_by_what_the_chosen_side_did() {
    let row = a_conflict(None);
    let history = [
        entry(1, Op::Delete, json!({})),
        entry(2, Op::Update, json!({})),
    ];
    let op = |choice| decided(&row, &history, choice).map(|(op, _)| op).ok();
    assert_eq!(op(Choice::Side(dot(1).to_string())), Some(Op::Delete));
    assert_eq!(op(Choice::Side(dot(2).to_string())), Some(Op::Restore));
    assert_eq!(op(Choice::AcceptDelete), Some(Op::Delete));
    assert_eq!(op(Choice::Value(json!(1))), None);
}

#[test]
fn whoever_keeps_a_name_the_others_take_their_proposals() {
    let side = |n: u8, proposed: Value| {
        json!({"entity": EntityId([n; 16]), "dot": dot(n).to_string(), "ts": 0, "value": "Weddings",
               "state": "tentative", "code": null, "proposed": proposed})
    };
    let mut row = a_conflict(Some("title"));
    row.kind = "create_create".into();
    row.sides = vec![side(1, Value::Null), side(2, json!("Weddings (2)"))];
    let names = |row: &ConflictRow, choice| -> Vec<(u8, Value)> {
        let renames = renamed(row, choice).unwrap_or_default().into_iter();
        renames
            .map(|(id, (_, fields))| (id.0[0], fields["title"].clone()))
            .collect()
    };
    let keeps = |n| Choice::Side(dot(n).to_string());
    assert_eq!(names(&row, keeps(1)), [(2, json!("Weddings (2)"))]);
    assert_eq!(names(&row, keeps(2)), [(1, json!("Weddings (2)"))]);
    assert_eq!(
        names(&row, Choice::Value(json!("Castle"))),
        [(2, json!("Castle"))]
    );
    row.sides.push(side(3, json!("Weddings (3)")));
    let wanted = [(1, json!("Weddings (2)")), (3, json!("Weddings (3)"))];
    assert_eq!(names(&row, keeps(2)), wanted);
    assert!(names(&row, Choice::Value(json!("Castle"))).is_empty());
    assert!(names(&row, Choice::AcceptDelete).is_empty());
}
