//! The banners above every panel: what a person should know before they read on.
//!
//! However many there are, the panel below keeps room: in a window without it one line of one banner is shown until more is
//! asked for, and what does not fit then is scrolled.

use egui::{Align, Frame, Id, Layout, Margin, ScrollArea, Stroke, Ui, vec2};
use studiovault_protocol::time::WallMs;

use super::card::statement_ui;
use super::frame::short_ui;
use super::palette::Palette;
use crate::action::Action;
use crate::model::{Banner, Model};

/// A window below this height shows one banner until more is asked for.
const CROWDED: f32 = 520.0;
/// The panel keeps this much of what both have, but for the first line.
const KEPT: f32 = 0.55;
/// Between banners, and below the last.
const GAP: f32 = 8.0;
/// The height of a banner of one line.
const LINE: f32 = 42.0;

/// All of them, or the first.
pub fn banners_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let all = model.told(now);
    let first = all.first()?;
    let is_crowded = ui.ctx().content_rect().height() < CROWDED;
    let place = Id::new("all banners");
    let is_open = ui.data(|data| data.get_temp(place).unwrap_or(false));
    let mut turned = false;
    let mut action = None;
    if is_crowded && !is_open {
        action = line_ui(ui, (first, all.len() - 1), &mut turned);
    } else {
        let room = ui.available_height() * (1.0 - KEPT);
        let scroll = ScrollArea::vertical().id_salt("banners");
        let scroll = scroll.auto_shrink([false, true]).max_height(room.max(LINE));
        scroll.show(ui, |ui| {
            for (at, banner) in all.iter().enumerate() {
                let folds = is_crowded && at == 0;
                let pressed = whole_ui(ui, banner, folds.then_some(&mut turned));
                action = action.take().or(pressed);
            }
        });
    }
    if turned {
        ui.data_mut(|data| data.insert_temp(place, !is_open));
    }
    action
}

fn frame_of(ui: &Ui) -> Frame {
    let palette = Palette::of(ui);
    Frame::new()
        .fill(palette.card)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(8)
        .inner_margin(Margin::symmetric(12, 7))
}

fn button_ui(ui: &mut Ui, banner: &Banner) -> Option<Action> {
    let (label, press) = banner.button.as_ref()?;
    ui.button(*label).clicked().then(|| press.clone())
}

/// One line of a banner, however long it is, and how many others there are.
fn line_ui(ui: &mut Ui, (banner, others): (&Banner, usize), turned: &mut bool) -> Option<Action> {
    let more = match others {
        0 => "More".to_owned(),
        others => format!("{others} more"),
    };
    let shown = frame_of(ui).show(ui, |ui| {
        // Of a given height: in one without an end the words would stand in its middle.
        let size = vec2(ui.available_width(), ui.spacing().interact_size.y);
        let row = Layout::right_to_left(Align::Center);
        let row = ui.allocate_ui_with_layout(size, row, |ui| {
            let action = button_ui(ui, banner);
            *turned = ui.button(more).clicked();
            let left = Layout::left_to_right(Align::Center);
            ui.with_layout(left, |ui| short_ui(ui, banner.tone, &banner.sentence));
            action
        });
        row.inner
    });
    ui.add_space(GAP);
    shown.inner
}

/// A banner with all its words and its button at the right; the first of a crowded window has the one that folds them.
fn whole_ui(ui: &mut Ui, banner: &Banner, folds: Option<&mut bool>) -> Option<Action> {
    let shown = frame_of(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        let mut action = None;
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            action = button_ui(ui, banner);
            if let Some(turned) = folds {
                *turned = ui.button("Less").clicked();
            }
            let size = vec2(ui.available_width(), 0.0);
            ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
                statement_ui(ui, banner.tone, &banner.sentence);
            });
        });
        action
    });
    ui.add_space(GAP);
    shown.inner
}
