//! What the window shows, asked without a window.

use serde_json::json;
use studiovault_protocol::api::{Choice, ConflictPage, ConflictView, NetworkState};

use studiovault_protocol::api::ActivityPage;
use studiovault_protocol::id::EntityId;

use super::fixture::{
    NOW, a_bad_day, a_stuck_sale, deleted_and_edited, its_history, studio_of, three_machines,
    two_dates, two_fields_three_machines, two_prices, what_happened,
};
use super::*;
use crate::action::Step;
use crate::message::Done;

fn model_with(conflicts: Vec<ConflictView>) -> Model {
    let mut model = Model::default();
    tell(&mut model, Message::Status(Box::new(three_machines())));
    tell(&mut model, page(conflicts));
    model
}

fn page(conflicts: Vec<ConflictView>) -> Message {
    Message::Conflicts(Box::new(ConflictPage {
        conflicts,
        vv: "v1".to_owned(),
    }))
}

fn tell(model: &mut Model, message: Message) {
    let _asked = model.handle_message(message);
}

fn draft(model: &mut Model, id: &str, draft: Draft) {
    let _asked = model.handle_action(Action::Case(CaseAction::Draft(id.to_owned(), draft)));
}

fn apply(model: &mut Model) -> Option<Request> {
    model.handle_action(Action::Case(CaseAction::Apply))
}

/// The first conflict of the open case.
fn open(model: &Model) -> Option<&str> {
    model.board.opened().map(|case| case.head().id.as_str())
}

fn choice(request: Option<Request>) -> Choice {
    match request {
        Some(Request::Resolve(answers)) => answers[0].choice.clone(),
        other => panic!("no answer was sent: {other:?}"),
    }
}

#[test]
fn the_sentence_says_where_changes_are_safe_and_what_they_wait_for() {
    let status = three_machines();
    let (tone, sentence) = safety_sentence(&status, NOW);
    assert_eq!(
        sentence,
        "All changes are safe on all 3 machines. 8 changes wait for the cloud, the oldest for 20 s (front-desk carries them)."
    );
    assert_eq!(tone, Tone::Waiting);
}

#[test]
fn the_sentence_never_claims_a_copy_that_does_not_exist() {
    let mut status = three_machines();
    status.copies.on_machines_min = 1;
    let (tone, sentence) = safety_sentence(&status, NOW);
    assert!(sentence.starts_with("The newest changes are safe on this machine only"));
    assert_eq!(tone, Tone::Waiting);
    status.copies.on_machines_min = 2;
    let (_, sentence) = safety_sentence(&status, NOW);
    assert!(sentence.starts_with("All changes are safe on 2 of 3 machines."));
}

#[test]
fn a_studio_without_a_cloud_waits_for_nothing() {
    let (tone, sentence) = safety_sentence(&studio_of(3), NOW);
    assert_eq!(tone, Tone::Good);
    assert!(sentence.ends_with("The studio has no cloud, so nothing waits for one."));
    let labels: Vec<_> = pending_facts(&studio_of(3), NOW)
        .iter()
        .map(|f| f.label)
        .collect();
    assert!(
        !labels.iter().any(|label| label.contains("cloud")),
        "{labels:?}"
    );
}

#[test]
fn what_the_cloud_did_not_take_is_not_called_confirmed() {
    let mut status = three_machines();
    (status.counts.pending, status.counts.dead_letters) = (0, 2);
    let (tone, sentence) = safety_sentence(&status, NOW);
    assert_eq!(tone, Tone::Attention);
    assert!(
        sentence.ends_with("The cloud did not take 2 changes: see Needs fixing."),
        "{sentence}"
    );
    // Without a letter it is a side of an open question, or was settled since; confirmed it never is.
    (status.counts.dead_letters, status.counts.rejected) = (0, 1);
    status.counts.conflicts = 1;
    let (tone, sentence) = safety_sentence(&status, NOW);
    assert_eq!(tone, Tone::Attention);
    assert!(
        sentence.ends_with("The cloud did not take 1 change: see Conflicts."),
        "{sentence}"
    );
    status.counts.conflicts = 0;
    let (_, sentence) = safety_sentence(&status, NOW);
    assert!(!sentence.contains("confirmed"), "{sentence}");
    status.counts.rejected = 0;
    let (_, sentence) = safety_sentence(&status, NOW);
    assert!(sentence.contains("has confirmed everything"), "{sentence}");
}

