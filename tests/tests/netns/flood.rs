//! Malformed frames at a live machine, before the handshake and past it: it stays small, and whoever is honest hardly notices.
//!
//! 15,000 of each kind; `LAB_LONG=1` sends 100,000 of each, which takes two minutes.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use studiovault_lab::flood::Flooded;
use studiovault_lab::lab::machine::path;
use studiovault_lab::lab::{Host, Lab, Machine, Studio, eventually, lab_agent, long};

const SOON: Duration = Duration::from_secs(20);
const FLOOD: Duration = Duration::from_secs(90);
/// Of each kind, and on demand.
const FRAMES: [u64; 2] = [15_000, 100_000];
/// MiB that the process may hold at most.
const MEMORY_MIB: u64 = 256;
/// Writes of the honest peer that are measured in peace.
const SAMPLES: usize = 400;
/// What the honest peer's slowest hundredth may take whatever it took in peace, ms: below, both are noise of two processors.
const NOISE_MS: f64 = 60.0;

/// From a write at the honest machine until the other one shows it, ms.
fn travel(from: &Machine, to: &Machine, number: usize) -> Result<f64> {
    let began = Instant::now();
    let id = from.create(&format!("{number} {:?}", began))?;
    let vv = from.entity("client", id)?.context("is there")?.vv;
    let seen = to
        .api()?
        .get(&path(&format!("/entities/client/{id}?at_least={vv}")))?;
    ensure!(seen.status == 200, "{seen:?}");
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn p99(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() * 99 / 100]
}

/// The most that a process held since this was asked last, MiB.
fn peak_mib(machine: &Machine) -> Result<u64> {
    let api = std::fs::read_to_string(machine.folder().join("api.json"))?;
    let api: Value = serde_json::from_str(&api)?;
    let pid = api["pid"].as_u64().context("a process")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .context("a peak")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib / 1024)
}

/// Floods `desk` while `editor` works; what came of it.
fn flooded(
    (desk, editor): (&Machine, &Machine),
    (attacker, arguments): (&Host, &[&str]),
) -> Result<(Flooded, f64, u64)> {
    peak_mib(desk)?;
    // The attacker is another machine: its work shall not be taken from the processors of the studio's.
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(lab_agent()?).args(arguments);
    let mut process = attacker.spawn(&command)?;
    let (began, mut samples) = (Instant::now(), Vec::new());
    while process.ended()?.is_none() || samples.len() < SAMPLES / 2 {
        samples.push(travel(editor, desk, samples.len())?);
        ensure!(
            began.elapsed() < FLOOD,
            "the flood does not end:\n{}",
            process.log()
        );
    }
    let log = process.log();
    let report = log.lines().last().context("a report")?;
    let flooded: Flooded = serde_json::from_str(report).with_context(|| log.clone())?;
    Ok((flooded, p99(samples), peak_mib(desk)?))
}

#[test]
fn malformed_frames_cost_neither_memory_nor_the_honest_their_time() {
    Lab::test("flood", |lab| {
        let studio = Studio::without_cloud(lab, &["desk", "editor", "laptop"])?;
        studio.linked(SOON)?;
        let [desk, editor, laptop] = &studio.machines[..] else {
            unreachable!("three machines")
        };
        // The liar has the keys of a member; that member itself is off.
        laptop.kill()?;
        eventually("it is missed", SOON, || {
            (desk.status().ok()?.peers.len() == 1).then_some(())
        })?;
        let listening = desk.status()?.node.listening;
        let port = listening.iter().find_map(|at| at.rsplit(':').next());
        let victim = format!("{}:{}", desk.host.address(), port.context("it listens")?);
        (0..50).try_for_each(|number| travel(editor, desk, number).map(drop))?;
        let calm: Result<Vec<f64>> = (0..SAMPLES)
            .map(|number| travel(editor, desk, number))
            .collect();
        let calm = p99(calm?);
        let attacker = lab.host("attacker")?;
        let folder = laptop.folder().to_string_lossy().into_owned();
        let frames = FRAMES[usize::from(long())];
        let count = frames.to_string();
        for (kind, arguments) in [
            ("before the handshake", vec!["flood", &victim, &count]),
            (
                "past the handshake",
                vec!["flood", &victim, &count, "--member", &folder],
            ),
        ] {
            let (flooded, p99, peak) = flooded((desk, editor), (&attacker, &arguments))?;
            println!(
                "    {kind}: {} malformed frames, {:.1} MB on {} links in {:.1} s, {} refused; peak memory {peak} MiB; honest p99 {p99:.1} ms, in peace {calm:.1} ms",
                flooded.frames,
                flooded.bytes as f64 / 1e6,
                flooded.links,
                flooded.seconds,
                flooded.refused
            );
            ensure!(flooded.frames >= frames, "{flooded:?}");
            ensure!(peak < MEMORY_MIB, "{kind}: {peak} MiB");
            ensure!(p99 <= (2.0 * calm).max(NOISE_MS), "{kind}: {p99:.1} ms");
        }
        // Nothing of it stuck: the member comes back and is served.
        laptop.start()?;
        editor.create("After the flood")?;
        studio.together_again(1, Duration::from_secs(40)).map(drop)
    });
}
