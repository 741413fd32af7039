//! The history of one entity: the swim-lane, every command in words, and every decision about its conflicts.

use egui::{Button, RichText, ScrollArea, Ui};
use studiovault_protocol::time::WallMs;

use super::card::{card_ui, statement_ui};
use super::lanes::lanes_ui;
use super::palette::Palette;
use super::why::why_ui;
use crate::action::{Action, ActivityAction};
use crate::message::EntityFacts;
use crate::model::{MarkKind, Model, Tone, command_words, field_text, lanes, moment_text};

/// The history, with the way back.
pub fn history_ui(
    ui: &mut Ui,
    (model, facts): (&Model, &EntityFacts),
    now: WallMs,
) -> Option<Action> {
    let mut action = None;
    let title = facts.view.as_ref().map_or_else(
        || format!("History of {}", facts.history.entity),
        |view| {
            let name = ["name", "title", "email"]
                .iter()
                .find_map(|field| view.fields.get(*field)?.as_str());
            format!(
                "History of {} \"{}\"",
                view.entity_type,
                name.unwrap_or_default()
            )
        },
    );
    card_ui(ui, "", |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(title).strong().size(15.5));
            if ui.button("Close").on_hover_text("Esc").clicked() {
                action = Some(Action::Activity(ActivityAction::Close));
            }
        });
        let scroll = ScrollArea::vertical().id_salt("history").auto_shrink(false);
        scroll.show(ui, |ui| {
            if let Some(view) = &facts.view {
                if let Some(deletion) = &view.deletion {
                    statement_ui(ui, Tone::Attention, &format!("{deletion}."));
                }
                if view.voided {
                    statement_ui(ui, Tone::Attention, "This sale is voided; it counts 0.");
                }
                ui.horizontal_wrapped(|ui| {
                    let words = format!("Where it stands: {}.", view.sync_state);
                    statement_ui(ui, Tone::Quiet, &words);
                    let why = Button::new("Why not everywhere?").small();
                    if ui.add_enabled(model.is_current(), why).clicked() {
                        action = Some(Action::Activity(ActivityAction::Why));
                    }
                });
                if let Some(why) = model.activity.why() {
                    why_ui(ui, why, now);
                }
            }
            let own = model.board.own();
            lanes_ui(ui, &lanes(&facts.history, None, (own, now)));
            ui.add_space(6.0);
            commands_ui(ui, facts, now);
            ledger_ui(ui, facts, now);
        });
    });
    action
}

fn commands_ui(ui: &mut Ui, facts: &EntityFacts, now: WallMs) {
    let palette = Palette::of(ui);
    for row in facts.history.rows.iter().rev() {
        ui.horizontal_wrapped(|ui| {
            ui.label(command_words(row, MarkKind::Write, now));
            let code = row.code.as_ref().map(|code| format!(" ({code})"));
            let words = match row.verdict.as_str() {
                "tentative" => "not decided by a cloud".to_owned(),
                word => format!("{word} by the cloud{}", code.unwrap_or_default()),
            };
            ui.label(RichText::new(words).small().color(palette.weak));
            if let Some(detail) = &row.detail {
                ui.label(RichText::new(detail).small().color(palette.attention));
            }
        });
    }
}

fn ledger_ui(ui: &mut Ui, facts: &EntityFacts, now: WallMs) {
    if facts.history.ledger.is_empty() {
        return;
    }
    let palette = Palette::of(ui);
    ui.add_space(6.0);
    ui.label(RichText::new("Picks and decisions").strong());
    for line in facts.history.ledger.iter().rev() {
        let field = line.field.as_deref().unwrap_or("its life");
        let winner = line.winner.as_ref().map(|value| field_text(field, value));
        let winner = winner.unwrap_or_default();
        let words = format!(
            "{} {}: {field} shows {winner}, decided by {}",
            moment_text(line.decided_at, now),
            line.event,
            line.decided_by
        );
        ui.label(RichText::new(words).color(palette.weak));
    }
}