#[test]
fn a_refused_token_asks_for_a_person_and_an_unreachable_cloud_does_not() {
    let mut status = three_machines();
    status.cloud.authorised = false;
    assert_eq!(safety_sentence(&status, NOW).0, Tone::Attention);
    status.cloud.reachable = false;
    let (tone, sentence) = safety_sentence(&status, NOW);
    assert_eq!(tone, Tone::Waiting);
    assert!(sentence.contains("it cannot be reached now"));
}

#[test]
fn nothing_on_screen_ever_says_syncing() {
    let mut status = three_machines();
    for network in [NetworkState::Online, NetworkState::Offline] {
        for pending in [0, 1, 8] {
            (status.network, status.counts.pending) = (network, pending);
            let all = format!(
                "{:?}{:?}{:?}",
                safety_sentence(&status, NOW),
                cloud_line(&status, NOW),
                pending_facts(&status, NOW)
            );
            assert!(!all.to_lowercase().contains("sync"), "{all}");
        }
    }
}

#[test]
fn what_the_node_said_last_stays_when_it_falls_silent() {
    let mut model = model_with(vec![two_dates()]);
    tell(
        &mut model,
        Message::Lost(Failure::NotRunning {
            folder: "/data".to_owned(),
        }),
    );
    assert!(!model.is_current());
    assert!(model.status.is_some() && model.board.opened().is_some());
    tell(&mut model, Message::Status(Box::new(three_machines())));
    assert!(model.is_current());
}

#[test]
fn an_answer_is_sent_once_and_with_the_read_token_of_what_was_seen() {
    let mut model = model_with(vec![two_dates()]);
    assert_eq!(apply(&mut model), None);
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("choose a side"))
    );
    draft(&mut model, "c-dates", Draft::Side("a:12".to_owned()));
    let request = apply(&mut model);
    let Some(Request::Resolve(answers)) = request else {
        panic!("nothing was sent");
    };
    let answer = answers[0].request();
    assert_eq!(
        (answers[0].conflict.id.as_str(), answer.read.as_deref()),
        ("c-dates", Some("v1"))
    );
    assert_eq!(answer.choice, Choice::Side("a:12".to_owned()));
    assert_eq!(apply(&mut model), None, "sent twice");
}

#[test]
fn a_side_that_changes_under_the_hand_stops_the_answer() {
    let mut model = model_with(vec![two_dates()]);
    draft(&mut model, "c-dates", Draft::Side("b:7".to_owned()));
    let mut changed = two_dates();
    changed.sides[1].value = json!("2026-12-24");
    changed.vv = "v2".to_owned();
    tell(&mut model, page(vec![changed]));
    assert_eq!(model.board.drafted("c-dates"), None);
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("changed while it was open"))
    );
    assert_eq!(apply(&mut model), None);
}

#[test]
fn other_writes_leave_a_prepared_answer_alone() {
    let mut model = model_with(vec![two_dates()]);
    draft(&mut model, "c-dates", Draft::Side("b:7".to_owned()));
    let mut same = two_dates();
    same.vv = "v2".to_owned();
    tell(&mut model, page(vec![two_prices(), same]));
    assert_eq!(
        model.board.drafted("c-dates"),
        Some(&Draft::Side("b:7".to_owned()))
    );
    assert_eq!(model.notice, None);
}

#[test]
fn an_own_answer_is_not_called_settled_elsewhere_but_anothers_is() {
    let mut model = model_with(vec![two_dates(), two_prices()]);
    draft(&mut model, "c-dates", Draft::Side("b:7".to_owned()));
    let request = apply(&mut model).expect("sent");
    tell(
        &mut model,
        Message::Answered {
            request,
            outcome: Ok(Done::default()),
        },
    );
    tell(&mut model, page(vec![two_prices()]));
    assert!(model.notice.as_ref().is_some_and(|n| n.tone == Tone::Good));
    assert_eq!(open(&model), Some("c-prices"));
    tell(&mut model, page(Vec::new()));
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("settled elsewhere"))
    );
    assert_eq!(model.board.opened(), None);
}

