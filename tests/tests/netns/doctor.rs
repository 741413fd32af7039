//! The doctor in trouble that is staged: each is named by its own stage.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use studiovault_lab::lab::machine::path;
use studiovault_lab::lab::{Host, Lab, Machine, Studio, eventually, lab_agent};
use studiovault_protocol::api::{DoctorStage, DoctorView, Stage, StageOutcome};

const SOON: Duration = Duration::from_secs(20);
const NAMES: [&str; 2] = ["front-desk", "laptop"];

fn examine(machine: &Machine) -> Result<DoctorView> {
    let answer = machine.api()?.get(&path("/doctor"))?.ok()?;
    Ok(serde_json::from_value(answer)?)
}

fn stage(view: &DoctorView, wanted: Stage) -> Result<&DoctorStage> {
    let found = view.stages.iter().find(|stage| stage.stage == wanted);
    found.with_context(|| format!("no {wanted:?}: {view:#?}"))
}

/// The stage failed, with these words in what was seen or what to do.
fn fails(view: &DoctorView, wanted: Stage, words: &str) -> Result<()> {
    let told = stage(view, wanted)?;
    let step = told.next_step.as_deref().unwrap_or_default();
    println!("    {}: {} -> {step}", told.stage.word(), told.evidence);
    ensure!(told.outcome == StageOutcome::Failed, "{view:#?}");
    ensure!(
        told.evidence.contains(words) || step.contains(words),
        "{told:#?} without `{words}`"
    );
    Ok(())
}

/// Only these stages failed.
fn only(view: &DoctorView, expected: &[Stage]) -> Result<()> {
    let stages = view.stages.iter();
    let failed = stages.filter(|stage| stage.outcome == StageOutcome::Failed);
    let failed: Vec<Stage> = failed.map(|stage| stage.stage).collect();
    ensure!(
        failed == expected,
        "{failed:?}, not {expected:?}: {view:#?}"
    );
    Ok(())
}

/// A rule of the packet filter on a host, until it is healed.
fn filter(host: &Host, hook: &str, rule: &str) -> Result<()> {
    let script = format!(
        "table inet doctor {{ chain {hook} {{ type filter hook {hook} priority 0; {rule} drop; }}; }}"
    );
    host.run(Command::new("nft").arg(script)).map(drop)
}

fn heal(host: &Host) -> Result<()> {
    let script = "delete table inet doctor";
    host.run(Command::new("nft").arg(script)).map(drop)
}

fn alone(machine: &Machine) -> Result<()> {
    let no_peers = || machine.status().ok()?.peers.is_empty().then_some(());
    eventually("no link stands", SOON, no_peers).map(drop)
}

/// Where a machine listens on the bridge.
fn address(machine: &Machine) -> Result<String> {
    let port = || {
        let listening = machine.status().ok()?.node.listening;
        Some(listening.first()?.rsplit(':').next()?.to_owned())
    };
    let (port, _) = eventually("it listens", SOON, port)?;
    Ok(format!("{}:{port}", machine.host.address()))
}

