//! Signing in by a code on screen, amounts with their currency, and the sign in the tray.

use super::*;
use crate::message::Done;
use crate::model::Tab;

/// What the client was asked to show in the tray last.
fn in_tray(stage: &mut Stage) -> Option<Request> {
    let mut last = None;
    while let Ok(request) = stage.asked.try_recv() {
        if matches!(request, Request::Tray(_)) {
            last = Some(request);
        }
    }
    last
}

#[test]
fn a_code_is_shown_with_its_page_until_it_is_approved_refused_or_stopped() {
    let mut status = three_machines();
    status.cloud.authorised = false;
    let mut stage = Stage::showing(status, Vec::new());
    stage.press(Modifiers::COMMAND, Key::Num6);
    stage.click("Sign in by a code");
    assert_eq!(stage.asked(), Some(Request::SignInByCode));
    assert!(stage.shows("The cloud is asked for a code.") && !stage.shows("Sign in by a code"));
    stage.tell(Message::Code(a_code()));
    for part in [
        "BCDF-GHJK",
        "https://cloud.example/v1/oauth/device",
        "The address as a picture for a telephone",
        "Waiting until somebody approves it. It stands until",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
    stage.click("Stop signing in");
    assert_eq!(stage.asked(), Some(Request::DropSignIn));
    let told = |outcome| Message::Answered {
        request: Request::SignInByCode,
        outcome,
    };
    stage.tell(told(Err("Stopped: nothing was changed.".to_owned())));
    assert!(stage.shows("Stopped: nothing was changed.") && !stage.shows("BCDF-GHJK"));

    stage.click("Sign in by a code");
    stage.tell(Message::Code(a_code()));
    stage.tell(told(Ok(Done::default())));
    assert!(stage.shows("Signed in. What waits for the cloud goes up by itself."));
    assert!(!stage.shows("BCDF-GHJK"));
}

#[test]
fn only_a_page_of_the_web_can_be_opened_and_a_code_that_ran_out_is_said_so() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.press(Modifiers::COMMAND, Key::Num6);
    stage.click("Sign in anew by a code");
    let mut code = a_code();
    code.page = "file:///etc/passwd".to_owned();
    code.until = NOW;
    stage.tell(Message::Code(code));
    assert!(stage.harness.query_by_label("Open").is_none());
    assert!(stage.shows("The code has run out"));
    stage.tell(Message::Code(a_code()));
    assert!(stage.harness.query_by_label("Open").is_some());
}

#[test]
fn an_amount_stands_with_the_studios_currency_in_the_table_the_edit_and_the_history() {
    let mut stage = Stage::showing(three_machines(), vec![two_prices()]);
    stage.press(Modifiers::COMMAND, Key::Num2);
    for part in [
        "Use the price_cents of laptop: \u{20ac}120.00",
        "Use the price_cents of front-desk: \u{20ac}135.00",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
    stage.press(Modifiers::NONE, Key::E);
    assert!(stage.shows("= \u{20ac}135.00"));
    let mut history = its_history();
    history.history.entity = two_prices().entity;
    let fields = serde_json::json!({"price_cents": 9900, "currency": "USD"});
    history.history.rows[1].fields = fields.as_object().cloned().unwrap_or_default();
    stage.tell(Message::Entity(Box::new(history)));
    assert!(stage.shows("price_cents $99.00"), "in what it was paid");
}

#[test]
fn the_tray_counts_what_the_title_counts_and_what_is_pressed_there_opens_its_panel() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates()]);
    let Some(Request::Tray(Some(badge))) = in_tray(&mut stage) else {
        panic!("nothing is in the tray");
    };
    assert_eq!((badge.conflicts, badge.pending), (1, 8));
    assert_eq!(
        badge.title(),
        "(1 conflict, 8 pending) StudioVault - Lisbon"
    );
    stage.tell(Message::Raise(Some(Tab::Conflicts)));
    assert!(stage.shows("Use the shoot_date of laptop: 2026-11-21"));
    assert_eq!(in_tray(&mut stage), None, "it is told once");
    stage.press(Modifiers::COMMAND, Key::Num6);
    stage.click("Show what waits in the tray, where the desktop has one");
    assert_eq!(in_tray(&mut stage), Some(Request::Tray(None)));
}
