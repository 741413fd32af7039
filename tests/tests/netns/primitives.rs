//! The lab itself: its links carry, break and lose what its tests will believe they do.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use studiovault_lab::lab::{Host, Lab, eventually, lab_agent};

const MDNS: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
const SOON: Duration = Duration::from_secs(10);

/// True once a datagram from `one` arrives at `other`, which cannot be said of the first ones after a change.
fn reaches(one: &Host, other: &Host) -> Result<bool> {
    arrives(one, other, SOON)
}

/// True if nothing arrives for as long as a heartbeat would need several times.
fn is_deaf_to(other: &Host, one: &Host) -> Result<bool> {
    Ok(!arrives(one, other, Duration::from_millis(700))?)
}

fn arrives(one: &Host, other: &Host, within: Duration) -> Result<bool> {
    let to = (other.address(), 9000);
    let hearing = other.hear(to)?;
    let arrived = eventually("a datagram arrives", within, || {
        // A cut cable makes sending fail, which is one way not to arrive.
        let _unsent = one.say(to, 1);
        (hearing.count() > 0).then_some(())
    });
    Ok(arrived.is_ok())
}

#[test]
fn datagrams_and_multicast_cross_the_bridge() {
    Lab::test("cross", |lab| {
        let (front_desk, editor, laptop) = (
            lab.host("front-desk")?,
            lab.host("editor")?,
            lab.host("laptop")?,
        );
        assert!(reaches(&front_desk, &editor)?);
        let hearings = [editor.hear(MDNS)?, laptop.hear(MDNS)?];
        front_desk.say(MDNS, 100)?;
        eventually("both hear the group", SOON, || {
            hearings.iter().all(|one| one.count() == 100).then_some(())
        })?;
        Ok(())
    });
}

#[test]
fn a_pulled_cable_stops_everything_until_it_is_back() {
    Lab::test("cable", |lab| {
        let (editor, laptop) = (lab.host("editor")?, lab.host("laptop")?);
        assert!(reaches(&editor, &laptop)?);
        laptop.cut()?;
        let link = laptop.run(Command::new("ip").args(["link", "show", "eth0"]))?;
        assert!(link.contains("NO-CARRIER"), "{link}");
        assert!(is_deaf_to(&laptop, &editor)?);
        assert!(is_deaf_to(&editor, &laptop)?);
        laptop.restore()?;
        assert!(reaches(&editor, &laptop)?);
        assert!(reaches(&laptop, &editor)?);
        Ok(())
    });
}

#[test]
fn a_lossy_cable_loses_its_share_and_heals() {
    Lab::test("loss", |lab| {
        let (editor, laptop) = (lab.host("editor")?, lab.host("laptop")?);
        let to = (laptop.address(), 9000);
        let hearing = laptop.hear(to)?;
        let heard_of_1000 = || -> Result<usize> {
            hearing.clear();
            editor.say(to, 1000)?;
            // The last ones may still be on their way through the pipe.
            let mut before = usize::MAX;
            let settled = eventually("no more arrive", SOON, || {
                let count = hearing.count();
                std::thread::sleep(Duration::from_millis(100));
                (std::mem::replace(&mut before, count) == count && count > 0).then_some(count)
            });
            Ok(settled?.0)
        };
        assert_eq!(heard_of_1000()?, 1000);
        laptop.loss(30)?;
        let heard = heard_of_1000()?;
        assert!((620..780).contains(&heard), "{heard} of 1000 at 30 % loss");
        laptop.loss(0)?;
        editor.loss(30)?;
        let heard = heard_of_1000()?;
        assert!(
            (620..780).contains(&heard),
            "{heard} of 1000 when the sender's cable is lossy"
        );
        editor.loss(0)?;
        assert_eq!(heard_of_1000()?, 1000);
        Ok(())
    });
}

