//! Machines that nobody told of each other become one studio, with a cloud truth and without.

use std::time::Duration;

use anyhow::{Result, ensure};
use studiovault_lab::lab::{Lab, Studio, within};

const SOON: Duration = Duration::from_secs(20);
const NAMES: [&str; 3] = ["front-desk", "editor", "laptop"];

/// Ten clients on each machine.
fn write_everywhere(studio: &Studio) -> Result<()> {
    for machine in &studio.machines {
        for number in 0..10 {
            machine.create(&format!("Client {number} of {}", machine.name()))?;
        }
    }
    Ok(())
}

#[test]
fn three_machines_find_each_other_and_everything_is_confirmed() {
    Lab::test("together", |lab| {
        let studio = Studio::with_cloud(lab, &NAMES)?;
        within(
            "three machines found each other",
            studio.linked(SOON)?,
            Duration::from_secs(5),
        )?;
        write_everywhere(&studio)?;
        let (together, took) = studio.together(30, SOON)?;
        within(
            "30 clients on all of them and confirmed",
            took,
            Duration::from_secs(3),
        )?;
        ensure!(together.confirmed == 30, "{together:?}");
        for machine in &studio.machines {
            let status = machine.status()?;
            ensure!(status.gateway.is_some(), "nobody is gateway");
            ensure!(status.cloud.configured && status.cloud.oldest_pending.is_none());
        }
        Ok(())
    });
}

#[test]
fn a_studio_without_a_cloud_waits_for_nothing() {
    Lab::test("cloudless", |lab| {
        let studio = Studio::without_cloud(lab, &NAMES)?;
        let took = studio.linked(SOON)?;
        within(
            "three machines found each other",
            took,
            Duration::from_secs(5),
        )?;
        write_everywhere(&studio)?;
        let client = studio.machines[0].create("Silva")?;
        studio.together(31, SOON)?;
        studio.machines[2].host.cut()?;
        let phone = |number: &str| serde_json::json!({ "phone": number });
        studio.machines[2].update("client", client, phone("2"))?;
        studio.machines[0].update("client", client, phone("1"))?;
        studio.machines[2].host.restore()?;
        let (together, _) = studio.together(33, SOON)?;
        ensure!(together.conflicts == 1, "{together:?}");
        for machine in &studio.machines {
            let before = machine.status()?;
            machine.kill()?;
            machine.start()?;
            let status = machine.status()?;
            ensure!(
                status.state_hash == before.state_hash,
                "a restart changed what is shown"
            );
            ensure!(
                !status.cloud.configured && status.cloud.problem.is_none(),
                "{:?}",
                status.cloud
            );
            ensure!(
                status.cloud.oldest_pending.is_none() && status.gateway.is_none(),
                "it waits"
            );
            ensure!(status.counts.pending == 0, "{:?}", status.counts);
            ensure!(status.warnings.is_empty(), "{:?}", status.warnings);
        }
        studio.linked(SOON)?;
        studio.machines[1].create("After the restarts")?;
        let (_, took) = studio.together(34, SOON)?;
        within(
            "a write after restarts is everywhere",
            took,
            Duration::from_secs(2),
        )?;
        Ok(())
    });
}
