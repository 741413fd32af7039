//! Letting a machine in: the code that is shown here, and the two words that are read out there and typed here.

use egui::{Button, RichText, Ui};
use studiovault_protocol::api::{InviteState, InviteView};
use studiovault_protocol::membership::Role;

use super::card::{aside_ui, card_ui, entry_ui, main_button_ui, statement_ui};
use super::palette::Palette;
use crate::action::{Action, DeviceAction, Entry};
use crate::model::{Model, Tone, role_words};

/// The invite of this machine.
pub fn pairing_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let mut action = None;
    card_ui(ui, "Let a machine in", |ui| {
        action = match model.desk.invite() {
            Some(invite) => invite_ui(ui, model, invite),
            None => offer_ui(ui, model),
        };
    });
    action
}

fn offer_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let mut action = None;
    ui.label("Shows a code for two minutes. It is typed on the new machine; then two words are read out there and typed here.");
    let may = model.is_admin() && model.is_current();
    ui.horizontal_wrapped(|ui| {
        for role in [Role::Member, Role::Guest, Role::Admin] {
            let button = Button::new(format!("Invite as {}", role_words(role)));
            if ui.add_enabled(may, button).clicked() {
                action = Some(Action::Device(DeviceAction::Invite(role)));
            }
        }
    });
    if !model.is_admin() {
        aside_ui(ui, "Only an admin's machine can let others in.");
    }
    action
}

fn invite_ui(ui: &mut Ui, model: &Model, invite: &InviteView) -> Option<Action> {
    let palette = Palette::of(ui);
    let who = invite.applicant.as_deref().unwrap_or("A machine");
    let mut action = None;
    if let Some(last) = &invite.last {
        statement_ui(ui, Tone::Waiting, last);
    }
    match invite.state {
        InviteState::Open => {
            ui.label("Type this code on the new machine:");
            let code = invite.code.as_deref().unwrap_or_default();
            ui.horizontal_wrapped(|ui| {
                let text = RichText::new(code).monospace().size(24.0);
                ui.label(text.color(palette.accent));
                if ui.small_button("Copy").clicked() {
                    ui.copy_text(code.to_owned());
                }
            });
            let left = invite.left_ms / 10_000 * 10;
            aside_ui(
                ui,
                &format!(
                    "It stands for {left} s more. If the new machine does not find this one, give it this machine's address and port {}.",
                    invite.port
                ),
            );
        }
        InviteState::Checking => {
            let words = format!(
                "{who} knows the code and shows two words. Have them read out, and type them here."
            );
            statement_ui(ui, Tone::Waiting, &words);
            let typed = model.desk.text(&Entry::Words);
            action = entry_ui(ui, "The two words", (Entry::Words, typed));
            let ready = !typed.trim().is_empty();
            if main_button_ui(ui, "Let it in", ready).clicked() {
                action = Some(Action::Device(DeviceAction::SayWords));
            }
        }
        InviteState::Admitted => {
            let words = format!("{who} is a machine of the studio now.");
            statement_ui(ui, Tone::Good, &words);
        }
        InviteState::Expired => statement_ui(ui, Tone::Quiet, "The code has expired."),
        InviteState::Missed => {
            statement_ui(
                ui,
                Tone::Attention,
                "That was the third miss: the invite is closed.",
            );
        }
        InviteState::Withdrawn => statement_ui(ui, Tone::Quiet, "The invite was taken back."),
    }
    ui.add_space(4.0);
    let under_way = matches!(invite.state, InviteState::Open | InviteState::Checking);
    if !under_way {
        return action.or(offer_ui(ui, model));
    }
    let withdraw = ui.button("Take the invite back");
    action.or(withdraw
        .clicked()
        .then_some(Action::Device(DeviceAction::Withdraw)))
}
