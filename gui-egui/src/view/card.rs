//! The parts that several panels share: cards, statements with their icon, buttons, fields and rows of figures.
//!
//! A statement is one label to a screen reader; the icon before it says nothing the words do not.

use egui::{Button, CornerRadius, Frame, Label, Margin, Response, RichText, Stroke, TextEdit, Ui};

use super::icon::Icon;
use super::palette::Palette;
use crate::action::{Action, Entry};
use crate::model::{Fact, Tone};

/// A card with a heading.
pub fn card_ui<R>(ui: &mut Ui, heading: &str, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let palette = Palette::of(ui);
    let frame = Frame::new()
        .fill(palette.card)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::same(14));
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        if !heading.is_empty() {
            ui.label(RichText::new(heading).strong().size(15.5));
            ui.add_space(4.0);
        }
        contents(ui)
    });
    shown.inner
}

/// A statement: icon, colour and words together.
pub fn statement_ui(ui: &mut Ui, tone: Tone, words: &str) {
    let palette = Palette::of(ui);
    ui.horizontal_top(|ui| {
        ui.add_space(1.0);
        Icon::of(tone).ui(ui, 15.0, palette.tone(tone));
        let color = match tone {
            Tone::Quiet => palette.weak,
            _ => palette.text,
        };
        ui.add(Label::new(RichText::new(words).color(color)).wrap());
    });
}

/// Something of lesser weight.
pub fn aside_ui(ui: &mut Ui, words: &str) {
    let palette = Palette::of(ui);
    ui.add(Label::new(RichText::new(words).small().color(palette.weak)).wrap());
}

/// The button that does what a panel is for.
pub(super) fn main_button_ui(ui: &mut Ui, words: &str, enabled: bool) -> Response {
    let palette = Palette::of(ui);
    let text = RichText::new(words).strong();
    let button = if enabled {
        Button::new(text.color(palette.page)).fill(palette.accent)
    } else {
        Button::new(text)
    };
    ui.add_enabled(enabled, button)
}

/// A field with its label above; what was written, if it is something else now.
pub fn entry_ui(ui: &mut Ui, label: &str, (entry, text): (Entry, &str)) -> Option<Action> {
    let mut written = text.to_owned();
    let palette = Palette::of(ui);
    let label = ui.label(RichText::new(label).color(palette.weak));
    let field = TextEdit::singleline(&mut written)
        .margin(Margin::symmetric(8, 5))
        .desired_width(360.0)
        .password(entry == Entry::Token);
    ui.add(field).labelled_by(label.id);
    (written != text).then_some(Action::Write(entry, written))
}

/// Figures in two columns, those that need somebody with their icon.
pub fn facts_ui(ui: &mut Ui, facts: &[Fact]) {
    let palette = Palette::of(ui);
    for fact in facts {
        ui.horizontal(|ui| {
            let marked = !matches!(fact.tone, Tone::Quiet | Tone::Good);
            ui.label(RichText::new(fact.label).color(palette.weak));
            let right = egui::Layout::right_to_left(egui::Align::Center);
            ui.with_layout(right, |ui| {
                let color = if marked {
                    palette.tone(fact.tone)
                } else {
                    palette.text
                };
                ui.label(RichText::new(&fact.value).color(color));
                if marked {
                    Icon::of(fact.tone).ui(ui, 13.0, color);
                }
            });
        });
    }
}
