//! The whole window, driven by its labels and keys, without a display.

mod banners;
mod pages;
mod picture;
mod pictures;
mod reader;
mod sign_in;
mod speed;
mod states;

use std::sync::mpsc as blocking;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use studiovault_protocol::api::{Choice, ConflictPage, ConflictView, NetworkState, Status};
use tokio::sync::mpsc;

use super::*;
use crate::failure::Failure;
use crate::message::{Making, Preferences, Request};
use crate::model::fixture::{
    NOW, a_bad_day, a_checkup, a_code, a_stuck_sale, deleted_and_edited, its_history, studio_of,
    three_machines, two_dates, two_fields_three_machines, two_prices, what_happened,
    why_not_everywhere,
};
use egui::{Key, Modifiers};
use picture::Textures;

/// Ctrl as Linux and Windows report it.
const CTRL: Modifiers = Modifiers {
    command: true,
    ..Modifiers::CTRL
};

/// The window with both ends of its wires in the test's hand.
struct Stage {
    harness: Harness<'static, App>,
    tell: blocking::SyncSender<Message>,
    asked: mpsc::Receiver<Request>,
}

impl Stage {
    fn new() -> Self {
        Self::painted(Textures::default(), egui::Theme::Dark, [1080.0, 700.0])
    }

    fn painted(textures: Textures, theme: egui::Theme, size: [f32; 2]) -> Self {
        let (tell, messages) = blocking::sync_channel(64);
        let (requests, asked) = mpsc::channel(64);
        let wires = Wires { requests, messages };
        let harness = Harness::builder()
            .with_size(size)
            .with_theme(theme)
            .renderer(textures)
            .build_eframe(|creation| {
                let mut app = App::new(&creation.egui_ctx, wires);
                app.clock = || NOW;
                app.theme = Some(match theme {
                    egui::Theme::Dark => Theme::Dark,
                    egui::Theme::Light => Theme::Light,
                });
                app
            });
        Self {
            harness,
            tell,
            asked,
        }
    }

    fn showing(status: Status, conflicts: Vec<ConflictView>) -> Self {
        let mut stage = Self::new();
        stage.tell(Message::Status(Box::new(status)));
        stage.tell(page(conflicts));
        stage
    }

    fn tell(&mut self, message: Message) {
        self.tell.send(message).unwrap();
        self.harness.run();
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.run();
    }

    fn press(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run();
    }

    /// The answers that were sent.
    fn answers(&mut self) -> Vec<(String, Choice)> {
        let Some(Request::Resolve(answers)) = self.asked() else {
            panic!("nothing was sent");
        };
        let answers = answers.into_iter();
        answers.map(|one| (one.conflict.id, one.choice)).collect()
    }

    /// The only answer that was sent.
    fn answer(&mut self) -> (String, Choice) {
        self.answers().remove(0)
    }

    /// What was asked last, but for looks and the tray.
    fn asked(&mut self) -> Option<Request> {
        let mut last = None;
        while let Ok(request) = self.asked.try_recv() {
            if !matches!(
                request,
                Request::LookAt(..)
                    | Request::LookAtLetter(_)
                    | Request::Activity(_)
                    | Request::Tray(_)
            ) {
                last = Some(request);
            }
        }
        last
    }

    fn shows(&self, part: &str) -> bool {
        self.harness
            .query_all_by_label_contains(part)
            .next()
            .is_some()
    }
}

fn page(conflicts: Vec<ConflictView>) -> Message {
    Message::Conflicts(Box::new(ConflictPage {
        conflicts,
        vv: "v1".to_owned(),
    }))
}

