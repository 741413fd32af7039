//! What the cloud did not take, or breaks on: the field at fault, the cloud's own words, and the two ways out.
//!
//! A sale is mended, never given up.

use egui::{Margin, RichText, TextEdit, Ui};
use studiovault_protocol::api::DeadLetter;
use studiovault_protocol::time::WallMs;

use super::card::{aside_ui, card_ui, main_button_ui, statement_ui};
use super::conflicts::side_by_side_ui;
use super::icon::Icon;
use super::list::{ROW, Row, list_ui, two_lines_ui};
use super::palette::Palette;
use crate::action::{Action, ActivityAction, Entry, LetterAction};
use crate::model::{
    Age, Model, Tone, change_text, changes_text, code_words, counted, failing_field,
    fields_to_mend, is_sale, moment_text, op_words, typed_money,
};

/// The panel.
pub fn letters_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    if model.letters.rows().is_empty() {
        card_ui(ui, "", |ui| {
            let words = "Nothing needs fixing. What the cloud does not take comes here, with its words and the field at fault.";
            statement_ui(ui, Tone::Good, words);
        });
        return None;
    }
    let list = |ui: &mut Ui| rows_ui(ui, model, now);
    let detail = |ui: &mut Ui| {
        let letter = model.letters.opened()?;
        letter_ui(ui, (model, letter), now)
    };
    side_by_side_ui(ui, "open letter", (list, detail))
}

fn rows_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let letters = &model.letters;
    aside_ui(ui, &counted(letters.rows().len() as u64, "change"));
    let mut action = None;
    let position = letters.position();
    list_ui(
        ui,
        "letters",
        (letters.rows().len(), ROW, position),
        |ui, at| {
            let letter = &letters.rows()[at];
            let palette = Palette::of(ui);
            let (icon, color, state) = if letter.stuck {
                (Icon::Clock, palette.waiting, "stuck")
            } else {
                (Icon::Warning, palette.attention, "not taken")
            };
            let field = failing_field(letter).map(|field| format!("{field} "));
            let row = Row {
                icon: (icon, color),
                title: &format!("{}: {}{state}", letter.label, field.unwrap_or_default()),
                below: &format!(
                    "{} - {} - {}",
                    letter.entity_type,
                    letter.device,
                    Age::of(letter.ts, now).ago()
                ),
                selected: position == Some(at),
            };
            if two_lines_ui(ui, &row) {
                action = Some(Action::Letter(LetterAction::Open(letter.dot.clone())));
            }
        },
    );
    action
}

fn letter_ui(ui: &mut Ui, (model, letter): (&Model, &DeadLetter), now: WallMs) -> Option<Action> {
    let title = format!(
        "{}: {} on {}",
        letter.label,
        op_words(letter.op),
        letter.device
    );
    let mut action = None;
    card_ui(ui, &title, |ui| {
        words_ui(ui, letter, now);
        ui.add_space(6.0);
        action = fields_ui(ui, model, letter);
        ui.add_space(6.0);
        action = action.take().or(ways_ui(ui, model, letter));
    });
    action
}

/// What the cloud said, and what waits behind it.
fn words_ui(ui: &mut Ui, letter: &DeadLetter, now: WallMs) {
    let when = moment_text(letter.ts, now);
    let tone = if letter.stuck {
        Tone::Waiting
    } else {
        Tone::Attention
    };
    statement_ui(
        ui,
        tone,
        &format!("{} ({})", code_words(&letter.code), letter.code),
    );
    if !letter.detail.is_empty() {
        let words = format!("The cloud at {when}: \"{}\"", letter.detail);
        ui.add(egui::Label::new(words).wrap());
    }
    match letter.waiting {
        Some(0) => aside_ui(ui, "Nothing waits behind it."),
        Some(waiting) => {
            let words = match waiting {
                1 => "1 later change waits behind it.".to_owned(),
                waiting => format!("{} wait behind it.", counted(waiting, "later change")),
            };
            statement_ui(ui, Tone::Waiting, &words);
        }
        None => {}
    }
}

