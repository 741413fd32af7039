//! The cloud and its sign-in, the policy in force, and how the window looks.

use egui::{RichText, ScrollArea, Ui};
use studiovault_protocol::api::Status;
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::time::WallMs;

use super::card::{aside_ui, card_ui, statement_ui};
use super::palette::Palette;
use super::sign_in::sign_in_ui;
use crate::action::Action;
use crate::message::Theme;
use crate::model::{Model, Tone, cloud_line, counted, moment_text};

/// The sizes to choose from, in percent.
const SCALES: [u16; 5] = [100, 125, 150, 175, 200];

/// The panel.
pub fn settings_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let status = model.status.as_ref()?;
    let scroll = ScrollArea::vertical()
        .id_salt("settings")
        .auto_shrink(false);
    let shown = scroll.show(ui, |ui| {
        let mut action = cloud_ui(ui, (model, status), now);
        ui.add_space(10.0);
        action = action.or(look_ui(ui, model));
        ui.add_space(10.0);
        policy_ui(ui, model, now);
        ui.add_space(10.0);
        about_ui(ui, status, now);
        action
    });
    shown.inner
}

fn cloud_ui(ui: &mut Ui, (model, status): (&Model, &Status), now: WallMs) -> Option<Action> {
    let cloud = &status.cloud;
    let mut action = None;
    card_ui(ui, "Cloud truth", |ui| {
        let (tone, line) = cloud_line(status, now);
        statement_ui(ui, tone, &line);
        if !cloud.configured {
            aside_ui(
                ui,
                "The studio works for good without one. An admin gives it one with `studiovault enrol`.",
            );
            return;
        }
        if model.desk.signing_in().is_some() {
            action = sign_in_ui(ui, model, now);
            return;
        }
        if let Some(url) = &cloud.url {
            aside_ui(ui, url);
        }
        if let Some(problem) = &cloud.problem {
            statement_ui(ui, Tone::Waiting, problem);
        }
        if cloud.problem_kind == Some(FaultKind::ShutOut) {
            return;
        }
        let signed = match (cloud.reachable, cloud.authorised) {
            (_, true) => (
                Tone::Good,
                "Signed in: the cloud takes this studio's token.",
            ),
            (true, false) => (
                Tone::Attention,
                "Not signed in: the cloud refuses the token. Sign in again.",
            ),
            (false, false) => (
                Tone::Waiting,
                "Whether the token is taken shows once the cloud is reached.",
            ),
        };
        statement_ui(ui, signed.0, signed.1);
        ui.add_space(4.0);
        action = sign_in_ui(ui, model, now);
    });
    action
}

fn look_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let wanted = model.preferences;
    let mut action = None;
    card_ui(ui, "This window", |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label("Colours");
            for (theme, words) in [
                (Theme::System, "as the desktop"),
                (Theme::Light, "light"),
                (Theme::Dark, "dark"),
            ] {
                if ui.selectable_label(wanted.theme == theme, words).clicked() {
                    action = Some(Action::Theme(theme));
                }
            }
        });
        ui.horizontal_wrapped(|ui| {
            ui.label("Size");
            for scale in SCALES {
                let chosen = wanted.scale == scale || wanted.scale == 0 && scale == 100;
                if ui.selectable_label(chosen, format!("{scale} %")).clicked() {
                    action = Some(Action::Scale(scale));
                }
            }
        });
        let mut tell = !wanted.quiet;
        let words = "Say on the desktop when a conflict or a change to fix of this machine appears";
        if ui.checkbox(&mut tell, words).changed() {
            action = Some(Action::Quiet(!tell));
        }
        let mut sign = !wanted.hide_tray;
        let words = "Show what waits in the tray, where the desktop has one";
        if ui.checkbox(&mut sign, words).changed() {
            action = Some(Action::HideTray(!sign));
        }
        aside_ui(
            ui,
            "Dates, numbers and amounts are written as the system writes them.",
        );
    });
    action
}

fn policy_ui(ui: &mut Ui, model: &Model, now: WallMs) {
    let Some(view) = &model.rules.view else {
        return;
    };
    card_ui(ui, "Policy", |ui| {
        let who = match &view.name.signed {
            Some(by) => format!("signed on {} {}", by.name, moment_text(by.at, now)),
            None => "as it comes with the program".to_owned(),
        };
        let types = counted(model.rules.policy.types().len() as u64, "type");
        ui.label(format!("Version {}, {types}, {who}.", view.name.version));
        let hash: String = view.name.hash.chars().take(12).collect();
        aside_ui(
            ui,
            &format!("Machines with the same policy show the same mark: {hash}"),
        );
        if !view.beside.is_empty() {
            let beside = counted(view.beside.len() as u64, "other document");
            aside_ui(ui, &format!("{beside} held beside it."));
        }
        ui.collapsing("The document", |ui| {
            let scroll = ScrollArea::both().id_salt("document").max_height(260.0);
            scroll.show(ui, |ui| {
                ui.label(RichText::new(&view.document).monospace());
            });
        });
        aside_ui(
            ui,
            "An admin sets a next version with `studiovault policy set FILE`.",
        );
    });
}

fn about_ui(ui: &mut Ui, status: &Status, now: WallMs) {
    let palette = Palette::of(ui);
    let node = &status.node;
    card_ui(ui, "This machine", |ui| {
        for line in [
            format!("{} of {}", node.name, node.studio_name),
            format!(
                "StudioVault {}, running since {}",
                node.version,
                moment_text(node.started, now)
            ),
            format!(
                "Days are counted in {}, amounts in {}",
                node.time_zone, node.currency
            ),
            "It sends nothing to anybody but the studio's own machines and its cloud.".to_owned(),
        ] {
            ui.label(RichText::new(line).color(palette.weak));
        }
    });
}
