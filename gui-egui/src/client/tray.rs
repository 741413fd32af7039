//! The sign in the tray of the desktop: what waits, and a way to the window. Where there is no tray, there is no sign.
//!
//! It lives on a thread of its own, since a desktop may take its time; one that has no tray costs a word in the log, nothing more.

#[cfg(target_os = "linux")]
mod item;

use std::sync::mpsc as blocking;

use tokio::sync::mpsc;

use crate::message::Message;
use crate::model::Badge;

/// The sign, if it is wanted.
#[derive(Default)]
pub(super) struct Tray {
    badges: Option<blocking::Sender<Badge>>,
}

impl Tray {
    /// Shows what waits; `None` takes the sign away. What is chosen at it goes to `chosen`.
    pub(super) fn show(&mut self, badge: Option<Badge>, chosen: &mpsc::Sender<Message>) {
        let Some(badge) = badge else {
            self.badges = None;
            return;
        };
        let badges = self.badges.get_or_insert_with(|| {
            let (tell, told) = blocking::channel();
            let chosen = chosen.clone();
            let thread = std::thread::Builder::new().name("tray".to_owned());
            if let Err(error) = thread.spawn(move || keep(&told, chosen)) {
                tracing::debug!(%error, "no thread for the tray");
            }
            tell
        });
        // A desktop without a tray takes nothing.
        let _ = badges.send(badge);
    }
}

#[cfg(target_os = "linux")]
fn keep(told: &blocking::Receiver<Badge>, chosen: mpsc::Sender<Message>) {
    item::keep(told, chosen);
}

/// Only the desktops of Linux have a tray that is spoken to over D-Bus.
#[cfg(not(target_os = "linux"))]
fn keep(_told: &blocking::Receiver<Badge>, _chosen: mpsc::Sender<Message>) {}