fn fields_ui(ui: &mut Ui, model: &Model, letter: &DeadLetter) -> Option<Action> {
    let palette = Palette::of(ui);
    let rules = model.rules.policy.entity_type(&letter.entity_type);
    let failing = failing_field(letter);
    let names = fields_to_mend(letter, rules);
    let currency = model.letters.currency();
    let mut action = None;
    for name in &names {
        let before = model.letters.text_of(name);
        let mut text = before.clone();
        let at_fault = failing == Some(*name);
        ui.horizontal(|ui| {
            let color = if at_fault {
                palette.attention
            } else {
                palette.weak
            };
            let label = ui.label(RichText::new(*name).color(color).strong());
            if at_fault {
                Icon::Warning.ui(ui, 13.0, palette.attention);
            }
            let field = TextEdit::singleline(&mut text)
                .id_salt(("letter", &letter.dot, name))
                .margin(Margin::symmetric(8, 5))
                .desired_width(f32::INFINITY);
            let response = ui
                .add_enabled(!model.letters.is_sending(), field)
                .labelled_by(label.id);
            let by_key = !ui.ctx().text_edit_focused()
                && ui.input(|input| input.key_pressed(egui::Key::E) && input.modifiers.is_none());
            if by_key && Some(name) == names.first() {
                response.request_focus();
                text.clone_from(&before);
            }
        });
        if at_fault {
            let said = letter.detail.replace('`', "");
            let written = letter.fields.get(*name);
            let written = written.map(|value| change_text((name, value), currency.as_deref()));
            aside_ui(
                ui,
                &format!("{said}. It was written as {}.", written.unwrap_or_default()),
            );
        }
        if let Some(money) = typed_money((name, &text), currency.as_deref()) {
            aside_ui(ui, &format!("= {money}"));
        }
        if text != before {
            action = Some(Action::Write(Entry::LetterField((*name).to_owned()), text));
        }
    }
    let others = letter
        .fields
        .iter()
        .filter(|(name, _)| !names.contains(&name.as_str()));
    let others = others
        .map(|(name, change)| (name.clone(), change.clone()))
        .collect();
    let others = changes_text(&others);
    if !others.is_empty() {
        aside_ui(ui, &format!("Sent again as it is: {others}"));
    }
    action
}

fn ways_ui(ui: &mut Ui, model: &Model, letter: &DeadLetter) -> Option<Action> {
    let mut action = None;
    let ready = !model.letters.is_sending();
    ui.horizontal_wrapped(|ui| {
        if main_button_ui(ui, "Fix and send again", ready)
            .on_hover_text("Enter")
            .clicked()
        {
            action = Some(Action::Letter(LetterAction::Fix));
        }
        if ui.button("Open history").clicked() {
            let history = ActivityAction::History(letter.entity, letter.entity_type.clone());
            action = Some(Action::Activity(history));
        }
    });
    aside_ui(
        ui,
        "It goes out as a new change in place of the first one; at most one of the two counts.",
    );
    ui.separator();
    if is_sale(letter, &model.rules.policy) {
        let words =
            "A sale is never discarded: mend it and send it again. No total changes until then.";
        statement_ui(ui, Tone::Quiet, words);
        return action;
    }
    let before = model.letters.reason();
    let mut reason = before.to_owned();
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Reason");
        let width = (ui.available_width() - 130.0).clamp(80.0, 360.0);
        let field = TextEdit::singleline(&mut reason)
            .id_salt(("reason", &letter.dot))
            .margin(Margin::symmetric(8, 5))
            .desired_width(width);
        ui.add_enabled(ready, field).labelled_by(label.id);
        let can = ready && !before.trim().is_empty();
        let discard = ui.add_enabled(can, egui::Button::new("Discard"));
        let discard =
            discard.on_disabled_hover_text("Say why first; the reason stays in the history.");
        if discard.clicked() {
            action = Some(Action::Letter(LetterAction::Discard));
        }
    });
    if reason != before {
        action = Some(Action::Write(Entry::Reason, reason));
    }
    action
}
