//! The window while there is nothing to show: why, and what to do about it, by hand or by a press.

use egui::{RichText, ScrollArea, Ui};

use super::card::{aside_ui, card_ui, entry_ui, main_button_ui, statement_ui};
use super::palette::Palette;
use crate::action::{Action, Entry};
use crate::failure::Failure;
use crate::message::Making;
use crate::model::{Connection, Desk, Model, Tone};

/// The page in place of every panel.
pub fn silent_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let mut action = None;
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.add_space((ui.available_height() * 0.08).min(60.0));
        ui.vertical_centered(|ui| {
            ui.set_max_width(620.0);
            if let Some(making) = model.desk.making() {
                action = making_ui(ui, making);
                return;
            }
            match &model.connection {
                Connection::Lost(failure) => {
                    card_ui(ui, "", |ui| {
                        ui.vertical(|ui| action = failure_ui(ui, failure, &model.desk));
                    });
                }
                Connection::Seeking | Connection::Ready => {
                    ui.label(RichText::new("Looking for the node of this machine").size(16.0));
                }
            }
        });
    });
    action
}

/// What the program that makes a machine says, and what a person does with it.
fn making_ui(ui: &mut Ui, making: &Making) -> Option<Action> {
    let palette = Palette::of(ui);
    let mut action = None;
    card_ui(ui, "", |ui| {
        ui.vertical(|ui| match making {
            Making::Words {
                words,
                host,
                studio,
            } => {
                ui.heading(format!("Joining {studio}"));
                ui.label(format!("Read these two words out, to be typed at {host}:"));
                let text = RichText::new(words).monospace().size(26.0);
                ui.label(text.color(palette.accent));
                if ui.button("Join no more").clicked() {
                    action = Some(Action::CancelJoin);
                }
            }
            Making::Kit(text) => {
                ui.heading("The recovery kit");
                statement_ui(
                    ui,
                    Tone::Attention,
                    "Print this and keep it safe, elsewhere than on this machine: it stays here only until you say that it is kept.",
                );
                ui.label(RichText::new(text).monospace());
                ui.horizontal_wrapped(|ui| {
                    if ui.button("Copy").clicked() {
                        ui.copy_text(text.clone());
                    }
                    if main_button_ui(ui, "It is kept: start the node", true).clicked() {
                        action = Some(Action::KitKept);
                    }
                });
            }
        });
    });
    action
}

fn failure_ui(ui: &mut Ui, failure: &Failure, desk: &Desk) -> Option<Action> {
    let palette = Palette::of(ui);
    let mut action = None;
    ui.heading(failure.title());
    ui.add_space(6.0);
    statement_ui(ui, Tone::Attention, &failure.to_string());
    ui.add_space(6.0);
    ui.label(failure.next_step());
    if desk.is_busy() {
        statement_ui(ui, Tone::Waiting, "The command is at work.");
        if ui.button("Stop it").clicked() {
            action = Some(Action::CancelJoin);
        }
    } else {
        let again = ui.button("Look again now");
        action = again.clicked().then_some(Action::Reconnect);
        action = action.or(ways_ui(ui, failure, desk));
    }
    ui.add_space(6.0);
    for command in failure.commands() {
        ui.add_space(2.0);
        ui.horizontal_wrapped(|ui| {
            ui.code(&command);
            let copy = ui.small_button("Copy").on_hover_text(&command);
            if copy.clicked() {
                ui.copy_text(command.clone());
            }
        });
    }
    if let Failure::TokenRefused { file } = failure {
        ui.label(RichText::new(format!("The token stands in {file}.")).color(palette.weak));
    }
    action
}

/// What a press can do about it.
fn ways_ui(ui: &mut Ui, failure: &Failure, desk: &Desk) -> Option<Action> {
    ui.add_space(6.0);
    match failure {
        Failure::NotRunning { .. } => {
            let start = main_button_ui(ui, "Start the node", true);
            start.clicked().then_some(Action::StartNode)
        }
        Failure::NoMachine { .. } => {
            let name = desk.text(&Entry::MachineName);
            let mut action = entry_ui(ui, "Name of this machine", (Entry::MachineName, name));
            ui.add_space(6.0);
            let code = desk.text(&Entry::Code);
            action = action.or(entry_ui(
                ui,
                "Code that the other machine shows",
                (Entry::Code, code),
            ));
            let at = desk.text(&Entry::Address);
            let label = "Its address and port, if it is not found by itself";
            action = action.or(entry_ui(ui, label, (Entry::Address, at)));
            if main_button_ui(ui, "Join the studio", true).clicked() {
                action = Some(Action::Join);
            }
            ui.separator();
            let studio = desk.text(&Entry::StudioName);
            action = action.or(entry_ui(
                ui,
                "Name of a new studio",
                (Entry::StudioName, studio),
            ));
            if ui.button("Found a studio here").clicked() {
                action = Some(Action::Found);
            }
            aside_ui(
                ui,
                "The first machine founds the studio; all others join it.",
            );
            action
        }
        Failure::TokenRefused { .. } | Failure::WrongVersion { .. } | Failure::Unwell { .. } => {
            None
        }
    }
}
