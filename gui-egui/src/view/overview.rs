//! The overview: the studio as a picture, and what of this machine's work is safe where.

use egui::{Layout, RichText, ScrollArea, Ui, Vec2, vec2};
use studiovault_protocol::api::{Copies, Status};
use studiovault_protocol::membership::Role;
use studiovault_protocol::time::WallMs;

use super::card::{aside_ui, card_ui, facts_ui, statement_ui};
use super::icon::Icon;
use super::mesh::{link_line, mesh_ui};
use super::palette::Palette;
use crate::action::{Action, DeviceAction};
use crate::model::{MeshGraph, Model, Tone, cloud_line, counted, mesh_graph, pending_facts};

/// Below this width the picture and the figures stand one above the other.
const TWO_COLUMNS: f32 = 760.0;
/// Width of the figures beside the picture.
const FIGURES: f32 = 320.0;

/// The panel.
pub fn overview_ui(ui: &mut Ui, (model, status): (&Model, &Status), now: WallMs) -> Option<Action> {
    if ui.available_width() < TWO_COLUMNS {
        let scrolled = ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let size = vec2(ui.available_width(), 340.0);
            let action = picture_ui(ui, status, now, size);
            ui.add_space(10.0);
            action.or(figures_ui(ui, (model, status), now))
        });
        return scrolled.inner;
    }
    let mut action = None;
    let whole = ui.available_size();
    ui.horizontal_top(|ui| {
        let size = vec2(whole.x - FIGURES - 12.0, whole.y);
        action = picture_ui(ui, status, now, size);
        ui.add_space(4.0);
        let column = vec2(ui.available_width(), whole.y);
        ui.allocate_ui_with_layout(column, Layout::top_down(egui::Align::Min), |ui| {
            let scroll = ScrollArea::vertical().auto_shrink(false);
            let pressed = scroll.show(ui, |ui| figures_ui(ui, (model, status), now));
            action = action.take().or(pressed.inner);
        });
    });
    action
}

fn picture_ui(ui: &mut Ui, status: &Status, now: WallMs, size: Vec2) -> Option<Action> {
    let layout = Layout::top_down(egui::Align::Min);
    let shown = ui.allocate_ui_with_layout(size, layout, |ui| {
        card_ui(ui, "", |ui| {
            let (tone, line) = cloud_line(status, now);
            statement_ui(ui, tone, &line);
            let graph = mesh_graph(status);
            // The legend below takes a line.
            let room = vec2(ui.available_width(), (size.y - 84.0).max(220.0));
            let action = mesh_ui(ui, &graph, room, now);
            legend_ui(ui, &graph);
            action
        })
    });
    shown.inner
}

fn legend_ui(ui: &mut Ui, graph: &MeshGraph) {
    let palette = Palette::of(ui);
    ui.horizontal_wrapped(|ui| {
        let small = |words: &str| RichText::new(words).small().color(palette.weak);
        for (live, words) in [(true, "linked now"), (false, "last seen")] {
            let (rect, _) = ui.allocate_exact_size(vec2(26.0, 12.0), egui::Sense::hover());
            link_line(ui, [rect.left_center(), rect.right_center()], live);
            ui.label(small(words));
            ui.add_space(8.0);
        }
        if graph.cloud.is_some() {
            Icon::Crown.ui(ui, 13.0, palette.waiting);
            ui.label(small("gateway to the cloud"));
        }
        if graph.left_out > 0 {
            ui.label(small(&format!(
                "and {} under Devices",
                counted(graph.left_out as u64, "more machine")
            )));
        }
    });
}

