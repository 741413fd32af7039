//! One open question: its sides, what is suggested and why, and the answers a person can give.

use egui::{CornerRadius, Frame, Margin, RichText, Stroke, TextEdit, Ui};
use studiovault_protocol::api::{ConflictView, SideView};
use studiovault_protocol::merge::{ConflictKind, SideState};
use studiovault_protocol::time::WallMs;

use super::card::{card_ui, statement_ui};
use super::icon::Icon;
use super::palette::Palette;
use crate::action::Action;
use crate::model::{Age, Board, Draft, Model, Tone, conflict_title, value_text};

/// The open question.
pub fn conflict_ui(
    ui: &mut Ui,
    (model, open): (&Model, &ConflictView),
    now: WallMs,
) -> Option<Action> {
    let board = &model.board;
    let decider = Decider::of(model);
    let mut action = None;
    card_ui(ui, &conflict_title(open), |ui| {
        if let Some(deletion) = &open.deletion {
            ui.label(format!("{deletion}."));
        }
        if let Some(base) = &open.base {
            ui.label(format!("Before: {}", value_text(base)));
        }
        if open.clock_suspect {
            statement_ui(
                ui,
                Tone::Attention,
                "One of the clocks is more than a day off: do not go by the times alone.",
            );
        }
        ui.add_space(4.0);
        for (at, side) in open.sides.iter().enumerate() {
            let drafted = side_ui(ui, (at, side), (board, open), (decider, now));
            action = action.take().or(drafted);
        }
        ui.add_space(4.0);
        suggestion_ui(ui, open, decider);
        ui.separator();
        let answered = match open.kind {
            ConflictKind::DeleteUpdate => life_answers_ui(ui, board),
            ConflictKind::UpdateUpdate | ConflictKind::CreateCreate | ConflictKind::LostAtCloud => {
                value_answer_ui(ui, board, open)
            }
        };
        action = action.take().or(answered).or(apply_ui(ui, board));
    });
    action
}

fn side_ui(
    ui: &mut Ui,
    (at, side): (usize, &SideView),
    (board, open): (&Board, &ConflictView),
    (decider, now): (Decider, WallMs),
) -> Option<Action> {
    let palette = Palette::of(ui);
    let draft = Draft::Side(side.dot.clone());
    let chosen = board.drafted() == Some(&draft);
    let edge = if chosen { palette.accent } else { palette.line };
    let frame = Frame::new()
        .fill(if chosen { palette.chosen } else { palette.page })
        .stroke(Stroke::new(if chosen { 1.6 } else { 1.0 }, edge))
        .corner_radius(CornerRadius::same(6))
        .inner_margin(Margin::same(10));
    let of_life = open.kind == ConflictKind::DeleteUpdate;
    let mut action = None;
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal_wrapped(|ui| {
            let who = format!("{}. {}", at + 1, side.device);
            ui.label(RichText::new(who).strong());
            let when = Age::of(side.ts, now).ago();
            ui.label(RichText::new(when).color(palette.weak));
            if let Some((tone, words)) = standing(side, decider) {
                Icon::of(tone).ui(ui, 13.0, palette.tone(tone));
                ui.label(RichText::new(words).color(palette.weak));
            }
            if side.dot == open.suggested {
                Icon::Star.ui(ui, 14.0, palette.waiting);
                ui.label("suggested, shown now");
            }
        });
        if !of_life {
            ui.label(RichText::new(value_text(&side.value)).size(16.0));
            if let Some(name) = &side.proposed {
                let words = format!("called \"{name}\" until this is settled");
                ui.label(RichText::new(words).color(palette.weak));
            }
            let words = match open.kind {
                ConflictKind::CreateCreate => {
                    format!("Let the one of {} keep the name", side.device)
                }
                _ => format!("Use the value of {}", side.device),
            };
            let button = ui.add_enabled(
                !board.is_sending(),
                egui::Button::new(words).selected(chosen),
            );
            if button.clicked() {
                action = Some(Action::Draft(draft));
            }
        }
    });
    action
}

/// Who besides a person may settle it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decider {
    /// The cloud truth, which the studio has.
    Cloud,
    /// Nobody.
    PersonOnly,
}

impl Decider {
    fn of(model: &Model) -> Self {
        match &model.status {
            Some(status) if status.cloud.configured => Self::Cloud,
            _ => Self::PersonOnly,
        }
    }
}

fn standing(side: &SideView, decider: Decider) -> Option<(Tone, String)> {
    Some(match (side.state, &side.code) {
        (SideState::Tentative, _) if decider == Decider::PersonOnly => return None,
        (SideState::Tentative, _) => (Tone::Waiting, "not decided by the cloud".to_owned()),
        (SideState::Confirmed, _) => (Tone::Good, "confirmed by the cloud".to_owned()),
        (SideState::Lost | SideState::Rejected, Some(code)) => {
            (Tone::Attention, format!("not taken by the cloud ({code})"))
        }
        (SideState::Lost | SideState::Rejected, None) => {
            (Tone::Attention, "not taken by the cloud".to_owned())
        }
    })
}

fn suggestion_ui(ui: &mut Ui, open: &ConflictView, decider: Decider) {
    let palette = Palette::of(ui);
    let side = open.sides.iter().find(|side| side.dot == open.suggested);
    let of_whom = side.map_or(String::new(), |side| format!(" {}", side.device));
    ui.horizontal_wrapped(|ui| {
        Icon::Star.ui(ui, 14.0, palette.waiting);
        ui.label(format!("Suggested:{of_whom}. {}", open.rule));
    });
    let who = match decider {
        Decider::Cloud => "a person or the cloud decides",
        Decider::PersonOnly => "a person decides",
    };
    let words = format!("Every machine shows the suggested side until {who}. No side is lost.");
    ui.label(RichText::new(words).small().color(palette.weak));
}

fn life_answers_ui(ui: &mut Ui, board: &Board) -> Option<Action> {
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        for (draft, words) in [
            (Draft::Restore, "Restore with the edits"),
            (Draft::AcceptDelete, "Accept the deletion"),
        ] {
            let chosen = board.drafted() == Some(&draft);
            let button = egui::Button::new(words).selected(chosen);
            if ui.add_enabled(!board.is_sending(), button).clicked() {
                action = Some(Action::Draft(draft));
            }
        }
    });
    action
}

fn value_answer_ui(ui: &mut Ui, board: &Board, open: &ConflictView) -> Option<Action> {
    open.field.as_ref()?;
    let typed = match board.drafted() {
        Some(Draft::Value(text)) => text.clone(),
        _ => String::new(),
    };
    let mut text = typed.clone();
    ui.horizontal(|ui| {
        let label = ui.label("Another value");
        let field = TextEdit::singleline(&mut text)
            .margin(Margin::symmetric(8, 5))
            .desired_width(f32::INFINITY);
        ui.add_enabled(!board.is_sending(), field)
            .labelled_by(label.id);
    });
    (text != typed).then_some(Action::Draft(Draft::Value(text)))
}

fn apply_ui(ui: &mut Ui, board: &Board) -> Option<Action> {
    let palette = Palette::of(ui);
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        let ready = board.drafted().is_some() && !board.is_sending();
        if ui.add_enabled(ready, egui::Button::new("Apply")).clicked() {
            action = Some(Action::Apply);
        }
        let words = match board.drafted() {
            _ if board.is_sending() => "The answer is on its way.",
            Some(_) => "Apply writes the answer as a change of yours; it goes to every machine.",
            None => "Choose an answer, then apply it.",
        };
        ui.label(RichText::new(words).small().color(palette.weak));
    });
    action
}