#[test]
fn the_overview_says_what_is_safe_where() {
    let stage = Stage::showing(three_machines(), Vec::new());
    for part in [
        "StudioVault - Lisbon",
        "This machine: laptop",
        "All changes are safe on all 3 machines. 8 changes wait for the cloud",
        "Cloud online - position 184,220 - last confirmed just now",
        "front-desk, linked, 2 ms, gateway",
        "editor, seen 2 min ago",
        "Cloud truth, a gateway carries to it",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
}

#[test]
fn tabs_turn_by_mouse_and_by_keys() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("Devices");
    assert!(stage.shows("3 machines of Lisbon"));
    stage.press(CTRL, Key::Tab);
    assert!(stage.shows("Signed in: the cloud takes"));
    stage.press(CTRL, Key::Tab);
    assert!(stage.shows("This machine: laptop"));
    stage.press(CTRL | Modifiers::SHIFT, Key::Tab);
    assert!(stage.shows("Signed in: the cloud takes"));
    stage.press(Modifiers::COMMAND, Key::Num2);
    assert!(stage.shows("No open conflicts."));
    stage.press(Modifiers::COMMAND, Key::Num1);
    assert!(stage.shows("This machine: laptop"));
}

#[test]
fn a_machine_of_the_picture_leads_to_its_row() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("editor, seen 2 min ago");
    assert!(stage.shows("not linked") && stage.shows("2 min ago"));
}

#[test]
fn a_conflict_is_resolved_with_the_mouse() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates()]);
    stage.click("Conflicts 1");
    for part in [
        "2026-11-21",
        "2026-11-22",
        "Suggested: front-desk.",
        "more than 2 minutes apart",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
    stage.click("Use the shoot_date of laptop: 2026-11-21");
    stage.click("Apply");
    let (id, choice) = stage.answer();
    assert_eq!(id, "c-dates");
    assert_eq!(choice, Choice::Side("a:12".to_owned()));
    assert!(stage.shows("The answer is on its way."));
}

#[test]
fn a_conflict_is_resolved_with_the_keyboard_alone() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates(), two_prices()]);
    stage.press(Modifiers::COMMAND, Key::Num2);
    stage.press(Modifiers::NONE, Key::J);
    stage.press(Modifiers::NONE, Key::Num2);
    stage.press(Modifiers::NONE, Key::Enter);
    let (id, choice) = stage.answer();
    assert_eq!(id, "c-prices");
    assert_eq!(choice, Choice::Side("b:7".to_owned()));
}

#[test]
fn keys_that_fall_into_one_frame_all_count() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates(), two_prices()]);
    let keys = [Key::J, Key::Num1, Key::Enter];
    stage
        .harness
        .key_press_modifiers(Modifiers::COMMAND, Key::Num2);
    keys.iter().for_each(|key| stage.harness.key_press(*key));
    stage.harness.step();
    let (id, choice) = stage.answer();
    assert_eq!(id, "c-prices");
    assert_eq!(choice, Choice::Side("a:12".to_owned()));
}

#[test]
fn typing_a_value_does_not_press_keys_of_the_panel() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates(), two_prices()]);
    stage.press(Modifiers::COMMAND, Key::Num2);
    stage.press(Modifiers::NONE, Key::E);
    stage.press(Modifiers::NONE, Key::Num1);
    stage.press(Modifiers::NONE, Key::J);
    stage.press(CTRL, Key::A);
    stage
        .harness
        .get_by_label("Own value of shoot_date")
        .type_text("2027-01-05");
    stage.harness.run();
    stage.press(Modifiers::NONE, Key::Enter);
    stage.press(Modifiers::NONE, Key::Enter);
    let (id, choice) = stage.answer();
    assert_eq!(id, "c-dates");
    assert_eq!(choice, Choice::Value("2027-01-05".into()));
}

#[test]
fn a_deletion_is_answered_with_restore_or_accept() {
    let mut stage = Stage::showing(three_machines(), vec![deleted_and_edited()]);
    stage.click("Conflicts 1");
    assert!(stage.shows("Project was deleted remotely, by front-desk."));
    assert!(!stage.shows("Use the "));
    stage.click("Restore with the edits");
    stage.click("Apply");
    let (_, choice) = stage.answer();
    assert_eq!(choice, Choice::Restore);
}

