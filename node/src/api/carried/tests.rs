//! What comes back from a deletion: what was shown, and the edits that the cloud refused because of it.

use studiovault_protocol::command::{Change, Command, FieldWrite};
use studiovault_protocol::id::Dot;
use studiovault_protocol::merge::{Code, Outcome};
use studiovault_protocol::value::Value as Says;
use studiovault_protocol::vector::Vector;

use super::*;
use crate::store::Store;
use crate::store::fixtures::{
    Cloud, Dice, Machine, a_store, command, commit, entity, policy, text,
};

/// One machine deleted a project, and the cloud refused two edits that another one made meanwhile; a third one's store, what
/// was read before the last of them came, and their dots.
fn two_edits_refused_for_a_deletion() -> (Store, Vector, [Dot; 2]) {
    let (mut one, mut two, mut here) = (Machine::new(1), Machine::new(2), Machine::new(3));
    let (mut cloud, mut dice, mut store) = (Cloud::default(), Dice(5), a_store());
    let tags = |change| FieldWrite {
        field: "tags".into(),
        change,
    };
    let said = |text: &str| Says::Text(text.into());
    let mut write = |op, writes| Command {
        writes,
        ..command(op, entity(1), &mut dice)
    };
    let made = vec![
        text("title", "Wedding"),
        text("notes", "old"),
        tags(Change::Add(vec![said("a"), said("c")])),
    ];
    let (made, _) = one.author(vec![write(Op::Create, made)]);
    let _ = two.take(&made);
    let (gone, _) = one.author(vec![write(Op::Delete, Vec::new())]);
    let credits = |by| FieldWrite {
        field: "print_credits".into(),
        change: Change::Increment(by),
    };
    let removed = Change::Remove(vec![(said("a"), vec![made.tip()])]);
    let first = vec![text("notes", "newer"), credits(3), tags(removed)];
    let (first, _) = two.author(vec![write(Op::Update, first)]);
    let second = vec![
        text("notes", "newest"),
        credits(2),
        tags(Change::Add(vec![said("b")])),
    ];
    let (second, _) = two.author(vec![Command {
        ts: studiovault_protocol::time::WallMs(1_900_000_000_000),
        ..write(Op::Update, second)
    }]);
    let refused = || Outcome::Rejected {
        code: Code::ConflictDeleteUpdate,
        detail: String::new(),
    };
    let mut read = Vector::EMPTY;
    for (bundle, outcome) in [
        (&made, None),
        (&gone, None),
        (&first, Some(refused())),
        (&second, Some(refused())),
    ] {
        read = here.index.applied().clone();
        let exceptions = outcome.map(|outcome| (bundle.first(), outcome));
        let mut writes = here.take(bundle);
        let entries = Cloud::decide(bundle, exceptions.into_iter().collect());
        writes.extend(here.take_page(&cloud.page(entries)));
        commit(&mut store, &writes, &here.rules()).expect("commits");
    }
    (store, read, [first.tip(), second.tip()])
}

fn restored(store: &Store, read: Option<Vector>, edits: &Edits) -> Value {
    let restore = Mutation {
        entity_type: "project".into(),
        entity: Some(entity(1)),
        op: Op::Restore,
        fields: Map::new(),
        read,
        replaces: None,
    };
    let policy = policy();
    let rules = policy.entity_type("project");
    let fields = carried(&store.view(), (&restore, rules), edits);
    Value::Object(fields.expect("reads"))
}

#[test]
fn what_comes_back_from_a_deletion_brings_the_refused_edits() {
    let (store, read, [first, second]) = two_edits_refused_for_a_deletion();
    let all = json!({"title": "Wedding", "notes": "newest", "print_credits": {"increment": 5},
                     "tags": {"add": ["c", "b"], "remove": ["a"]}});
    assert_eq!(restored(&store, None, &Edits::All), all);
    let one = json!({"title": "Wedding", "notes": "newer", "print_credits": {"increment": 3},
                     "tags": {"add": ["c"], "remove": ["a"]}});
    assert_eq!(restored(&store, None, &Edits::Of(first.to_string())), one);
    // What was not seen yet stays a question, and would count twice if it came along.
    assert_eq!(restored(&store, Some(read), &Edits::All), one);
    let other = restored(&store, None, &Edits::Of(second.to_string()));
    assert_eq!(other["print_credits"], json!({"increment": 2}));
    let none = restored(&store, None, &Edits::Of("another side".into()));
    let shown = json!({"title": "Wedding", "notes": "old", "tags": ["a", "c"]});
    assert_eq!(none, shown);
}
