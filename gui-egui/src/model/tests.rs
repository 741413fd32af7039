//! What the window shows, asked without a window.

use serde_json::json;
use studiovault_protocol::api::{Choice, ConflictPage, ConflictView, NetworkState};

use super::fixture::{NOW, deleted_and_edited, studio_of, three_machines, two_dates, two_prices};
use super::*;

fn model_with(conflicts: Vec<ConflictView>) -> Model {
    let mut model = Model::default();
    model.handle_message(Message::Status(Box::new(three_machines())));
    model.handle_message(page(conflicts));
    model
}

fn page(conflicts: Vec<ConflictView>) -> Message {
    Message::Conflicts(Box::new(ConflictPage {
        conflicts,
        vv: "v1".to_owned(),
    }))
}

fn choice(request: Option<Request>) -> Choice {
    match request {
        Some(Request::Resolve { answer, .. }) => answer.choice,
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
    model.handle_message(Message::Lost(Failure::NotRunning {
        folder: "/data".to_owned(),
    }));
    assert!(!model.is_current());
    assert!(model.status.is_some() && model.board.opened().is_some());
    model.handle_message(Message::Status(Box::new(three_machines())));
    assert!(model.is_current());
}

#[test]
fn an_answer_is_sent_once_and_with_the_read_token_of_what_was_seen() {
    let mut model = model_with(vec![two_dates()]);
    assert_eq!(model.handle_action(Action::Apply), None);
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("choose a side"))
    );
    model.handle_action(Action::Draft(Draft::Side("a:12".to_owned())));
    let request = model.handle_action(Action::Apply);
    let Some(Request::Resolve { id, answer, .. }) = request else {
        panic!("nothing was sent");
    };
    assert_eq!(
        (id.as_str(), answer.read.as_deref()),
        ("c-dates", Some("v1"))
    );
    assert_eq!(answer.choice, Choice::Side("a:12".to_owned()));
    assert_eq!(model.handle_action(Action::Apply), None, "sent twice");
}

#[test]
fn a_side_that_changes_under_the_hand_stops_the_answer() {
    let mut model = model_with(vec![two_dates()]);
    model.handle_action(Action::Draft(Draft::Side("b:7".to_owned())));
    let mut changed = two_dates();
    changed.sides[1].value = json!("2026-12-24");
    changed.vv = "v2".to_owned();
    model.handle_message(page(vec![changed]));
    assert_eq!(model.board.drafted(), None);
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("changed while it was open"))
    );
    assert_eq!(model.handle_action(Action::Apply), None);
}

#[test]
fn other_writes_leave_a_prepared_answer_alone() {
    let mut model = model_with(vec![two_dates()]);
    model.handle_action(Action::Draft(Draft::Side("b:7".to_owned())));
    let mut same = two_dates();
    same.vv = "v2".to_owned();
    model.handle_message(page(vec![two_prices(), same]));
    assert_eq!(model.board.drafted(), Some(&Draft::Side("b:7".to_owned())));
    assert_eq!(model.notice, None);
}

#[test]
fn an_own_answer_is_not_called_settled_elsewhere_but_anothers_is() {
    let mut model = model_with(vec![two_dates(), two_prices()]);
    model.handle_action(Action::Draft(Draft::Side("b:7".to_owned())));
    let request = model.handle_action(Action::Apply).expect("sent");
    model.handle_message(Message::Answered {
        request,
        outcome: Ok(()),
    });
    model.handle_message(page(vec![two_prices()]));
    assert!(model.notice.as_ref().is_some_and(|n| n.tone == Tone::Good));
    assert_eq!(
        model.board.opened().map(|c| c.id.as_str()),
        Some("c-prices")
    );
    model.handle_message(page(Vec::new()));
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
    model.handle_action(Action::Draft(Draft::Side("b:7".to_owned())));
    let request = model.handle_action(Action::Apply).expect("sent");
    model.handle_message(Message::Answered {
        request,
        outcome: Err("The disk is full. Make room and try again.".to_owned()),
    });
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("disk is full"))
    );
    assert!(model.handle_action(Action::Apply).is_some());
}

#[test]
fn a_typed_value_keeps_the_kind_of_the_field() {
    let mut model = model_with(vec![two_prices()]);
    model.handle_action(Action::Draft(Draft::Value("cheap".to_owned())));
    assert_eq!(model.handle_action(Action::Apply), None);
    assert!(
        model
            .notice
            .as_ref()
            .is_some_and(|n| n.sentence.contains("write it like 12000"))
    );
    model.handle_action(Action::Draft(Draft::Value("12750".to_owned())));
    let sent = model.handle_action(Action::Apply);
    assert_eq!(choice(sent), Choice::Value(json!(12_750)));

    let mut model = model_with(vec![two_dates()]);
    model.handle_action(Action::Draft(Draft::Value("17".to_owned())));
    let sent = model.handle_action(Action::Apply);
    assert_eq!(choice(sent), Choice::Value(json!("17")));
}

#[test]
fn a_question_of_life_takes_only_restore_or_accept() {
    let mut model = model_with(vec![deleted_and_edited()]);
    model.handle_action(Action::Draft(Draft::Side("a:12".to_owned())));
    assert_eq!(model.board.drafted(), None);
    model.handle_action(Action::Draft(Draft::Restore));
    let sent = model.handle_action(Action::Apply);
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
        model.handle_action(Action::FilterConflicts(text.to_owned()));
        assert_eq!(model.board.shown().len(), found, "{text}");
    }
    assert_eq!(model.board.opened(), None);
    model.handle_action(Action::FilterConflicts(String::new()));
    assert!(model.board.opened().is_some());
}

#[test]
fn steps_stay_within_the_list_and_drop_the_prepared_answer() {
    let mut model = model_with(vec![two_dates(), two_prices()]);
    model.handle_action(Action::Draft(Draft::Side("b:7".to_owned())));
    for (step, id) in [
        (Step::Back, "c-dates"),
        (Step::Next, "c-prices"),
        (Step::Next, "c-prices"),
    ] {
        model.handle_action(Action::StepConflict(step));
        assert_eq!(model.board.opened().map(|c| c.id.as_str()), Some(id));
    }
    assert_eq!(model.board.drafted(), None);
}

#[test]
fn the_title_counts_what_waits() {
    let mut model = model_with(vec![two_dates()]);
    assert_eq!(model.window_title(), "(1 conflict) StudioVault - Lisbon");
    model.handle_message(page(Vec::new()));
    assert_eq!(model.window_title(), "(8 pending) StudioVault - Lisbon");
}

#[test]
fn this_machine_comes_first_and_the_cloud_is_no_machine() {
    let model = model_with(Vec::new());
    let names: Vec<_> = model.machines().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["laptop", "editor", "front-desk"]);
}
