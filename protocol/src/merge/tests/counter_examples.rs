//! The histories that break a simpler merge, each as a test of its own: what the model says would go wrong does not.

use super::machine::{IT, Machine, deed, machines, title, write};
use crate::command::{Change, Op};
use crate::id::{DeviceId, EntityId};
use crate::log::Admission;
use crate::merge::pick::pick;
use crate::merge::{Code, ConflictKind, Outcome, PickRule, Priorities, Sibling, SideState};
use crate::time::WallMs;
use crate::value::Value;

const DAY_S: i64 = 86_400;

fn rejected(code: Code) -> Outcome {
    let detail = String::new();
    Outcome::Rejected { code, detail }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Two machines that gave the project two titles at once, and the dots of both.
fn two_devices_in_conflict() -> (Machine, Machine) {
    let [mut one, mut two] = machines();
    let left = one.write(deed(Op::Update, vec![title("Silva")], 10));
    let right = two.write(deed(Op::Update, vec![title("Costa")], 20));
    one.take(&right);
    two.take(&left);
    (one, two)
}

#[test]
fn losing_siblings_are_kept_or_the_order_of_arrival_would_show() {
    let [mut a, mut b, mut c, here] = machines();
    let priorities = [&a, &b, &c].into_iter().zip([3, 2, 1]);
    let priorities = Priorities(priorities.map(|(m, p)| (m.author.device, p)).collect());
    let writes = [
        a.write(deed(Op::Update, vec![title("A")], 0)),
        b.write(deed(Op::Update, vec![title("B")], 90)),
        c.write(deed(Op::Update, vec![title("C")], 180)),
    ];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let (mut ends, mut losers_dropped) = (Vec::new(), Vec::new());
    for order in orders {
        let mut here = here.clone();
        let mut only: Vec<Sibling> = Vec::new();
        for at in order {
            here.take(&writes[at]);
            // The mistake: of all that came so far only the pick is kept.
            let tip = writes[at].tip();
            let crate::merge::Field::Register(title) = &here.it().fields["title"] else {
                unreachable!("a register")
            };
            only.extend(title.siblings.iter().filter(|s| s.dot == tip).cloned());
            let best = pick(&only, &priorities).expect("not empty").sibling.clone();
            only = vec![best];
        }
        ends.push(here.it().value("title", &priorities).cloned());
        losers_dropped.push(only[0].value.clone());
    }
    assert!(ends.iter().all(|end| *end == Some(text("B"))), "{ends:?}");
    losers_dropped.sort();
    losers_dropped.dedup();
    assert_eq!(
        losers_dropped,
        ["A", "B", "C"].map(text),
        "the mistake ends in three values"
    );
}

#[test]
fn two_windows_on_one_machine_can_conflict() {
    let [mut one] = machines();
    let opened = one.log.applied().clone();
    for (name, seconds) in [("left window", 10), ("right window", 20)] {
        let saved = deed(Op::Update, vec![title(name)], seconds);
        one.write(super::machine::Deed {
            ctx: Some(opened.clone()),
            ..saved
        });
    }
    let conflicts = one.conflicts();
    assert_eq!((conflicts.len(), conflicts[0].sides.len()), (1, 2));
    one.write(deed(Op::Update, vec![title("saved once more")], 30));
    assert!(
        one.conflicts().is_empty(),
        "who had read both supersedes both"
    );
}

#[test]
fn a_cloned_disk_writes_on_as_another_branch_and_all_end_alike() {
    let [mut original, mut other] = machines();
    let mut clone = original.clone();
    clone.restart(7);
    original.restart(8);
    let left = original.write(deed(Op::Update, vec![title("original")], 10));
    let right = clone.write(deed(Op::Update, vec![title("clone")], 20));
    assert_eq!(
        left.tip().counter,
        right.tip().counter,
        "the counter was used twice"
    );
    assert_ne!(left.tip(), right.tip(), "and the dot was not");
    other.take(&left);
    assert!(other.take(&right), "another branch is no contradiction");
    original.learn(&other);
    clone.learn(&other);
    assert_eq!((original.it(), clone.it()), (other.it(), other.it()));
    assert_eq!(
        other.conflicts()[0].sides.len(),
        2,
        "neither had seen the other"
    );
}

#[test]
fn a_restored_backup_writes_on_and_pulls_what_it_lacks_behind() {
    let [mut laptop, mut other] = machines();
    let backup = laptop.clone();
    let lost = laptop.write(deed(Op::Update, vec![title("after the backup")], 10));
    other.take(&lost);
    let mut restored = backup;
    restored.restart(5);
    let anew = restored.write(deed(Op::Update, vec![title("from the backup")], 20));
    assert_ne!(anew.tip(), lost.tip());
    other.take(&anew);
    restored.learn(&other);
    assert_eq!(restored.it(), other.it());
    assert_eq!(restored.conflicts()[0].sides.len(), 2);
}

#[test]
fn one_dot_with_two_contents_is_evidence_and_is_never_applied() {
    let [mut memory_image, mut other] = machines();
    let mut resumed = memory_image.clone();
    let first = memory_image.write(deed(Op::Update, vec![title("first")], 10));
    let second = resumed.write(deed(Op::Update, vec![title("second")], 20));
    assert_eq!(first.tip(), second.tip());
    other.take(&first);
    assert!(matches!(
        other.log.judge(&second),
        Admission::Contradiction(_)
    ));
    assert!(!other.take(&second) && other.title().as_deref() == Some("first"));
}

#[test]
fn an_invoice_never_shows_up_before_its_client() {
    let (client, invoice) = (EntityId([1; 16]), EntityId([2; 16]));
    let (mut one, mut two, mut here) = (Machine::new(1), Machine::new(2), Machine::new(3));
    let of = |entity, op, name: &str| super::machine::Deed {
        entity,
        ..deed(op, vec![title(name)], 0)
    };
    let made = one.write(of(client, Op::Create, "client"));
    two.take(&made);
    let billed = two.write(of(invoice, Op::Create, "invoice"));
    assert!(here.take(&billed), "it is held at once");
    assert!(!here.entity(invoice).life.exists() && here.log.parked_count() == 1);
    here.take(&made);
    assert!(here.entity(client).life.exists() && here.entity(invoice).life.exists());
}

#[test]
fn a_minute_of_madness_of_a_clock_pins_nothing_and_is_told() {
    let [mut mad, mut sane] = machines();
    let year = mad.write(deed(Op::Update, vec![title("from next year")], 365 * DAY_S));
    let today = sane.write(deed(Op::Update, vec![title("today")], 60));
    mad.take(&today);
    let conflict = &mad.conflicts()[0];
    assert!(conflict.clock_suspect && conflict.rule == PickRule::Latest);
    sane.take(&year);
    let fixed = sane.write(deed(Op::Update, vec![title("tomorrow")], DAY_S));
    mad.take(&fixed);
    assert_eq!(
        mad.title().as_deref(),
        Some("tomorrow"),
        "who had read it supersedes it"
    );
    assert!(mad.conflicts().is_empty());
}

#[test]
fn a_clock_is_suspect_from_a_day_on_whether_its_write_stands_or_was_lost() {
    for (ahead_s, suspect) in [(DAY_S, false), (DAY_S + 1, true)] {
        for verdict in [None, Some(rejected(Code::ConflictUpdateUpdate))] {
            let [mut one, mut two] = machines();
            let early = one.write(deed(Op::Update, vec![title("now")], 0));
            let late = two.write(deed(Op::Update, vec![title("later")], ahead_s));
            two.take(&early);
            if let Some(outcome) = &verdict {
                two.decide(late.tip(), outcome.clone());
            }
            assert_eq!(
                two.conflicts()[0].clock_suspect,
                suspect,
                "{ahead_s} {verdict:?}"
            );
        }
    }
}

#[test]
fn equal_values_are_no_conflict() {
    let [mut one, mut two] = machines();
    one.write(deed(Op::Update, vec![title("Silva")], 10));
    let same = two.write(deed(Op::Update, vec![title("Silva")], 20));
    one.take(&same);
    assert!(one.conflicts().is_empty() && !one.it().in_conflict());
}

#[test]
fn a_remove_takes_what_it_saw_and_a_concurrent_add_survives() {
    let [mut one, mut two] = machines();
    let tag = text("garden");
    let add = || vec![write("tags", Change::Add(vec![text("garden")]))];
    let first = one.write(deed(Op::Update, add(), 10));
    two.take(&first);
    let again = two.write(deed(Op::Update, add(), 20));
    let remove = Change::Remove(vec![(tag, vec![first.tip()])]);
    one.write(deed(Op::Update, vec![write("tags", remove)], 30));
    let tags =
        |machine: &Machine| machine.it().shown(&Priorities::default()).fields["tags"].clone();
    assert_eq!(
        tags(&one),
        serde_json::json!([]),
        "a plain union could never remove"
    );
    one.take(&again);
    assert_eq!(tags(&one), serde_json::json!(["garden"]));
    assert!(one.conflicts().is_empty(), "a set is never in conflict");
}

#[test]
fn increments_count_once_each_however_often_they_come() {
    let [mut one, mut two] = machines();
    let by = |n| vec![write("print_credits", Change::Increment(n))];
    let (left, right) = (
        one.write(deed(Op::Update, by(5), 10)),
        two.write(deed(Op::Update, by(-2), 10)),
    );
    for bundle in [&right, &left, &right, &left] {
        one.take(bundle);
    }
    let sum = |machine: &Machine| {
        machine.it().shown(&Priorities::default()).fields["print_credits"].as_i64()
    };
    assert_eq!(sum(&one), Some(3));
    one.decide(left.tip(), rejected(Code::ValidationFailed));
    assert_eq!(sum(&one), Some(-2), "what is rejected is no longer summed");
}

#[test]
fn what_a_rejected_command_superseded_comes_back_exactly() {
    let [mut one, mut two] = machines();
    let side = two.write(deed(Op::Update, vec![title("aside")], 5));
    let tag = vec![write("tags", Change::Add(vec![text("garden")]))];
    let added = one.write(deed(Op::Update, tag, 10));
    one.take(&side);
    let before = one.it();
    let remove = Change::Remove(vec![(text("garden"), vec![added.tip()])]);
    let writes = vec![
        title("a settlement that the cloud will not take"),
        write("tags", remove),
        write("print_credits", Change::Increment(7)),
    ];
    let wrong = one.write(deed(Op::Resolve, writes, 20));
    assert_ne!(one.it(), before);
    one.decide(wrong.tip(), rejected(Code::ValidationFailed));
    let mut after = one.it();
    // An empty counter is no trace of one.
    after
        .fields
        .retain(|name, _| before.fields.contains_key(name));
    assert_eq!(after, before);
    assert_eq!(one.it().shown(&Priorities::default()), {
        let mut shown = before.shown(&Priorities::default());
        shown
            .fields
            .extend(after.shown(&Priorities::default()).fields);
        shown
    });
}

#[test]
fn the_middle_of_a_chain_is_taken_out_and_its_ends_hold() {
    let [mut one] = machines();
    let names = ["first", "second", "third"];
    let dots = names.map(|name| one.write(deed(Op::Update, vec![title(name)], 10)).tip());
    one.decide(dots[1], rejected(Code::ValidationFailed));
    assert_eq!(one.title().as_deref(), Some("third"));
    one.decide(dots[2], rejected(Code::ValidationFailed));
    assert_eq!(one.title().as_deref(), Some("first"));
    one.decide(dots[0], rejected(Code::ValidationFailed));
    assert_eq!(one.title().as_deref(), Some("Wedding"));
}

#[test]
fn a_merged_verdict_takes_the_named_fields_and_confirms_the_others() {
    let [mut one] = machines();
    let status = write("status", Change::Write(text("booked")));
    let both = one
        .write(deed(Op::Update, vec![title("lost"), status], 10))
        .tip();
    one.decide(
        both,
        Outcome::Merged(vec![("title".into(), Code::ConflictUpdateUpdate)]),
    );
    assert_eq!(one.title().as_deref(), Some("Wedding"));
    assert_eq!(
        one.it().value("status", &Priorities::default()),
        Some(&text("booked"))
    );
    let conflict = &one.conflicts()[0];
    let lost = conflict
        .sides
        .iter()
        .find(|side| side.dot == both)
        .expect("a side");
    assert_eq!(
        (conflict.kind, lost.state),
        (ConflictKind::LostAtCloud, SideState::Lost)
    );
    assert_eq!(lost.code, Some(Code::ConflictUpdateUpdate));
    one.write(deed(Op::Update, vec![title("read and written anew")], 20));
    assert!(
        one.conflicts().is_empty(),
        "a standing command that had read it covers it"
    );
}

#[test]
fn a_resolution_ends_a_conflict_on_every_device() {
    let (mut one, mut two) = two_devices_in_conflict();
    assert_eq!(one.conflicts(), two.conflicts());
    let settled = one.write(deed(Op::Resolve, vec![title("Silva and Costa")], 30));
    two.take(&settled);
    for machine in [&one, &two] {
        assert!(machine.conflicts().is_empty());
        assert_eq!(machine.title().as_deref(), Some("Silva and Costa"));
    }
}

#[test]
fn two_concurrent_resolutions_are_a_new_conflict_and_a_third_ends_it() {
    let (mut one, mut two) = two_devices_in_conflict();
    let left = one.write(deed(Op::Resolve, vec![title("Silva")], 30));
    let right = two.write(deed(Op::Resolve, vec![title("Costa")], 40));
    one.take(&right);
    two.take(&left);
    let conflicts = one.conflicts();
    assert_eq!(conflicts, two.conflicts());
    let dots: Vec<_> = conflicts[0].sides.iter().map(|side| side.dot).collect();
    assert_eq!(
        dots,
        [left.tip(), right.tip()],
        "between the resolutions alone"
    );
    one.write(deed(Op::Resolve, vec![title("Silva and Costa")], 50));
    assert!(one.conflicts().is_empty());
}

#[test]
fn a_rejected_resolution_brings_the_conflict_back() {
    let (mut one, _) = two_devices_in_conflict();
    let before = one.conflicts();
    let settled = one.write(deed(Op::Resolve, vec![title("?")], 30));
    assert!(one.conflicts().is_empty());
    one.decide(settled.tip(), rejected(Code::Forbidden));
    assert_eq!(one.conflicts(), before);
}

#[test]
fn the_one_that_the_cloud_accepted_first_is_not_unseated_by_clock_or_priority() {
    let (mut one, two) = two_devices_in_conflict();
    let (silva, costa) = (
        one.conflicts()[0].sides[0].dot,
        one.conflicts()[0].sides[1].dot,
    );
    let priorities = Priorities([(two.author.device, 9)].into());
    assert_eq!(one.it().value("title", &priorities), Some(&text("Costa")));
    one.decide(silva, Outcome::Accepted);
    assert_eq!(one.it().value("title", &priorities), Some(&text("Silva")));
    one.decide(costa, rejected(Code::ConflictUpdateUpdate));
    let conflict = &one.it().conflicts(&priorities)[0];
    let side = conflict
        .sides
        .iter()
        .find(|side| side.dot == costa)
        .expect("a side");
    assert_eq!(
        (side.state, conflict.suggested),
        (SideState::Rejected, silva)
    );
}

#[test]
fn a_delete_hides_tentative_edits_and_asks_and_does_not_hide_accepted_ones() {
    let [mut one, mut two] = machines();
    let edit = one.write(deed(Op::Update, vec![title("edited")], 10)).tip();
    let delete = two.write(deed(Op::Delete, vec![], 20));
    one.take(&delete);
    assert!(one.it().life.is_deleted());
    let conflict = &one.conflicts()[0];
    assert_eq!(
        (conflict.kind, conflict.rule),
        (ConflictKind::DeleteUpdate, PickRule::Deletion)
    );
    assert_eq!(
        conflict
            .sides
            .iter()
            .map(|s| s.ts.0 % 100_000)
            .collect::<Vec<_>>(),
        [10_000, 20_000]
    );
    one.decide(edit, Outcome::Accepted);
    assert!(!one.it().life.is_deleted());
    assert_eq!(
        (one.conflicts()[0].suggested, one.conflicts()[0].rule),
        (edit, PickRule::Confirmed)
    );
}

#[test]
fn a_machine_that_returns_after_400_days_resurrects_nothing() {
    let [mut here, mut away] = machines();
    let seen = away.log.applied().clone();
    let old_edits = [
        deed(Op::Update, vec![title("an old edit")], 10),
        deed(
            Op::Update,
            vec![write("tags", Change::Add(vec![text("old")]))],
            20,
        ),
        deed(
            Op::Update,
            vec![write("print_credits", Change::Increment(5))],
            30,
        ),
        deed(Op::Resolve, vec![title("an old answer")], 40),
        super::machine::Deed {
            ctx: Some(seen),
            ..deed(Op::Create, vec![title("made again")], 50)
        },
    ];
    let old: Vec<_> = old_edits.into_iter().map(|edit| away.write(edit)).collect();
    let delete = here.write(deed(Op::Delete, vec![], 60)).tip();
    here.decide(delete, Outcome::Accepted);
    // 400 days later.
    let still = here.write(super::machine::Deed {
        entity: EntityId([3; 16]),
        ..deed(Op::Create, vec![title("another one")], 400 * DAY_S)
    });
    here.learn(&away);
    away.learn(&here);
    away.verdicts = here.verdicts.clone();
    assert!(here.log.is_applied(old[4].tip()) && away.log.is_applied(still.tip()));
    for machine in [&here, &away] {
        assert!(
            machine.it().life.is_deleted(),
            "it was deleted, and stays so"
        );
        let conflicts = machine.conflicts();
        assert_eq!(
            conflicts.len(),
            1,
            "the one question is whether to restore it"
        );
        assert_eq!(
            (conflicts[0].kind, conflicts[0].suggested),
            (ConflictKind::DeleteUpdate, delete)
        );
    }
    // The cloud truth says no to each of them.
    for bundle in &old {
        here.decide(bundle.tip(), rejected(Code::ConflictDeleteUpdate));
    }
    assert!(here.it().life.is_deleted());
    let restored = here.write(deed(Op::Restore, vec![title("by a person")], 401 * DAY_S));
    away.learn(&here);
    assert!(!away.it().life.is_deleted() && away.title().as_deref() == Some("by a person"));
    assert!(away.log.is_applied(restored.tip()));
}

#[test]
fn a_missing_device_in_a_vector_means_nothing_seen_of_it() {
    let [one, mut two] = machines();
    let edit = two.write(deed(Op::Update, vec![title("edited")], 10)).tip();
    assert!(!one.log.applied().covers(two.log.epochs(), edit));
    assert_eq!((two.it().id, two.author.device), (IT, DeviceId([2; 16])));
    assert_eq!(two.conflicts(), [], "{:?}", WallMs(0));
}
