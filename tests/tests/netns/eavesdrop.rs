//! A listener on the same network records a whole session between real machines: no name of the studio can be read in it, and two
//! runs of one studio announce nothing in common.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use studiovault_lab::lab::machine::{create, path, update};
use studiovault_lab::lab::{Lab, Machine, Studio, eventually};
use studiovault_lab::skipped::skipped;

use super::pairing::pair;

const SOON: Duration = Duration::from_secs(30);
/// Names that must not be read.
const PLANTED: usize = 200;
/// What the listener must be able to read, or it is deaf.
const CONTROL: &str = "Quillback-the-control";

/// A word that stands nowhere by chance.
fn word(number: usize) -> String {
    let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = String::from("Z");
    for _ in 0..11 {
        state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        text.push(char::from(b'a' + (state >> 40) as u8 % 26));
    }
    text
}

/// Clients, projects, notes and tags under planted names, at all machines; what was planted.
fn work(machines: &[&Machine], left: usize) -> Result<Vec<String>> {
    let mut planted = Vec::new();
    let mut next = || {
        let name = word(planted.len());
        planted.push(name.clone());
        name
    };
    for number in 0..left / 4 {
        let machine = machines[number % machines.len()];
        let fields = json!({"name": next(), "tags": [next()]});
        let client = machine.write(vec![create("client", fields)])?.ids[0];
        machine.update("client", client, json!({"notes": next()}))?;
        machine.write(vec![create(
            "project",
            json!({"title": next(), "client": client}),
        )])?;
    }
    Ok(planted)
}

/// Two machines change one field while they do not hear each other.
fn conflict(desk: &Machine, editor: &Machine, names: [&str; 3]) -> Result<()> {
    let client = desk.create(names[0])?;
    eventually("both hold it", SOON, || {
        editor.entity("client", client).ok().flatten()
    })?;
    editor.host.cut()?;
    desk.write(vec![update("client", client, json!({"name": names[1]}))])?;
    editor.write(vec![update("client", client, json!({"name": names[2]}))])?;
    editor.host.restore()?;
    eventually("the conflict is seen", SOON, || {
        (editor.status().ok()?.counts.conflicts > 0).then_some(())
    })
    .map(drop)
}

#[test]
fn nothing_of_two_hundred_names_can_be_read_on_the_network() {
    Lab::test("eavesdrop", |lab| {
        if let Some(reason) = Lab::deaf() {
            skipped("netns eavesdrop", &reason);
            return Ok(());
        }
        let capture = lab.capture("session")?;
        let studio = Studio::with_cloud(lab, &["thornbury", "marlinspike"])?;
        studio.linked(SOON)?;
        let [desk, editor] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        let third = Machine::unmade(lab.host("gallowglass")?)?;
        pair(desk, &third)?;
        third.start()?;
        let mut planted = work(&[desk, editor, &third], PLANTED - 8)?;
        let sides: Vec<String> = (1000..1003).map(word).collect();
        conflict(desk, editor, [&sides[0], &sides[1], &sides[2]])?;
        planted.extend(sides);
        let last = third.create(&word(2000))?;
        planted.push(word(2000));
        eventually("the last write is everywhere", SOON, || {
            desk.entity("client", last).ok().flatten()?;
            editor.entity("client", last).ok().flatten()
        })?;
        let names = ["thornbury", "marlinspike", "gallowglass", "Studio Silva"];
        planted.extend(names.map(str::to_owned));
        ensure!(planted.len() == PLANTED, "{} names", planted.len());
        // The control: a datagram that anybody reads.
        let heard = editor.host.hear((editor.host.address(), 7070))?;
        desk.host.tell((editor.host.address(), 7070), CONTROL)?;
        drop(heard);
        let recording = eventually_ended(capture)?;
        let ids = [studio.id.to_string(), last.to_string()];
        let mut sought: Vec<&str> = planted.iter().chain(&ids).map(String::as_str).collect();
        sought.push(CONTROL);
        let found = recording.found(&sought);
        let said: usize = recording.streams.iter().map(Vec::len).sum();
        println!(
            "    {} names and 2 ids sought in {} TCP streams of {} KB and {} announcements: found {found:?}",
            PLANTED,
            recording.streams.len(),
            said / 1000,
            recording.announcements.len()
        );
        ensure!(said > 100_000, "hardly anything was recorded");
        ensure!(found == [CONTROL], "{found:?}");
        Ok(())
    });
}

fn eventually_ended(
    capture: studiovault_lab::lab::Capture,
) -> Result<studiovault_lab::lab::Recording> {
    // What is under way reaches the recorder.
    std::thread::sleep(Duration::from_millis(500));
    capture.end()
}

