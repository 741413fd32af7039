//! Icons drawn by hand, so that none depends on what a font happens to hold.
//!
//! They are decoration: the words beside them say the same, and that is what a screen reader finds.

use std::f32::consts::TAU;

use egui::{Color32, Painter, Pos2, Rect, Sense, Shape, Stroke, Ui, Vec2, pos2, vec2};

use crate::model::Tone;

/// What is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icon {
    /// All is well.
    Check,
    /// Waits by itself.
    Clock,
    /// A person should look.
    Warning,
    /// Neither good nor bad.
    Dot,
    /// A link stands.
    Live,
    /// None does.
    Away,
    /// The gateway.
    Crown,
    /// The cloud truth.
    Cloud,
    /// The suggested side.
    Star,
}

impl Icon {
    /// The one for how a statement is meant.
    pub fn of(tone: Tone) -> Self {
        match tone {
            Tone::Good => Self::Check,
            Tone::Waiting => Self::Clock,
            Tone::Attention => Self::Warning,
            Tone::Quiet => Self::Dot,
        }
    }

    /// Draws it around a point.
    pub fn paint(self, painter: &Painter, center: Pos2, size: f32, color: Color32) {
        let at = |x: f32, y: f32| center + vec2(x, y) * (size / 2.0);
        let stroke = Stroke::new((size / 8.0).max(1.3), color);
        match self {
            Self::Check => {
                painter.circle_stroke(center, size / 2.0 - 0.5, stroke);
                painter.line(
                    vec![at(-0.45, 0.02), at(-0.1, 0.38), at(0.48, -0.32)],
                    stroke,
                );
            }
            Self::Clock => {
                painter.circle_stroke(center, size / 2.0 - 0.5, stroke);
                painter.line(vec![at(0.0, -0.55), at(0.0, 0.05), at(0.4, 0.25)], stroke);
            }
            Self::Warning => {
                let corners = vec![at(0.0, -0.95), at(1.0, 0.85), at(-1.0, 0.85)];
                painter.add(Shape::closed_line(corners, stroke));
                painter.line_segment([at(0.0, -0.35), at(0.0, 0.3)], stroke);
                painter.circle_filled(at(0.0, 0.58), stroke.width * 0.6, color);
            }
            Self::Dot => {
                painter.circle_filled(center, size / 6.0, color);
            }
            Self::Live => {
                painter.circle_filled(center, size / 3.0, color);
            }
            Self::Away => {
                painter.circle_stroke(center, size / 3.0, stroke);
            }
            Self::Crown => paint_crown(painter, at, color),
            Self::Cloud => paint_cloud(painter, at, size, color),
            Self::Star => paint_star(painter, center, size, color),
        }
    }

    /// Draws it in the line of text.
    pub fn ui(self, ui: &mut Ui, size: f32, color: Color32) {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(size), Sense::hover());
        self.paint(ui.painter(), rect.center(), size, color);
    }
}

fn paint_crown(painter: &Painter, at: impl Fn(f32, f32) -> Pos2, color: Color32) {
    // Three triangles on a band: convex parts, since a filled outline has to be convex.
    for (tip, left, right) in [(-0.95, -0.9, -0.1), (0.0, -0.55, 0.55), (0.95, 0.1, 0.9)] {
        let height = if tip == 0.0 { -0.85 } else { -0.6 };
        let corners = vec![at(tip, height), at(right, 0.45), at(left, 0.45)];
        painter.add(Shape::convex_polygon(corners, color, Stroke::NONE));
    }
    let band = Rect::from_two_pos(at(-0.9, 0.4), at(0.9, 0.8));
    painter.rect_filled(band, 1.0, color);
}

fn paint_cloud(painter: &Painter, at: impl Fn(f32, f32) -> Pos2, size: f32, color: Color32) {
    for (x, y, radius) in [(-0.5, 0.2, 0.21), (0.0, -0.15, 0.3), (0.5, 0.15, 0.24)] {
        painter.circle_filled(at(x, y), radius * size, color);
    }
    let base = Rect::from_two_pos(at(-0.55, 0.1), at(0.55, 0.62));
    painter.rect_filled(base, size * 0.1, color);
}

fn paint_star(painter: &Painter, center: Pos2, size: f32, color: Color32) {
    let point = |turn: f32, reach: f32| {
        let angle = turn * TAU / 10.0 - TAU / 4.0;
        pos2(
            center.x + angle.cos() * reach * size / 2.0,
            center.y + angle.sin() * reach * size / 2.0,
        )
    };
    for ray in 0..5 {
        let turn = ray as f32 * 2.0;
        let corners = vec![
            center,
            point(turn - 1.0, 0.45),
            point(turn, 1.0),
            point(turn + 1.0, 0.45),
        ];
        painter.add(Shape::convex_polygon(corners, color, Stroke::NONE));
    }
}
