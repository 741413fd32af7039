//! Why a record is not everywhere: machine by machine, and the cloud, in the node's own words.

use egui::{Label, RichText, Ui};
use studiovault_protocol::api::{CloudReason, WhyCloud, WhyView};
use studiovault_protocol::time::WallMs;

use super::card::aside_ui;
use super::icon::Icon;
use super::palette::Palette;
use crate::model::{Tone, moment_text};

/// Who holds it, and of each that does not, why.
pub fn why_ui(ui: &mut Ui, view: &WhyView, now: WallMs) {
    let on = format!(
        "On {} of {} machines, as of {}.",
        view.on,
        view.of,
        moment_text(view.at, now)
    );
    aside_ui(ui, &on);
    for machine in &view.machines {
        let tone = if machine.holds {
            Tone::Good
        } else {
            Tone::Waiting
        };
        line_ui(
            ui,
            tone,
            (&machine.name, &machine.sentence),
            &machine.next_step,
        );
    }
    let cloud = &view.cloud;
    line_ui(
        ui,
        cloud_tone(cloud),
        ("cloud", &cloud.sentence),
        &cloud.next_step,
    );
}

fn cloud_tone(cloud: &WhyCloud) -> Tone {
    match cloud.reason {
        CloudReason::Confirmed => Tone::Good,
        CloudReason::NoCloud => Tone::Quiet,
        CloudReason::Rejected { .. } | CloudReason::Stuck { .. } | CloudReason::SetAside => {
            Tone::Attention
        }
        _ => Tone::Waiting,
    }
}

fn line_ui(ui: &mut Ui, tone: Tone, (who, sentence): (&str, &str), next_step: &Option<String>) {
    let palette = Palette::of(ui);
    ui.horizontal_top(|ui| {
        Icon::of(tone).ui(ui, 15.0, palette.tone(tone));
        ui.label(RichText::new(who).strong());
        ui.vertical(|ui| {
            ui.add(Label::new(sentence).wrap());
            if let Some(next_step) = next_step {
                aside_ui(ui, &format!("To do: {next_step}"));
            }
        });
    });
}
