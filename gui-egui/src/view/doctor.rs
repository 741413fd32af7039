//! The doctor's page: what the node found amiss by itself, and a look at every stage from the adapter to the cloud's sign-in.

use egui::{Label, RichText, Ui, vec2};
use studiovault_protocol::api::{DoctorStage, DoctorView, Status};
use studiovault_protocol::time::WallMs;

use super::card::{aside_ui, card_ui, main_button_ui, statement_ui};
use super::icon::Icon;
use super::palette::Palette;
use crate::action::Action;
use crate::model::{Model, Tone, checkup_sentence, checkup_text, moment_text, outcome_words};

/// Width of a stage's name.
const NAME: f32 = 120.0;

/// The page.
pub fn doctor_ui(ui: &mut Ui, (model, status): (&Model, &Status), now: WallMs) -> Option<Action> {
    let checkup = model.desk.checkup();
    let mut action = None;
    card_ui(ui, "Doctor", |ui| {
        match checkup.view() {
            Some(view) => {
                let (tone, words) = checkup_sentence(view);
                statement_ui(ui, tone, &words);
            }
            None => aside_ui(
                ui,
                "Looks at every stage from this machine's adapter to the cloud's sign-in, and says which one fails and what to do.",
            ),
        }
        ui.horizontal_wrapped(|ui| {
            let ready = model.is_current() && !checkup.is_busy();
            if main_button_ui(ui, "Examine now", ready).clicked() {
                action = Some(Action::Examine);
            }
            if let Some(view) = checkup.view() {
                if ui.button("Copy as text").clicked() {
                    ui.copy_text(checkup_text(view));
                }
                aside_ui(ui, &format!("seen {}", moment_text(view.at, now)));
            }
            if checkup.is_busy() {
                statement_ui(
                    ui,
                    Tone::Waiting,
                    "It is looking; that takes a few seconds.",
                );
            }
        });
    });
    ui.add_space(10.0);
    findings_ui(ui, status);
    if let Some(view) = checkup.view() {
        ui.add_space(10.0);
        stages_ui(ui, view);
    }
    action
}

/// What the node found amiss, with the next step of each.
fn findings_ui(ui: &mut Ui, status: &Status) {
    card_ui(ui, "Findings", |ui| {
        if status.warnings.is_empty() {
            statement_ui(ui, Tone::Good, "The node noticed nothing amiss by itself.");
        }
        for warning in &status.warnings {
            let words = format!("{} {}", warning.sentence, warning.next_step);
            statement_ui(ui, Tone::Attention, &words);
        }
    });
}

fn stages_ui(ui: &mut Ui, view: &DoctorView) {
    card_ui(ui, "Stage by stage", |ui| {
        for stage in &view.stages {
            stage_ui(ui, stage);
        }
    });
}

fn stage_ui(ui: &mut Ui, stage: &DoctorStage) {
    let palette = Palette::of(ui);
    let (tone, word) = outcome_words(stage.outcome);
    ui.horizontal_top(|ui| {
        Icon::of(tone).ui(ui, 15.0, palette.tone(tone));
        let name = RichText::new(stage.stage.word()).strong();
        cell_ui(ui, NAME, name);
        let word = RichText::new(word).color(palette.tone(tone));
        cell_ui(ui, 64.0, word);
        ui.vertical(|ui| {
            let evidence = RichText::new(&stage.evidence).color(palette.weak);
            ui.add(Label::new(evidence).wrap());
            if let Some(next_step) = &stage.next_step {
                ui.add(Label::new(format!("To do: {next_step}")).wrap());
            }
        });
    });
}

/// Text in a column of its own.
fn cell_ui(ui: &mut Ui, width: f32, text: RichText) {
    let layout = egui::Layout::left_to_right(egui::Align::Min);
    ui.allocate_ui_with_layout(vec2(width, 20.0), layout, |ui| {
        ui.set_min_width(width);
        ui.label(text);
    });
}
