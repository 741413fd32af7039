//! The table of a case: a row for every field, with what stood before, a column for every machine, and what it will be.
//!
//! A cell is a button named by field, machine and value; the row that the keys speak to carries an edge.

use egui::text::LayoutJob;
use egui::{
    Align, Button, FontId, Frame, Layout, Margin, RichText, ScrollArea, Stroke, TextEdit,
    TextFormat, Ui, WidgetInfo, WidgetType, vec2,
};
use studiovault_protocol::api::ConflictView;

use super::card::aside_ui;
use super::case::{Open, standing};
use super::icon::Icon;
use super::palette::Palette;
use crate::action::{Action, CaseAction};
use crate::model::{
    CaseKind, Column, Draft, Merged, Tone, amount_to_type, field_text, merged, moment_text,
    side_in, typed_money,
};

/// Width of the names of the fields.
const NAMES: f32 = 84.0;
/// The least width of another column.
const LEAST: f32 = 92.0;

/// Remembers for which conflict a value is being written, to give its field the keyboard once.
const IN_WORK: &str = "value in work";

/// The widths and the columns of one table.
struct Grid<'a> {
    open: Open<'a>,
    columns: Vec<Column>,
    width: f32,
}

/// The table.
pub fn table_ui(ui: &mut Ui, open: Open<'_>) -> Option<Action> {
    if open.board().editing().is_none() {
        ui.data_mut(|data| data.remove::<String>(egui::Id::new(IN_WORK)));
    }
    let columns = open.case.columns(open.board().own());
    let gap = ui.spacing().item_spacing.x;
    let cells = columns.len() as f32 + 2.0;
    let room = ui.available_width() - NAMES - 14.0 - gap * (cells + 1.0);
    let grid = Grid {
        open,
        columns,
        width: (room / cells).max(LEAST),
    };
    let scroll = ScrollArea::horizontal()
        .id_salt("sides")
        .auto_shrink([false, true]);
    let shown = scroll.show(ui, |ui| {
        grid.headings_ui(ui);
        let mut action = None;
        for (at, row) in open.case.rows().iter().enumerate() {
            action = action.take().or(grid.row_ui(ui, at, row));
        }
        grid.merged_ui(ui);
        action
    });
    shown.inner
}

