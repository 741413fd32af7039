//! A machine is cut off and comes back: nobody waits meanwhile, and one concurrent edit becomes one conflict.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use studiovault_lab::lab::{Lab, Machine, Studio, eventually, within};

const SOON: Duration = Duration::from_secs(20);
const NAMES: [&str; 3] = ["front-desk", "editor", "laptop"];

fn peers(machine: &Machine) -> Result<usize> {
    Ok(machine.status()?.peers.len())
}

#[test]
fn a_machine_that_was_cut_off_is_one_with_the_others_within_3_s() {
    Lab::test("apart", |lab| {
        let studio = Studio::with_cloud(lab, &NAMES)?;
        studio.linked(SOON)?;
        let [front_desk, editor, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        let client = front_desk.create("Silva")?;
        studio.together(1, SOON)?;
        laptop.host.cut()?;
        eventually("the laptop is alone", SOON, || {
            (peers(laptop).ok()? == 0 && peers(editor).ok()? == 1).then_some(())
        })?;
        editor.update(
            "client",
            client,
            json!({"phone": "1", "tags": {"add": ["editor"]}}),
        )?;
        laptop.update(
            "client",
            client,
            json!({"phone": "2", "tags": {"add": ["laptop"]}}),
        )?;
        for number in 0..20 {
            editor.create(&format!("Editor {number}"))?;
            laptop.create(&format!("Laptop {number}"))?;
        }
        eventually("the laptop's writes wait for the cloud", SOON, || {
            (laptop.status().ok()?.counts.pending == 21).then_some(())
        })?;
        laptop.host.restore()?;
        let (together, took) = studio.together(43, SOON)?;
        within(
            "43 commands on three machines and confirmed after the cable was back",
            took,
            Duration::from_secs(3),
        )?;
        ensure!(together.conflicts == 1, "{together:?}");
        for machine in &studio.machines {
            let view = machine
                .entity("client", client)?
                .context("the client is there")?;
            ensure!(
                view.fields["tags"] == json!(["editor", "laptop"]),
                "{view:?}"
            );
            ensure!(view.conflict, "{view:?}");
        }
        Ok(())
    });
}

#[test]
fn a_dead_link_is_noticed_within_3_s() {
    Lab::test("dead", |lab| {
        let studio = Studio::without_cloud(lab, &NAMES)?;
        studio.linked(SOON)?;
        let [front_desk, editor, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        // A pulled cable tells its own machine at once; the two others only hear nothing any more.
        let pulled = Instant::now();
        laptop.host.cut()?;
        let left = |machine: &Machine, others: usize| {
            eventually("the peer is gone", SOON, || {
                (peers(machine).ok()? == others).then_some(())
            })?;
            anyhow::Ok(pulled.elapsed())
        };
        let limit = Duration::from_secs(3);
        within(
            "front-desk noticed the pulled cable",
            left(front_desk, 1)?,
            limit,
        )?;
        within("editor noticed the pulled cable", left(editor, 1)?, limit)?;
        within("the laptop noticed it", left(laptop, 0)?, limit)?;
        laptop.host.restore()?;
        let back = studio.linked(SOON)?;
        within("the cable back, all are linked", back, limit)
    });
}
