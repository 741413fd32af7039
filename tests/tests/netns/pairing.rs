//! A machine joins over a LAN without internet, found by multicast DNS; and a revocation holds while the studio is split.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use studiovault_lab::lab::machine::path;
use studiovault_lab::lab::{Lab, Machine, Studio, eventually, studiovault};

const SOON: Duration = Duration::from_secs(30);

fn post(machine: &Machine, below: &str, body: &Value) -> Result<Value> {
    machine.api()?.post(&path(below), body)?.ok()
}

/// Lets a machine in that finds the invite by itself; how long it took.
pub fn pair(host: &Machine, newcomer: &Machine) -> Result<Duration> {
    let began = std::time::Instant::now();
    let invite = post(host, "/pairing", &json!({"role": "admin"}))?;
    let code = invite["code"].as_str().context("a code")?.to_owned();
    let mut command = Command::new(studiovault()?);
    command.args(["join", &code, "--name", newcomer.name(), "--json"]);
    command.arg("--data").arg(newcomer.folder());
    let joining = newcomer.host.spawn(&command)?;
    let (words, _) = eventually("the words are shown", SOON, || {
        let log = joining.log();
        let line = log.lines().next()?;
        let greeting: Value = serde_json::from_str(line).ok()?;
        greeting["words"].as_str().map(str::to_owned)
    })?;
    let admitted = post(host, "/pairing/words", &json!({"words": words}))?;
    ensure!(admitted["state"] == "admitted", "{admitted}");
    eventually("the folder is made", SOON, || {
        newcomer.folder().join("node.json").exists().then_some(())
    })?;
    Ok(began.elapsed())
}

#[test]
fn a_machine_joins_over_the_lan_alone_and_a_revocation_holds_in_a_split_studio() {
    Lab::test("pairing", |lab| {
        let studio = Studio::without_cloud(lab, &["front-desk", "editor"])?;
        studio.linked(SOON)?;
        let [desk, editor] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        let before = desk.create("before")?;
        let laptop = Machine::unmade(lab.host("laptop")?)?;
        let took = pair(desk, &laptop)?;
        println!("    paired by multicast DNS in {} ms", took.as_millis());
        laptop.start()?;
        eventually("the newcomer holds what was there", SOON, || {
            laptop.entity("client", before).ok().flatten()
        })?;
        // The laptop is stolen: away from everybody it writes on, while the desk shuts it out.
        laptop.host.cut()?;
        let late = laptop.create("late")?;
        let id = laptop.status()?.node.device;
        post(desk, &format!("/devices/{id}/revoke"), &json!({}))?;
        laptop.host.restore()?;
        let told = |machine: &Machine| {
            let status = machine.status().ok()?;
            let member = status.members.iter().find(|member| member.device == id)?;
            (member.standing.word() == "shut out").then_some(())
        };
        eventually("everybody heard of it", SOON, || {
            told(desk).and(told(editor))
        })?;
        std::thread::sleep(Duration::from_secs(4));
        for machine in [desk, editor] {
            ensure!(machine.status()?.peers.len() == 1, "the laptop is linked");
            ensure!(machine.entity("client", late)?.is_none(), "its write shows");
        }
        Ok(())
    });
}
