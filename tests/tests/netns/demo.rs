//! The demo as a person runs it: to its end, interrupted, kept, and told to play where something lies already.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use studiovault_lab::lab::{Host, Lab, eventually, studiovault};

/// Longer than the demo itself may take.
const DEMO: Duration = Duration::from_secs(60);
/// Until killed processes are gone.
const ENDED: Duration = Duration::from_secs(10);

fn path(folder: &Path) -> Result<&str> {
    folder.to_str().context("a readable path")
}

fn demo(folder: &Path, options: &[&str]) -> Result<Command> {
    let mut command = Command::new(studiovault()?);
    command.args(["demo", "--data", path(folder)?]);
    command.args(options).env_remove("STUDIOVAULT_DATA");
    Ok(command)
}

/// The processes whose command line names a folder.
fn processes_of(folder: &Path) -> Result<Vec<i32>> {
    let folder = path(folder)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        // A process that ends meanwhile has no command line.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(folder) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn host(lab: &Lab) -> Result<(Host, std::path::PathBuf)> {
    let host = lab.host("desk")?;
    let folder = host.folder()?.join("demo");
    Ok((host, folder))
}

#[test]
fn ctrl_c_stops_every_process_of_the_demo() {
    Lab::test("demo-ctrl-c", |lab| {
        let (host, folder) = host(lab)?;
        let mut running = host.spawn(&demo(&folder, &[])?)?;
        eventually("the machines run", DEMO, || {
            running.log().contains("own folder").then_some(())
        })?;
        ensure!(
            processes_of(&folder)?.len() >= 4,
            "three machines and a cloud"
        );
        let ended = running.interrupt()?;
        let log = running.log();
        ensure!(!ended.success(), "{ended}: {log}");
        ensure!(
            log.contains("interrupted") && log.contains(path(&folder)?),
            "{log}"
        );
        // Killed before the demo ended; a busy system takes its time to take them away.
        eventually("none is left", ENDED, || {
            processes_of(&folder)
                .is_ok_and(|left| left.is_empty())
                .then_some(())
        })?;
        Ok(())
    });
}

#[test]
fn a_kept_demo_goes_on_until_it_is_stopped_as_it_says() {
    Lab::test("demo-keep", |lab| {
        let (host, folder) = host(lab)?;
        let text = host.run(&demo(&folder, &["--keep"])?)?;
        let kill = text
            .split("Stop it with `")
            .nth(1)
            .context("how to stop it")?;
        let kill = kill.split('`').next().context("a command")?;
        let mut running = processes_of(&folder)?;
        let mut named: Vec<i32> = kill
            .split_whitespace()
            .skip(1)
            .map(|pid| Ok(pid.parse()?))
            .collect::<Result<_>>()?;
        running.sort_unstable();
        named.sort_unstable();
        ensure!(running == named, "{running:?} run, {named:?} are named");
        let laptop = folder.join("laptop");
        let mut status = Command::new(studiovault()?);
        status.args(["--data", path(&laptop)?, "status", "--json"]);
        let status: Value = serde_json::from_str(&host.run(&status)?)?;
        ensure!(status["counts"]["conflicts"] == 1, "{status}");
        host.run(Command::new("sh").args(["-c", kill]))?;
        eventually("all of it ends", DEMO, || {
            processes_of(&folder)
                .is_ok_and(|left| left.is_empty())
                .then_some(())
        })?;
        Ok(())
    });
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    Lab::test("demo-data", |lab| {
        let (host, folder) = host(lab)?;
        std::fs::create_dir_all(&folder)?;
        let photo = folder.join("photo.raw");
        std::fs::write(&photo, "a wedding")?;
        let refused = host.inside(&demo(&folder, &[])?).output()?;
        let text = String::from_utf8_lossy(&refused.stderr);
        ensure!(
            !refused.status.success() && text.contains("--data"),
            "{text}"
        );
        ensure!(
            std::fs::read_to_string(&photo)? == "a wedding",
            "the photo is another"
        );
        Ok(())
    });
}
