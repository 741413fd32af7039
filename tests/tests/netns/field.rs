//! Life in the field: lids are closed, links flap, addresses change, a laptop goes from one LAN to another. No acknowledged write is
//! lost, connections are counted, and all are one within 3 s of a stable link.
//!
//! `LAB_LONG=1` sleeps for a minute and flaps for one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use studiovault_lab::lab::{Lab, Machine, Studio, eventually, long, within};

const SOON: Duration = Duration::from_secs(20);
const NAMES: [&str; 3] = ["front-desk", "editor", "laptop"];
/// From a stable link until all are one.
const STABLE: Duration = Duration::from_secs(3);

/// Writes on each of these machines, ten times a second, for so long; how many were acknowledged.
fn write_for(machines: &[&Machine], time: Duration) -> Result<u64> {
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < time {
        for machine in machines {
            machine.create(&format!("{written} of {}", machine.name()))?;
            written += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(written)
}

/// Three linked machines: the two that stay and the laptop.
fn three(lab: &Lab) -> Result<Studio> {
    let studio = Studio::without_cloud(lab, &NAMES)?;
    studio.linked(SOON)?;
    Ok(studio)
}

#[test]
fn a_closed_lid_loses_nothing_and_the_laptop_is_one_with_the_others_within_3_s() {
    Lab::test("lid", |lab| {
        let studio = three(lab)?;
        let [desk, editor, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        let asleep = Duration::from_secs(if long() { 60 } else { 6 });
        let mut written = write_for(&[desk, laptop], Duration::from_millis(500))?;
        let before = studio.links_opened()?;
        laptop.sleep()?;
        written += write_for(&[desk, editor], asleep)?;
        laptop.wake()?;
        let woken = Instant::now();
        laptop.create("The first thing after the lid was opened")?;
        studio.together(written + 1, SOON)?;
        within("the lid open, all are one", woken.elapsed(), STABLE)?;
        studio.linked(SOON)?;
        let opened = studio.links_opened()? - before;
        println!("    asleep for {asleep:?}: {opened} ends of links opened");
        ensure!(
            opened <= 8,
            "two links were needed, {opened} ends are too many"
        );
        ensure!(laptop.log().contains("woke up"), "it did not notice");
        Ok(())
    });
}

#[test]
fn a_flapping_link_loses_nothing_and_makes_no_storm_of_connections() {
    Lab::test("flapping", |lab| {
        let studio = three(lab)?;
        let [desk, _, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        let (flaps, half) = (if long() { 15 } else { 3 }, Duration::from_secs(2));
        let before = studio.links_opened()?;
        let mut written = 0;
        for _ in 0..flaps {
            laptop.host.cut()?;
            written += write_for(&[desk, laptop], half)?;
            laptop.host.restore()?;
            written += write_for(&[desk, laptop], half)?;
        }
        laptop.host.cut()?;
        written += write_for(&[desk, laptop], half)?;
        laptop.host.restore()?;
        let (_, took) = studio.together(written, SOON)?;
        within("the link stable, all are one", took, STABLE)?;
        studio.linked(SOON)?;
        let opened = studio.links_opened()? - before;
        println!("    {flaps} flaps, {written} writes: {opened} ends of links opened");
        // Each flap may end two links; each has two ends, and both machines may dial at once.
        let most = (flaps + 1) * 8;
        ensure!(opened <= most, "{opened} ends of links, at most {most}");
        Ok(())
    });
}

#[test]
fn a_link_that_flaps_where_no_adapter_sees_it_is_used_again_within_3_s() {
    Lab::test("unseen", |lab| {
        let studio = three(lab)?;
        let [desk, editor, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        let others = [&desk.host, &editor.host];
        for other in others {
            laptop.host.drop_to(other)?;
            other.drop_to(&laptop.host)?;
        }
        eventually("the laptop is alone", SOON, || {
            laptop.status().ok()?.peers.is_empty().then_some(())
        })?;
        let written = write_for(&[desk, laptop], Duration::from_secs(2))?;
        for other in others {
            laptop.host.deliver_to(other)?;
            other.deliver_to(&laptop.host)?;
        }
        let (_, took) = studio.together(written, SOON)?;
        within("the switch works again, all are one", took, STABLE)
    });
}

#[test]
fn another_address_by_dhcp_costs_nothing() {
    Lab::test("dhcp", |lab| {
        let studio = three(lab)?;
        let [desk, editor, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        let mut written = write_for(&[desk, laptop], Duration::from_millis(300))?;
        for last_byte in [201, 202] {
            laptop.host.readdress(last_byte)?;
            let began = Instant::now();
            written += write_for(&[desk, laptop], Duration::from_millis(300))?;
            studio.together(written, SOON)?;
            within("another address, all are one", began.elapsed(), STABLE)?;
            let there = laptop.host.address().to_string();
            let at = |machine: &Machine| {
                let peers = machine.status().ok()?.peers;
                let laptop = peers.iter().find(|peer| peer.name == "laptop")?;
                laptop.address.contains(&there).then_some(())
            };
            eventually("both reach it at the new address", SOON, || {
                at(desk).and(at(editor))
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_laptop_takes_the_studios_whole_log_out_and_brings_the_locations_log_back() {
    Lab::test("carried", |lab| {
        let studio = Studio::without_cloud(lab, &["desk", "camera", "laptop"])?;
        studio.linked(SOON)?;
        let [desk, camera, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        // The camera's machine goes ahead and never meets the desk again.
        camera.host.move_to(1)?;
        let mut written = write_for(&[desk, camera], Duration::from_secs(1))?;
        let has = |machine: &Machine, commands: u64| {
            machine
                .status()
                .ok()?
                .counts
                .commands
                .eq(&commands)
                .then_some(())
        };
        let at_home = written / 2;
        eventually("the laptop holds the studio's log", SOON, || {
            has(laptop, at_home)
        })?;
        laptop.host.move_to(1)?;
        let moved = Instant::now();
        written += write_for(&[laptop], Duration::from_millis(300))?;
        eventually("the location holds the studio's log", SOON, || {
            has(camera, written).and(has(laptop, written))
        })?;
        within("on the other LAN, both are one", moved.elapsed(), STABLE)?;
        written += write_for(&[camera, laptop], Duration::from_millis(300))?;
        eventually("the laptop holds the location's log", SOON, || {
            has(laptop, written)
        })?;
        laptop.host.move_to(0)?;
        let (back, mut took) = (Instant::now(), None);
        eventually("the studio holds the location's log", SOON, || {
            has(desk, written)?;
            took = Some(back.elapsed());
            Some(())
        })?;
        within(
            "back at the studio, both are one",
            took.context("it took a while")?,
            STABLE,
        )?;
        let (out, home) = (camera.status()?, desk.status()?);
        ensure!(out.state_hash == home.state_hash, "desk and camera differ");
        let met = out.peers.iter().any(|peer| peer.name == "desk");
        ensure!(!met, "they met: {:?}", out.peers);
        Ok(())
    });
}
