//! One machine: what it may do, whether it carries to the cloud first, and the ways out of the studio.
//!
//! What cannot be taken back is asked once more, in place, never in a window of its own.

use egui::{Button, Ui};
use studiovault_protocol::api::{MemberView, Status};
use studiovault_protocol::membership::{Role, Standing};

use super::card::{aside_ui, card_ui, statement_ui};
use crate::action::{Action, DeviceAction, Grave};
use crate::model::{Model, Tone, role_words};

/// The machine that is looked at.
pub fn device_ui(
    ui: &mut Ui,
    (model, status): (&Model, &Status),
    member: &MemberView,
) -> Option<Action> {
    let is_own = member.device == status.node.device;
    let may = model.is_admin() && model.is_current() && member.standing == Standing::Active;
    let mut action = None;
    card_ui(ui, &member.name, |ui| {
        if member.standing != Standing::Active {
            let words = format!(
                "It {}: what it wrote before stands.",
                member.standing.word()
            );
            statement_ui(ui, Tone::Attention, &words);
        }
        action = role_ui(ui, member, may);
        action = action.take().or(order_ui(ui, (status, member), may));
        ui.separator();
        action = action
            .take()
            .or(leave_ui(ui, (model, member), (is_own, may)));
        if !model.is_admin() {
            aside_ui(ui, "Only an admin's machine gives places and shuts out.");
        }
    });
    action
}

fn role_ui(ui: &mut Ui, member: &MemberView, may: bool) -> Option<Action> {
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        ui.label("Role");
        for role in [Role::Admin, Role::Member, Role::Guest] {
            let chosen = member.role == role;
            let button = Button::new(role_words(role)).selected(chosen);
            if ui.add_enabled(may && !chosen, button).clicked() {
                action = Some(Action::Device(DeviceAction::Role(member.device, role)));
            }
        }
    });
    aside_ui(
        ui,
        "An admin lets others in and sets rules, a member does the daily work, a guest reads.",
    );
    action
}

fn order_ui(ui: &mut Ui, (status, member): (&Status, &MemberView), may: bool) -> Option<Action> {
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        ui.label(format!("Priority {}", member.priority));
        for (words, by) in [("Lower", -1), ("Raise", 1)] {
            if ui.add_enabled(may, Button::new(words).small()).clicked() {
                let priority = member.priority.saturating_add(by);
                action = Some(Action::Device(DeviceAction::Priority(
                    member.device,
                    priority,
                )));
            }
        }
        aside_ui(
            ui,
            "Of edits made at the same time, that of the higher one is shown.",
        );
    });
    let mut others = status
        .members
        .iter()
        .filter(|other| other.device != member.device);
    let first = others.all(|other| other.gateway_preference < member.gateway_preference);
    ui.horizontal_wrapped(|ui| {
        let button = ui.add_enabled(may && !first, Button::new("Prefer as gateway"));
        if button.clicked() {
            action = Some(Action::Device(DeviceAction::Prefer(member.device)));
        }
        let words = if first {
            "It carries to the cloud first, whenever it is on."
        } else {
            "The preferred machine carries to the cloud whenever it is on."
        };
        aside_ui(ui, words);
    });
    action
}

/// The ways out: shut out, wait no more, take leave.
fn leave_ui(
    ui: &mut Ui,
    (model, member): (&Model, &MemberView),
    (is_own, may): (bool, bool),
) -> Option<Action> {
    let offers: &[(Grave, &str, &str)] = if is_own {
        &[(
            Grave::Retire,
            "Retire this machine",
            "It leaves the studio for good: it keeps what it holds and writes nothing more.",
        )]
    } else {
        &[
            (
                Grave::Revoke(member.device),
                "Shut out",
                "For a machine that is lost or not trusted. What it wrote and has not arrived by now is set aside.",
            ),
            (
                Grave::Lose(member.device),
                "Stop waiting for it",
                "For a machine that died: others no longer wait for what it took with it.",
            ),
        ]
    };
    let mut action = None;
    for (grave, words, explained) in offers {
        let allowed = model.is_current()
            && if is_own {
                member.standing == Standing::Active
            } else {
                may
            };
        if model.desk.asked() == Some(*grave) {
            statement_ui(
                ui,
                Tone::Attention,
                &format!("{explained} This cannot be taken back."),
            );
            ui.horizontal_wrapped(|ui| {
                let sure = format!("Yes: {} {}", words.to_lowercase(), member.name);
                if ui.add_enabled(allowed, Button::new(sure)).clicked() {
                    action = Some(Action::Device(DeviceAction::Confirm(*grave)));
                }
                if ui.button("No, leave it").clicked() {
                    action = Some(Action::Device(DeviceAction::Ask(None)));
                }
            });
        } else {
            let button = ui.add_enabled(allowed, Button::new(*words));
            if button.on_hover_text(*explained).clicked() {
                action = Some(Action::Device(DeviceAction::Ask(Some(*grave))));
            }
        }
    }
    action
}
