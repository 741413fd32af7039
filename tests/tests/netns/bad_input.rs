//! What is wrong from outside: each gets one clear message with the next step, nothing is half-written, nothing is lost.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use studiovault_lab::lab::machine::path;
use studiovault_lab::lab::{Host, Lab, Machine, Studio, eventually};

const SOON: Duration = Duration::from_secs(20);

/// Refused with that exit code, in words that say all of this, as a sentence of its own or within one.
fn refused(machine: &Machine, arguments: &[&str], expected: (i32, &[&str])) -> Result<()> {
    let (code, text) = machine.refused(arguments)?;
    println!(
        "    {arguments:?}\n      -> {code}: {}",
        text.trim().replace('\n', " / ")
    );
    ensure!(code == expected.0, "exit code {code} with: {text}");
    let said = text.to_lowercase();
    for words in expected.1 {
        ensure!(
            said.contains(&words.to_lowercase()),
            "`{words}` is missing in: {text}"
        );
    }
    Ok(())
}

/// Every file of a folder with its bytes, but for locks and what only a running node leaves.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let passing = ["lock", "sock", "db-shm", "db-wal"];
        let name = path.to_string_lossy().into_owned();
        if path.is_file() && !passing.iter().any(|end| name.ends_with(end)) {
            files.insert(path.clone(), std::fs::read(&path)?);
        }
    }
    Ok(files)
}

#[test]
fn a_folder_of_a_newer_version_is_refused_untouched() {
    Lab::test("newer", |lab| {
        let machine = Machine::alone(lab.host("desk")?, "Studio Silva")?;
        let node = machine.folder().join("node.json");
        let text = std::fs::read_to_string(&node)?;
        let newer = text.replacen("\"version\": ", "\"version\": 9", 1);
        ensure!(newer != text, "{text}");
        std::fs::write(&node, newer)?;
        let before = files(machine.folder())?;
        refused(&machine, &["run"], (1, &["newer", "update"]))?;
        ensure!(files(machine.folder())? == before, "something was changed");
        std::fs::write(&node, text)?;
        machine.start()?;
        machine.create("Silva")?;
        machine.kill()?;
        let database = rusqlite::Connection::open(machine.folder().join("studio.db"))?;
        database.pragma_update(None, "user_version", 99)?;
        database.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
        drop(database);
        let before = files(machine.folder())?;
        refused(&machine, &["run"], (1, &["newer", "update"]))?;
        ensure!(files(machine.folder())? == before, "something was changed");
        Ok(())
    });
}

#[test]
fn a_port_in_use_is_named_with_another_way() {
    Lab::test("port", |lab| {
        let machine = Machine::alone(lab.host("desk")?, "Studio Silva")?;
        let mut running = Vec::new();
        for port in ["7001", "7002"] {
            let mut echo = Command::new(studiovault_lab::lab::lab_agent()?);
            running.push(machine.host.spawn(echo.args(["echo", port]))?);
            let api = machine.host.api(port.parse()?)?;
            eventually("the port is taken", SOON, || api.get("/").ok())?;
        }
        refused(
            &machine,
            &["run", "--api-port", "7001"],
            (1, &["7001", "--api-port"]),
        )?;
        refused(
            &machine,
            &["run", "--listen", "127.0.0.1:7002"],
            (1, &["7002", "--listen"]),
        )?;
        refused(
            &machine,
            &["cloud", "--listen", "127.0.0.1:7002"],
            (1, &["7002", "--listen"]),
        )?;
        machine.start()?;
        refused(&machine, &["run"], (1, &["another", "studiovault"]))
    });
}

#[test]
fn a_write_that_makes_no_sense_is_refused_and_leaves_nothing() {
    Lab::test("nonsense", |lab| {
        let machine = Machine::alone(lab.host("desk")?, "Studio Silva")?;
        refused(
            &machine,
            &["put", "client", "name=Silva"],
            (3, &["studiovault run"]),
        )?;
        machine.start()?;
        refused(
            &machine,
            &["put", "spaceship", "name=x"],
            (4, &["spaceship", "client"]),
        )?;
        refused(
            &machine,
            &["put", "client", "shoe=44", "name=x"],
            (4, &["shoe", "phone"]),
        )?;
        refused(
            &machine,
            &["put", "client", "name:=7"],
            (4, &["name", "text"]),
        )?;
        refused(
            &machine,
            &["put", "pos_order", "items=two"],
            (4, &["items", "number"]),
        )?;
        refused(
            &machine,
            &["get", "client", "00000000-0000-4000-8000-000000000000"],
            (5, &[""]),
        )?;
        for body in ["{", "[]", "{\"mutations\": 7}", "\u{7f}\u{1}"] {
            let text = post_raw(&machine, body)?;
            ensure!(
                text.starts_with("HTTP/1.1 400") || text.starts_with("HTTP/1.1 422"),
                "{text}"
            );
            ensure!(
                text.contains("next_step") && text.contains("code"),
                "{text}"
            );
        }
        let lines = machine.folder().join("clients.csv");
        std::fs::write(&lines, "name,phone\nSilva,1\nSousa,2,3,4\n,5\n")?;
        let file = lines.to_string_lossy();
        refused(
            &machine,
            &["import", "--type", "client", &file],
            (4, &["3"]),
        )?;
        let bought = machine.folder().join("bought.txt");
        std::fs::write(
            &bought,
            " 00004 1 19970101  2  29.33\n 00004 1 tuesday  2  29.73\n",
        )?;
        let file = bought.to_string_lossy();
        refused(
            &machine,
            &["import", "--format", "cdnow", &file],
            (4, &["2"]),
        )?;
        std::thread::sleep(Duration::from_millis(300));
        let counts = machine.status()?.counts;
        ensure!((counts.commands, counts.entities) == (0, 0), "{counts:?}");
        machine.create("Silva").map(drop)
    });
}

