//! A machine's files are put back to an earlier moment, or copied to a second machine that runs beside it: whatever was
//! acknowledged, before or after, ends up on every machine.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use studiovault_lab::lab::{Lab, Machine, Studio, eventually};
use studiovault_protocol::id::EntityId;

const SOON: Duration = Duration::from_secs(20);

/// Copies a data folder as a backup program does: plain files, byte by byte.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let passing = path.extension().is_some_and(|end| end == "sock");
        if path.is_file() && !passing {
            std::fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn write(machine: &Machine, count: usize, what: &str) -> Result<Vec<EntityId>> {
    (0..count)
        .map(|number| machine.create(&format!("{what} {number}")))
        .collect()
}

/// Waits until each of `machines` shows every one of `entities`, and all have one state.
fn all_hold(machines: &[&Machine], entities: &[EntityId]) -> Result<Duration> {
    let holds = |machine: &Machine| {
        entities
            .iter()
            .all(|id| machine.entity("client", *id).is_ok_and(|e| e.is_some()))
    };
    let agree = || {
        let state = |machine: &&Machine| machine.status().map(|status| status.state_hash);
        let states: Result<Vec<_>> = machines.iter().map(state).collect();
        states.is_ok_and(|states| states.windows(2).all(|pair| pair[0] == pair[1]))
    };
    let all = || (machines.iter().all(|m| holds(m)) && agree()).then_some(());
    let what = format!(
        "{} machines hold {} clients",
        machines.len(),
        entities.len()
    );
    Ok(eventually(&what, SOON, all)?.1)
}

#[test]
fn a_machine_put_back_to_an_earlier_day_writes_on_and_nothing_is_lost() {
    Lab::test("restored", |lab| {
        let studio = Studio::without_cloud(lab, &["front-desk", "editor", "laptop"])?;
        let machines: Vec<&Machine> = studio.machines.iter().collect();
        let laptop = machines[2];
        studio.linked(SOON)?;
        let mut written = write(laptop, 20, "before the backup")?;
        all_hold(&machines, &written)?;
        laptop.kill()?;
        let backup = laptop.folder().with_extension("backup");
        copy(laptop.folder(), &backup)?;
        laptop.start()?;
        written.extend(write(laptop, 20, "after the backup")?);
        all_hold(&machines, &written)?;
        laptop.kill()?;
        copy(&backup, laptop.folder())?;
        laptop.start()?;
        written.extend(write(laptop, 20, "after it was put back")?);
        let took = all_hold(&machines, &written)?;
        println!(
            "    every machine holds all 60 after {} ms",
            took.as_millis()
        );
        Ok(())
    });
}

#[test]
fn two_copies_of_one_machine_that_run_side_by_side_lose_nothing() {
    Lab::test("cloned", |lab| {
        let studio = Studio::without_cloud(lab, &["front-desk", "editor", "laptop"])?;
        studio.linked(SOON)?;
        let laptop = &studio.machines[2];
        let mut written = write(laptop, 10, "before the copy")?;
        let known: Vec<&Machine> = studio.machines.iter().collect();
        all_hold(&known, &written)?;
        laptop.kill()?;
        let copied = Machine::unmade(lab.host("copy")?)?;
        copy(laptop.folder(), copied.folder())?;
        laptop.start()?;
        copied.start()?;
        for round in 0..5 {
            written.extend(write(laptop, 4, &format!("at the laptop {round}"))?);
            written.extend(write(&copied, 4, &format!("at its copy {round}"))?);
        }
        ensure!(laptop.status()?.node.device == copied.status()?.node.device);
        let all: Vec<&Machine> = known.into_iter().chain([&copied]).collect();
        let took = all_hold(&all, &written)?;
        println!(
            "    four machines hold all 50 after {} ms",
            took.as_millis()
        );
        Ok(())
    });
}