#[test]
fn a_refused_answer_can_be_given_again() {
    let mut model = model_with(vec![two_dates()]);
    draft(&mut model, "c-dates", Draft::Side("b:7".to_owned()));
    let request = apply(&mut model).expect("sent");
    tell(
        &mut model,
        Message::Answered {
            request,
            outcome: Err("The disk is full. Make room and try again.".to_owned()),
        },
    );
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("disk is full"))
    );
    assert!(apply(&mut model).is_some());
}

#[test]
fn a_typed_value_keeps_the_kind_of_the_field() {
    let mut model = model_with(vec![two_prices()]);
    draft(&mut model, "c-prices", Draft::Value("cheap".to_owned()));
    assert_eq!(apply(&mut model), None);
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("write it like 120.00"))
    );
    draft(&mut model, "c-prices", Draft::Value("127.50".to_owned()));
    let sent = apply(&mut model);
    assert_eq!(choice(sent), Choice::Value(json!(12_750)));

    let mut model = model_with(vec![two_dates()]);
    draft(&mut model, "c-dates", Draft::Value("17".to_owned()));
    let sent = apply(&mut model);
    assert_eq!(choice(sent), Choice::Value(json!("17")));
}

#[test]
fn a_question_of_life_takes_only_restore_or_accept() {
    let mut model = model_with(vec![deleted_and_edited()]);
    draft(&mut model, "c-life", Draft::Side("a:12".to_owned()));
    assert_eq!(model.board.drafted("c-dates"), None);
    draft(&mut model, "c-life", Draft::Restore);
    let sent = apply(&mut model);
    assert_eq!(choice(sent), Choice::Restore);
}

#[test]
fn the_filter_looks_at_labels_fields_machines_and_values() {
    let mut model = model_with(vec![two_dates(), two_prices(), deleted_and_edited()]);
    for (text, found) in [
        ("silva", 1),
        ("PRICE", 1),
        ("13500", 1),
        ("front", 3),
        ("zebra", 0),
    ] {
        let _asked = model.handle_action(Action::Write(Entry::ConflictFilter, text.to_owned()));
        assert_eq!(model.board.shown().len(), found, "{text}");
    }
    assert_eq!(model.board.opened(), None);
    let _asked = model.handle_action(Action::Write(Entry::ConflictFilter, String::new()));
    assert!(model.board.opened().is_some());
}

#[test]
fn steps_stay_within_the_list_and_drop_the_prepared_answer() {
    let mut model = model_with(vec![two_dates(), two_prices()]);
    draft(&mut model, "c-dates", Draft::Side("b:7".to_owned()));
    for (step, id) in [
        (Step::Back, "c-dates"),
        (Step::Next, "c-prices"),
        (Step::Next, "c-prices"),
    ] {
        let _asked = model.handle_action(Action::Case(CaseAction::Step(step)));
        assert_eq!(open(&model), Some(id));
    }
    assert_eq!(model.board.drafted("c-dates"), None);
}

#[test]
fn the_title_counts_what_waits() {
    let mut model = model_with(vec![two_dates()]);
    assert_eq!(
        model.badge().title(),
        "(1 conflict, 8 pending) StudioVault - Lisbon"
    );
    tell(&mut model, page(Vec::new()));
    assert_eq!(model.badge().title(), "(8 pending) StudioVault - Lisbon");
}

#[test]
fn this_machine_comes_first_and_the_cloud_is_no_machine() {
    let model = model_with(Vec::new());
    let names: Vec<_> = model.machines().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["laptop", "editor", "front-desk"]);
}

#[test]
fn all_fields_of_one_thing_are_one_case_with_this_machine_in_front() {
    let mut rows = two_fields_three_machines();
    rows.push(two_prices());
    let model = model_with(rows);
    assert_eq!((model.board.cases().len(), model.open_conflicts()), (2, 3));
    let case = model.board.opened().expect("open");
    let columns: Vec<String> = case
        .columns("laptop")
        .into_iter()
        .map(|c| c.device)
        .collect();
    assert_eq!(columns, ["laptop", "front-desk", "editor"]);
    assert_eq!(
        case_title(case),
        "Silva wedding: 2 fields changed differently"
    );
}