impl Grid<'_> {
    fn cell_ui<R>(&self, ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
        let layout = Layout::top_down(Align::Min);
        let size = vec2(self.width, 0.0);
        let shown = ui.allocate_ui_with_layout(size, layout, |ui| {
            ui.set_width(self.width);
            contents(ui)
        });
        shown.inner
    }

    fn name_ui(&self, ui: &mut Ui, words: RichText) {
        let layout = Layout::top_down(Align::Min);
        ui.allocate_ui_with_layout(vec2(NAMES, 0.0), layout, |ui| {
            ui.set_width(NAMES);
            ui.add_space(4.0);
            ui.add(egui::Label::new(words).wrap());
        });
    }

    fn headings_ui(&self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let weak = |words: String| RichText::new(words).small().color(palette.weak);
        ui.horizontal_top(|ui| {
            ui.add_space(7.0);
            self.name_ui(ui, weak(String::new()));
            self.cell_ui(ui, |ui| ui.label(weak("Base".to_owned())));
            for (at, column) in self.columns.iter().enumerate() {
                let whose = if column.is_own { "Mine" } else { "Theirs" };
                let words = format!("{} {whose}: {}", at + 1, column.device);
                self.cell_ui(ui, |ui| {
                    ui.add(egui::Label::new(weak(words).strong()).truncate());
                });
            }
            self.cell_ui(ui, |ui| ui.label(weak("Result".to_owned())));
        });
    }

    fn row_ui(&self, ui: &mut Ui, at: usize, row: &ConflictView) -> Option<Action> {
        let palette = Palette::of(ui);
        let current = self.open.board().cursor() == at && self.open.case.rows().len() > 1;
        let edge = if current {
            palette.accent
        } else {
            palette.card
        };
        let frame = Frame::new()
            .stroke(Stroke::new(1.0, edge))
            .corner_radius(6)
            .inner_margin(Margin::symmetric(6, 3));
        let mut action = None;
        frame.show(ui, |ui| {
            ui.horizontal_top(|ui| {
                let field = row.field.as_deref().unwrap_or_default();
                self.name_ui(ui, RichText::new(field).strong());
                let based = self.cell_ui(ui, |ui| self.base_ui(ui, row));
                action = action.take().or(based);
                for column in &self.columns {
                    let chosen = self.cell_ui(ui, |ui| self.side_ui(ui, row, column));
                    action = action.take().or(chosen);
                }
                let edited = self.cell_ui(ui, |ui| self.result_ui(ui, row));
                action = action.take().or(edited);
            });
        });
        action
    }

    fn base_ui(&self, ui: &mut Ui, row: &ConflictView) -> Option<Action> {
        let palette = Palette::of(ui);
        let field = row.field.as_deref().unwrap_or_default();
        if self.open.case.kind() == CaseKind::Name {
            ui.label(RichText::new("-").color(palette.weak));
            return None;
        }
        let Some(base) = &row.base else {
            ui.label(RichText::new("none").color(palette.weak));
            return None;
        };
        let value = field_text(field, base);
        let words = format!("Use the base of {field}: {value}");
        let job = two_lines(ui, (&value, "before"));
        self.choice_ui(ui, row, Draft::Base, (job, words))
    }

    fn side_ui(&self, ui: &mut Ui, row: &ConflictView, column: &Column) -> Option<Action> {
        let palette = Palette::of(ui);
        let Some(side) = side_in(row, column) else {
            ui.label(RichText::new("unchanged").color(palette.weak));
            return None;
        };
        let field = row.field.as_deref().unwrap_or_default();
        let value = field_text(field, &side.value);
        let mut below = moment_text(side.ts, self.open.now);
        // That nothing is decided yet is said once, below.
        let decided = standing(side, self.open.has_cloud());
        if let Some((_, words)) = decided.filter(|(tone, _)| *tone != Tone::Waiting) {
            below = format!("{below}, {words}");
        }
        if let Some(name) = &side.proposed {
            below = format!("{below}, called \"{name}\" until this is settled");
        }
        if side.dot == row.suggested {
            below += " (suggested)";
        }
        let words = match self.open.case.kind() {
            CaseKind::Name => format!("Let the one of {} keep the name", side.device),
            _ => format!("Use the {field} of {}: {value}", side.device),
        };
        let job = two_lines(ui, (&value, &below));
        self.choice_ui(ui, row, Draft::Side(side.dot.clone()), (job, words))
    }

    /// A cell that can be chosen.
    fn choice_ui(
        &self,
        ui: &mut Ui,
        row: &ConflictView,
        draft: Draft,
        (job, words): (LayoutJob, String),
    ) -> Option<Action> {
        let board = self.open.board();
        let chosen = board.drafted(&row.id) == Some(&draft);
        let enabled = !board.is_sending();
        let button = Button::new(job)
            .selected(chosen)
            .wrap()
            .min_size(vec2(self.width, 40.0));
        let response = ui.add_enabled(enabled, button);
        response.widget_info(|| WidgetInfo::selected(WidgetType::Button, enabled, chosen, &words));
        let id = row.id.clone();
        response
            .clicked()
            .then_some(Action::Case(CaseAction::Draft(id, draft)))
    }

    fn result_ui(&self, ui: &mut Ui, row: &ConflictView) -> Option<Action> {
        let palette = Palette::of(ui);
        let board = self.open.board();
        let field = row.field.as_deref().unwrap_or_default();
        if board.editing() == Some(row.id.as_str()) {
            return self.edit_ui(ui, row);
        }
        let drafted = board.drafted(&row.id);
        ui.horizontal_wrapped(|ui| match drafted {
            Some(draft) => {
                Icon::Check.ui(ui, 13.0, palette.good);
                ui.label(RichText::new(draft.words(row)).strong());
            }
            None => {
                Icon::Star.ui(ui, 13.0, palette.waiting);
                let shown = row.sides.iter().find(|side| side.dot == row.suggested);
                let value = shown.map(|side| field_text(field, &side.value));
                ui.label(RichText::new(value.unwrap_or_default()).color(palette.weak))
                    .on_hover_text("shown until this is settled");
            }
        });
        let name = self.open.case.kind() == CaseKind::Name;
        if name && row.sides.len() != 2 {
            return None;
        }
        let words = if name { "Rename the other one" } else { "Edit" };
        let button = ui.add_enabled(!board.is_sending(), Button::new(words).small());
        let label = format!("{words} {field}");
        button.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &label));
        button
            .on_hover_text("E")
            .clicked()
            .then(|| Action::Case(CaseAction::Edit(Some(row.id.clone()))))
    }

    fn edit_ui(&self, ui: &mut Ui, row: &ConflictView) -> Option<Action> {
        let board = self.open.board();
        let before = match board.drafted(&row.id) {
            Some(Draft::Value(text)) => text.clone(),
            _ => initial(row, self.open.case.kind()),
        };
        let mut text = before.clone();
        let field = TextEdit::singleline(&mut text)
            .id_salt(("own value", &row.id))
            .margin(Margin::symmetric(6, 4))
            .desired_width(self.width - 8.0);
        let response = ui.add(field);
        let name = row.field.as_deref().unwrap_or_default();
        let label = format!("Own value of {name}");
        response.widget_info(|| WidgetInfo::labeled(WidgetType::TextEdit, true, &label));
        if let Some(money) = typed_money((name, &text), None) {
            aside_ui(ui, &format!("= {money}"));
        }
        aside_ui(ui, "Enter takes it, Esc leaves");
        let id = row.id.clone();
        let first = ui.data_mut(|data| {
            let held = data.get_temp_mut_or_default::<String>(egui::Id::new(IN_WORK));
            (*held != id).then(|| held.clone_from(&id)).is_some()
        });
        if first {
            response.request_focus();
        }
        let over = !first && response.lost_focus();
        if over {
            ui.data_mut(|data| data.remove::<String>(egui::Id::new(IN_WORK)));
            if ui.input(|input| input.key_pressed(egui::Key::Enter)) {
                return Some(Action::Case(CaseAction::Take(id, text)));
            }
            return Some(Action::Case(CaseAction::Edit(None)));
        }
        (text != before).then_some(Action::Case(CaseAction::Draft(id, Draft::Value(text))))
    }

    /// Sets and sums that several machines changed: they ask nothing, both changes hold.
    fn merged_ui(&self, ui: &mut Ui) {
        let Some(facts) = self.open.facts() else {
            return;
        };
        let palette = Palette::of(ui);
        for Merged { field, changes } in merged(&facts.history, self.open.case, &self.columns) {
            ui.horizontal_top(|ui| {
                ui.add_space(7.0);
                self.name_ui(ui, RichText::new(&field).color(palette.weak));
                self.cell_ui(ui, |ui| ui.label(RichText::new("-").color(palette.weak)));
                for change in changes {
                    self.cell_ui(ui, |ui| ui.label(change));
                }
                let shown = facts.view.as_ref().and_then(|view| view.fields.get(&field));
                let shown = shown
                    .map(|value| field_text(&field, value))
                    .unwrap_or_default();
                self.cell_ui(ui, |ui| ui.label(format!("merged: {shown}")));
            });
        }
    }
}

/// What stands in the field before anything is typed.
fn initial(row: &ConflictView, kind: CaseKind) -> String {
    let field = row.field.as_deref().unwrap_or_default();
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => amount_to_type(field, other, None).unwrap_or_else(|| other.to_string()),
    };
    if kind == CaseKind::Name {
        let proposed = row.sides.iter().find_map(|side| side.proposed.clone());
        return proposed.unwrap_or_default();
    }
    let shown = row.sides.iter().find(|side| side.dot == row.suggested);
    shown.map(|side| plain(&side.value)).unwrap_or_default()
}

/// A value with what is known of it below.
fn two_lines(ui: &Ui, (value, below): (&str, &str)) -> LayoutJob {
    let palette = Palette::of(ui);
    let mut job = LayoutJob::default();
    let format = |size, color| TextFormat::simple(FontId::proportional(size), color);
    job.append(value, 0.0, format(14.5, palette.text));
    if !below.is_empty() {
        job.append(&format!("\n{below}"), 0.0, format(11.5, palette.weak));
    }
    job
}
