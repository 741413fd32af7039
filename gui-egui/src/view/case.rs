//! One open case: what stood before, every machine's side, what is suggested and why, and the answers a person can give.

use egui::{RichText, Ui};
use studiovault_protocol::api::{ConflictView, SideView};
use studiovault_protocol::merge::SideState;
use studiovault_protocol::time::WallMs;

use super::card::{aside_ui, card_ui, main_button_ui, statement_ui};
use super::icon::Icon;
use super::lanes::lanes_ui;
use super::life::life_ui;
use super::palette::Palette;
use super::table::table_ui;
use crate::action::{Action, ActivityAction, CaseAction};
use crate::message::EntityFacts;
use crate::model::{Board, Case, CaseKind, Model, Tone, case_title, code_words, lanes};

/// What an open case is drawn from.
#[derive(Clone, Copy)]
pub struct Open<'a> {
    /// Everything on screen.
    pub model: &'a Model,
    /// The case.
    pub case: &'a Case,
    /// When it is looked at.
    pub now: WallMs,
}

impl Open<'_> {
    /// The list it is of.
    pub fn board(&self) -> &Board {
        &self.model.board
    }

    /// Its entity and history, once they are here.
    pub fn facts(&self) -> Option<&EntityFacts> {
        self.model.facts.as_ref()
    }

    /// Whether the studio has a cloud truth, which may settle it too.
    pub fn has_cloud(&self) -> bool {
        let status = self.model.status.as_ref();
        status.is_some_and(|status| status.cloud.configured)
    }
}

/// The open case.
pub fn case_ui(ui: &mut Ui, (model, case): (&Model, &Case), now: WallMs) -> Option<Action> {
    let open = Open { model, case, now };
    let mut action = None;
    card_ui(ui, &case_title(case), |ui| {
        above_ui(ui, open);
        ui.add_space(4.0);
        let answered = match case.kind() {
            CaseKind::Life => life_ui(ui, open),
            CaseKind::Fields | CaseKind::Name => table_ui(ui, open),
        };
        action = answered;
        ui.add_space(4.0);
        suggestion_ui(ui, open);
        cloud_words_ui(ui, open);
        ui.separator();
        action = action.take().or(apply_ui(ui, open));
    });
    ui.add_space(8.0);
    if let Some(facts) = open.facts() {
        card_ui(ui, "History", |ui| {
            let picture = lanes(&facts.history, Some(case), (open.board().own(), now));
            lanes_ui(ui, &picture);
        });
    }
    action
}

fn above_ui(ui: &mut Ui, open: Open<'_>) {
    if let Some(changed) = open.board().changed() {
        statement_ui(ui, Tone::Waiting, changed);
    }
    let head = open.case.head();
    if let Some(deletion) = &head.deletion {
        statement_ui(ui, Tone::Attention, &format!("{deletion}."));
    }
    if open.case.rows().iter().any(|row| row.clock_suspect) {
        let words = "One of the clocks is more than a day off: do not go by the times alone.";
        statement_ui(ui, Tone::Attention, words);
    }
}

/// Where a side stands, in words; nothing where only people decide.
pub(super) fn standing(side: &SideView, has_cloud: bool) -> Option<(Tone, &'static str)> {
    Some(match side.state {
        SideState::Tentative if !has_cloud => return None,
        SideState::Tentative => (Tone::Waiting, "not decided by the cloud"),
        SideState::Confirmed => (Tone::Good, "confirmed by the cloud"),
        // Its words stand below, with the code.
        SideState::Lost | SideState::Rejected => (Tone::Attention, "not taken by the cloud"),
    })
}

/// Of sides that the cloud did not take its own words.
fn cloud_words_ui(ui: &mut Ui, open: Open<'_>) {
    for row in open.case.rows() {
        let lost = row
            .sides
            .iter()
            .filter(|side| matches!(side.state, SideState::Lost | SideState::Rejected));
        for side in lost {
            let code = side.code.as_deref().unwrap_or_default();
            let history = open.facts().map(|facts| &facts.history.rows);
            let said = history
                .and_then(|rows| rows.iter().find(|entry| entry.dot == side.dot))
                .and_then(|entry| entry.detail.as_deref());
            // The code alone says nothing more.
            let said = said.filter(|said| !said.contains(code));
            let said = said.map(|said| format!(" It says: {said}."));
            let named = side.code.as_ref().map(|code| format!(" ({code})"));
            let words = format!(
                "The cloud did not take the value of {}. {}{}{}",
                side.device,
                code_words(code),
                said.unwrap_or_default(),
                named.unwrap_or_default()
            );
            statement_ui(ui, Tone::Attention, &words);
        }
    }
}

fn suggestion_ui(ui: &mut Ui, open: Open<'_>) {
    let palette = Palette::of(ui);
    let (case, board) = (open.case, open.board());
    // Of several fields that of the one that the keys speak to; the others show their stars.
    let row = board.current().unwrap_or(case.head());
    let of_field = match (case.rows().len(), &row.field) {
        (1, _) | (_, None) => String::new(),
        (_, Some(field)) => format!(" for {field}"),
    };
    ui.horizontal_wrapped(|ui| {
        Icon::Star.ui(ui, 14.0, palette.waiting);
        ui.label(format!(
            "Suggested{of_field}:{}. {}",
            suggested(row),
            row.rule
        ));
    });
    let mut sides = case.rows().iter().flat_map(|row| &row.sides);
    let undecided = sides.all(|side| side.state == SideState::Tentative);
    let (who, lost) = match (open.has_cloud(), undecided) {
        (true, true) => (
            "a person or the cloud decides",
            "No side is lost. The cloud has not decided.",
        ),
        (true, false) => (
            "a person decides",
            "No side is lost, whichever the cloud took.",
        ),
        (false, _) => ("a person decides", "No side is lost."),
    };
    aside_ui(
        ui,
        &format!("Every machine shows the suggested side until {who}. {lost}"),
    );
}

fn suggested(row: &ConflictView) -> String {
    let side = row.sides.iter().find(|side| side.dot == row.suggested);
    side.map_or_else(String::new, |side| format!(" {}", side.device))
}

fn apply_ui(ui: &mut Ui, open: Open<'_>) -> Option<Action> {
    let (board, case) = (open.board(), open.case);
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        let ready = board.has_drafts() && !board.is_sending();
        if main_button_ui(ui, "Apply", ready)
            .on_hover_text("Enter")
            .clicked()
        {
            action = Some(Action::Case(CaseAction::Apply));
        }
        let undo = ui.add_enabled(board.can_undo(), egui::Button::new("Undo"));
        if undo
            .on_hover_text("U: takes the last answer back")
            .clicked()
        {
            action = Some(Action::Undo);
        }
        if ui.button("Open history").clicked() {
            let head = case.head();
            let history = ActivityAction::History(head.entity, head.entity_type.clone());
            action = Some(Action::Activity(history));
        }
        if board.alike() > 0 {
            let mut batch = board.is_batch();
            let words = format!("Same choice for {} similar (B)", board.alike());
            if ui.checkbox(&mut batch, words).clicked() {
                action = Some(Action::Case(CaseAction::Batch(batch)));
            }
        }
    });
    let words = if board.is_sending() {
        "The answer is on its way."
    } else if board.has_drafts() {
        "Apply writes the answer as a change of yours; it goes to every machine."
    } else {
        "Choose an answer, then apply it. Keys: 1 to 9 a side, E a value of your own, Enter applies."
    };
    ui.label(RichText::new(words).small().color(Palette::of(ui).weak));
    action
}
