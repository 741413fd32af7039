//! The gateway dies: another machine takes over, nothing is lost, and nothing happens twice at the cloud.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;
use studiovault_lab::lab::machine::create;
use studiovault_lab::lab::{Lab, Studio, eventually, within};

const SOON: Duration = Duration::from_secs(20);
const NAMES: [&str; 3] = ["front-desk", "editor", "laptop"];

#[test]
fn the_next_machine_forwards_within_2_s_of_the_gateways_death() {
    Lab::test("gateway", |lab| {
        let studio = Studio::with_cloud(lab, &NAMES)?;
        studio.linked(SOON)?;
        let fields = json!({"title": "Wedding", "print_credits": {"increment": 1}});
        let answer = studio.machines[0].write(vec![create("project", fields)])?;
        let project = answer.ids[0];
        studio.together(1, SOON)?;
        let (gateway, _) = eventually("somebody is gateway", SOON, || studio.gateway())?;
        let survivor = (gateway + 1) % NAMES.len();
        let count = json!({"print_credits": {"increment": 1}});
        // Some of these are on their way to the cloud when the gateway dies, answered or not.
        for _ in 0..20 {
            studio.machines[survivor].update("project", project, count.clone())?;
            studio.machines[gateway].update("project", project, count.clone())?;
        }
        studio.machines[gateway].kill()?;
        let killed = Instant::now();
        studio.machines[survivor].create("Written without a gateway")?;
        let cloud = studio.cloud.as_ref().context("there is a cloud")?;
        eventually("the cloud has what the survivors hold", SOON, || {
            let status = studio.machines[survivor].status().ok()?;
            // A snapshot from before the death or before the write says nothing yet.
            let succeeded = status.gateway.as_ref()?.name != NAMES[gateway];
            if !succeeded || status.counts.commands < 22 {
                return None;
            }
            let held = cloud.summary(studio.id).ok()?.confirmed >= status.counts.commands;
            (held && status.counts.pending == 0).then_some(())
        })?;
        within(
            "killed, succeeded, and all forwarded and confirmed",
            killed.elapsed(),
            Duration::from_secs(2),
        )?;
        let status = studio.machines[survivor].status()?;
        let next = status.gateway.context("there is a gateway again")?;
        ensure!(
            next.name != NAMES[gateway],
            "the dead machine is gateway still"
        );
        studio.machines[gateway].start()?;
        let (together, _) = studio.together(42, SOON)?;
        ensure!(together.confirmed == 42, "{together:?}");
        for machine in &studio.machines {
            let view = machine.entity("project", project)?;
            let credits = view.context("the project is there")?.fields["print_credits"].clone();
            ensure!(credits == 41, "41 increments make {credits}");
        }
        Ok(())
    });
}
