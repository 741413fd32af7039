//! The machines of the studio: who is linked, how far apart they are, and this machine's own place in it.

use egui::{Grid, RichText, ScrollArea, Ui};
use studiovault_protocol::api::{MemberView, NetworkState, PeerView, Status};
use studiovault_protocol::membership::Standing;
use studiovault_protocol::time::WallMs;

use super::card::card_ui;
use super::device::device_ui;
use super::doctor::doctor_ui;
use super::icon::Icon;
use super::overview::reachable;
use super::pairing::pairing_ui;
use super::palette::Palette;
use super::stick::stick_ui;
use crate::action::{Action, DeviceAction};
use crate::model::{Age, DevicesPage, Model, Tone, count, counted, role_words};

const HEADINGS: [&str; 6] = ["Machine", "Role", "Link", "Lag", "Address", "Last seen"];

/// The panel: one of its pages.
pub fn devices_ui(ui: &mut Ui, model: &Model, now: WallMs) -> Option<Action> {
    let status = model.status.as_ref()?;
    let page = model.desk.page();
    let mut action = None;
    ui.horizontal_wrapped(|ui| {
        for one in DevicesPage::ALL {
            if ui.selectable_label(page == one, one.title()).clicked() {
                action = Some(Action::Page(one));
            }
        }
    });
    ui.add_space(4.0);
    let scroll = ScrollArea::vertical()
        .id_salt(page.title())
        .auto_shrink(false);
    let shown = scroll.show(ui, |ui| match page {
        DevicesPage::Machines => machines_ui(ui, (model, status), now),
        DevicesPage::Doctor => doctor_ui(ui, (model, status), now),
        DevicesPage::Stick => stick_ui(ui, model),
    });
    action.or(shown.inner)
}

fn machines_ui(ui: &mut Ui, (model, status): (&Model, &Status), now: WallMs) -> Option<Action> {
    let machines = model.machines();
    let heading = format!(
        "{} of {}",
        counted(machines.len() as u64, "machine"),
        status.node.studio_name
    );
    let mut action = None;
    card_ui(ui, &heading, |ui| {
        ScrollArea::horizontal().id_salt("machines").show(ui, |ui| {
            let grid = Grid::new("machines")
                .num_columns(HEADINGS.len())
                .spacing([24.0, 8.0]);
            grid.show(ui, |ui| {
                headings_ui(ui);
                for member in machines {
                    let row = Row {
                        model,
                        status,
                        member,
                    };
                    action = action.take().or(row_ui(ui, &row, now));
                    ui.end_row();
                }
            });
        });
    });
    ui.add_space(10.0);
    let chosen = model.desk.device();
    let member = status
        .members
        .iter()
        .find(|member| chosen == Some(member.device));
    if let Some(member) = member {
        action = action.take().or(device_ui(ui, (model, status), member));
        ui.add_space(10.0);
    }
    action = action.take().or(pairing_ui(ui, model));
    ui.add_space(10.0);
    action.take().or(network_ui(ui, model, status))
}

/// One machine with what is known of it.
struct Row<'a> {
    model: &'a Model,
    status: &'a Status,
    member: &'a MemberView,
}

impl Row<'_> {
    fn is_own(&self) -> bool {
        self.member.device == self.status.node.device
    }

    fn peer(&self) -> Option<&PeerView> {
        self.model.peer(self.member.device)
    }

    /// What ties it to this machine.
    fn link(&self) -> (Icon, Tone, String) {
        match (self.is_own(), self.peer()) {
            (true, _) if self.status.network == NetworkState::Offline => {
                (Icon::Away, Tone::Waiting, "off the network".to_owned())
            }
            (true, _) => (Icon::Live, Tone::Good, "this machine".to_owned()),
            (false, Some(peer)) => {
                let trip = peer.round_trip_ms.map(|ms| format!(", {ms} ms"));
                (
                    Icon::Live,
                    Tone::Good,
                    format!("linked{}", trip.unwrap_or_default()),
                )
            }
            (false, None) => (Icon::Away, Tone::Quiet, "not linked".to_owned()),
        }
    }

    /// How far the two are apart, in changes.
    fn lag(&self) -> String {
        match self.peer().map(|peer| (peer.behind, peer.ahead)) {
            None if self.is_own() => "-".to_owned(),
            None => "unknown".to_owned(),
            Some((0, 0)) => "none".to_owned(),
            Some((behind, 0)) => format!("lacks {}", count(behind)),
            Some((0, ahead)) => format!("has {} more", count(ahead)),
            Some((behind, ahead)) => format!("lacks {}, has {} more", count(behind), count(ahead)),
        }
    }

    fn last_seen(&self, now: WallMs) -> String {
        if self.is_own() || self.peer().is_some() {
            return "now".to_owned();
        }
        let age = self.member.last_seen.map(|then| Age::of(then, now).ago());
        age.unwrap_or("never".to_owned())
    }
}

fn headings_ui(ui: &mut Ui) {
    let palette = Palette::of(ui);
    for (at, heading) in HEADINGS.into_iter().enumerate() {
        ui.horizontal(|ui| {
            // The names below are buttons, whose text stands further in.
            let inset = if at == 0 {
                ui.spacing().button_padding.x
            } else {
                0.0
            };
            ui.add_space(inset);
            ui.label(RichText::new(heading).small().color(palette.weak));
        });
    }
    ui.end_row();
}

fn row_ui(ui: &mut Ui, row: &Row<'_>, now: WallMs) -> Option<Action> {
    let palette = Palette::of(ui);
    let member = row.member;
    let mut action = None;
    ui.horizontal(|ui| {
        let selected = row.model.desk.device() == Some(member.device);
        let name = RichText::new(&member.name).strong();
        if ui.selectable_label(selected, name).clicked() {
            action = Some(Action::Device(DeviceAction::Open(member.device)));
        }
        let gateway = row.status.gateway.as_ref();
        if gateway.is_some_and(|gateway| gateway.device == member.device) {
            Icon::Crown.ui(ui, 15.0, palette.waiting);
            ui.label(RichText::new("gateway").small().color(palette.weak));
        }
    });
    ui.label(match member.standing {
        Standing::Active => role_words(member.role),
        standing => standing.word(),
    });
    ui.horizontal(|ui| {
        let (icon, tone, words) = row.link();
        icon.ui(ui, 13.0, palette.tone(tone));
        ui.label(words);
    });
    ui.label(row.lag());
    let own = || reachable(&row.status.node.listening).cloned();
    let address = row.peer().map(|peer| peer.address.clone());
    let address = if row.is_own() { own() } else { address };
    ui.label(RichText::new(address.unwrap_or("-".to_owned())).color(palette.weak));
    ui.label(row.last_seen(now));
    action
}

/// Off the network and back: what a person does before a trip, or to see that work goes on without it.
fn network_ui(ui: &mut Ui, model: &Model, status: &Status) -> Option<Action> {
    let (explained, words, to) = match status.network {
        NetworkState::Online => (
            "This machine takes part in the studio's network. Off it, it keeps working alone and hands its changes over when it is back.",
            "Take this machine off the network",
            NetworkState::Offline,
        ),
        NetworkState::Offline => (
            "This machine is off the network. What is written here waits here and goes to the others when it is back.",
            "Put this machine back on the network",
            NetworkState::Online,
        ),
    };
    let mut action = None;
    card_ui(ui, "Network", |ui| {
        ui.label(explained);
        ui.add_space(4.0);
        if ui
            .add_enabled(model.is_current(), egui::Button::new(words))
            .clicked()
        {
            action = Some(Action::Network(to));
        }
    });
    action
}
