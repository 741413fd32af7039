//! The real window on a screen: it finds its node, shows its studio, and settles a conflict by the keyboard alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use studiovault_lab::lab::machine::path;
use studiovault_lab::lab::{Lab, Machine, Screen, Studio, eventually, studiovault_window};
use studiovault_lab::skipped::skipped;
use studiovault_protocol::api::ConflictPage;

const SOON: Duration = Duration::from_secs(30);
/// The word by which the window is found on the screen.
const WINDOW: &str = "StudioVault";

fn shows(screen: &Screen, title: &str) -> Result<()> {
    let shown = || (screen.title(WINDOW).ok()? == title).then_some(());
    eventually(&format!("the window is called {title:?}"), SOON, shown)
        .map(drop)
        .with_context(|| format!("it is called {:?}", screen.title(WINDOW)))
}

fn conflicts(machine: &Machine) -> Result<ConflictPage> {
    let body = machine.api()?.get(&path("/conflicts"))?.ok()?;
    Ok(serde_json::from_value(body)?)
}

#[test]
fn a_conflict_is_settled_at_the_window_with_the_keyboard_and_all_machines_agree() {
    Lab::test("window", |lab| {
        if let Some(reason) = Screen::unavailable() {
            skipped("netns window", &reason);
            return Ok(());
        }
        let studio = Studio::without_cloud(lab, &["front-desk", "laptop"])?;
        studio.linked(SOON)?;
        let [front_desk, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        let client = front_desk.create("Silva")?;
        studio.together(1, SOON)?;
        let screen = Screen::start()?;
        let mut start = screen.command(studiovault_window()?);
        let mut window = laptop
            .host
            .spawn(start.arg("--data").arg(laptop.folder()))?;
        shows(&screen, "StudioVault - Studio Silva")?;
        let colours = screen.colours()?;
        ensure!(colours > 30, "only {colours} colours: nothing is drawn");

        laptop.host.cut()?;
        eventually("the laptop is alone", SOON, || {
            laptop.status().ok()?.peers.is_empty().then_some(())
        })?;
        front_desk.update("client", client, json!({"name": "Silva Lisboa"}))?;
        laptop.update("client", client, json!({"name": "Silva & Filhos"}))?;
        laptop.host.restore()?;
        studio.together(3, SOON)?;
        shows(&screen, "(1 conflict) StudioVault - Studio Silva")?;

        // The side that is not suggested: settling by accident would end with the other one. This machine's stands first.
        let page = conflicts(laptop)?;
        let open = page.conflicts.first().context("one conflict")?;
        let mut sides: Vec<_> = open.sides.iter().collect();
        sides.sort_by_key(|side| side.device != "laptop");
        let other = sides.iter().position(|side| side.dot != open.suggested);
        let other = other.context("a side that is not suggested")?;
        screen.press(WINDOW, &["ctrl+2", &(other + 1).to_string(), "Return"])?;

        let (together, _) = studio.together(4, SOON)?;
        ensure!(together.conflicts == 0, "{together:?}");
        for machine in &studio.machines {
            let shown = machine.entity("client", client)?.context("the client")?;
            ensure!(shown.fields["name"] == sides[other].value, "{shown:?}");
        }
        shows(&screen, "StudioVault - Studio Silva")?;
        ensure!(
            window.ended()?.is_none(),
            "the window ended: {}",
            window.log()
        );
        Ok(())
    });
}