/// Runs the studio until all are linked; everything that it announced, and where it listened.
fn announced(
    lab: &Lab,
    studio: &Studio,
    name: &str,
) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let capture = lab.capture(name)?;
    for machine in &studio.machines {
        machine.start()?;
    }
    studio.linked(SOON)?;
    let mut ports = BTreeSet::new();
    for machine in &studio.machines {
        let listening = machine.status()?.node.listening;
        ports.extend(
            listening
                .iter()
                .filter_map(|at| at.rsplit(':').next().map(str::to_owned)),
        );
    }
    for machine in &studio.machines {
        machine.kill()?;
    }
    let recording = eventually_ended(capture)?;
    Ok((recording.announced().into_iter().collect(), ports))
}

#[test]
fn two_runs_of_a_studio_announce_nothing_in_common() {
    Lab::test("linkable", |lab| {
        if let Some(reason) = Lab::deaf() {
            skipped("netns linkable", &reason);
            return Ok(());
        }
        let studio = Studio::without_cloud(lab, &["thornbury", "marlinspike"])?;
        studio.linked(SOON)?;
        studio.machines.iter().try_for_each(Machine::kill)?;
        let (first, first_ports) = announced(lab, &studio, "first")?;
        // Another network: where the address is the same, it links the runs by itself, and the port stays for those who remember it.
        for (machine, last_byte) in studio.machines.iter().zip(201..) {
            machine.host.readdress(last_byte)?;
        }
        let (second, second_ports) = announced(lab, &studio, "second")?;
        let of = |said: &BTreeSet<String>| said.iter().take(3).cloned().collect::<Vec<_>>();
        println!(
            "    first run: {} labels and texts such as {:?}, ports {first_ports:?}",
            first.len(),
            of(&first)
        );
        println!(
            "    second run: {} such as {:?}, ports {second_ports:?}",
            second.len(),
            of(&second)
        );
        // Of each machine an instance, a host, a nonce and a tag.
        ensure!(
            first.len() >= 6 && second.len() >= 6,
            "hardly anything was announced"
        );
        let common: Vec<&String> = first.intersection(&second).collect();
        ensure!(common.is_empty(), "in common: {common:?}");
        let common: Vec<&String> = first_ports.intersection(&second_ports).collect();
        ensure!(common.is_empty(), "the same ports: {common:?}");
        let address = Ipv4Addr::UNSPECIFIED.to_string();
        ensure!(!first.contains(&address), "an empty address");
        Ok(())
    });
}

#[test]
fn a_machine_in_venue_mode_announces_nothing_and_is_reached_by_its_address() {
    Lab::test("venue", |lab| {
        if let Some(reason) = Lab::deaf() {
            skipped("netns venue", &reason);
            return Ok(());
        }
        let mut studio = Studio::without_cloud(lab, &["thornbury", "marlinspike"])?;
        studio.linked(SOON)?;
        let listening = studio.machines[0].status()?.node.listening;
        let port = listening
            .iter()
            .find_map(|at| at.rsplit(':').next().map(str::to_owned));
        let port = port.context("it listens")?;
        for machine in &studio.machines {
            machine.command(&["venue", "on"])?;
            machine.kill()?;
        }
        let capture = lab.capture("venue")?;
        let address = format!("{}:{port}", studio.machines[0].host.address());
        studio.machines[0].with_argument("--listen");
        studio.machines[0].with_argument(&format!("0.0.0.0:{port}"));
        studio.machines[1].with_argument("--peer");
        studio.machines[1].with_argument(&address);
        for machine in &studio.machines {
            machine.start()?;
        }
        studio.linked(SOON)?;
        // An invite is not announced either: whoever joins is told where it is.
        let invited = json!({"role": "member"});
        let invite = studio.machines[0]
            .api()?
            .post(&path("/pairing"), &invited)?;
        invite.ok()?;
        let recording = eventually_ended(capture)?;
        let announced = recording.announced();
        println!(
            "    linked by {address}; {} announcements",
            recording.announcements.len()
        );
        ensure!(announced.is_empty(), "{announced:?}");
        // One switch: off again, and they are found by themselves.
        let capture = lab.capture("venue-off")?;
        studio.machines[0].command(&["venue", "off"])?;
        let (recording, _) = eventually("it announces itself again", SOON, || {
            std::thread::sleep(Duration::from_millis(3000));
            Some(())
        })
        .and_then(|((), took)| Ok((eventually_ended(capture)?, took)))?;
        ensure!(!recording.announced().is_empty(), "still silent");
        Ok(())
    });
}