/// A body as it is, over the node's Unix socket; the whole answer as text.
fn post_raw(machine: &Machine, body: &str) -> Result<String> {
    let token = std::fs::read_to_string(machine.folder().join("api.token"))?;
    let socket = machine.folder().join("api.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        path("/tx"),
        token.trim(),
        body.len()
    );
    stream.write_all((head + body).as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_cloud_that_answers_nonsense_costs_nothing_but_time() {
    Lab::test("portal", |lab| {
        let studio = Studio::with_cloud(lab, &["desk"])?;
        let machine = &studio.machines[0];
        machine.create("Before")?;
        studio.together(1, SOON)?;
        let cloud = studio.cloud.as_ref().expect("it has one");
        cloud.kill()?;
        let portal = portal(&cloud.host)?;
        eventually("the machine says that its cloud is not there", SOON, || {
            let cloud = machine.status().ok()?.cloud;
            (!cloud.reachable && cloud.problem.is_some()).then_some(())
        })?;
        machine.create("Meanwhile")?;
        eventually("the write waits", SOON, || {
            (machine.status().ok()?.counts.pending == 1).then_some(())
        })?;
        let fresh = Machine::unmade(lab.host("fresh")?)?;
        let mut arguments = vec!["init", "--name", "x", "--studio-name", "x"];
        arguments.extend(cloud.arguments());
        refused(&fresh, &arguments, (1, &["Nothing was written"]))?;
        ensure!(files(fresh.folder())?.is_empty(), "half a machine was made");
        drop(portal);
        cloud.start()?;
        let (together, _) = studio.together(2, SOON)?;
        ensure!(together.confirmed == 2, "{together:?}");
        Ok(())
    });
}

/// Something that takes the cloud's port and answers every request with a page.
fn portal(host: &Host) -> Result<studiovault_lab::lab::Process> {
    let mut echo = Command::new(studiovault_lab::lab::lab_agent()?);
    host.spawn(echo.args(["echo", "8443", "--everywhere"]))
}

/// A small file system, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        ensure!(mount.arg(at).status()?.success(), "mounting a small disk");
        Ok(SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_and_loses_none() {
    Lab::test("full", |lab| {
        let host = lab.host("desk")?;
        let disk = SmallDisk::mount(&host.folder()?, "6m")?;
        let machine = Machine::alone(host, "Studio Silva")?;
        machine.start()?;
        let notes = "x".repeat(12_000);
        let create = json!({"mutations": [{"type": "client", "op": "create", "fields": {"name": "Silva", "notes": notes}}]});
        let mut acknowledged = 0u64;
        let refusal = loop {
            let answer = machine.api()?.post(&path("/tx"), &create)?;
            if answer.status != 200 {
                break answer;
            }
            acknowledged += 1;
            ensure!(acknowledged < 2_000, "the disk is not small");
        };
        println!(
            "    after {acknowledged} writes: {} {}",
            refusal.status, refusal.body
        );
        ensure!(refusal.status == 507, "{refusal:?}");
        ensure!(
            refusal.body["next_step"]
                .as_str()
                .is_some_and(|step| !step.is_empty())
        );
        ensure!(acknowledged > 20, "only {acknowledged} fitted");
        ensure!(machine.status().is_ok(), "it does not answer any more");
        machine.kill()?;
        let grow = Command::new("mount")
            .args(["-o", "remount,size=64m"])
            .arg(&disk.0)
            .status()?;
        ensure!(grow.success(), "making room");
        machine.start()?;
        machine.create("With room again")?;
        eventually("everything acknowledged is there", SOON, || {
            (machine.status().ok()?.counts.commands == acknowledged + 1).then_some(())
        })?;
        machine.kill()
    });
}