#[test]
fn ten_thousand_conflicts_draw_only_what_is_in_sight() {
    let many = (0..10_000).map(|at| {
        let mut row = two_dates();
        row.id = format!("c-{at}");
        row.entity.0[..4].copy_from_slice(&u32::to_be_bytes(at));
        row.label = format!("project {at}");
        row
    });
    let mut stage = Stage::showing(three_machines(), many.collect());
    stage.press(Modifiers::COMMAND, Key::Num2);
    let drawn = stage
        .harness
        .query_all_by_label_contains("changed differently")
        .count();
    assert!((5..60).contains(&drawn), "{drawn} rows are drawn");
    for _ in 0..30 {
        stage.press(Modifiers::NONE, Key::J);
    }
    let row = "project 30: shoot_date changed differently";
    assert!(
        stage.harness.query_all_by_label(row).count() >= 2,
        "the open row is out of sight"
    );
}

#[test]
fn taking_the_machine_off_the_network_asks_the_node() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("Devices");
    stage.click("Take this machine off the network");
    assert_eq!(stage.asked(), Some(Request::Network(NetworkState::Offline)));
    let mut status = three_machines();
    status.network = NetworkState::Offline;
    stage.tell(Message::Status(Box::new(status)));
    assert!(stage.shows("Put it back on"));
    assert!(stage.shows("Put this machine back on the network"));
    assert!(stage.shows("This machine is off the network: what is written now is safe here"));
}

#[test]
fn every_failure_says_what_to_do() {
    let folder = || "/data/lisbon".to_owned();
    for (failure, part) in [
        (
            Failure::NoMachine { folder: folder() },
            "studiovault init --data /data/lisbon",
        ),
        (
            Failure::NotRunning { folder: folder() },
            "studiovault run --data /data/lisbon",
        ),
        (
            Failure::TokenRefused {
                file: "/data/lisbon/api.token".to_owned(),
            },
            "restart the node",
        ),
        (
            Failure::WrongVersion {
                node: "9.4.1".to_owned(),
                window: "0.1.0".to_owned(),
            },
            "Update the older one",
        ),
        (
            Failure::Unwell {
                reason: "it hangs".to_owned(),
            },
            "studiovault status",
        ),
    ] {
        let mut stage = Stage::new();
        stage.tell(Message::Lost(failure.clone()));
        assert!(
            stage.shows(failure.title()) && stage.shows(part),
            "{failure:?}"
        );
        stage.click("Look again now");
        assert_eq!(stage.asked(), Some(Request::Reconnect));
    }
}

#[test]
fn a_node_that_falls_silent_leaves_its_last_word_on_screen_and_says_so() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.tell(Message::Lost(Failure::NotRunning {
        folder: "/data".to_owned(),
    }));
    assert!(
        stage.shows("The node of this machine is not running. What is shown is what it said last.")
    );
    assert!(stage.shows("When the node last answered: All changes are safe"));
}

#[test]
fn a_studio_of_forty_machines_and_one_of_one_both_draw() {
    for machines in [1, 2, 12, 40] {
        let mut stage = Stage::showing(studio_of(machines), Vec::new());
        assert!(stage.shows("machine-00, this machine"));
        assert_eq!(stage.shows("under Devices"), machines == 40);
        stage.click("Devices");
        assert!(stage.shows("machine-00"));
    }
}

#[test]
fn a_small_window_still_shows_the_sentence() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates()]);
    stage.harness.set_size([560.0, 420.0].into());
    stage.harness.run();
    assert!(stage.shows("All changes are safe on all 3 machines."));
    assert!(stage.shows("Needs a person: 1 open conflict.") || !stage.shows("Needs a person"));
}

#[test]
fn keys_are_listed_on_demand() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("Keys");
    assert!(stage.shows("Ctrl+Tab") && stage.shows("apply the chosen answer"));
}

