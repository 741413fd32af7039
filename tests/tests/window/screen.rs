//! The real window on a screen in memory: the keyboard, and the tray of a desktop of the test's own.

use std::path::Path;
use std::process::Child;

use studiovault_lab::lab::{Bus, Screen, eventually, studiovault_window};
use studiovault_lab::skipped::{LIST, skipped};

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
    screen
        .press(WINDOW, &["ctrl+2", "1", "Return"])
        .expect("keys");
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
    // The keys of an answer do nothing in another panel.
    let settled = eventually("the menu opened the panel of conflicts", LIMIT, || {
        screen.press(WINDOW, &["1", "Return"]).ok()?;
        (status(&studio.laptop)["counts"]["conflicts"] == 0).then_some(())
    });
    settled.expect("it is settled there");
    studio.agree(&id, "Silva & Filhos");
    desktop.shows(|title| title == "StudioVault - Lisbon");
    assert_eq!((desktop.picture(), desktop.text("Status")), calm);
}

#[test]
fn what_cannot_run_here_is_said_so_past_the_harness_and_into_the_list() {
    let list = tempfile::NamedTempFile::new().expect("a file");
    let this = std::env::current_exe().expect("this program");
    let name = "screen::a_conflict_is_settled_in_the_real_window_with_the_keyboard_alone_and_the_cloud_agrees";
    let run = Command::new(this)
        .args(["--exact", name])
        .env("PATH", "/nowhere")
        .env(LIST, list.path())
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    let line = "SKIPPED: window: `Xvfb` is missing (apt install xvfb)\n";
    assert!(run.status.success() && told.contains("1 passed"), "{told}");
    assert!(told.contains(&format!("\n{line}")), "{told}");
    assert_eq!(std::fs::read_to_string(list.path()).expect("reads"), line);
}
