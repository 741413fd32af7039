//! A new key under the network of a studio that is split: whoever belongs moves on as it is met, and a stolen laptop hears no byte.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use studiovault_lab::lab::machine::path;
use studiovault_lab::lab::{Host, Lab, Machine, Studio, eventually};

const SOON: Duration = Duration::from_secs(40);

/// The keys of the mesh that a machine has kept, the newest first.
fn keys(machine: &Machine) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(machine.folder().join("studio.json"))?;
    let studio: Value = serde_json::from_str(&text)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a key");
    let mut keys = vec![text(&studio["mesh_key"])?];
    for key in studio["earlier_keys"].as_array().context("earlier keys")? {
        keys.push(text(key)?);
    }
    Ok(keys)
}

fn peers(machine: &Machine) -> Vec<String> {
    let status = machine.status().ok();
    let peers = status.into_iter().flat_map(|status| status.peers);
    peers.map(|peer| peer.name).collect()
}

/// The stolen laptop, anywhere: it knows where the desk listens, and the old key, and hears nothing.
fn stays_outside([desk, editor, stolen]: [&Machine; 3], place: Host) -> Result<()> {
    let listening = desk.status()?.node.listening;
    let port = listening.iter().find_map(|at| at.rsplit(':').next());
    let port = port.context("a port")?;
    let mut thief = Machine::unmade(place)?;
    for file in ["node.json", "studio.json", "device.key"] {
        std::fs::copy(stolen.folder().join(file), thief.folder().join(file))?;
    }
    stolen.kill()?;
    thief.with_argument("--peer");
    thief.with_argument(&format!("{}:{port}", desk.host.address()));
    thief.start()?;
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        ensure!(peers(&thief).is_empty(), "the laptop is linked");
        ensure!(peers(desk) == [editor.name()], "{:?}", peers(desk));
        std::thread::sleep(Duration::from_millis(100));
    }
    let members = thief.status()?.members;
    let told = members
        .iter()
        .any(|member| member.standing.word() != "belongs");
    ensure!(!told, "it was told something: {members:?}");
    Ok(())
}

#[test]
fn a_new_key_reaches_a_split_studio_and_leaves_a_revoked_machine_without_a_byte() {
    Lab::test("rekey", |lab| {
        let studio = Studio::without_cloud(lab, &["desk", "editor", "laptop"])?;
        studio.linked(SOON)?;
        let [desk, editor, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        let old = keys(desk)?;
        ensure!(old.len() == 1 && keys(laptop)? == old, "{old:?}");
        // The editor is away; the laptop is stolen.
        editor.host.cut()?;
        eventually("the editor is missed", SOON, || {
            (!peers(desk).contains(&"editor".to_owned())).then_some(())
        })?;
        let id = laptop.status()?.node.device;
        let revoked = desk
            .api()?
            .post(&path(&format!("/devices/{id}/revoke")), &json!({}))?;
        revoked.ok()?;
        desk.command(&["rekey"])?;
        let new = keys(desk)?;
        ensure!(
            new.len() == 2 && new[1] == old[0] && new[0] != old[0],
            "the editor is not waited for"
        );
        // It wrote on meanwhile, and comes back with the key that it knows.
        editor.create("Written while away")?;
        editor.host.restore()?;
        let ((), took) = eventually(
            "the editor moved, and the old key is given up",
            SOON,
            || {
                let alone = |machine: &Machine| keys(machine).ok() == Some(vec![new[0].clone()]);
                let linked = peers(desk) == ["editor"] && peers(editor) == ["desk"];
                (alone(desk) && alone(editor) && linked).then_some(())
            },
        )?;
        println!(
            "    a split studio has moved to the new key {} ms after it met",
            took.as_millis()
        );
        let one = editor.create("After the change")?;
        eventually("they work on", SOON, || {
            desk.entity("client", one).ok().flatten()
        })?;
        ensure!(keys(laptop)? == old, "the laptop was told the key");
        stays_outside([desk, editor, laptop], lab.host("thief")?)?;
        // Everything still stands after a restart of both.
        desk.kill()?;
        editor.kill()?;
        desk.start()?;
        editor.start()?;
        eventually("they find each other under the new key", SOON, || {
            (peers(desk) == ["editor"]).then_some(())
        })
        .map(drop)
    });
}
