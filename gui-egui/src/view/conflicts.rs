//! The open questions: a list that only draws what is in sight, and the open one beside or below it.

use egui::{Align, Layout, Margin, RichText, ScrollArea, TextEdit, Ui, vec2};
use studiovault_protocol::time::WallMs;

use super::card::{card_ui, statement_ui};
use super::case::case_ui;
use super::icon::Icon;
use super::list::{Row, list_ui, two_lines_ui};
use super::palette::Palette;
use crate::action::{Action, CaseAction, Entry};
use crate::model::{Age, Board, Case, CaseKind, Model, Tone, case_title, counted};

/// How wide a list beside its detail is.
pub const LIST_WIDTH: f32 = 320.0;
/// Below this width the list stands above the detail.
pub const TWO_COLUMNS: f32 = 760.0;

/// Below this height the list is folded away, and what is open scrolls with it.
const SHORT: f32 = 280.0;

/// The panel.
pub fn conflicts_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let board = &model.board;
    if board.cases().is_empty() {
        return nothing_ui(ui, board);
    }
    let list = |ui: &mut Ui| filter_ui(ui, board).or_else(|| cases_ui(ui, board, now));
    let detail = |ui: &mut Ui| match board.opened() {
        Some(case) => case_ui(ui, (model, case), now),
        None => {
            ui.label("No conflict contains this text.");
            None
        }
    };
    side_by_side_ui(ui, "open case", (list, detail))
}

/// A list with what is open of it: beside each other, or in a narrow window one above the other.
pub fn side_by_side_ui(
    ui: &mut Ui,
    id: &'static str,
    (list, detail): (
        impl FnOnce(&mut Ui) -> Option<Action>,
        impl FnOnce(&mut Ui) -> Option<Action>,
    ),
) -> Option<Action> {
    let whole = ui.available_size();
    let layout = Layout::top_down(Align::Min);
    let scroll = ScrollArea::vertical().id_salt(id).auto_shrink(false);
    if whole.y < SHORT {
        let shown = scroll.show(ui, |ui| {
            let all = egui::CollapsingHeader::new("All of them").id_salt((id, "all"));
            let chosen = all.show(ui, |ui| {
                ui.set_max_height(SHORT);
                list(ui)
            });
            chosen.body_returned.flatten().or_else(|| detail(ui))
        });
        return shown.inner;
    }
    if whole.x < TWO_COLUMNS {
        let high = (whole.y * 0.36).clamp(90.0, 240.0);
        let action = ui.allocate_ui_with_layout(vec2(whole.x, high), layout, |ui| {
            ui.set_min_height(high);
            list(ui)
        });
        ui.add_space(6.0);
        return action.inner.or(scroll.show(ui, detail).inner);
    }
    let shown = ui.horizontal_top(|ui| {
        let width = LIST_WIDTH.min(whole.x * 0.36);
        let action = ui.allocate_ui_with_layout(vec2(width, whole.y), layout, |ui| {
            ui.set_width(width);
            list(ui)
        });
        ui.add_space(4.0);
        let rest = vec2(ui.available_width(), whole.y);
        let chosen = ui.allocate_ui_with_layout(rest, layout, |ui| scroll.show(ui, detail).inner);
        action.inner.or(chosen.inner)
    });
    shown.inner
}

fn nothing_ui(ui: &mut Ui, board: &Board) -> Option<Action> {
    let mut action = None;
    card_ui(ui, "", |ui| {
        statement_ui(
            ui,
            Tone::Good,
            "No open conflicts. When two machines give one thing different values, both are kept and the question appears here.",
        );
        if board.can_undo() && ui.button("Take the last answer back (U)").clicked() {
            action = Some(Action::Undo);
        }
    });
    action
}

fn filter_ui(ui: &mut Ui, board: &Board) -> Option<Action> {
    let palette = Palette::of(ui);
    let mut text = board.filter_text().to_owned();
    let mut action = None;
    ui.horizontal(|ui| {
        for (mine, words) in [(false, "All"), (true, "Mine")] {
            if ui
                .selectable_label(board.only_mine() == mine, words)
                .clicked()
            {
                action = Some(Action::Case(CaseAction::Mine(mine)));
            }
        }
        let field = TextEdit::singleline(&mut text)
            .margin(Margin::symmetric(8, 5))
            .desired_width(f32::INFINITY)
            .hint_text("Filter: name, field, machine, value");
        let field = ui.add(field);
        field.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::TextEdit, true, "Filter"));
        if is_wanted(ui) {
            field.request_focus();
            // The stroke that asked for the field is no text in it.
            text = board.filter_text().to_owned();
        }
        if field.changed() && text != board.filter_text() {
            action = Some(Action::Write(Entry::ConflictFilter, text));
        }
    });
    let open = counted(board.conflicts() as u64, "open conflict");
    let (shown, all) = (board.shown().len(), board.cases().len());
    let words = if shown == all {
        open
    } else {
        format!("{shown} of {all} shown, {open}")
    };
    ui.label(RichText::new(words).small().color(palette.weak));
    action
}

/// Whether a key asks for the filter of the panel.
pub fn is_wanted(ui: &Ui) -> bool {
    let by_command = ui.input(|input| input.modifiers.command && input.key_pressed(egui::Key::F));
    let by_slash = || ui.input(|input| input.key_pressed(egui::Key::Slash));
    by_command || !ui.ctx().text_edit_focused() && by_slash()
}

fn cases_ui(ui: &mut Ui, board: &Board, now: WallMs) -> Option<Action> {
    let mut action = None;
    let position = board.position();
    let size = (board.shown().len(), super::list::ROW, position);
    list_ui(ui, "conflicts", size, |ui, at| {
        let case = &board.cases()[board.shown()[at]];
        if row_ui(ui, case, position == Some(at), now) {
            let id = case.head().id.clone();
            action = Some(Action::Case(CaseAction::Open(id)));
        }
    });
    action
}

fn row_ui(ui: &mut Ui, case: &Case, selected: bool, now: WallMs) -> bool {
    let palette = Palette::of(ui);
    let age = case.newest().map(|then| Age::of(then, now).ago());
    let machines = case.machines().join(" x ");
    let below = format!(
        "{} - {machines} - {}",
        case.head().entity_type,
        age.unwrap_or_default()
    );
    let icon = match case.kind() {
        CaseKind::Fields => Icon::Warning,
        CaseKind::Life => Icon::Away,
        CaseKind::Name => Icon::Dot,
    };
    let row = Row {
        icon: (icon, palette.attention),
        title: &case_title(case),
        below: &below,
        selected,
    };
    two_lines_ui(ui, &row)
}