#[test]
fn every_field_of_a_case_is_answered_by_keys_and_all_of_them_with_shift() {
    let mut stage = Stage::showing(three_machines(), two_fields_three_machines());
    stage.press(Modifiers::COMMAND, Key::Num2);
    stage.tell(Message::Entity(Box::new(its_history())));
    for part in [
        "Silva wedding: 2 fields changed differently",
        "1 Mine: laptop",
        "2 Theirs: front-desk",
        "3 Theirs: editor",
        "Use the base of notes: 2 albums",
        "merged: outdoor, vip",
        "+vip, -draft",
        "cloud accepted front-desk at 184102",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
    // The keys speak to shoot_date's elder sister in the alphabet first: notes has no side of the editor, shoot_date has.
    stage.press(Modifiers::NONE, Key::Num4);
    stage.press(Modifiers::NONE, Key::Num3);
    stage.press(Modifiers::NONE, Key::Enter);
    let sent = stage.answers();
    assert_eq!(
        sent[0],
        ("c-notes".to_owned(), Choice::Value("2 albums".into()))
    );
    assert_eq!(
        sent[1],
        ("c-dates".to_owned(), Choice::Side("c:3".to_owned()))
    );

    let mut stage = Stage::showing(three_machines(), two_fields_three_machines());
    stage.press(Modifiers::COMMAND, Key::Num2);
    stage.press(Modifiers::SHIFT, Key::Num2);
    stage.press(Modifiers::NONE, Key::Enter);
    let choices: Vec<Choice> = stage
        .answers()
        .into_iter()
        .map(|(_, choice)| choice)
        .collect();
    assert_eq!(choices, vec![Choice::Side("b:7".to_owned()); 2]);
}

#[test]
fn the_same_choice_goes_to_all_that_are_similar_by_keys() {
    let many = (0..5).map(|at| {
        let mut row = two_dates();
        (row.id, row.entity.0[0]) = (format!("c-{at}"), at);
        row
    });
    let mut stage = Stage::showing(three_machines(), many.collect());
    stage.press(Modifiers::COMMAND, Key::Num2);
    stage.press(Modifiers::NONE, Key::Num1);
    assert!(stage.shows("Same choice for 4 similar (B)"));
    stage.press(Modifiers::NONE, Key::B);
    stage.press(Modifiers::NONE, Key::Enter);
    assert_eq!(stage.answers().len(), 5);
}

#[test]
fn a_deleted_thing_has_three_ways_on_each_with_its_key() {
    let mut stage = Stage::showing(three_machines(), vec![deleted_and_edited()]);
    stage.press(Modifiers::COMMAND, Key::Num2);
    let mut facts = its_history();
    facts.history.entity = deleted_and_edited().entity;
    stage.tell(Message::Entity(Box::new(facts)));
    stage.press(Modifiers::NONE, Key::Num3);
    assert!(stage.shows("It will be deleted, the edits copied as new everywhere."));
    stage.press(Modifiers::NONE, Key::Enter);
    let Some(Request::Resolve(answers)) = stage.asked() else {
        panic!("nothing was sent");
    };
    assert_eq!(answers[0].choice, Choice::AcceptDelete);
    let copy = answers[0].copy.as_ref().expect("a copy");
    assert_eq!(copy.mutations[0].fields["title"], "Silva wedding");
}

#[test]
fn what_the_cloud_did_not_take_is_mended_in_place() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.tell(Message::Letters(vec![a_bad_day(), a_stuck_sale()]));
    stage.click("Needs fixing 2");
    for part in [
        "Costa portraits: shoot_date not taken",
        "takes a day, as 2026-11-20",
        "A value breaks a rule of the policy. (VALIDATION_FAILED)",
        "2 later changes wait behind it.",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
    stage.press(Modifiers::NONE, Key::E);
    stage.press(CTRL, Key::A);
    stage
        .harness
        .get_by_label("shoot_date")
        .type_text("2026-11-23");
    stage.harness.run();
    stage.press(Modifiers::NONE, Key::Enter);
    stage.press(Modifiers::NONE, Key::Enter);
    let Some(Request::Fix { dot, fix, .. }) = stage.asked() else {
        panic!("nothing was sent");
    };
    assert_eq!(dot, "a:20");
    assert_eq!(fix.fields["shoot_date"], "2026-11-23");
    stage.press(Modifiers::NONE, Key::J);
    assert!(stage.shows("A sale is never discarded") && !stage.shows("Reason"));
}

#[test]
fn a_change_is_given_up_only_with_a_reason() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.tell(Message::Letters(vec![a_bad_day()]));
    stage.press(Modifiers::COMMAND, Key::Num3);
    stage.click("Discard");
    assert_eq!(stage.asked(), None);
    stage.harness.get_by_label("Reason").focus();
    stage.harness.run();
    stage.harness.get_by_label("Reason").type_text("a test");
    stage.harness.run();
    stage.click("Discard");
    assert!(matches!(stage.asked(), Some(Request::Discard { reason, .. }) if reason == "a test"));
}

