//! The doctor's page, packs for a USB stick, why a record is not everywhere, and words on the desktop.

use std::path::PathBuf;

use studiovault_protocol::command::Op;

use super::*;
use crate::message::{Carried, Done, PackOrder};

impl Stage {
    fn type_into(&mut self, label: &str, text: &str) {
        self.harness.get_by_label(label).focus();
        self.harness.run();
        self.harness.get_by_label(label).type_text(text);
        self.harness.run();
    }
}

#[test]
fn the_doctor_is_asked_when_he_is_looked_at_and_says_what_fails_and_what_to_do() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("Devices");
    stage.click("Doctor");
    assert_eq!(stage.asked(), Some(Request::Examine));
    assert!(stage.shows("It is looking"));
    stage.click("Examine now");
    assert_eq!(stage.asked(), None, "one look at a time");
    stage.tell(Message::Doctor(Box::new(a_checkup())));
    for part in [
        "2 of 12 stages fail: firewall, cloud: portal.",
        "no answer at 192.168.1.23:4017",
        "To do: Allow incoming TCP on that port",
        "rests on cloud: portal",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
    stage.click("Examine now");
    assert_eq!(stage.asked(), Some(Request::Examine));
}

#[test]
fn a_pack_is_made_for_one_machine_and_shows_how_far_it_is() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("Devices");
    stage.click("USB stick");
    assert_eq!(stage.asked(), Some(Request::LookForSticks));
    stage.click("Make the pack");
    assert!(stage.shows("Say where the pack goes") && stage.asked().is_none());
    stage.tell(Message::Sticks(vec!["/media/ines/STICK".to_owned()]));
    stage.click("/media/ines/STICK");
    stage.click("What it holds");
    stage.click("what editor lacks");
    stage.click("Replace the file if it is there");
    stage.click("Make the pack");
    let order = PackOrder::Make {
        file: "/media/ines/STICK".to_owned(),
        lacking_at: Some("editor".to_owned()),
        replace: true,
    };
    assert_eq!(stage.asked(), Some(Request::Carry(order.clone())));
    let carried = Carried {
        done: 1200,
        of: 4000,
    };
    stage.tell(Message::Carried(carried));
    assert!(stage.shows("1,200 of 4,000 transactions and pages"));
    stage.click("Stop it");
    assert_eq!(stage.asked(), Some(Request::DropPack));
    stage.tell(Message::Answered {
        request: Request::Carry(order),
        outcome: Err("Stopped: no pack was made.".to_owned()),
    });
    assert!(stage.shows("Stopped: no pack was made.") && stage.shows("Make the pack"));
}

#[test]
fn a_pack_that_is_dropped_on_the_window_is_taken_in() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    let file = egui::DroppedFile {
        path: Some(PathBuf::from("/media/ines/STICK/studio.pack")),
        ..Default::default()
    };
    stage.harness.input_mut().dropped_files.push(file);
    stage.harness.run();
    stage.click("Take it in");
    let order = PackOrder::Take {
        file: "/media/ines/STICK/studio.pack".to_owned(),
    };
    assert_eq!(stage.asked(), Some(Request::Carry(order.clone())));
    let note = Some("The pack of front-desk is read.".to_owned());
    stage.tell(Message::Answered {
        request: Request::Carry(order),
        outcome: Ok(Done {
            note,
            ..Done::default()
        }),
    });
    assert!(stage.shows("The pack of front-desk is read."));
}

#[test]
fn the_path_of_a_pack_can_be_typed() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.click("Devices");
    stage.click("USB stick");
    stage.type_into("File, or folder of the stick", "/tmp/a.pack");
    stage.click("Make the pack");
    let order = PackOrder::Make {
        file: "/tmp/a.pack".to_owned(),
        lacking_at: None,
        replace: false,
    };
    assert_eq!(stage.asked(), Some(Request::Carry(order)));
}

#[test]
fn beside_a_record_stands_why_it_is_not_everywhere() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.press(Modifiers::COMMAND, Key::Num4);
    stage.tell(Message::Activity(Box::new(what_happened(300)), None));
    stage.press(Modifiers::NONE, Key::J);
    let mut facts = its_history();
    facts.history.entity.0 = [1; 16];
    let entity = facts.history.entity;
    stage.tell(Message::Entity(Box::new(facts)));
    stage.click("Why not everywhere?");
    assert_eq!(stage.asked(), Some(Request::Why(entity)));
    stage.tell(Message::Why(entity, Box::new(why_not_everywhere())));
    for part in [
        "On 2 of 3 machines",
        "no link, so what it holds is not known",
        "To do: See that it is on",
        "front-desk has it and carries it there",
    ] {
        assert!(stage.shows(part), "not on screen: {part}");
    }
}

#[test]
fn a_conflict_of_ones_own_is_said_on_the_desktop_unless_somebody_looks_or_wants_quiet() {
    for (looked_at, quiet, told) in [
        (false, false, true),
        (true, false, false),
        (false, true, false),
    ] {
        let mut stage = Stage::showing(three_machines(), vec![two_dates()]);
        if quiet {
            stage.press(Modifiers::COMMAND, Key::Num6);
            stage.click(
                "Say on the desktop when a conflict or a change to fix of this machine appears",
            );
            assert!(matches!(stage.asked(), Some(Request::Keep(kept)) if kept.quiet));
        }
        stage.harness.input_mut().focused = looked_at;
        stage.tell(page(vec![two_dates(), two_prices()]));
        let asked = stage.asked();
        let said =
            matches!(&asked, Some(Request::Notify(alert)) if alert.body.starts_with("Album"));
        assert_eq!(
            said, told,
            "looked at: {looked_at}, quiet: {quiet}: {asked:?}"
        );
    }
}

#[test]
fn the_title_counts_what_waits_for_a_person_and_for_the_cloud() {
    let stage = Stage::showing(three_machines(), vec![two_dates(), two_prices()]);
    let title = stage.harness.state().title.clone();
    assert_eq!(title, "(2 conflicts, 8 pending) StudioVault - Lisbon");
}

#[test]
fn a_voided_sale_says_so_in_the_list_and_in_its_history() {
    let mut stage = Stage::showing(three_machines(), Vec::new());
    stage.press(Modifiers::COMMAND, Key::Num4);
    let mut happened = what_happened(3);
    let sale = &mut happened.rows[0];
    (sale.op, sale.entity_type, sale.voided) = (Op::Create, "pos_order".to_owned(), true);
    let sale = sale.entity;
    stage.tell(Message::Activity(Box::new(happened), None));
    let marked = stage.harness.query_all_by_label_contains("(voided)");
    assert_eq!(marked.count(), 1, "of the others none");
    stage.press(Modifiers::NONE, Key::J);
    let mut facts = its_history();
    facts.history.entity = sale;
    stage.tell(Message::Entity(Box::new(facts.clone())));
    assert!(!stage.shows("it counts 0"));
    if let Some(view) = &mut facts.view {
        view.voided = true;
    }
    stage.tell(Message::Entity(Box::new(facts)));
    assert!(stage.shows("This sale is voided; it counts 0."));
}
