//! Signing in at the cloud: by a code that somebody approves elsewhere, or with a token that was handed over.

use egui::{Button, CollapsingHeader, Label, RichText, Ui};
use studiovault_protocol::time::WallMs;

use super::card::{aside_ui, entry_ui, main_button_ui, statement_ui};
use super::palette::Palette;
use super::qr::qr_ui;
use crate::action::{Action, Entry};
use crate::message::SignInCode;
use crate::model::{Model, SigningIn, Tone, moment_text};

/// Below this width the picture of the address stands below the words.
const WIDE: f32 = 520.0;

/// Both ways, or the one that is under way.
pub fn sign_in_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    match model.desk.signing_in() {
        None => ways_ui(ui, model),
        Some(SigningIn::Asking) => {
            statement_ui(ui, Tone::Waiting, "The cloud is asked for a code.");
            stop_ui(ui)
        }
        Some(SigningIn::Waiting(code)) => code_ui(ui, code, now),
    }
}

fn ways_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let signed_in = model
        .status
        .as_ref()
        .is_some_and(|status| status.cloud.authorised);
    let words = if signed_in {
        "Sign in anew by a code"
    } else {
        "Sign in by a code"
    };
    let ready = model.is_current();
    // Whoever is signed in has no need of it.
    let pressed = if signed_in {
        ui.add_enabled(ready, Button::new(words)).clicked()
    } else {
        main_button_ui(ui, words, ready).clicked()
    };
    aside_ui(
        ui,
        "Shows a code that somebody approves elsewhere: whoever hosts the cloud, or you at the studio's identity provider.",
    );
    let mut action = pressed.then_some(Action::SignInByCode);
    let typed = model.desk.text(&Entry::Token);
    let token = CollapsingHeader::new("With a token instead").id_salt("token");
    token.show(ui, |ui| {
        let written = entry_ui(ui, "New token", (Entry::Token, typed));
        action = action.take().or(written);
        let ready = !typed.trim().is_empty() && model.is_current();
        if main_button_ui(ui, "Sign in with this token", ready).clicked() {
            action = Some(Action::SignIn);
        }
        aside_ui(
            ui,
            "Whoever hosts the cloud gives tokens. It is kept on this machine only.",
        );
    });
    action
}

/// The code, where it is given, and until when.
fn code_ui(ui: &mut Ui, code: &SignInCode, now: WallMs) -> Option<Action> {
    let mut action = None;
    if ui.available_width() < WIDE {
        action = words_ui(ui, code, now);
        qr_ui(ui, &code.page);
        return action;
    }
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(ui.available_width() - 190.0);
            action = words_ui(ui, code, now);
        });
        qr_ui(ui, &code.page);
    });
    action
}

fn words_ui(ui: &mut Ui, code: &SignInCode, now: WallMs) -> Option<Action> {
    let palette = Palette::of(ui);
    let mut action = None;
    ui.label("Open this page, here or on a telephone:");
    ui.horizontal_wrapped(|ui| {
        ui.add(Label::new(RichText::new(&code.page).monospace()).wrap());
        // Nothing but a page of the web is opened, whatever the cloud says.
        let is_web = ["https://", "http://"]
            .iter()
            .any(|web| code.page.starts_with(web));
        if is_web && ui.small_button("Open").clicked() {
            action = Some(Action::Browse(code.page.clone()));
        }
        if ui.small_button("Copy").clicked() {
            ui.copy_text(code.page.clone());
        }
    });
    ui.add_space(4.0);
    ui.label("and give this code there, or do what the page says:");
    ui.horizontal_wrapped(|ui| {
        let text = RichText::new(&code.code).monospace().size(24.0);
        ui.label(text.color(palette.accent));
        let copy = ui.small_button("Copy the code");
        if copy.clicked() {
            ui.copy_text(code.code.clone());
        }
    });
    ui.add_space(4.0);
    let until = moment_text(code.until, now);
    let words = if code.until.0 > now.0 {
        format!("Waiting until somebody approves it. It stands until {until}.")
    } else {
        "The code has run out; the last word of the cloud is waited for.".to_owned()
    };
    statement_ui(ui, Tone::Waiting, &words);
    action.or(stop_ui(ui))
}

fn stop_ui(ui: &mut Ui) -> Option<Action> {
    let stop = ui.button("Stop signing in");
    stop.clicked().then_some(Action::DropSignIn)
}
