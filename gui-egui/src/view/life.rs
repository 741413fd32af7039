//! A case about a life: who deleted, who edited what, and the three ways on.

use egui::{Button, RichText, Ui};
use studiovault_protocol::command::Op;

use super::card::{aside_ui, statement_ui};
use super::case::{Open, standing};
use super::palette::Palette;
use crate::action::{Action, CaseAction};
use crate::model::{Draft, Tone, changes_text, copy_as_new, moment_text, op_words};

/// Sides and offers.
pub fn life_ui(ui: &mut Ui, open: Open<'_>) -> Option<Action> {
    sides_ui(ui, open);
    ui.add_space(6.0);
    let row = open.case.head();
    let drafted = open.board().drafted(&row.id);
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        for (at, (draft, words)) in offers(open).into_iter().enumerate() {
            let chosen = drafted == Some(&draft);
            let button = Button::new(words).selected(chosen);
            let enabled = !open.board().is_sending();
            let key = format!("Key {}", at + 1);
            if ui.add_enabled(enabled, button).on_hover_text(key).clicked() {
                let id = row.id.clone();
                action = Some(Action::Case(CaseAction::Draft(id, draft)));
            }
        }
    });
    if let Some(draft) = drafted {
        aside_ui(ui, &format!("It will be {} everywhere.", draft.words(row)));
    }
    action
}

/// The ways on, in the order of their keys. The copy needs the content, which comes with the facts.
pub fn offers(open: Open<'_>) -> Vec<(Draft, &'static str)> {
    let mut offers = vec![
        (Draft::Restore, "Restore with the edits"),
        (Draft::AcceptDelete, "Accept the deletion"),
    ];
    if let Some(view) = open.facts().and_then(|facts| facts.view.as_ref()) {
        let rules = open.model.rules.policy.entity_type(&view.entity_type);
        let copy = Draft::CopyAsNew(Box::new(copy_as_new(view, rules)));
        offers.push((copy, "Copy my edits as new"));
    }
    offers
}

fn sides_ui(ui: &mut Ui, open: Open<'_>) {
    let palette = Palette::of(ui);
    for side in &open.case.head().sides {
        let history = open.facts().map(|facts| &facts.history.rows);
        let entry = history.and_then(|rows| rows.iter().find(|row| row.dot == side.dot));
        let did = match entry {
            Some(row) if row.op == Op::Delete => "deleted it".to_owned(),
            Some(row) => format!("{} {}", op_words(row.op), changes_text(&row.fields)),
            None => "wrote".to_owned(),
        };
        ui.horizontal_wrapped(|ui| {
            let who = if side.device == open.board().own() {
                format!("{} (this machine)", side.device)
            } else {
                side.device.clone()
            };
            ui.label(RichText::new(who).strong());
            ui.label(did);
            let when = moment_text(side.ts, open.now);
            ui.label(RichText::new(when).color(palette.weak));
        });
        if let Some((tone, words)) = standing(side, open.has_cloud())
            && tone != Tone::Waiting
        {
            statement_ui(ui, tone, words);
        }
    }
}
