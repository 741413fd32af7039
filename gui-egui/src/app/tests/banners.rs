//! Banners: one for each cause, none for what is over, and in a small window always room for the panel below; and the keys,
//! which stand in the panel's place.

use studiovault_protocol::api::Warning;
use studiovault_protocol::fault::FaultKind;

use super::*;

/// 1024x640 at twice the size.
const SMALL: [f32; 2] = [512.0, 320.0];
/// The least height of a panel that one can read and scroll in.
const PANEL: f32 = 70.0;
/// What a node says of a token that the cloud refuses.
const REFUSED: &str = "the cloud refuses the token: this request carries no token that is valid here: send `Authorization: Bearer` with a token of this server; sign in again with `studiovault login`";

fn fault(kind: FaultKind, sentence: &str) -> Warning {
    Warning {
        code: "FAULT".to_owned(),
        sentence: sentence.to_owned(),
        next_step: "If it goes on, look at the log of `studiovault run`.".to_owned(),
        kind: Some(kind),
    }
}

/// A studio of which much is the matter.
fn troubled() -> Status {
    let mut status = three_machines();
    status.cloud.authorised = false;
    status.peers.clear();
    status.warnings = vec![
        fault(
            FaultKind::Disk,
            "the store could not be written to for a while, and what was typed meanwhile is kept",
        ),
        fault(
            FaultKind::Record,
            "a machine sent something that makes no sense, and it was set aside for a look",
        ),
    ];
    status
}

impl Stage {
    fn bounds(&self, label: &str) -> Option<egui::Rect> {
        let mut found = self.harness.query_all_by_label_contains(label);
        found.next().map(|node| node.rect())
    }

    /// From the lowest banner's bottom to the foot.
    fn room_below(&self, button: &str) -> f32 {
        let above = self.bounds(button).expect("a banner").bottom();
        self.bounds("are safe").expect("the foot").top() - above
    }
}

#[test]
fn in_a_small_window_one_line_of_one_banner_is_shown_and_every_panel_keeps_room() {
    for size in [SMALL, [560.0, 420.0], [683.0, 427.0]] {
        let mut stage = Stage::painted(Textures::default(), egui::Theme::Dark, size);
        stage.tell(Message::Status(Box::new(troubled())));
        let long = "Nothing was written: the disk is full. Make room on it, and try it once more. "
            .repeat(4);
        stage.tell(Message::Fault(FaultKind::Disk, long));
        for key in [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
        ] {
            stage.press(Modifiers::COMMAND, key);
            assert!(
                !stage.shows("No other machine of the"),
                "one banner, no more"
            );
            let room = stage.room_below("3 more");
            assert!(room >= PANEL, "{size:?}, {key:?}: {room} points");
            let line = stage.bounds("Nothing was written").expect("the words");
            let button = stage.bounds("Put away").expect("its button");
            let off = (line.center().y - button.center().y).abs();
            assert!(off < 4.0, "{size:?}: the words stand {off} points off");
        }
        stage.click("3 more");
        assert!(stage.shows("No other machine of the studio is reached."));
        assert!(stage.shows("The cloud no longer takes this studio's sign-in."));
        // What is scrolled out of sight takes nothing from the panel.
        let panel = stage.bounds("Cloud refuses the sign-in").expect("Settings");
        let foot = stage.bounds("are safe").expect("the foot");
        let room = foot.top() - panel.top();
        assert!(room >= PANEL / 2.0, "{size:?}: {room} points");
        stage.click("Less");
        assert!(!stage.shows("No other machine of the studio is reached."));
    }
}

#[test]
fn the_name_of_the_studio_gives_way_to_what_is_reached() {
    let mut stage = Stage::painted(Textures::default(), egui::Theme::Dark, SMALL);
    stage.tell(Message::Status(Box::new(troubled())));
    let name = stage.bounds("Lisbon").expect("the name");
    let reach = stage.bounds("no other machine reached").expect("the reach");
    assert!(name.right() < reach.left(), "{name:?} over {reach:?}");
}

#[test]
fn a_panel_is_shown_in_the_place_of_the_keys_and_they_press_nothing_meanwhile() {
    let mut stage = Stage::showing(three_machines(), vec![two_dates()]);
    stage.press(Modifiers::NONE, Key::Questionmark);
    assert!(stage.shows("take the last answer back") && !stage.shows("This machine: laptop"));
    stage.press(Modifiers::COMMAND, Key::Num2);
    assert!(stage.shows("Use the shoot_date") && !stage.shows("take the last answer back"));
    stage.press(Modifiers::NONE, Key::Num1);
    stage.press(Modifiers::NONE, Key::Questionmark);
    stage.press(Modifiers::NONE, Key::Enter);
    assert_eq!(stage.asked(), None, "an answer that nobody saw");
    stage.press(Modifiers::NONE, Key::Escape);
    assert!(stage.shows("Use the shoot_date"));
    stage.press(Modifiers::NONE, Key::Enter);
    assert!(matches!(stage.asked(), Some(Request::Resolve(_))));
}

