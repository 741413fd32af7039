//! The picture of the studio: machines, their links and the cloud, drawn with the painter.
//!
//! Every machine is a button with its state in its name, so that keys and screen readers reach what the lines show.

use egui::{
    Color32, FontId, Id, Rect, Response, Sense, Shape, Stroke, Ui, Vec2, WidgetInfo, WidgetType,
    pos2, vec2,
};
use studiovault_protocol::time::WallMs;

use super::icon::Icon;
use super::palette::Palette;
use crate::action::{Action, DeviceAction};
use crate::model::{Age, Link, MeshGraph, MeshNode, Place, count};

/// How large a machine is drawn.
const NODE: Vec2 = vec2(132.0, 46.0);

/// The picture; a click on a machine opens it among the devices.
pub fn mesh_ui(ui: &mut Ui, graph: &MeshGraph, size: Vec2, now: WallMs) -> Option<Action> {
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    // Crowded pictures get smaller machines.
    let scale = if graph.nodes.len() > 9 { 0.72 } else { 1.0 };
    let node_size = (NODE * scale).min(vec2(rect.width() / 3.2, NODE.y));
    let inner = rect.shrink2(vec2(node_size.x / 2.0, node_size.y / 2.0));
    let at = |place: Place| {
        pos2(
            inner.left() + inner.width() * place.x,
            inner.top() + inner.height() * place.y,
        )
    };
    let own = graph.nodes.first()?;
    for node in &graph.nodes[1..] {
        let path = [at(own.place), at(node.place)];
        link_line(ui, path, matches!(node.link, Link::Live { .. }));
    }
    if let Some(cloud) = graph.cloud {
        let carrier = graph.gateway();
        if let Some(gateway) = carrier {
            let live = !matches!(gateway.link, Link::LastSeen(_));
            cloud_line(ui, [at(gateway.place), at(cloud)], live);
        }
        cloud_ui(
            ui,
            Rect::from_center_size(at(cloud), vec2(110.0, 36.0)),
            carrier.is_some(),
        );
    }
    let mut action = None;
    for node in &graph.nodes {
        let place = Rect::from_center_size(at(node.place), node_size);
        if node_ui(ui, node, place, now).clicked() {
            action = Some(Action::Device(DeviceAction::Open(node.device)));
        }
    }
    action
}

/// A link: solid while it stands, dashed when it does not.
pub(super) fn link_line(ui: &Ui, path: [egui::Pos2; 2], live: bool) {
    let palette = Palette::of(ui);
    if live {
        ui.painter()
            .line_segment(path, Stroke::new(2.0, palette.good));
    } else {
        let stroke = Stroke::new(1.5, palette.weak);
        ui.painter()
            .extend(Shape::dashed_line(&path, stroke, 6.0, 6.0));
    }
}

/// The gateway's way to the cloud: a double line.
fn cloud_line(ui: &Ui, path: [egui::Pos2; 2], live: bool) {
    let aside = (path[1] - path[0]).normalized().rot90() * 2.5;
    for side in [aside, -aside] {
        link_line(ui, [path[0] + side, path[1] + side], live);
    }
}

fn cloud_ui(ui: &mut Ui, rect: Rect, carried: bool) {
    let palette = Palette::of(ui);
    let painter = ui.painter();
    painter.rect_filled(rect, 8.0, palette.card);
    let color = if carried {
        palette.accent
    } else {
        palette.weak
    };
    Icon::Cloud.paint(painter, rect.left_center() + vec2(20.0, 0.0), 24.0, color);
    let label = rect.left_center() + vec2(38.0, 0.0);
    let font = FontId::proportional(14.0);
    painter.text(
        label,
        egui::Align2::LEFT_CENTER,
        "Cloud truth",
        font,
        palette.text,
    );
    let response = ui.interact(rect, Id::new("cloud truth"), Sense::hover());
    let words = if carried {
        "Cloud truth, a gateway carries to it"
    } else {
        "Cloud truth, no gateway"
    };
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, words));
}

fn node_ui(ui: &mut Ui, node: &MeshNode, rect: Rect, now: WallMs) -> Response {
    let palette = Palette::of(ui);
    let response = ui.interact(rect, Id::new(("machine", node.device)), Sense::click());
    let state = state_words(node, now);
    let words = format!(
        "{}, {state}{}",
        node.name,
        if node.is_gateway { ", gateway" } else { "" }
    );
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &words));
    let (fill, edge) = match node.link {
        Link::Own => (palette.chosen, palette.accent),
        Link::Live { .. } => (palette.bar, palette.good),
        Link::LastSeen(_) => (palette.card, palette.weak),
    };
    let width = if response.hovered() || response.has_focus() {
        2.5
    } else {
        1.2
    };
    let painter = ui.painter();
    painter.rect_filled(rect, 8.0, fill);
    match node.link {
        Link::LastSeen(_) => {
            let corners = [
                rect.left_top(),
                rect.right_top(),
                rect.right_bottom(),
                rect.left_bottom(),
                rect.left_top(),
            ];
            painter.extend(Shape::dashed_line(
                &corners,
                Stroke::new(width, edge),
                5.0,
                4.0,
            ));
        }
        _ => {
            painter.rect_stroke(
                rect,
                8.0,
                Stroke::new(width, edge),
                egui::StrokeKind::Inside,
            );
        }
    }
    if node.is_gateway {
        Icon::Crown.paint(
            painter,
            rect.center_top() - vec2(0.0, 9.0),
            16.0,
            palette.waiting,
        );
    }
    let (name, below) = if rect.width() < 100.0 {
        (12.0, 10.5)
    } else {
        (14.0, 12.0)
    };
    let (above, under) = (vec2(0.0, -8.5), vec2(0.0, 9.5));
    text_in(ui, rect.translate(above), (&node.name, name, palette.text));
    text_in(ui, rect.translate(under), (&state, below, palette.weak));
    response.on_hover_text(words)
}

/// One line in the middle of a rectangle, cut if it is too long.
fn text_in(ui: &Ui, rect: Rect, (words, size, color): (&str, f32, Color32)) {
    let format = egui::TextFormat::simple(FontId::proportional(size), color);
    let mut job = egui::text::LayoutJob::single_section(words.to_owned(), format);
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width() - 12.0);
    let galley = ui.painter().layout_job(job);
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, color);
}

fn state_words(node: &MeshNode, now: WallMs) -> String {
    match node.link {
        Link::Own => "this machine".to_owned(),
        Link::Live {
            behind: 0,
            round_trip_ms: Some(ms),
        } => format!("linked, {ms} ms"),
        Link::Live {
            behind: 0,
            round_trip_ms: None,
        } => "linked".to_owned(),
        Link::Live { behind, .. } => format!("{} to fetch", count(behind)),
        Link::LastSeen(Some(then)) => format!("seen {}", Age::of(then, now).ago()),
        Link::LastSeen(None) => "never seen".to_owned(),
    }
}
