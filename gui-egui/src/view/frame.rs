//! What stands around every panel: the header with the tabs, the banners, and the sentence that says what is safe where.

use egui::{Align, Layout, RichText, Ui};
use studiovault_protocol::api::{NetworkState, Status};
use studiovault_protocol::time::WallMs;

use super::card::{card_ui, statement_ui};
use super::icon::Icon;
use super::keys;
use super::palette::Palette;
use crate::action::Action;
use crate::model::{Connection, Model, Tab, Tone, attention_sentence, counted, safety_sentence};

/// The name of the studio, what it can reach, and the tabs.
pub fn header_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    ui.horizontal(|ui| {
        let name = model.status.as_ref().map(|status| &status.node.studio_name);
        let title = name.map_or("StudioVault".to_owned(), |name| {
            format!("StudioVault - {name}")
        });
        ui.label(RichText::new(title).strong().size(18.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            for (tone, words) in reach(model) {
                let palette = Palette::of(ui);
                ui.label(RichText::new(words).color(palette.weak));
                Icon::of(tone).ui(ui, 14.0, palette.tone(tone));
                ui.add_space(6.0);
            }
        });
    });
    model.status.is_some().then(|| tabs_ui(ui, model))?
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
        (true, true, false) => (Tone::Attention, "cloud refuses the token"),
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
        for tab in Tab::ALL {
            let open = model.open_conflicts();
            let title = match tab {
                Tab::Conflicts if open > 0 => format!("{} {open}", tab.title()),
                _ => tab.title().to_owned(),
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

/// What a person should know before they read on: the connection, warnings, the last answer, the keys.
pub fn banners_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let mut action = None;
    if let (Some(_), Connection::Lost(failure)) = (&model.status, &model.connection) {
        card_ui(ui, "", |ui| {
            let words = format!(
                "{failure} What is shown is what it said last. {}",
                failure.next_step()
            );
            statement_ui(ui, Tone::Attention, &words);
            for command in failure.commands() {
                ui.code(command);
            }
        });
        ui.add_space(8.0);
    }
    if let Some(notice) = &model.notice {
        card_ui(ui, "", |ui| {
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                if ui.small_button("Put away").clicked() {
                    action = Some(Action::Dismiss);
                }
                ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
                    statement_ui(ui, notice.tone, &notice.sentence);
                });
            });
        });
        ui.add_space(8.0);
    }
    for (tone, words) in model.status.iter().flat_map(warnings) {
        card_ui(ui, "", |ui| statement_ui(ui, tone, &words));
        ui.add_space(8.0);
    }
    if model.help {
        card_ui(ui, "Keys", keys_ui);
        ui.add_space(8.0);
    }
    action
}

fn warnings(status: &Status) -> Vec<(Tone, String)> {
    let mut all = Vec::new();
    if status.network == NetworkState::Offline {
        let words = "This machine is off the network by hand. It goes on working; put it back on under Devices.";
        all.push((Tone::Waiting, words.to_owned()));
    }
    if let Some(problem) = &status.cloud.problem {
        all.push((Tone::Waiting, format!("The cloud: {problem}.")));
    }
    for warning in &status.warnings {
        let words = format!("{} {}", warning.sentence, warning.next_step);
        all.push((Tone::Attention, words));
    }
    all
}

fn keys_ui(ui: &mut Ui) {
    egui::Grid::new("keys")
        .num_columns(2)
        .spacing([24.0, 4.0])
        .show(ui, |ui| {
            for (key, does) in keys::LIST {
                ui.label(RichText::new(key).monospace());
                ui.label(does);
                ui.end_row();
            }
        });
}

/// The sentence at the bottom of every panel.
pub fn safety_ui(ui: &mut Ui, model: &Model, now: WallMs) {
    let Some(status) = &model.status else {
        return;
    };
    let (tone, sentence) = safety_sentence(status, now);
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
