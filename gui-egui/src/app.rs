//! The window itself: takes messages in `logic`, draws in `ui`, and hands what was done to the model.
//!
//! It repaints when a message or a hand moves it, and a few times a minute so that ages stay true; it never waits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eframe::egui::{Context, Ui, ViewportCommand};
use studiovault_protocol::time::WallMs;

use crate::action::Action;
use crate::client::Wires;
use crate::message::{Message, Request};
use crate::model::Model;
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
        }
    }

    fn take_messages(&mut self, ctx: &Context) {
        for message in self.wires.messages.try_iter().take(AT_ONCE) {
            self.model.handle_message(message);
            ctx.request_repaint();
        }
        let title = self.model.window_title();
        if title != self.title {
            ctx.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.title = title;
        }
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
        if let Some(action) = view::window_ui(ui, &self.model, (self.clock)()) {
            self.act(&ctx, action);
        }
        ctx.request_repaint_after(AGES);
    }

    fn act(&mut self, ctx: &Context, action: Action) {
        if let Some(request) = self.model.handle_action(action) {
            self.ask(request);
        }
        ctx.request_repaint();
    }

    fn ask(&mut self, request: Request) {
        if let Err(error) = self.wires.requests.try_send(request) {
            let sentence = "Nothing was sent: the node is slow to answer. Try again in a moment.";
            self.model.handle_message(Message::Answered {
                request: error.into_inner(),
                outcome: Err(sentence.to_owned()),
            });
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

fn wall_clock() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    WallMs(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}

#[cfg(test)]
mod tests;