#[test]
fn the_last_of_the_keys_is_reached_in_a_small_window() {
    let mut stage = Stage::painted(Textures::default(), egui::Theme::Dark, SMALL);
    stage.tell(Message::Status(Box::new(troubled())));
    stage.press(Modifiers::NONE, Key::Questionmark);
    let last = "show or hide these keys";
    let foot = stage.bounds("are safe").expect("the foot").top();
    stage.harness.get_by_label_contains(last).scroll_to_me();
    stage.harness.run();
    let shown = stage.bounds(last).expect("the last key");
    assert!(shown.bottom() <= foot, "{shown:?} lies below {foot}");
}

#[test]
fn a_refused_token_is_said_once_and_not_at_all_once_one_is_taken() {
    let mut status = three_machines();
    let mut stage = Stage::showing(status.clone(), Vec::new());
    stage.tell(Message::Fault(FaultKind::SignIn, REFUSED.to_owned()));
    status.cloud.authorised = false;
    status.cloud.problem = Some(REFUSED.to_owned());
    status.cloud.problem_kind = Some(FaultKind::SignIn);
    status.warnings.push(fault(FaultKind::SignIn, REFUSED));
    stage.tell(Message::Status(Box::new(status.clone())));
    assert!(stage.shows("cloud refuses the sign-in") && !stage.shows("cloud online"));
    assert!(stage.shows("The cloud no longer takes this studio's sign-in."));
    for other in ["Put away", "Examine this machine", "valid here"] {
        assert!(!stage.shows(other), "said once more: {other}");
    }
    stage.press(Modifiers::COMMAND, Key::Num6);
    assert!(stage.shows("Not signed in: the cloud refuses the token."));

    status.cloud.authorised = true;
    (status.cloud.problem, status.cloud.problem_kind) = (None, None);
    status.warnings.clear();
    stage.tell(Message::Status(Box::new(status)));
    assert!(stage.shows("Signed in: the cloud takes") && stage.shows("cloud online"));
    assert!(!stage.shows("refuses"));
    assert!(!stage.shows("Examine this machine"));
}

#[test]
fn a_fault_is_judged_by_its_kind_whatever_its_words_and_one_of_an_older_node_is_shown() {
    let words = "No such words were ever said before";
    let mut status = three_machines();
    let mut stage = Stage::showing(status.clone(), Vec::new());
    stage.tell(Message::Fault(FaultKind::Unreachable, words.to_owned()));
    status.warnings.push(fault(FaultKind::Unreachable, words));
    stage.tell(Message::Status(Box::new(status.clone())));
    assert!(!stage.shows(words), "the state of the cloud tells of it");
    status.warnings[0].kind = None;
    stage.tell(Message::Status(Box::new(status)));
    assert!(stage.shows(words), "a node that says no kind");
}

#[test]
fn a_machine_that_was_shut_out_is_told_so_and_not_to_sign_in() {
    let mut status = three_machines();
    (status.cloud.authorised, status.cloud.reachable) = (false, true);
    status.cloud.problem_kind = Some(FaultKind::ShutOut);
    status.cloud.problem = Some("the cloud no longer serves this machine".to_owned());
    let mut stage = Stage::showing(status, Vec::new());
    assert!(stage.shows("An admin can let it in again"));
    assert!(stage.shows("shut out of the studio"));
    stage.press(Modifiers::COMMAND, Key::Num6);
    assert!(!stage.shows("Sign in") && !stage.shows("sign-in"));
}

#[test]
fn a_fault_that_the_status_tells_is_no_second_banner() {
    let sentence = "the store could not be written to";
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.tell(Message::Fault(FaultKind::Disk, sentence.to_owned()));
    assert!(stage.shows("Put away"));
    let mut status = three_machines();
    status.warnings.push(fault(FaultKind::Disk, sentence));
    stage.tell(Message::Status(Box::new(status)));
    assert!(stage.shows("Examine this machine") && !stage.shows("Put away"));
    stage.tell(Message::Fault(FaultKind::Disk, sentence.to_owned()));
    assert!(!stage.shows("Put away"));
}

#[test]
fn what_was_confirmed_before_the_start_is_not_denied() {
    let mut status = three_machines();
    status.cloud.last_confirmed = None;
    let stage = Stage::showing(status.clone(), Vec::new());
    assert!(stage.shows("Cloud online - position 184,220"));
    assert!(stage.shows("184,212") && !stage.shows("nothing confirmed yet"));
    status.counts.confirmed = 0;
    let stage = Stage::showing(status, Vec::new());
    assert!(stage.shows("nothing confirmed yet"));
}