fn figures_ui(ui: &mut Ui, (model, status): (&Model, &Status), now: WallMs) -> Option<Action> {
    let node = &status.node;
    let mut action = None;
    card_ui(ui, &format!("This machine: {}", node.name), |ui| {
        copies_ui(ui, status.copies);
        ui.add_space(6.0);
        facts_ui(ui, &pending_facts(status, now));
        ui.add_space(6.0);
        let palette = Palette::of(ui);
        let weak = |words: String| RichText::new(words).small().color(palette.weak);
        ui.label(weak(format!("StudioVault {}", node.version)));
        if let Some(address) = reachable(&node.listening) {
            let all = node.listening.join("\n");
            ui.label(weak(format!("reached at {address}")))
                .on_hover_text(all);
        }
        let hash: String = status.state_hash.chars().take(12).collect();
        ui.label(weak(format!("state {hash}")))
            .on_hover_text("Machines that show the same state have applied the same changes.");
    });
    ui.add_space(10.0);
    if status.cloud.configured {
        card_ui(ui, "Gateway", |ui| action = gateway_ui(ui, model, status));
    }
    action
}

/// Who carries to the cloud, who is next, and the wish that it be this machine.
fn gateway_ui(ui: &mut Ui, model: &Model, status: &Status) -> Option<Action> {
    let own = status.node.device;
    let (tone, words) = match &status.gateway {
        Some(gateway) if gateway.device == own => (
            Tone::Good,
            format!("This machine carries to the cloud, term {}.", gateway.term),
        ),
        Some(gateway) => (
            Tone::Good,
            format!(
                "{} carries to the cloud, term {}.",
                gateway.name, gateway.term
            ),
        ),
        None => (
            Tone::Waiting,
            "No machine carries to the cloud now.".to_owned(),
        ),
    };
    statement_ui(ui, tone, &words);
    if let Some(next) = next_gateway(status) {
        aside_ui(ui, &format!("Next gateway: {next}"));
    }
    let mut others = status.members.iter().filter(|member| member.device != own);
    let mine = status.members.iter().find(|member| member.device == own);
    let wish = mine.map_or(0, |mine| mine.gateway_preference);
    let first = others.all(|other| other.gateway_preference < wish);
    if first || !model.is_admin() {
        return None;
    }
    let button = ui.add_enabled(model.is_current(), egui::Button::new("Prefer this machine"));
    let prefer = Action::Device(DeviceAction::Prefer(own));
    button.clicked().then_some(prefer)
}

/// The machine that is preferred of those that are reached and do not carry already.
fn next_gateway(status: &Status) -> Option<&str> {
    let gateway = status.gateway.as_ref()?.device;
    let others = status.members.iter().filter(|member| {
        let may = !matches!(member.role, Role::Cloud | Role::Guest);
        may && member.online && member.device != gateway
    });
    let next =
        others.max_by_key(|member| (member.gateway_preference, std::cmp::Reverse(member.device)));
    next.map(|member| member.name.as_str())
}

/// The first address that other machines can use, not loopback and not bound to one link.
pub(super) fn reachable(listening: &[String]) -> Option<&String> {
    let local = ["127.", "[::1]", "[fe80", "0.0.0.0", "[::]"];
    let elsewhere = |address: &&String| !local.iter().any(|start| address.starts_with(start));
    listening.iter().find(elsewhere)
}

/// The copies of the newest own change: one mark a machine, filled if it holds the change.
fn copies_ui(ui: &mut Ui, copies: Copies) {
    let palette = Palette::of(ui);
    let machines = copies.machines.max(1);
    let on = copies.on_machines_min.clamp(1, machines);
    let tone = if on == 1 && machines > 1 {
        Tone::Waiting
    } else {
        Tone::Good
    };
    statement_ui(
        ui,
        tone,
        &format!("Safe on {}", counted(u64::from(on), "machine")),
    );
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
        let room = (ui.available_width() - 60.0) / machines.min(24) as f32 - 4.0;
        let mark = room.clamp(3.0, 20.0);
        for machine in 0..machines.min(24) {
            let size = vec2(mark, 8.0);
            let (rect, _) = ui.allocate_exact_size(size, egui::Sense::hover());
            let painter = ui.painter();
            if machine < on {
                painter.rect_filled(rect, 3.0, palette.tone(tone));
            } else {
                let stroke = egui::Stroke::new(1.0, palette.weak);
                painter.rect_stroke(rect, 3.0, stroke, egui::StrokeKind::Inside);
            }
        }
        let words = format!("{on} of {machines}");
        ui.label(RichText::new(words).small().color(palette.weak));
    });
}
