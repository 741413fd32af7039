//! One picture a panel, compared with the one that is kept: as the README shows them, small, dark, and at twice the size.

use eframe::egui::Theme;

use super::picture::{Picture, Textures};
use super::*;

/// The window on a studio with something of everything.
struct Gallery {
    stage: Stage,
    textures: Textures,
}

impl Gallery {
    fn open(theme: Theme, size: [f32; 2]) -> Self {
        let textures = Textures::default();
        let mut stage = Stage::painted(textures.clone(), theme, size);
        let mut status = three_machines();
        (status.counts.conflicts, status.counts.dead_letters) = (4, 2);
        (status.counts.own_pending, status.counts.own_sent) = (8, 5);
        stage.tell(Message::Status(Box::new(status)));
        let mut rows = two_fields_three_machines();
        rows.extend([two_prices(), deleted_and_edited()]);
        stage.tell(page(rows));
        stage.tell(Message::Letters(vec![a_bad_day(), a_stuck_sale()]));
        stage.tell(Message::Entity(Box::new(its_history())));
        Self { stage, textures }
    }

    fn show(&mut self, key: Key) {
        self.stage.press(Modifiers::COMMAND, key);
    }

    /// What happened, with one record and its history beside it.
    fn show_a_record(&mut self) -> studiovault_protocol::id::EntityId {
        self.show(Key::Num4);
        self.stage
            .tell(Message::Activity(Box::new(what_happened(300)), None));
        self.stage.press(Modifiers::NONE, Key::J);
        let mut facts = its_history();
        facts.history.entity.0 = [1; 16];
        let entity = facts.history.entity;
        self.stage.tell(Message::Entity(Box::new(facts)));
        entity
    }

    fn expect(&mut self, name: &str) {
        // Nothing is pointed at, and nothing is under way.
        self.stage.harness.remove_cursor();
        self.stage.harness.run();
        let harness = &self.stage.harness;
        Picture::of(&harness.ctx, harness.output(), &self.textures).expect(name);
    }
}

const README: [f32; 2] = [1024.0, 640.0];

#[test]
fn the_overview_looks_as_it_is_kept() {
    Gallery::open(Theme::Light, README).expect("overview");
    Gallery::open(Theme::Dark, README).expect("overview-dark");
}

#[test]
fn the_conflicts_look_as_they_are_kept() {
    for (theme, name) in [(Theme::Light, "conflicts"), (Theme::Dark, "conflicts-dark")] {
        let mut gallery = Gallery::open(theme, README);
        gallery.show(Key::Num2);
        gallery.stage.tell(Message::Entity(Box::new(its_history())));
        gallery.stage.press(Modifiers::NONE, Key::Num1);
        gallery.expect(name);
    }
}

#[test]
fn a_question_of_life_looks_as_it_is_kept() {
    let mut gallery = Gallery::open(Theme::Light, README);
    gallery.show(Key::Num2);
    gallery.stage.press(Modifiers::NONE, Key::J);
    gallery.stage.press(Modifiers::NONE, Key::J);
    let mut facts = its_history();
    facts.history.entity = deleted_and_edited().entity;
    gallery.stage.tell(Message::Entity(Box::new(facts)));
    gallery.expect("deleted");
}

#[test]
fn what_needs_fixing_looks_as_it_is_kept() {
    let mut gallery = Gallery::open(Theme::Light, README);
    gallery.show(Key::Num3);
    gallery.expect("needs-fixing");
}

#[test]
fn what_happened_looks_as_it_is_kept() {
    let mut gallery = Gallery::open(Theme::Light, README);
    gallery.show_a_record();
    gallery.expect("activity");
}

#[test]
fn the_devices_look_as_they_are_kept() {
    let mut gallery = Gallery::open(Theme::Light, README);
    gallery.show(Key::Num5);
    gallery.stage.click("editor");
    gallery.expect("devices");
}

#[test]
fn the_doctor_looks_as_it_is_kept() {
    for (theme, name) in [(Theme::Light, "doctor"), (Theme::Dark, "doctor-dark")] {
        let mut gallery = Gallery::open(theme, README);
        gallery.show(Key::Num5);
        gallery.stage.click("Doctor");
        gallery.stage.tell(Message::Doctor(Box::new(a_checkup())));
        gallery.expect(name);
    }
}

#[test]
fn packs_look_as_they_are_kept() {
    let mut gallery = Gallery::open(Theme::Light, README);
    gallery.show(Key::Num5);
    gallery.stage.click("USB stick");
    gallery
        .stage
        .tell(Message::Sticks(vec!["/media/ines/STICK".to_owned()]));
    gallery.expect("stick");
}

#[test]
fn why_a_record_is_not_everywhere_looks_as_it_is_kept() {
    let mut gallery = Gallery::open(Theme::Dark, README);
    let entity = gallery.show_a_record();
    gallery
        .stage
        .tell(Message::Why(entity, Box::new(why_not_everywhere())));
    gallery.expect("why-dark");
}

#[test]
fn the_settings_look_as_they_are_kept() {
    let mut gallery = Gallery::open(Theme::Dark, README);
    gallery.show(Key::Num6);
    gallery.expect("settings-dark");
}

#[test]
fn a_code_to_sign_in_with_looks_as_it_is_kept() {
    let mut gallery = Gallery::open(Theme::Light, README);
    gallery.show(Key::Num6);
    gallery.stage.click("Sign in anew by a code");
    gallery.stage.tell(Message::Code(a_code()));
    gallery.expect("sign-in");
}

#[test]
fn a_window_at_twice_the_size_looks_as_it_is_kept() {
    let mut gallery = Gallery::open(Theme::Light, README);
    gallery.show(Key::Num2);
    gallery.stage.tell(Message::Preferences(Preferences {
        scale: 200,
        theme: crate::message::Theme::Light,
        ..Preferences::default()
    }));
    gallery.expect("conflicts-200");
}

#[test]
fn a_small_window_with_much_to_tell_looks_as_it_is_kept() {
    let mut gallery = Gallery::open(Theme::Dark, README);
    let mut status = three_machines();
    status.cloud.authorised = false;
    status.peers.clear();
    gallery.stage.tell(Message::Status(Box::new(status)));
    gallery.stage.tell(Message::Preferences(Preferences {
        scale: 200,
        theme: crate::message::Theme::Dark,
        ..Preferences::default()
    }));
    gallery.show(Key::Num2);
    gallery.expect("banners-200-dark");
}

#[test]
fn a_window_without_a_machine_looks_as_it_is_kept() {
    let textures = Textures::default();
    let mut stage = Stage::painted(textures.clone(), Theme::Light, README);
    stage.tell(Message::Lost(Failure::NoMachine {
        folder: "/data/lisbon".to_owned(),
    }));
    Gallery { stage, textures }.expect("no-machine");
}
