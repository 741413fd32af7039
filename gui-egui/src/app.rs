//! The window itself: takes messages in `logic`, draws in `ui`, and hands what was done to the model.
//!
//! It repaints when a message or a hand moves it, and a few times a minute so that ages stay true; it never waits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eframe::egui::{self, Context, ThemePreference, Ui, ViewportCommand};
use studiovault_protocol::time::WallMs;

use crate::action::Action;
use crate::client::Wires;
use crate::message::{Message, Preferences, Request, Theme};
use crate::model::{Badge, Connection, Model};
use crate::view::{self, keys};

/// Ages are shown in steps of ten seconds at the finest.
const AGES: Duration = Duration::from_secs(10);
/// Messages taken in one frame at most, so that a flood cannot hold the window.
const AT_ONCE: usize = 64;

/// The application.
pub struct App {
    model: Model,
    wires: Wires,
    clock: fn() -> WallMs,
    title: String,
    /// What the tray was asked to show.
    in_tray: Option<Badge>,
    /// The colours that were asked for at the start; they go before what was kept.
    theme: Option<Theme>,
    /// How the window was wanted when it was last set up.
    applied: Option<Preferences>,
}

impl App {
    /// A window on what the client tells.
    pub fn new(ctx: &Context, wires: Wires) -> Self {
        view::install_style(ctx);
        Self {
            model: Model::default(),
            wires,
            clock: wall_clock,
            title: String::new(),
            in_tray: None,
            theme: None,
            applied: None,
        }
    }

    /// In these colours, whatever was kept.
    pub fn with_theme(mut self, theme: Option<Theme>) -> Self {
        self.theme = theme;
        self
    }

    fn take_messages(&mut self, ctx: &Context) {
        let messages: Vec<Message> = self.wires.messages.try_iter().take(AT_ONCE).collect();
        for message in messages {
            match message {
                Message::Preferences(_) => self.applied = None,
                Message::Raise(_) => raise(ctx),
                _ => {}
            }
            if let Some(request) = self.model.handle_message(message) {
                self.ask(request);
            }
            ctx.request_repaint();
        }
        // Whoever looks at the window sees it there.
        let is_looked_at = ctx.input(|input| input.focused);
        for alert in self.model.take_alerts() {
            if !is_looked_at {
                self.ask(Request::Notify(alert));
            }
        }
        self.apply_preferences(ctx);
        self.show_badge(ctx);
    }

    /// In the title, and in the tray once anything is known.
    fn show_badge(&mut self, ctx: &Context) {
        let badge = self.model.badge();
        let title = badge.title();
        if title != self.title {
            ctx.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.title = title;
        }
        let known = self.model.connection != Connection::Seeking || badge.studio.is_some();
        let wanted = (known && !self.model.preferences.hide_tray).then_some(badge);
        if wanted != self.in_tray {
            let asked = self.wires.requests.try_send(Request::Tray(wanted.clone()));
            // A client that is busy is asked with the next frame.
            if asked.is_ok() {
                self.in_tray = wanted;
            }
        }
    }

    fn apply_preferences(&mut self, ctx: &Context) {
        let wanted = self.model.preferences;
        if self.applied == Some(wanted) {
            return;
        }
        // The colours of the command line hold until others are chosen by hand.
        if self
            .applied
            .is_some_and(|before| before.theme != wanted.theme)
        {
            self.theme = None;
        }
        self.applied = Some(wanted);
        ctx.set_theme(match self.theme.unwrap_or(wanted.theme) {
            Theme::System => ThemePreference::System,
            Theme::Dark => ThemePreference::Dark,
            Theme::Light => ThemePreference::Light,
        });
        let percent = if wanted.scale == 0 {
            100
        } else {
            wanted.scale.clamp(75, 300)
        };
        ctx.set_zoom_factor(f32::from(percent) / 100.0);
    }

    fn draw(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        let focus = keys::focus(&ctx);
        for press in keys::presses(&ctx) {
            if let Some(action) = keys::meaning(&self.model, focus, press) {
                keys::consume(&ctx, press);
                self.act(&ctx, action);
            }
        }
        let dropped = ctx.input(|input| input.raw.dropped_files.first()?.path.clone());
        if let Some(file) = dropped {
            self.act(&ctx, Action::Dropped(file.display().to_string()));
        }
        if let Some(action) = view::window_ui(ui, &self.model, (self.clock)()) {
            self.act(&ctx, action);
        }
        ctx.request_repaint_after(AGES);
    }

    fn act(&mut self, ctx: &Context, action: Action) {
        if let Action::Browse(address) = &action {
            ctx.open_url(egui::OpenUrl::new_tab(address));
        }
        if let Some(request) = self.model.handle_action(action) {
            self.ask(request);
        }
        ctx.request_repaint();
    }

    fn ask(&mut self, request: Request) {
        if let Err(error) = self.wires.requests.try_send(request) {
            let sentence = "Nothing was sent: the node is slow to answer. Try again in a moment.";
            let refused = Message::Answered {
                request: error.into_inner(),
                outcome: Err(sentence.to_owned()),
            };
            // An answer asks for nothing more.
            let _nothing = self.model.handle_message(refused);
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.take_messages(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.draw(ui);
    }
}

/// Brings the window to the front, where the desktop lets it.
fn raise(ctx: &Context) {
    ctx.send_viewport_cmd(ViewportCommand::Minimized(false));
    ctx.send_viewport_cmd(ViewportCommand::Focus);
}

fn wall_clock() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    WallMs(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}

#[cfg(test)]
mod tests;
