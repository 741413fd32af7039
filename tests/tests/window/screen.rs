//! The real window on a screen in memory: the keyboard, the tray and the notifications of a desktop of the test's own.

use std::path::Path;
use std::process::Child;

use studiovault_lab::lab::{Bus, Screen, eventually, studiovault_window};
use studiovault_lab::skipped::{assert_skipped_without_tools, skipped};

use super::desktop::Desktop;
use super::*;

/// The word by which a window is found on a screen.
const WINDOW: &str = "StudioVault";

/// A window of a machine; it ends with its value.
struct Window(Child);

impl Window {
    fn open(screen: &Screen, folder: &Path) -> Self {
        Self::start(Self::command(screen, folder))
    }

    fn open_on(desktop: &Desktop, screen: &Screen, folder: &Path) -> Self {
        let mut command = Self::command(screen, folder);
        desktop.host(&mut command);
        Self::start(command)
    }

    fn command(screen: &Screen, folder: &Path) -> Command {
        let program = studiovault_window().expect("the window is built");
        let mut command = screen.command(program);
        command.arg("--data").arg(folder);
        command
    }

    fn start(mut command: Command) -> Self {
        Self(command.spawn().expect("the window opens"))
    }

    /// Waits until it has the keyboard.
    fn is_looked_at(&self, screen: &Screen) {
        let looked_at = eventually("the window is looked at", LIMIT, || {
            screen.look_at(self.0.id(), WINDOW).ok()
        });
        looked_at.expect("it has the keyboard");
    }
}

impl Studio {
    /// Presses the keys of an answer at the laptop until there is no conflict any more: they do nothing before it is on screen.
    fn is_settled_by(&self, screen: &Screen, keys: &[&str]) {
        let settled = eventually("the keys settle it", LIMIT, || {
            screen.press(WINDOW, keys).ok()?;
            (status(&self.laptop)["counts"]["conflicts"] == 0).then_some(())
        });
        settled.expect("it is settled there");
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Whether this machine has what the tests here need; says so if not.
fn has(what: &str, missing: Option<String>) -> bool {
    if let Some(reason) = &missing {
        skipped(what, reason);
    }
    missing.is_none()
}

#[test]
fn a_conflict_is_settled_in_the_real_window_with_the_keyboard_alone_and_the_cloud_agrees() {
    if !has("window", Screen::unavailable()) {
        return;
    }
    let studio = Studio::open();
    let id = studio.in_conflict();
    let screen = Screen::start().expect("a screen");
    let mut window = Window::open(&screen, &studio.laptop);
    until(&studio.laptop, "the window says what waits", || {
        // What changes on the machine makes the node tell, so that this is looked at again.
        done(&studio.laptop, &["put", "client", "name=somebody"]);
        let title = screen.title(WINDOW).unwrap_or_default();
        title.starts_with("(1 conflict") && title.ends_with(") StudioVault - Lisbon")
    });
    assert!(screen.colours().expect("colours") > 30, "nothing is drawn");
    studio.is_settled_by(&screen, &["ctrl+2", "1", "Return"]);
    studio.agree(&id, "Silva & Filhos");
    let ended = window.0.try_wait().expect("is known");
    assert!(ended.is_none(), "the window ended: {ended:?}");
}

#[test]
fn the_sign_in_the_tray_follows_the_counts_and_its_menu_opens_the_panel() {
    if !has("tray", Screen::unavailable().or_else(Bus::unavailable)) {
        return;
    }
    let studio = Studio::open();
    let screen = Screen::start().expect("a screen");
    let mut desktop = Desktop::open();
    let _window = Window::open_on(&desktop, &screen, &studio.laptop);
    desktop.shows(|title| title == "StudioVault - Lisbon");
    let calm = (desktop.picture(), desktop.text("Status"));
    assert_eq!(
        (desktop.tooltip().as_str(), calm.1.as_str()),
        ("Nothing waits.", "Active")
    );

    let id = studio.in_conflict();
    desktop.shows(|title| title.starts_with("(1 conflict") && title.ends_with("- Lisbon"));
    assert!(
        desktop.tooltip().starts_with("1 open conflict."),
        "{}",
        desktop.tooltip()
    );
    assert_eq!(desktop.text("Status"), "NeedsAttention");
    assert!(desktop.picture() != calm.0, "the picture has no figure");

    desktop.press("Conflicts (1)");
    // The keys of an answer do nothing in another panel, so the menu opened this one.
    studio.is_settled_by(&screen, &["1", "Return"]);
    studio.agree(&id, "Silva & Filhos");
    desktop.shows(|title| title == "StudioVault - Lisbon");
    assert_eq!((desktop.picture(), desktop.text("Status")), calm);
}

#[test]
fn a_conflict_and_a_change_to_fix_of_ones_own_are_told_on_the_desktop_and_others_are_not() {
    if !has(
        "notifications",
        Screen::unavailable().or_else(Bus::unavailable),
    ) {
        return;
    }
    let studio = Studio::open();
    let screen = Screen::start().expect("a screen");
    let [mut at_front_desk, mut at_laptop] = [Desktop::open(), Desktop::open()];
    let front_desk = Window::open_on(&at_front_desk, &screen, &studio.front_desk);
    let laptop = Window::open_on(&at_laptop, &screen, &studio.laptop);
    for desktop in [&mut at_front_desk, &mut at_laptop] {
        desktop.shows(|title| title == "StudioVault - Lisbon");
    }
    // Whoever looks at a window sees it there. Without a window manager the one under the pointer believes to be looked
    // at until it was, and no more.
    let nobody = Window::open(&screen, &studio.cloud.with_extension("nobody"));
    for window in [&front_desk, &laptop, &nobody] {
        window.is_looked_at(&screen);
    }
    studio.has_a_letter_of_the_laptop();
    let told = at_laptop.hears("StudioVault: A change to fix");
    assert!(
        told.starts_with("Costa. The cloud did not take it"),
        "{told}"
    );
    // The window of the other machine knows of it, and says nothing.
    at_front_desk.shows(|title| title.starts_with("(1 to fix"));

    studio.in_conflict();
    for desktop in [&mut at_front_desk, &mut at_laptop] {
        let told = desktop.hears("StudioVault: A conflict");
        assert!(
            told.contains(": name. Two machines gave it different values"),
            "{told}"
        );
    }
    assert_eq!(
        at_front_desk.notices.len(),
        1,
        "{:?}",
        at_front_desk.notices
    );
    assert_eq!(at_laptop.notices.len(), 2, "{:?}", at_laptop.notices);
}

#[test]
fn what_cannot_run_here_is_said_so_past_the_harness_and_into_the_list() {
    assert_skipped_without_tools(
        "screen::a_conflict_is_settled_in_the_real_window_with_the_keyboard_alone_and_the_cloud_agrees",
        "SKIPPED: window: `Xvfb` is missing (apt install xvfb)",
    );
}