#[test]
fn a_one_way_drop_leaves_the_other_way_open() {
    Lab::test("oneway", |lab| {
        let (editor, laptop) = (lab.host("editor")?, lab.host("laptop")?);
        // Both must know each other's hardware address: asking for it needs both ways.
        assert!(reaches(&editor, &laptop)? && reaches(&laptop, &editor)?);
        let group = laptop.hear(MDNS)?;
        editor.drop_to(&laptop)?;
        assert!(is_deaf_to(&laptop, &editor)?);
        assert!(reaches(&laptop, &editor)?);
        editor.say(MDNS, 20)?;
        assert_eq!(group.count(), 0);
        editor.deliver_to(&laptop)?;
        assert!(reaches(&editor, &laptop)?);
        Ok(())
    });
}

#[test]
fn sent_bytes_are_counted_at_the_cable() {
    Lab::test("bytes", |lab| {
        let (editor, laptop) = (lab.host("editor")?, lab.host("laptop")?);
        assert!(reaches(&editor, &laptop)?);
        let before = editor.bytes_sent()?;
        editor.say((laptop.address(), 9000), 1000)?;
        let sent = editor.bytes_sent()? - before;
        // 4 bytes in 8 of UDP, 20 of IP and 14 of Ethernet, and perhaps a neighbour discovery.
        assert!((46_000..48_000).contains(&sent), "{sent} bytes");
        Ok(())
    });
}

#[test]
fn a_loopback_port_is_reached_from_outside_its_namespace() {
    Lab::test("loopback", |lab| {
        let laptop = lab.host("laptop")?;
        let api = laptop.api(8080)?.with_token("secret");
        assert!(api.get("/").is_err(), "nobody listens yet");
        let _server = laptop.spawn(Command::new(lab_agent()?).args(["echo", "8080"]))?;
        let (answer, _) = eventually("the server answers", SOON, || api.get("/status").ok())?;
        assert_eq!(
            (answer.status, &answer.body["path"]),
            (200, &serde_json::json!("/status"))
        );
        assert_eq!(answer.body["authorization"], "Bearer secret");
        let body = serde_json::json!({ "name": "Ada" });
        assert_eq!(api.post("/clients", &body)?.ok()?["body"], body.to_string());
        let stream = api.stream(reqwest::Method::GET, "/events", None)?;
        assert!(
            stream
                .next_line(SOON)
                .is_some_and(|line| line.contains("/events"))
        );
        Ok(())
    });
}

#[test]
fn processes_are_started_logged_put_to_sleep_and_ended() {
    Lab::test("process", |lab| {
        let laptop = lab.host("laptop")?;
        let mut process = laptop.spawn(
            Command::new("sh")
                .args(["-c", "echo \"at $PLACE\"; exec sleep 100"])
                .env("PLACE", "desk"),
        )?;
        eventually("it has spoken", SOON, || {
            process.log().contains("at desk").then_some(())
        })?;
        let state = |id: u32| {
            let status = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            status.rsplit(") ").next()?.chars().next()
        };
        process.pause()?;
        eventually("it sleeps", SOON, || {
            (state(process.id()) == Some('T')).then_some(())
        })?;
        process.resume()?;
        eventually("it is awake", SOON, || {
            (state(process.id()) == Some('S')).then_some(())
        })?;
        assert!(process.ended()?.is_none());
        process.kill()?;
        assert!(process.ended()?.is_some());
        assert!(
            process.pause().is_err(),
            "an ended process is never signalled"
        );
        let second = laptop.spawn(Command::new("sleep").arg("100"))?;
        let id = second.id();
        drop(second);
        assert_eq!(state(id), None);
        Ok(())
    });
}

#[test]
fn nothing_stays_behind() {
    Lab::test("clean", |_| {
        let namespaces = || lab_tool(Command::new("ip").args(["netns", "list"]));
        let prefix = format!("sv{}-passing", std::process::id());
        let lab = Lab::new("passing")?;
        let folder = lab.folder().to_owned();
        let laptop = lab.host("laptop")?;
        assert!(namespaces()?.contains(&prefix));
        drop((laptop, lab));
        assert!(!namespaces()?.contains(&prefix));
        assert!(!folder.exists());
        // A lab whose process is gone: no machine gives out an id above 4194304.
        lab_tool(Command::new("ip").args(["netns", "add", "sv4194305-dead-bridge"]))?;
        drop(Lab::new("sweep")?);
        assert!(!namespaces()?.contains("sv4194305"));
        Ok(())
    });
}

fn lab_tool(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