#[test]
fn what_happened_is_narrowed_down_and_leads_to_a_history() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.press(Modifiers::COMMAND, Key::Num4);
    stage.tell(Message::Activity(Box::new(what_happened(300)), None));
    assert!(stage.shows("client 0") && stage.shows("on 2 of 3 machines"));
    stage.click("confirmed");
    assert!(!stage.shows("on 2 of 3 machines") && stage.shows("100 shown"));
    stage.press(Modifiers::NONE, Key::J);
    let mut facts = its_history();
    facts.history.entity.0 = [2; 16];
    stage.tell(Message::Entity(Box::new(facts)));
    assert!(stage.shows("History of project"));
    stage.press(Modifiers::NONE, Key::Escape);
    assert!(!stage.shows("History of project"));
    stage.click("Export CSV");
    assert!(matches!(stage.asked(), Some(Request::Export(_))));
    stage.click("Verify all");
    assert_eq!(stage.asked(), Some(Request::Verify));
}

#[test]
fn what_cannot_be_taken_back_is_asked_once_more() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("Devices");
    stage.click("editor");
    stage.click("Shut out");
    assert_eq!(stage.asked(), None);
    stage.click("No, leave it");
    stage.click("Shut out");
    stage.click("Yes: shut out editor");
    let editor = three_machines().members[2].device;
    assert_eq!(stage.asked(), Some(Request::Revoke(editor)));
    stage.click("Prefer as gateway");
    assert!(
        matches!(stage.asked(), Some(Request::SetRole(device, place))
        if device == editor && place.gateway_preference == Some(1))
    );
}

#[test]
fn a_token_is_handed_over_and_the_size_is_kept() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.press(Modifiers::COMMAND, Key::Num6);
    stage.click("With a token instead");
    stage.harness.get_by_label("New token").focus();
    stage.harness.run();
    stage.harness.get_by_label("New token").type_text("secret");
    stage.harness.run();
    stage.click("Sign in with this token");
    assert_eq!(stage.asked(), Some(Request::SignIn("secret".to_owned())));
    stage.click("200 %");
    assert!(matches!(stage.asked(), Some(Request::Keep(kept)) if kept.scale == 200));
}

#[test]
fn a_machine_joins_or_founds_a_studio_from_the_window() {
    let mut stage = Stage::new();
    stage.tell(Message::Lost(Failure::NoMachine {
        folder: "/data/lisbon".to_owned(),
    }));
    for (label, text) in [
        ("Name of this machine", "laptop"),
        ("Code that the other machine shows", "42-maple-orbit-velvet"),
    ] {
        stage.harness.get_by_label(label).focus();
        stage.harness.run();
        stage.harness.get_by_label(label).type_text(text);
        stage.harness.run();
    }
    stage.click("Join the studio");
    assert!(matches!(stage.asked(), Some(Request::Join { code, .. }) if code.starts_with("42-")));
    stage.tell(Message::Making(Making::Words {
        words: "river candle".to_owned(),
        host: "front-desk".to_owned(),
        studio: "Lisbon".to_owned(),
    }));
    assert!(stage.shows("river candle"));
}