#[test]
fn multicast_that_is_dropped_is_named_where_it_is_dropped() {
    Lab::test("doctor-multicast", |lab| {
        let studio = Studio::without_cloud(lab, &NAMES)?;
        studio.linked(SOON)?;
        let [desk, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        let healthy = examine(desk)?;
        only(&healthy, &[])?;
        // Found by the node before, or heard just now: a machine answers the same question once a second.
        let heard = &stage(&healthy, Stage::MulticastBack)?.evidence;
        let other = laptop.host.address().to_string();
        let told = heard.contains(&other) || heard.starts_with("machines of the studio found: 1;");
        ensure!(told, "the laptop was not heard: {heard}");
        filter(&desk.host, "output", "udp dport 5353")?;
        let view = examine(desk)?;
        fails(&view, Stage::MulticastOut, "outgoing UDP port 5353")?;
        only(&view, &[Stage::MulticastOut])?;
        heal(&desk.host)?;
        filter(&desk.host, "input", "udp dport 5353")?;
        let view = examine(desk)?;
        fails(&view, Stage::MulticastBack, "incoming UDP port 5353")?;
        only(&view, &[Stage::MulticastBack])?;
        heal(&desk.host)?;
        // As a switch would that swallows it: the laptop is not heard from its start on, and finds the desk.
        laptop.kill()?;
        filter(&laptop.host, "output", "udp dport 5353")?;
        desk.kill()?;
        desk.start()?;
        laptop.start()?;
        studio.linked(SOON)?;
        let view = examine(desk)?;
        fails(&view, Stage::MulticastBack, "laptop is linked")?;
        only(&view, &[Stage::MulticastBack])
    });
}

#[test]
fn a_blocked_port_is_the_firewalls_where_it_is_and_tcp_for_the_other() {
    Lab::test("doctor-port", |lab| {
        let studio = Studio::without_cloud(lab, &NAMES)?;
        studio.linked(SOON)?;
        let [desk, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        filter(&desk.host, "input", "meta l4proto tcp")?;
        alone(laptop)?;
        alone(desk)?;
        fails(&examine(desk)?, Stage::Firewall, "this machine's firewall")?;
        let view = examine(laptop)?;
        fails(&view, Stage::Tcp, "firewall of that machine")?;
        only(&view, &[Stage::Tcp])?;
        let rests = stage(&view, Stage::Encryption)?.outcome;
        ensure!(rests == StageOutcome::Unknown, "{view:#?}");
        heal(&desk.host)?;
        studio.linked(SOON)?;
        only(&examine(laptop)?, &[])
    });
}

#[test]
fn a_network_that_keeps_its_clients_apart_is_named_so() {
    Lab::test("doctor-apart", |lab| {
        let mut studio = Studio::without_cloud(lab, &NAMES)?;
        studio.linked(SOON)?;
        let at = address(&studio.machines[0])?;
        studio.machines[1].kill()?;
        studio.machines[1].with_argument("--peer");
        studio.machines[1].with_argument(&at);
        let [desk, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        desk.host.drop_to(&laptop.host)?;
        laptop.host.drop_to(&desk.host)?;
        laptop.start()?;
        let view = examine(laptop)?;
        fails(&view, Stage::Tcp, "keeps its clients apart")?;
        only(&view, &[Stage::Tcp])
    });
}

/// A studio of one machine, and a stranger who was told its address and has found out that it is another studio's.
fn a_stranger_who_dials_in(
    lab: &Lab,
    prepare: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<(Studio, Machine)> {
    let studio = Studio::without_cloud(lab, &["front-desk"])?;
    let mut stranger = Machine::alone(lab.host("stranger")?, "Another studio")?;
    prepare(studio.machines[0].folder(), stranger.folder())?;
    stranger.with_argument("--peer");
    stranger.with_argument(&address(&studio.machines[0])?);
    stranger.start()?;
    // Long enough for a dial to end, whichever way.
    let named = || {
        let view = examine(&stranger).ok()?;
        let stages = view.stages.iter();
        let failed = stages.filter(|stage| stage.outcome == StageOutcome::Failed);
        let stage = failed.map(|stage| stage.stage).next()?;
        matches!(stage, Stage::Encryption | Stage::Studio).then_some(())
    };
    eventually("it is told apart", SOON, named)?;
    Ok((studio, stranger))
}

#[test]
fn another_studio_is_named_by_its_network_key() {
    Lab::test("doctor-studio", |lab| {
        let (_studio, stranger) = a_stranger_who_dials_in(lab, |_, _| Ok(()))?;
        let view = examine(&stranger)?;
        fails(&view, Stage::Encryption, "another studio")?;
        only(&view, &[Stage::Encryption])
    });
}

#[test]
fn another_studio_with_the_same_network_key_is_named_by_its_hello() {
    Lab::test("doctor-hello", |lab| {
        let (_studio, stranger) = a_stranger_who_dials_in(lab, |member, stranger| {
            let read = |folder: &Path| -> Result<Value> {
                let text = std::fs::read_to_string(folder.join("studio.json"))?;
                Ok(serde_json::from_str(&text)?)
            };
            let (known, mut own) = (read(member)?, read(stranger)?);
            own["mesh_key"] = known["mesh_key"].clone();
            std::fs::write(stranger.join("studio.json"), own.to_string())?;
            Ok(())
        })?;
        let view = examine(&stranger)?;
        fails(&view, Stage::Studio, "another studio")?;
        only(&view, &[Stage::Studio])
    });
}

#[test]
fn a_machine_that_was_shut_out_is_told_so() {
    Lab::test("doctor-revoked", |lab| {
        let studio = Studio::without_cloud(lab, &NAMES)?;
        studio.linked(SOON)?;
        let [desk, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        desk.command(&["revoke", "laptop"])?;
        alone(laptop)?;
        let view = examine(laptop)?;
        fails(&view, Stage::Revocation, "no longer belongs")?;
        only(&view, &[Stage::Revocation])?;
        only(&examine(desk)?, &[])
    });
}

#[test]
fn a_portal_and_a_token_that_ran_out_are_told_apart_on_the_way_to_the_cloud() {
    Lab::test("doctor-cloud", |lab| {
        let studio = Studio::with_cloud(lab, &NAMES[..1])?;
        let cloud = studio.cloud.as_ref().context("there is a cloud")?;
        let desk = &studio.machines[0];
        let confirmed = || desk.status().ok()?.cloud.authorised.then_some(());
        eventually("the cloud takes the token", SOON, confirmed)?;
        only(&examine(desk)?, &[])?;
        let token = json!({"token": "ran-out"});
        desk.api()?.post(&path("/login"), &token)?.ok()?;
        let view = examine(desk)?;
        fails(&view, Stage::CloudSignIn, "studiovault login")?;
        only(&view, &[Stage::CloudSignIn])?;
        cloud.kill()?;
        let view = examine(desk)?;
        fails(&view, Stage::CloudTcp, "refused")?;
        only(&view, &[Stage::CloudTcp])?;
        let mut portal = Command::new(lab_agent()?);
        portal.args(["echo", "8443", "--everywhere"]);
        let _portal = cloud.host.spawn(&portal)?;
        let portal_named = || {
            let view = examine(desk).ok()?;
            let told = stage(&view, Stage::CloudPortal).ok()?;
            (told.outcome == StageOutcome::Failed).then_some(view)
        };
        let (view, _) = eventually("the portal is named", SOON, portal_named)?;
        fails(&view, Stage::CloudPortal, "sign in to this network")?;
        only(&view, &[Stage::CloudTls, Stage::CloudPortal])?;
        cloud.host.cut()?;
        let view = examine(desk)?;
        fails(&view, Stage::CloudTcp, "Check the internet")?;
        only(&view, &[Stage::CloudTcp])
    });
}

/// A small disk under a folder.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn under(folder: &Path) -> Result<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs"])
            .arg(folder)
            .status()?;
        ensure!(mounted.success(), "no small disk can be mounted");
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_nearly_full_is_told_with_its_room() {
    Lab::test("doctor-disk", |lab| {
        let host = lab.host("desk")?;
        let folder = host.folder()?;
        let _disk = SmallDisk::under(&folder)?;
        let desk = Machine::alone(host, "Studio Silva")?;
        desk.start()?;
        let view = examine(&desk)?;
        fails(&view, Stage::Disk, "nearly full")?;
        only(&view, &[Stage::Disk])
    });
}
