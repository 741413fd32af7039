//! The window while there is nothing to show: why, and what to do about it.

use egui::{RichText, Ui};

use super::card::{card_ui, statement_ui};
use super::palette::Palette;
use crate::action::Action;
use crate::message::Failure;
use crate::model::{Connection, Tone};

/// The page in place of every panel.
pub fn silent_ui(ui: &mut Ui, connection: &Connection) -> Option<Action> {
    ui.add_space(ui.available_height() * 0.12);
    let mut action = None;
    ui.vertical_centered(|ui| {
        ui.set_max_width(620.0);
        match connection {
            Connection::Lost(failure) => {
                card_ui(ui, "", |ui| {
                    ui.vertical(|ui| action = failure_ui(ui, failure));
                });
            }
            Connection::Seeking | Connection::Ready => {
                ui.label(RichText::new("Looking for the node of this machine").size(16.0));
            }
        }
    });
    action
}

fn failure_ui(ui: &mut Ui, failure: &Failure) -> Option<Action> {
    let palette = Palette::of(ui);
    ui.heading(failure.title());
    ui.add_space(6.0);
    statement_ui(ui, Tone::Attention, &failure.to_string());
    ui.add_space(6.0);
    ui.label(failure.next_step());
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
    ui.add_space(8.0);
    let again = ui.button("Look again now");
    again.clicked().then_some(Action::Reconnect)
}
