//! Draws the model, one panel a file, and returns what the person did.
//!
//! Views change nothing: they read the model and the time, and everything with a meaning has an icon and words beside its colour.

mod activity;
mod banners;
mod card;
mod case;
mod conflicts;
mod device;
mod devices;
mod doctor;
mod frame;
mod history;
mod icon;
pub mod keys;
mod lanes;
mod letters;
mod life;
mod list;
mod mesh;
mod overview;
mod pairing;
mod palette;
mod qr;
mod settings;
mod sign_in;
mod silent;
mod stick;
mod table;
mod why;

pub use palette::install_style;

use egui::{CentralPanel, Frame, Panel, Ui};
use studiovault_protocol::time::WallMs;

use crate::action::Action;
use crate::message::Making;
use crate::model::{Model, Tab};

/// The whole window.
pub fn window_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let palette = palette::Palette::of(ui);
    let bar = Frame::new()
        .fill(palette.bar)
        .inner_margin(egui::Margin::symmetric(16, 10));
    let top = Panel::top("header")
        .frame(bar)
        .show(ui, |ui| frame::header_ui(ui, model));
    let action = top.inner;
    if model.status.is_some() {
        let foot = Panel::bottom("safety").frame(bar);
        foot.show(ui, |ui| frame::safety_ui(ui, model, now));
    }
    let page = Frame::new()
        .fill(palette.page)
        .inner_margin(egui::Margin::same(16));
    let shown = CentralPanel::default().frame(page).show(ui, |ui| {
        let banner = banners::banners_ui(ui, model, now);
        banner.or(page_ui(ui, model, now))
    });
    action.or(shown.inner)
}

fn page_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    if model.help {
        keys::keys_ui(ui);
        return None;
    }
    let kit = matches!(model.desk.making(), Some(Making::Kit(_)));
    let Some(status) = model.status.as_ref().filter(|_| !kit) else {
        return silent::silent_ui(ui, model);
    };
    match model.tab {
        Tab::Overview => overview::overview_ui(ui, (model, status), now),
        Tab::Conflicts => conflicts::conflicts_ui(ui, model, now),
        Tab::Fixing => letters::letters_ui(ui, model, now),
        Tab::Activity => activity::activity_ui(ui, model, now),
        Tab::Devices => devices::devices_ui(ui, model, now),
        Tab::Settings => settings::settings_ui(ui, model, now),
    }
}
