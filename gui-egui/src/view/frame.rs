//! What stands around every panel: the header with the tabs, and the sentence that says what is safe where.

use egui::{Align, Color32, FontId, Label, Layout, RichText, TextStyle, Ui};
use studiovault_protocol::api::{NetworkState, Status};
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::time::WallMs;

use super::card::statement_ui;
use super::icon::Icon;
use super::palette::Palette;
use crate::action::Action;
use crate::model::{Model, Tab, Tone, attention_sentence, count, counted, safety_sentence};

/// A window below this height has no room to spare.
const SHORT: f32 = 420.0;
/// The size of the studio's name.
const TITLE: f32 = 18.0;
/// The icon beside what is reached, and what stands before it.
const REACH_ICON: f32 = 14.0;
const REACH_GAP: f32 = 6.0;
/// Below this width the tabs stand closer, so that they keep to one line.
const NARROW: f32 = 640.0;

/// The name of the studio, what it can reach, and the tabs.
pub fn header_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    ui.horizontal(|ui| {
        let reach = reach(model);
        let taken: f32 = reach.iter().map(|(_, words)| reach_width(ui, words)).sum();
        let room = (ui.available_width() - taken).max(0.0);
        let name = model.status.as_ref().map(|status| &status.node.studio_name);
        let whole = name.map_or("StudioVault".to_owned(), |name| {
            format!("StudioVault - {name}")
        });
        // Where both do not fit, the name of the studio says more.
        let title = match name {
            Some(name) if width_of(ui, &whole, FontId::proportional(TITLE)) > room => name.clone(),
            _ => whole,
        };
        ui.scope(|ui| {
            ui.set_max_width(room);
            ui.add(Label::new(RichText::new(title).strong().size(TITLE)).truncate());
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            for (tone, words) in reach {
                let palette = Palette::of(ui);
                ui.label(RichText::new(words).color(palette.weak));
                Icon::of(tone).ui(ui, REACH_ICON, palette.tone(tone));
                ui.add_space(REACH_GAP);
            }
        });
    });
    model.status.is_some().then(|| tabs_ui(ui, model))?
}

/// How much of the header's line one thing takes that is reached, with its icon.
fn reach_width(ui: &Ui, words: &str) -> f32 {
    let beside = REACH_ICON + REACH_GAP + 3.0 * ui.spacing().item_spacing.x;
    width_of(ui, words, TextStyle::Body.resolve(ui.style())) + beside
}

fn width_of(ui: &Ui, words: &str, font: FontId) -> f32 {
    let painter = ui.painter();
    let text = painter.layout_no_wrap(words.to_owned(), font, Color32::WHITE);
    text.size().x
}

/// What this machine reaches, from right to left.
fn reach(model: &Model) -> Vec<(Tone, String)> {
    let Some(status) = &model.status else {
        return Vec::new();
    };
    if !model.is_current() {
        return vec![(Tone::Attention, "node not running".to_owned())];
    }
    vec![cloud_reach(status), network_reach(status)]
}

fn cloud_reach(status: &Status) -> (Tone, String) {
    let cloud = &status.cloud;
    let (tone, words) = match (cloud.configured, cloud.reachable, cloud.authorised) {
        (false, ..) => (Tone::Quiet, "no cloud"),
        (true, false, _) => (Tone::Waiting, "cloud not reachable"),
        (true, true, false) if cloud.problem_kind == Some(FaultKind::ShutOut) => {
            (Tone::Attention, "shut out of the studio")
        }
        (true, true, false) => (Tone::Attention, "cloud refuses the sign-in"),
        (true, true, true) => (Tone::Good, "cloud online"),
    };
    (tone, words.to_owned())
}

fn network_reach(status: &Status) -> (Tone, String) {
    let linked = status.peers.len();
    match (status.network, linked) {
        (NetworkState::Offline, _) => (Tone::Waiting, "off the network".to_owned()),
        (_, 0) if status.copies.machines > 1 => {
            (Tone::Waiting, "no other machine reached".to_owned())
        }
        (_, 0) => (Tone::Quiet, "only machine".to_owned()),
        (_, linked) => (Tone::Good, counted(linked as u64, "machine") + " linked"),
    }
}

fn tabs_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    ui.add_space(4.0);
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        if ui.available_width() < NARROW {
            ui.spacing_mut().item_spacing.x = 0.0;
            ui.spacing_mut().button_padding.x = 6.0;
            ui.style_mut().override_text_style = Some(egui::TextStyle::Small);
        }
        for tab in Tab::ALL {
            let waiting = match tab {
                Tab::Conflicts => model.open_conflicts(),
                Tab::Fixing => model.letters.rows().len() as u64,
                _ => 0,
            };
            let title = match waiting {
                0 => tab.title().to_owned(),
                waiting => format!("{} {}", tab.title(), count(waiting)),
            };
            let selected = model.tab == tab;
            let text = RichText::new(title);
            let text = if selected { text.strong() } else { text };
            if ui.selectable_label(selected, text).clicked() {
                action = Some(Action::Show(tab));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let keys = ui
                .selectable_label(model.help, "Keys")
                .on_hover_text("or press ?");
            if keys.clicked() {
                action = Some(Action::ToggleHelp);
            }
        });
    });
    action
}

/// In a window without room the sentence keeps to one line, and is whole when it is pointed at.
pub(super) fn short_ui(ui: &mut Ui, tone: Tone, sentence: &str) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        Icon::of(tone).ui(ui, 13.0, palette.tone(tone));
        let words = RichText::new(sentence).small();
        ui.add(Label::new(words).truncate());
    });
}

/// The sentence at the bottom of every panel.
pub fn safety_ui(ui: &mut Ui, model: &Model, now: WallMs) {
    let Some(status) = &model.status else {
        return;
    };
    let (tone, sentence) = safety_sentence(status, now);
    if ui.ctx().content_rect().height() < SHORT {
        return short_ui(ui, tone, &sentence);
    }
    if model.is_current() {
        statement_ui(ui, tone, &sentence);
    } else {
        let old = format!("When the node last answered: {sentence}");
        statement_ui(ui, Tone::Attention, &old);
    }
    if let Some(attention) = attention_sentence(status) {
        statement_ui(ui, Tone::Attention, &attention);
    }
}
