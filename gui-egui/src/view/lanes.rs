//! The swim-lane of a history, drawn with the painter: who wrote when, and what the cloud said to it.
//!
//! Every mark is named for screen readers and shows its words when it is pointed at.

use egui::{
    Color32, FontId, Id, Pos2, Rect, ScrollArea, Sense, Shape, Stroke, Ui, WidgetInfo, WidgetType,
    pos2, vec2,
};

use super::card::aside_ui;
use super::list::line_ui;
use super::palette::Palette;
use crate::model::{CLOUD, Lanes, MarkKind, counted};

/// Height of a lane.
const LANE: f32 = 34.0;
/// Width of the names.
const NAMES: f32 = 96.0;
/// The least width of a column.
const COLUMN: f32 = 46.0;

/// The picture.
pub fn lanes_ui(ui: &mut Ui, picture: &Lanes) {
    if picture.lanes.is_empty() {
        ui.label("Nothing was written yet.");
        return;
    }
    if picture.left_out > 0 {
        let words = format!("and {} before", counted(picture.left_out as u64, "change"));
        aside_ui(ui, &words);
    }
    let room = ui.available_width() - NAMES - 16.0;
    let column = (room / picture.columns.max(1) as f32).clamp(COLUMN, 110.0);
    let size = vec2(
        NAMES + column * picture.columns as f32 + 8.0,
        LANE * picture.lanes.len() as f32,
    );
    let scroll = ScrollArea::horizontal()
        .id_salt("lanes")
        .stick_to_right(true);
    scroll.show(ui, |ui| {
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        rails_ui(ui, rect, picture);
        let at = |lane: usize, place: usize| {
            pos2(
                rect.left() + NAMES + column * (place as f32 + 0.5),
                rect.top() + LANE * (lane as f32 + 0.5),
            )
        };
        verdicts_ui(ui, picture, &at);
        for (number, mark) in picture.marks.iter().enumerate() {
            let center = at(mark.lane, mark.column);
            mark_ui(ui, center, mark.kind);
            let area = Rect::from_center_size(center, vec2(24.0, 24.0));
            let response = ui.interact(area, Id::new(("mark", number)), Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &mark.words));
            response.on_hover_text(&mark.words);
        }
    });
}

fn rails_ui(ui: &Ui, rect: Rect, picture: &Lanes) {
    let palette = Palette::of(ui);
    for (at, name) in picture.lanes.iter().enumerate() {
        let y = rect.top() + LANE * (at as f32 + 0.5);
        let color = if name == CLOUD {
            palette.accent
        } else {
            palette.text
        };
        line_ui(ui, pos2(rect.left(), y), NAMES - 10.0, (name, 13.0, color));
        let rail = [pos2(rect.left() + NAMES, y), pos2(rect.right(), y)];
        ui.painter()
            .line_segment(rail, Stroke::new(1.0, palette.line));
    }
}

/// From each command down to what the cloud said.
fn verdicts_ui(ui: &Ui, picture: &Lanes, at: &impl Fn(usize, usize) -> Pos2) {
    let palette = Palette::of(ui);
    for pair in picture.marks.windows(2) {
        let verdict = matches!(pair[1].kind, MarkKind::Taken | MarkKind::Refused);
        if verdict && pair[0].column == pair[1].column {
            let path = [
                at(pair[0].lane, pair[0].column),
                at(pair[1].lane, pair[1].column),
            ];
            let stroke = Stroke::new(1.0, palette.line);
            ui.painter()
                .extend(Shape::dashed_line(&path, stroke, 3.0, 3.0));
        }
    }
}

fn mark_ui(ui: &Ui, center: Pos2, kind: MarkKind) {
    let palette = Palette::of(ui);
    let painter = ui.painter();
    let below = |words: &str, color: Color32| {
        let place = center + vec2(0.0, 8.0);
        let font = FontId::proportional(10.5);
        painter.text(place, egui::Align2::CENTER_TOP, words, font, color);
    };
    match kind {
        MarkKind::Write => {
            painter.circle_filled(center, 4.5, palette.card);
            painter.circle_stroke(center, 4.5, Stroke::new(1.6, palette.weak));
        }
        MarkKind::Mine | MarkKind::Theirs => {
            painter.circle_filled(center, 5.5, palette.attention);
            let words = if kind == MarkKind::Mine {
                "mine"
            } else {
                "theirs"
            };
            below(words, palette.attention);
        }
        MarkKind::Base => {
            painter.circle_filled(center, 5.0, palette.text);
            below("base", palette.weak);
        }
        MarkKind::Decision => {
            diamond(ui, center, palette.accent);
            below("decided", palette.accent);
        }
        MarkKind::Taken => diamond(ui, center, palette.good),
        MarkKind::Refused => {
            let stroke = Stroke::new(2.0, palette.attention);
            painter.line_segment([center + vec2(-4.5, -4.5), center + vec2(4.5, 4.5)], stroke);
            painter.line_segment([center + vec2(-4.5, 4.5), center + vec2(4.5, -4.5)], stroke);
        }
    }
}

fn diamond(ui: &Ui, center: Pos2, color: Color32) {
    let corners = [(0.0, -5.5), (5.5, 0.0), (0.0, 5.5), (-5.5, 0.0)];
    let corners = corners.map(|(x, y)| center + vec2(x, y)).to_vec();
    ui.painter()
        .add(Shape::convex_polygon(corners, color, Stroke::NONE));
}
