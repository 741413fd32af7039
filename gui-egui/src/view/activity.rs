//! What happened on all machines: who, what, when, and where each change stands; and the history of one entity.

use egui::{ComboBox, Margin, Sense, TextEdit, Ui, WidgetInfo, WidgetType, pos2, vec2};
use studiovault_protocol::api::{ActivityRow, SyncState};
use studiovault_protocol::time::WallMs;

use super::card::{aside_ui, card_ui, statement_ui};
use super::conflicts::is_wanted;
use super::history::history_ui;
use super::icon::Icon;
use super::list::{ground_ui, line_ui, list_ui};
use super::palette::Palette;
use crate::action::{Action, ActivityAction, Entry};
use crate::model::{Activity, Model, Standing, Tone, changes_text, count, moment_text, op_words};

/// Height of a row of one line.
const LINE: f32 = 28.0;
/// Rows before the end at which older ones are asked for.
const AHEAD: usize = 60;

/// The panel.
pub fn activity_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let activity = &model.activity;
    let mut action = filter_ui(ui, model);
    action = action.or(tools_ui(ui, model));
    ui.add_space(2.0);
    if !activity.is_known() {
        ui.label("Looking at what happened.");
        return action;
    }
    if activity.shown().is_empty() && !activity.has_more() {
        card_ui(ui, "", |ui| {
            let words = if activity.rows().is_empty() {
                "Nothing was written yet."
            } else {
                "No change contains this."
            };
            statement_ui(ui, Tone::Quiet, words);
        });
        return action;
    }
    let whole = ui.available_size();
    match activity.opened() {
        Some(facts) => {
            let high = (whole.y * 0.45).max(120.0);
            let closed = egui::Panel::bottom("history")
                .resizable(true)
                .default_size(high)
                .frame(egui::Frame::new().inner_margin(Margin {
                    top: 8,
                    ..Margin::ZERO
                }))
                .show(ui, |ui| history_ui(ui, (model, facts), now));
            action
                .or(closed.inner)
                .or_else(|| rows_ui(ui, activity, now))
        }
        None => action.or_else(|| rows_ui(ui, activity, now)),
    }
}

fn filter_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let activity = &model.activity;
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        let mut text = activity.typed().to_owned();
        let field = TextEdit::singleline(&mut text)
            .margin(Margin::symmetric(8, 5))
            .desired_width(220.0)
            .hint_text("Filter: name, person, field, value");
        let field = ui.add(field);
        field.widget_info(|| WidgetInfo::labeled(WidgetType::TextEdit, true, "Filter"));
        if is_wanted(ui) {
            field.request_focus();
            activity.typed().clone_into(&mut text);
        }
        if text != activity.typed() {
            action = Some(Action::Write(Entry::ActivityFilter, text));
        }
        let of = activity.filter().device.clone();
        let shown = of.clone().unwrap_or("all machines".to_owned());
        let machines = ComboBox::from_id_salt("machine").selected_text(shown);
        let machines = machines.show_ui(ui, |ui| {
            if ui.selectable_label(of.is_none(), "all machines").clicked() {
                action = Some(Action::Activity(ActivityAction::Of(None)));
            }
            for member in model.machines() {
                let chosen = of.as_ref() == Some(&member.name);
                if ui.selectable_label(chosen, &member.name).clicked() {
                    let of = Some(member.name.clone());
                    action = Some(Action::Activity(ActivityAction::Of(of)));
                }
            }
        });
        let named = || WidgetInfo::labeled(WidgetType::ComboBox, true, "Machine");
        machines.response.widget_info(named);
        let standing = activity.filter().standing;
        if ui.selectable_label(standing.is_none(), "all").clicked() {
            action = Some(Action::Activity(ActivityAction::Standing(None)));
        }
        for one in Standing::ALL {
            let chosen = standing == Some(one);
            if ui.selectable_label(chosen, one.title()).clicked() {
                let standing = (!chosen).then_some(one);
                action = Some(Action::Activity(ActivityAction::Standing(standing)));
            }
        }
    });
    action
}

