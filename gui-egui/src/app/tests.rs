//! The whole window, driven by its labels and keys, without a display.

use std::sync::mpsc as blocking;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use studiovault_protocol::api::{Choice, ConflictPage, ConflictView, NetworkState, Status};
use tokio::sync::mpsc;

use super::*;
use crate::message::{Failure, Request};
use crate::model::fixture::{
    NOW, deleted_and_edited, studio_of, three_machines, two_dates, two_prices,
};
use egui::{Key, Modifiers};

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
        let (tell, messages) = blocking::sync_channel(64);
        let (requests, asked) = mpsc::channel(8);
        let wires = Wires { requests, messages };
        let harness = Harness::builder()
            .with_size([1080.0, 700.0])
            .build_eframe(|creation| {
                let mut app = App::new(&creation.egui_ctx, wires);
                app.clock = || NOW;
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
    assert!(stage.shows("This machine: laptop"));
    stage.press(CTRL | Modifiers::SHIFT, Key::Tab);
    assert!(stage.shows("3 machines of Lisbon"));
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
    stage.click("Use the value of laptop");
    stage.click("Apply");
    let Ok(Request::Resolve { id, answer, .. }) = stage.asked.try_recv() else {
        panic!("nothing was asked");
    };
    assert_eq!(id, "c-dates");
    assert_eq!(answer.choice, Choice::Side("a:12".to_owned()));
    assert!(stage.shows("The answer is on its way."));
}

#[test]
fn a_conflict_is_resolved_with_the_keyboard_alone() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates(), two_prices()]);
    stage.press(Modifiers::COMMAND, Key::Num2);
    stage.press(Modifiers::NONE, Key::J);
    stage.press(Modifiers::NONE, Key::Num2);
    stage.press(Modifiers::NONE, Key::Enter);
    let Ok(Request::Resolve { id, answer, .. }) = stage.asked.try_recv() else {
        panic!("nothing was asked");
    };
    assert_eq!(id, "c-prices");
    assert_eq!(answer.choice, Choice::Side("b:7".to_owned()));
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
    let Ok(Request::Resolve { id, answer, .. }) = stage.asked.try_recv() else {
        panic!("nothing was asked");
    };
    assert_eq!(id, "c-prices");
    assert_eq!(answer.choice, Choice::Side("a:12".to_owned()));
}

#[test]
fn typing_a_value_does_not_press_keys_of_the_panel() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates(), two_prices()]);
    stage.press(Modifiers::COMMAND, Key::Num2);
    stage.harness.get_by_label("Another value").focus();
    stage.harness.run();
    stage.press(Modifiers::NONE, Key::Num1);
    stage.press(Modifiers::NONE, Key::J);
    stage
        .harness
        .get_by_label("Another value")
        .type_text("2027-01-05");
    stage.harness.run();
    stage.click("Apply");
    let Ok(Request::Resolve { id, answer, .. }) = stage.asked.try_recv() else {
        panic!("nothing was asked");
    };
    assert_eq!(id, "c-dates");
    assert_eq!(answer.choice, Choice::Value("2027-01-05".into()));
}

#[test]
fn a_deletion_is_answered_with_restore_or_accept() {
    let mut stage = Stage::showing(three_machines(), vec![deleted_and_edited()]);
    stage.click("Conflicts 1");
    assert!(stage.shows("Project was deleted remotely, by front-desk."));
    assert!(!stage.shows("Use the value of"));
    stage.click("Restore with the edits");
    stage.click("Apply");
    let Ok(Request::Resolve { answer, .. }) = stage.asked.try_recv() else {
        panic!("nothing was asked");
    };
    assert_eq!(answer.choice, Choice::Restore);
}

#[test]
fn ten_thousand_conflicts_draw_only_what_is_in_sight() {
    let many = (0..10_000).map(|at| {
        let mut row = two_dates();
        row.id = format!("c-{at}");
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
    assert_eq!(
        stage.asked.try_recv().ok(),
        Some(Request::Network(NetworkState::Offline))
    );
    let mut status = three_machines();
    status.network = NetworkState::Offline;
    stage.tell(Message::Status(Box::new(status)));
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
        assert_eq!(stage.asked.try_recv().ok(), Some(Request::Reconnect));
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