#[test]
fn each_field_has_its_own_answer_and_one_press_sends_them_together() {
    let mut model = model_with(two_fields_three_machines());
    draft(&mut model, "c-dates", Draft::Base);
    draft(
        &mut model,
        "c-notes",
        Draft::Value("3 albums, +proofs".to_owned()),
    );
    let Some(Request::Resolve(answers)) = apply(&mut model) else {
        panic!("nothing was sent");
    };
    let sent: Vec<_> = answers
        .into_iter()
        .map(|one| (one.conflict.id, one.choice))
        .collect();
    assert_eq!(
        sent,
        [
            (
                "c-notes".to_owned(),
                Choice::Value(json!("3 albums, +proofs"))
            ),
            ("c-dates".to_owned(), Choice::Value(json!("2026-11-20"))),
        ]
    );
}

#[test]
fn the_same_choice_goes_to_all_that_are_similar_and_to_no_other() {
    let mut others = Vec::new();
    for at in 0..3 {
        let mut row = two_dates();
        (row.id, row.entity) = (format!("c-{at}"), EntityId([20 + at; 16]));
        others.push(row);
    }
    others[2].sides[0].device = "editor".to_owned();
    let mut rows = vec![two_dates(), two_prices(), deleted_and_edited()];
    rows.extend(others);
    let mut model = model_with(rows);
    draft(&mut model, "c-dates", Draft::Side("a:12".to_owned()));
    assert_eq!(model.board.alike(), 2);
    let _asked = model.handle_action(Action::Case(CaseAction::Batch(true)));
    let Some(Request::Resolve(answers)) = apply(&mut model) else {
        panic!("nothing was sent");
    };
    let ids: Vec<_> = answers.iter().map(|one| one.conflict.id.as_str()).collect();
    assert_eq!(ids, ["c-dates", "c-0", "c-1"]);
}

#[test]
fn an_answer_taken_back_opens_the_question_as_it_was() {
    let mut model = model_with(vec![two_dates()]);
    draft(&mut model, "c-dates", Draft::Side("a:12".to_owned()));
    let request = apply(&mut model).expect("sent");
    let vv = Some("v9".to_owned());
    let outcome = Ok(Done {
        vv,
        ..Done::default()
    });
    tell(&mut model, Message::Answered { request, outcome });
    tell(&mut model, page(Vec::new()));
    let Some(Request::Undo { tx, .. }) = model.handle_action(Action::Undo) else {
        panic!("nothing was sent");
    };
    // Both values stand beside each other again; the one that was shown is written last. Neither covers what came later.
    let values: Vec<_> = tx
        .mutations
        .iter()
        .map(|m| m.fields["shoot_date"].clone())
        .collect();
    assert_eq!(values, [json!("2026-11-21"), json!("2026-11-22")]);
    assert!(tx.mutations.iter().all(|m| m.read.as_deref() == Some("v9")));
    assert_eq!(model.handle_action(Action::Undo), None, "taken back twice");
}

#[test]
fn a_change_meanwhile_names_the_machine_and_what_it_says_now() {
    let mut model = model_with(two_fields_three_machines());
    draft(&mut model, "c-dates", Draft::Base);
    let mut rows = two_fields_three_machines();
    (rows[0].sides[1].dot, rows[0].sides[1].value) = ("b:9".to_owned(), json!("2027-01-01"));
    tell(&mut model, page(rows));
    let changed = model.board.changed().expect("told");
    assert!(
        changed.contains("front-desk says shoot_date 2027-01-01 now."),
        "{changed}"
    );
    assert_eq!(apply(&mut model), None);
}

#[test]
fn edits_of_a_deleted_thing_can_be_copied_as_new() {
    let facts = its_history();
    let view = facts.view.expect("shown");
    let tx = copy_as_new(&view, Policy::default().entity_type("project"));
    let copy = &tx.mutations[0];
    assert_eq!(
        (copy.id, copy.op),
        (None, studiovault_protocol::command::Op::Create)
    );
    assert_eq!(copy.fields["tags"], json!(["outdoor", "vip"]));
}

#[test]
fn a_mended_letter_goes_out_with_the_values_that_were_typed_and_no_others() {
    let mut model = model_with(Vec::new());
    let _asked = model.handle_message(Message::Letters(vec![a_bad_day()]));
    assert_eq!(failing_field(&a_bad_day()), Some("shoot_date"));
    let write =
        |text: &str| Action::Write(Entry::LetterField("shoot_date".to_owned()), text.to_owned());
    let _nothing = model.handle_action(write("2026-11-23"));
    let fix = model.handle_action(Action::Letter(LetterAction::Fix));
    let Some(Request::Fix { fix, .. }) = fix else {
        panic!("nothing was sent");
    };
    assert_eq!(json!(fix.fields), json!({"shoot_date": "2026-11-23"}));
}

