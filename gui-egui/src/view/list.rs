//! Lists that only draw what is in sight: rows of one height, the chosen one brought into view when it changes.
//!
//! A row is one choice to a screen reader, named by all it shows.

use egui::style::ScrollAnimation;
use egui::text::{LayoutJob, TextWrapping};
use egui::{
    Color32, FontId, Id, Rect, ScrollArea, Sense, Stroke, StrokeKind, TextFormat, Ui, WidgetInfo,
    WidgetType, pos2, vec2,
};

use super::icon::Icon;
use super::palette::Palette;

/// The height of a row with two lines.
pub const ROW: f32 = 46.0;

/// What a row shows.
pub struct Row<'a> {
    /// What it is, in an icon and its colour.
    pub icon: (Icon, Color32),
    /// The first line.
    pub title: &'a str,
    /// The second line.
    pub below: &'a str,
    /// It is the chosen one.
    pub selected: bool,
}

/// A list of `rows.0` rows of height `rows.1`, of which one may be chosen; draws what is in sight.
pub fn list_ui(
    ui: &mut Ui,
    id: &'static str,
    (count, height, chosen): (usize, f32, Option<usize>),
    mut row_ui: impl FnMut(&mut Ui, usize),
) {
    let step = height + ui.spacing().item_spacing.y;
    let list = ScrollArea::vertical().id_salt(id).auto_shrink(false);
    list.show_rows(ui, height, count, |ui, seen| {
        bring_into_view(ui, Id::new((id, "chosen")), (chosen, seen.start, step));
        for at in seen {
            row_ui(ui, at);
        }
    });
}

/// Scrolls to the chosen row if it is another than in the last frame; later scrolling by hand is left alone.
fn bring_into_view(ui: &Ui, id: Id, (chosen, first, step): (Option<usize>, usize, f32)) {
    let before = ui.data_mut(|data| data.get_temp::<Option<usize>>(id).flatten());
    if before == chosen {
        return;
    }
    ui.data_mut(|data| data.insert_temp(id, chosen));
    if let Some(chosen) = chosen {
        let mut row = ui.max_rect();
        row.min.y += (chosen as f32 - first as f32) * step;
        row.max.y = row.min.y + step;
        // At once: whoever steps through a list by keys looks at the next row already.
        ui.scroll_to_rect_animation(row, None, ScrollAnimation::none());
    }
}

/// A row of two lines; whether it was pressed.
pub fn two_lines_ui(ui: &mut Ui, row: &Row<'_>) -> bool {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| {
        WidgetInfo::selected(WidgetType::SelectableLabel, true, row.selected, row.title)
    });
    if !ui.is_rect_visible(rect) {
        return false;
    }
    ground_ui(
        ui,
        rect,
        (row.selected, response.hovered() || response.has_focus()),
    );
    let (icon, color) = row.icon;
    icon.paint(
        ui.painter(),
        rect.left_center() + vec2(18.0, 0.0),
        15.0,
        color,
    );
    let width = rect.width() - 46.0;
    line_ui(
        ui,
        pos2(rect.left() + 36.0, rect.top() + 14.0),
        width,
        (row.title, 14.0, palette.text),
    );
    line_ui(
        ui,
        pos2(rect.left() + 36.0, rect.top() + 33.0),
        width,
        (row.below, 12.0, palette.weak),
    );
    response.clicked()
}

/// What stands behind a row: more if it is chosen, an edge if it is pointed at.
pub fn ground_ui(ui: &Ui, rect: Rect, (selected, pointed): (bool, bool)) {
    let palette = Palette::of(ui);
    let fill = if selected {
        palette.chosen
    } else {
        palette.card
    };
    ui.painter().rect_filled(rect, 6.0, fill);
    if selected || pointed {
        let stroke = Stroke::new(1.2, palette.accent);
        ui.painter()
            .rect_stroke(rect, 6.0, stroke, StrokeKind::Inside);
    }
}

/// One line of text beginning at a point in the middle of its left edge, cut if it is too long.
pub fn line_ui(ui: &Ui, from: egui::Pos2, width: f32, (words, size, color): (&str, f32, Color32)) {
    let format = TextFormat::simple(FontId::proportional(size), color);
    let mut job = LayoutJob::single_section(words.to_owned(), format);
    job.wrap = TextWrapping::truncate_at_width(width.max(0.0));
    let galley = ui.painter().layout_job(job);
    let place = pos2(from.x, from.y - galley.size().y / 2.0);
    ui.painter().galley(place, galley, color);
}
