//! The crown changes hands: by a pulled cable, a lost uplink and a planned end; and neither an uplink that comes and goes nor a chain
//! of machines that see only their neighbours confuses anybody.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use studiovault_lab::lab::{Host, Lab, Studio, eventually, within};

const SOON: Duration = Duration::from_secs(30);
const NAMES: [&str; 3] = ["front-desk", "editor", "laptop"];

/// A studio with a gateway, and which machine that is.
fn crowned(lab: &Lab) -> Result<(Studio, usize)> {
    let studio = Studio::with_cloud(lab, &NAMES)?;
    studio.linked(SOON)?;
    studio.machines[0].create("Silva")?;
    studio.together(1, SOON)?;
    let (gateway, _) = eventually("somebody is gateway", SOON, || studio.gateway())?;
    Ok((studio, gateway))
}

/// Waits until a machine's write is confirmed by way of another gateway than that one.
fn forwards_past(studio: &Studio, (writer, gateway): (usize, usize)) -> Result<()> {
    studio.machines[writer].create("Written without a gateway")?;
    let forwarded = || {
        let status = studio.machines[writer].status().ok()?;
        let succeeded = status.gateway.as_ref()?.name != NAMES[gateway];
        (succeeded && status.counts.pending == 0 && status.counts.commands > 1).then_some(())
    };
    eventually("the next gateway forwards", SOON, forwarded).map(drop)
}

fn part(one: &Host, other: &Host) -> Result<()> {
    one.drop_to(other)?;
    other.drop_to(one)
}

fn join(one: &Host, other: &Host) -> Result<()> {
    one.deliver_to(other)?;
    other.deliver_to(one)
}

#[test]
fn the_next_machine_forwards_within_5_s_of_the_gateways_cable_being_pulled() {
    Lab::test("pulled", |lab| {
        let (studio, gateway) = crowned(lab)?;
        let pulled = Instant::now();
        studio.machines[gateway].host.cut()?;
        forwards_past(&studio, ((gateway + 1) % NAMES.len(), gateway))?;
        within(
            "cable pulled, succeeded, and forwarded",
            pulled.elapsed(),
            Duration::from_secs(5),
        )?;
        studio.machines[gateway].host.restore()?;
        let (together, _) = studio.together(2, SOON)?;
        ensure!(together.confirmed == 2, "{together:?}");
        Ok(())
    });
}

#[test]
fn the_next_machine_forwards_within_15_s_of_the_gateways_uplink_being_lost() {
    Lab::test("uplink", |lab| {
        let (studio, gateway) = crowned(lab)?;
        let cloud = studio.cloud.as_ref().context("there is a cloud")?;
        let lost = Instant::now();
        part(&studio.machines[gateway].host, &cloud.host)?;
        forwards_past(&studio, ((gateway + 1) % NAMES.len(), gateway))?;
        within(
            "uplink lost, succeeded, and forwarded",
            lost.elapsed(),
            Duration::from_secs(15),
        )?;
        // What it writes itself goes by way of its successor.
        studio.machines[gateway].create("Written without an uplink")?;
        let (together, _) = studio.together(3, SOON)?;
        ensure!(together.confirmed == 3, "{together:?}");
        Ok(())
    });
}

#[test]
fn the_next_machine_forwards_within_1_s_of_the_gateways_planned_end() {
    Lab::test("planned", |lab| {
        let (studio, gateway) = crowned(lab)?;
        let asked = Instant::now();
        studio.machines[gateway].quit()?;
        forwards_past(&studio, ((gateway + 1) % NAMES.len(), gateway))?;
        within(
            "asked to end, succeeded, and forwarded",
            asked.elapsed(),
            Duration::from_secs(1),
        )?;
        studio.machines[gateway].start()?;
        studio.together(2, SOON).map(drop)
    });
}

#[test]
fn ten_flaps_of_an_uplink_change_the_gateway_once() {
    Lab::test("flaps", |lab| {
        let (studio, gateway) = crowned(lab)?;
        let cloud = studio.cloud.as_ref().context("there is a cloud")?;
        let flapping = &studio.machines[gateway];
        let watched = &studio.machines[(gateway + 1) % NAMES.len()];
        let term = || Ok::<_, anyhow::Error>(watched.status()?.gateway.map_or(0, |held| held.term));
        let reaches = |wanted: bool| {
            let what = "the machine notices its uplink";
            let noticed = || (flapping.status().ok()?.cloud.reachable == wanted).then_some(());
            eventually(what, SOON, noticed).map(drop)
        };
        let before = term()?;
        for flap in 0..10 {
            part(&flapping.host, &cloud.host)?;
            // The first flaps last until they are noticed; the others are short.
            if flap < 2 {
                reaches(false)?;
            } else {
                std::thread::sleep(Duration::from_millis(300));
            }
            join(&flapping.host, &cloud.host)?;
            reaches(true)?;
        }
        let changes = term()? - before;
        println!("10 flaps, 2 of them noticed: {changes} changes of the gateway");
        ensure!(changes == 1, "{changes} changes, but it was noticed");
        studio.machines[gateway].create("Written after the flaps")?;
        studio.together(2, SOON).map(drop)
    });
}

#[test]
fn a_chain_of_five_in_which_only_neighbours_see_each_other_has_one_gateway() {
    Lab::test("chain", |lab| {
        let names = ["one", "two", "three", "four", "five"];
        let studio = Studio::with_cloud(lab, &names)?;
        studio.linked(SOON)?;
        for (at, machine) in studio.machines.iter().enumerate() {
            for other in studio.machines.iter().skip(at + 2) {
                part(&machine.host, &other.host)?;
            }
        }
        let neighbours = [1, 2, 2, 2, 1];
        let is_chain = || {
            let mut machines = studio.machines.iter().zip(neighbours);
            let linked = |(machine, count): (&studiovault_lab::lab::Machine, usize)| {
                machine
                    .status()
                    .is_ok_and(|status| status.peers.len() == count)
            };
            machines.all(linked).then_some(())
        };
        eventually("only neighbours are linked", SOON, is_chain)?;
        for machine in &studio.machines {
            machine.create(&format!("Written on {}", machine.name()))?;
        }
        let (together, took) = studio.together(5, SOON)?;
        ensure!(together.confirmed == 5, "{together:?}");
        println!("5 commands from end to end of a chain of 5, confirmed everywhere: {took:?}");
        let crowned = || {
            let seen: Option<Vec<_>> = studio
                .machines
                .iter()
                .map(|machine| {
                    let gateway = machine.status().ok()?.gateway?;
                    Some((gateway.device, gateway.term))
                })
                .collect();
            let seen = seen?;
            seen.iter()
                .all(|gateway| *gateway == seen[0])
                .then_some(seen[0])
        };
        let (first, _) = eventually("all five see one gateway", SOON, crowned)?;
        // Longer than everybody's status takes to be told again.
        std::thread::sleep(Duration::from_secs(12));
        ensure!(crowned() == Some(first), "the crown moved without a cause");
        Ok(())
    });
}
