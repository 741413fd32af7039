//! A machine that is not of the studio, on the same network, gets nothing and gives nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use studiovault_lab::lab::{Lab, Machine, Studio, eventually};

const SOON: Duration = Duration::from_secs(20);
/// Several dials and handshakes long.
const WATCHED: Duration = Duration::from_secs(6);

/// Where a machine of the studio listens, as a stranger on the network can see.
fn address(machine: &Machine) -> Result<String> {
    let listening = machine.status()?.node.listening;
    let port = listening.iter().find_map(|at| at.rsplit(':').next());
    let port = port.context("it listens nowhere")?;
    Ok(format!("{}:{port}", machine.host.address()))
}

/// Both watch for a while; the stranger must stay outside.
fn stays_outside(studio: &Studio, stranger: &Machine) -> Result<()> {
    let began = std::time::Instant::now();
    while began.elapsed() < WATCHED {
        let status = stranger.status()?;
        ensure!(
            status.peers.is_empty(),
            "the stranger has peers: {:?}",
            status.peers
        );
        ensure!(
            status.counts.commands == 1,
            "the stranger has commands: {:?}",
            status.counts
        );
        for machine in &studio.machines {
            let status = machine.status()?;
            ensure!(status.peers.len() == 1, "{:?}", status.peers);
            ensure!(status.counts.commands == 1, "{:?}", status.counts);
            ensure!(status.members.len() == 2, "{:?}", status.members);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("    a stranger got nothing for {} s", WATCHED.as_secs());
    Ok(())
}

fn with_stranger(lab: &Lab, prepare: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
    let studio = Studio::without_cloud(lab, &["front-desk", "editor"])?;
    studio.linked(SOON)?;
    studio.machines[0].create("Silva")?;
    studio.together(1, SOON)?;
    let mut stranger = Machine::alone(lab.host("stranger")?, "Another studio")?;
    prepare(studio.machines[0].folder(), stranger.folder())?;
    for machine in &studio.machines {
        stranger.with_argument("--peer");
        stranger.with_argument(&address(machine)?);
    }
    stranger.start()?;
    stranger.create("A client of another studio")?;
    eventually("it has its own client", SOON, || {
        (stranger.status().ok()?.counts.commands == 1).then_some(())
    })?;
    stays_outside(&studio, &stranger)?;
    studio.machines[1].create("Still at work")?;
    studio.together(2, SOON).map(drop)
}

#[test]
fn a_stranger_with_another_studios_keys_gets_nothing() {
    Lab::test("stranger", |lab| with_stranger(lab, |_, _| Ok(())));
}

#[test]
fn a_stranger_who_learned_the_network_key_gets_nothing() {
    Lab::test("insider", |lab| {
        with_stranger(lab, |member, stranger| {
            let read = |folder: &Path| -> Result<Value> {
                let text = std::fs::read_to_string(folder.join("studio.json"))?;
                Ok(serde_json::from_str(&text)?)
            };
            let (known, mut own) = (read(member)?, read(stranger)?);
            for key in ["mesh_key", "discovery_key"] {
                ensure!(known[key].is_string() && own[key] != known[key], "no {key}");
                own[key] = known[key].clone();
            }
            std::fs::write(stranger.join("studio.json"), own.to_string())?;
            Ok(())
        })
    });
}