#[test]
fn an_amount_is_mended_as_money_in_what_the_sale_was_paid_in() {
    let mut sale = a_stuck_sale();
    let fields = json!({"total_cents": 2500, "currency": "EUR"});
    sale.fields = fields.as_object().cloned().unwrap_or_default();
    let mut model = model_with(Vec::new());
    let _asked = model.handle_message(Message::Letters(vec![sale]));
    assert_eq!(model.letters.text_of("total_cents"), "25.00");
    let write = |field: &str, text: &str| {
        Action::Write(Entry::LetterField(field.to_owned()), text.to_owned())
    };
    let fix = || Action::Letter(LetterAction::Fix);
    let _nothing = model.handle_action(write("total_cents", "26,50"));
    assert_eq!(model.handle_action(fix()), None);
    let told = model.notice.clone().expect("said").sentence;
    assert!(told.contains("takes an amount such as 120.50"), "{told}");
    let _nothing = model.handle_action(write("total_cents", "26.50"));
    let sent = |asked| match asked {
        Some(Request::Fix { fix, .. }) => json!(fix.fields),
        other => panic!("nothing was sent, but {other:?}"),
    };
    let cents = json!({"total_cents": 2650});
    assert_eq!(sent(model.clone().handle_action(fix())), cents);
    let _nothing = model.handle_action(write("currency", "JPY"));
    assert_eq!(model.handle_action(fix()), None, "there is no half a yen");
}

#[test]
fn a_sale_is_never_given_up_and_nothing_without_a_reason() {
    let mut model = model_with(Vec::new());
    let discard = || Action::Letter(LetterAction::Discard);
    let _asked = model.handle_message(Message::Letters(vec![a_stuck_sale()]));
    let _nothing = model.handle_action(Action::Write(Entry::Reason, "rung up twice".to_owned()));
    assert_eq!(model.handle_action(discard()), None);
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("never discarded"))
    );
    let _asked = model.handle_message(Message::Letters(vec![a_bad_day()]));
    assert_eq!(model.handle_action(discard()), None);
    let _nothing = model.handle_action(Action::Write(Entry::Reason, "a test".to_owned()));
    assert!(matches!(
        model.handle_action(discard()),
        Some(Request::Discard { .. })
    ));
}

#[test]
fn new_changes_join_the_list_and_a_gap_begins_it_anew() {
    let mut model = model_with(Vec::new());
    let show = Action::Show(Tab::Activity);
    assert_eq!(model.handle_action(show), Some(Request::Activity(None)));
    let all = what_happened(30);
    let part = |from: usize| ActivityPage {
        rows: all.rows[from..].to_vec(),
        next: Some(7),
    };
    tell(&mut model, Message::Activity(Box::new(part(10)), None));
    tell(&mut model, Message::Activity(Box::new(all.clone()), None));
    assert_eq!(model.activity.rows(), all.rows);
    let mut far = what_happened(5);
    far.rows.iter_mut().for_each(|row| row.dot.insert(0, 'z'));
    tell(&mut model, Message::Activity(Box::new(far), None));
    assert_eq!(model.activity.rows().len(), 5);
}

#[test]
fn the_swim_lane_marks_the_sides_their_base_and_the_clouds_word() {
    let case = Case::group(vec![two_dates()]).remove(0);
    let facts = its_history();
    let picture = lanes(&facts.history, Some(&case), ("laptop", NOW));
    assert_eq!(picture.lanes, ["laptop", "front-desk", "cloud"]);
    let kinds: Vec<MarkKind> = picture.marks.iter().map(|mark| mark.kind).collect();
    use MarkKind::{Base, Mine, Taken, Theirs, Write};
    assert_eq!(kinds, [Base, Taken, Mine, Write, Theirs, Write]);
    let columns = case.columns("laptop");
    let sets = merged(&facts.history, &case, &columns);
    assert_eq!(sets[0].changes, ["+outdoor", "+vip, -draft"]);
}