fn tools_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let activity = &model.activity;
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        for (words, hover, act) in [
            (
                "Export CSV",
                "Writes all rows of this filter into a file",
                ActivityAction::Export,
            ),
            (
                "Verify all",
                "Works every chain, signature and record out anew and compares",
                ActivityAction::Verify,
            ),
        ] {
            let button = ui.add_enabled(model.is_current(), egui::Button::new(words));
            if button.on_hover_text(hover).clicked() {
                action = Some(Action::Activity(act));
            }
        }
        let held = model
            .status
            .as_ref()
            .map_or(0, |status| status.counts.commands);
        let words = if activity.has_more() {
            format!(
                "{} shown, of {} held",
                count(activity.shown().len() as u64),
                count(held)
            )
        } else {
            format!("{} shown", count(activity.shown().len() as u64))
        };
        aside_ui(ui, &words);
        if let Some(found) = &model.verified {
            let words = format!(
                "checked: {} bundles, {} changes, {} pages, {} records, {} faults",
                count(found.bundles),
                count(found.commands),
                count(found.pages),
                count(found.entities),
                count(found.fault_count)
            );
            let tone = if found.fault_count == 0 {
                Tone::Good
            } else {
                Tone::Attention
            };
            statement_ui(ui, tone, &words);
        }
    });
    action
}

fn rows_ui(ui: &mut Ui, activity: &Activity, now: WallMs) -> Option<Action> {
    let mut action = None;
    let position = activity.position();
    let shown = activity.shown();
    list_ui(ui, "activity", (shown.len(), LINE, position), |ui, at| {
        let row = &activity.rows()[shown[at]];
        if row_ui(ui, row, (position == Some(at), now)) {
            let history = ActivityAction::History(row.entity, row.entity_type.clone());
            action = Some(Action::Activity(history));
        }
        if at + AHEAD > shown.len() && activity.has_more() && action.is_none() {
            action = Some(Action::Activity(ActivityAction::More));
        }
    });
    if shown.is_empty() && activity.has_more() {
        ui.label("Looking further back.");
        return Some(Action::Activity(ActivityAction::More));
    }
    action
}

fn row_ui(ui: &mut Ui, row: &ActivityRow, (selected, now): (bool, WallMs)) -> bool {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LINE), Sense::click());
    let when = moment_text(row.ts, now);
    let who = match row.actor.as_str() {
        // The system told no name.
        "unknown" => row.device.clone(),
        actor => format!("{actor} on {}", row.device),
    };
    let changes = changes_text(&row.fields);
    let voided = if row.voided { " (voided)" } else { "" };
    let what = format!(
        "{} {} \"{}\"{voided}",
        op_words(row.op),
        row.entity_type,
        row.label
    );
    let (tone, stands) = standing_words(row);
    response.widget_info(|| {
        let words = format!("{when}, {who}, {what}, {changes}, {stands}");
        WidgetInfo::selected(WidgetType::SelectableLabel, true, selected, words)
    });
    if !ui.is_rect_visible(rect) {
        return false;
    }
    ground_ui(
        ui,
        rect,
        (selected, response.hovered() || response.has_focus()),
    );
    let y = rect.center().y;
    let (left, width) = (rect.left() + 10.0, rect.width() - 20.0);
    // When, who, what, the changes, where it stands; in a narrow window the changes give way first.
    let shares = if width > 700.0 {
        [0.15, 0.19, 0.27, 0.22, 0.17]
    } else {
        [0.2, 0.24, 0.34, 0.0, 0.22]
    };
    let words = [&when, &who, &what, &changes, &stands];
    let mut x = left;
    for (at, (share, words)) in shares.into_iter().zip(words).enumerate() {
        let room = width * share;
        let (color, inset) = match at {
            2 => (palette.text, 0.0),
            4 => (palette.text, 18.0),
            _ => (palette.weak, 0.0),
        };
        if at == 4 {
            Icon::of(tone).paint(ui.painter(), pos2(x + 6.0, y), 12.0, palette.tone(tone));
        }
        if share > 0.0 {
            line_ui(
                ui,
                pos2(x + inset, y),
                room - 8.0 - inset,
                (words, 13.0, color),
            );
        }
        x += room;
    }
    response.clicked()
}

/// Where a change stands.
fn standing_words(row: &ActivityRow) -> (Tone, String) {
    let tone = match row.sync_state {
        SyncState::Confirmed => Tone::Good,
        SyncState::Rejected | SyncState::NeedsFixing => Tone::Attention,
        SyncState::SavedHere | SyncState::OnMachines { .. } | SyncState::WithGateway => {
            Tone::Waiting
        }
    };
    match &row.code {
        // Some of its fields stand and some do not.
        Some(code) if row.sync_state == SyncState::Confirmed => {
            (Tone::Waiting, format!("taken in part ({code})"))
        }
        Some(code) => (tone, format!("{} ({code})", row.sync_state)),
        None => (tone, row.sync_state.to_string()),
    }
}
