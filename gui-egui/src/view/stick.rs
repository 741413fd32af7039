//! Packs for a USB stick: made here, or taken in, with how far it is.

use egui::{Button, Checkbox, ComboBox, ProgressBar, Ui, WidgetInfo, WidgetType};
use studiovault_protocol::membership::Standing;

use super::card::{aside_ui, card_ui, entry_ui, main_button_ui, statement_ui};
use crate::action::{Action, Entry, StickAction};
use crate::message::PackOrder;
use crate::model::{Model, Tone, UnderWay, count};

/// Both ways.
pub fn stick_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    if let Some(under_way) = model.desk.stick().under_way() {
        return under_way_ui(ui, under_way);
    }
    let mut action = None;
    card_ui(ui, "Carry the studio on a USB stick", |ui| {
        aside_ui(
            ui,
            "For machines that no network joins. A pack is sealed to the studio: whoever finds the stick reads nothing.",
        );
        ui.add_space(4.0);
        action = make_ui(ui, model);
    });
    ui.add_space(10.0);
    card_ui(ui, "Take a pack in", |ui| {
        action = action.take().or(take_ui(ui, model));
    });
    action
}

fn make_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let stick = model.desk.stick();
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        ui.label("It holds");
        let everything = "all that this machine holds";
        let chosen = stick.lacking_at().map(|name| format!("what {name} lacks"));
        let shown = chosen.unwrap_or(everything.to_owned());
        let machines = ComboBox::from_id_salt("pack for").selected_text(shown);
        let machines = machines.show_ui(ui, |ui| {
            let all = stick.lacking_at().is_none();
            if ui.selectable_label(all, everything).clicked() {
                action = Some(Action::Stick(StickAction::LackingAt(None)));
            }
            for member in others(model) {
                let chosen = stick.lacking_at() == Some(member);
                let words = format!("what {member} lacks");
                if ui.selectable_label(chosen, words).clicked() {
                    let name = Some(member.to_owned());
                    action = Some(Action::Stick(StickAction::LackingAt(name)));
                }
            }
        });
        let named = || WidgetInfo::labeled(WidgetType::ComboBox, true, "What it holds");
        machines.response.widget_info(named);
    });
    let written = entry_ui(
        ui,
        "File, or folder of the stick",
        (Entry::PackTo, stick.to()),
    );
    action = action.or(written);
    ui.horizontal_wrapped(|ui| {
        for place in stick.found() {
            if ui
                .button(place)
                .on_hover_text("A stick that is in")
                .clicked()
            {
                let onto = StickAction::Onto(place.clone());
                action = Some(Action::Stick(onto));
            }
        }
    });
    let mut replace = stick.replaces();
    let words = "Replace the file if it is there";
    if ui.add(Checkbox::new(&mut replace, words)).changed() {
        action = Some(Action::Stick(StickAction::Replace(replace)));
    }
    if main_button_ui(ui, "Make the pack", model.is_current()).clicked() {
        action = Some(Action::Stick(StickAction::Make));
    }
    action
}

fn take_ui(ui: &mut Ui, model: &Model) -> Option<Action> {
    let stick = model.desk.stick();
    let label = "The pack's file; it can be dropped on the window";
    let mut action = entry_ui(ui, label, (Entry::PackFrom, stick.from()));
    if main_button_ui(ui, "Take it in", model.is_current()).clicked() {
        action = Some(Action::Stick(StickAction::Take));
    }
    aside_ui(
        ui,
        "Everything in it is checked as if it came over the network. What is held already changes nothing, so it may be taken in again.",
    );
    action
}

fn under_way_ui(ui: &mut Ui, under_way: &UnderWay) -> Option<Action> {
    let (heading, file, unit) = match &under_way.order {
        PackOrder::Make { file, .. } => ("A pack is being made", file, "transactions and pages"),
        PackOrder::Take { file } => ("A pack is being taken in", file, "bytes"),
    };
    let mut action = None;
    card_ui(ui, heading, |ui| {
        aside_ui(ui, file);
        let (done, of) = (under_way.carried.done, under_way.carried.of);
        let words = match of {
            0 => "It is being looked at.".to_owned(),
            of => format!("{} of {} {unit}", count(done), count(of)),
        };
        statement_ui(ui, Tone::Waiting, &words);
        let share = if of == 0 {
            0.0
        } else {
            done as f32 / of as f32
        };
        ui.add(
            ProgressBar::new(share)
                .desired_width(360.0)
                .desired_height(10.0),
        );
        ui.add_space(4.0);
        if ui.add(Button::new("Stop it")).clicked() {
            action = Some(Action::Stick(StickAction::Stop));
        }
        aside_ui(ui, "Work goes on meanwhile.");
    });
    action
}

/// The other machines that belong, by name.
fn others(model: &Model) -> impl Iterator<Item = &str> {
    let own = model.status.as_ref().map(|status| status.node.device);
    let members = model.machines().into_iter();
    members
        .filter(move |member| Some(member.device) != own && member.standing == Standing::Active)
        .map(|member| member.name.as_str())
}
