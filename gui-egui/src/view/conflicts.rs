//! The open questions: a list that only draws what is in sight, and the open one beside or below it.

use egui::{
    Align, Layout, RichText, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, WidgetType, vec2,
};
use studiovault_protocol::api::ConflictView;
use studiovault_protocol::time::WallMs;

use super::card::{card_ui, statement_ui};
use super::conflict::conflict_ui;
use super::icon::Icon;
use super::palette::Palette;
use crate::action::Action;
use crate::model::{Age, Board, Model, Tone, conflict_title, counted};

const ROW: f32 = 46.0;
const LIST_WIDTH: f32 = 360.0;

/// The panel.
pub fn conflicts_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let board = &model.board;
    if board.rows().is_empty() {
        card_ui(ui, "", |ui| {
            statement_ui(
                ui,
                Tone::Good,
                "No open conflicts. When two machines give one thing different values, both are kept and the question appears here.",
            );
        });
        return None;
    }
    let mut action = None;
    let whole = ui.available_size();
    ui.horizontal_top(|ui| {
        let width = LIST_WIDTH.min(whole.x * 0.42);
        let layout = Layout::top_down(Align::Min);
        ui.allocate_ui_with_layout(vec2(width, whole.y), layout, |ui| {
            ui.set_width(width);
            let filtered = filter_ui(ui, board);
            action = filtered.or(list_ui(ui, board, now));
        });
        ui.add_space(4.0);
        let rest = vec2(ui.available_width(), whole.y);
        ui.allocate_ui_with_layout(rest, layout, |ui| {
            let Some(open) = board.opened() else {
                ui.label("No conflict contains this text.");
                return;
            };
            let scroll = ScrollArea::vertical()
                .id_salt("open conflict")
                .auto_shrink(false);
            let chosen = scroll
                .show(ui, |ui| conflict_ui(ui, (model, open), now))
                .inner;
            action = action.take().or(chosen);
        });
    });
    action
}

fn filter_ui(ui: &mut Ui, board: &Board) -> Option<Action> {
    let mut text = board.filter_text().to_owned();
    let mut action = None;
    ui.horizontal(|ui| {
        let label = ui.label("Filter");
        let field = TextEdit::singleline(&mut text)
            .margin(egui::Margin::symmetric(8, 5))
            .desired_width(f32::INFINITY)
            .hint_text("name, field, machine or value");
        let field = ui.add(field).labelled_by(label.id);
        let asked = |ui: &Ui| {
            let by_command =
                ui.input(|input| input.modifiers.command && input.key_pressed(egui::Key::F));
            by_command
                || !ui.ctx().text_edit_focused()
                    && ui.input(|input| input.key_pressed(egui::Key::Slash))
        };
        if asked(ui) {
            field.request_focus();
            // The stroke that asked for the field is no text in it.
            text = board.filter_text().to_owned();
        }
        if field.changed() && text != board.filter_text() {
            action = Some(Action::FilterConflicts(text));
        }
    });
    let palette = Palette::of(ui);
    let (shown, all) = (board.shown().len() as u64, board.rows().len() as u64);
    let words = if shown == all {
        counted(all, "open conflict")
    } else {
        format!("{} of {}", shown, counted(all, "open conflict"))
    };
    ui.label(RichText::new(words).small().color(palette.weak));
    action
}

fn list_ui(ui: &mut Ui, board: &Board, now: WallMs) -> Option<Action> {
    let mut action = None;
    let position = board.position();
    let step = ROW + ui.spacing().item_spacing.y;
    let list = ScrollArea::vertical()
        .id_salt("conflicts")
        .auto_shrink(false);
    list.show_rows(ui, ROW, board.shown().len(), |ui, seen| {
        bring_into_view(ui, position, (seen.start, step));
        for at in seen {
            let row = &board.rows()[board.shown()[at]];
            if row_ui(ui, row, position == Some(at), now) {
                action = Some(Action::OpenConflict(row.id.clone()));
            }
        }
    });
    action
}

/// Scrolls to the open row if it is another than in the last frame; later scrolling by hand is left alone.
fn bring_into_view(ui: &Ui, position: Option<usize>, (first, step): (usize, f32)) {
    let id = ui.id().with("open row");
    let before = ui.data_mut(|data| data.get_temp::<Option<usize>>(id).flatten());
    if before == position {
        return;
    }
    ui.data_mut(|data| data.insert_temp(id, position));
    if let Some(position) = position {
        let mut row = ui.max_rect();
        row.min.y += (position as f32 - first as f32) * step;
        row.max.y = row.min.y + ROW;
        ui.scroll_to_rect(row, None);
    }
}

fn row_ui(ui: &mut Ui, row: &ConflictView, selected: bool, now: WallMs) -> bool {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let title = conflict_title(row);
    response
        .widget_info(|| WidgetInfo::selected(WidgetType::SelectableLabel, true, selected, &title));
    if !ui.is_rect_visible(rect) {
        return false;
    }
    let painter = ui.painter();
    let fill = if selected {
        palette.chosen
    } else {
        palette.card
    };
    painter.rect_filled(rect, 6.0, fill);
    if selected || response.hovered() || response.has_focus() {
        let stroke = egui::Stroke::new(1.2, palette.accent);
        painter.rect_stroke(rect, 6.0, stroke, egui::StrokeKind::Inside);
    }
    Icon::Warning.paint(
        painter,
        rect.left_center() + vec2(18.0, 0.0),
        15.0,
        palette.attention,
    );
    let newest = row.sides.iter().map(|side| side.ts).max();
    let age = newest
        .map(|then| Age::of(then, now).ago())
        .unwrap_or_default();
    let mut machines: Vec<&str> = row.sides.iter().map(|side| side.device.as_str()).collect();
    machines.dedup();
    let below = format!("{} - {} - {age}", row.entity_type, machines.join(" x "));
    text_line(ui, rect, 14.0, (&title, 14.0, palette.text));
    text_line(ui, rect, 33.0, (&below, 12.0, palette.weak));
    response.clicked()
}

fn text_line(
    ui: &Ui,
    rect: egui::Rect,
    down: f32,
    (words, size, color): (&str, f32, egui::Color32),
) {
    let format = egui::TextFormat::simple(egui::FontId::proportional(size), color);
    let mut job = egui::text::LayoutJob::single_section(words.to_owned(), format);
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width() - 46.0);
    let galley = ui.painter().layout_job(job);
    let from = egui::pos2(
        rect.left() + 36.0,
        rect.top() + down - galley.size().y / 2.0,
    );
    ui.painter().galley(from, galley, color);
}
