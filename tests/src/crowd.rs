//! Many real machines on one LAN: how soon they agree on what all of them write, and what each costs while nothing happens.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::lab::machine::create;
use crate::lab::{Lab, Machine, Studio};
use crate::system::{processor_ticks, resident_kib};

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(180);
/// Clients in one transaction.
const TRANSACTION: usize = 50;
/// Ticks of the system's clock in a second, as Linux tells processes.
const TICKS: f64 = 100.0;
/// What an idle machine may cost at most: percent of a core, bytes sent in a second, MiB.
pub const IDLE_MOST: (f64, f64, f64) = (1.0, 5_000.0, 40.0);

/// What a crowd came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Machines.
    pub machines: usize,
    /// Commands.
    pub commands: usize,
    /// Until all were linked.
    pub linked: Duration,
    /// From the first write until all agreed.
    pub together: Duration,
    /// Percent of a core of the busiest idle machine.
    pub idle_percent: f64,
    /// Bytes in a second of the idle machine that sends most.
    pub idle_bytes: f64,
    /// MiB of the largest machine.
    pub memory_mib: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} machines: linked after {:.1} s, {} commands on all of them {:.1} s after the first write; idle, the worst of them: {:.2} % of a core, {:.0} B/s sent, {:.1} MiB",
            self.machines,
            self.linked.as_secs_f64(),
            self.commands,
            self.together.as_secs_f64(),
            self.idle_percent,
            self.idle_bytes,
            self.memory_mib
        )
    }
}

fn pid(machine: &Machine) -> Result<u32> {
    let api = std::fs::read_to_string(machine.folder().join("api.json"))?;
    let api: Value = serde_json::from_str(&api)?;
    Ok(u32::try_from(api["pid"].as_u64().context("a process")?)?)
}

/// Seconds of processor that a process has taken.
fn processor(pid: u32) -> Result<f64> {
    Ok(processor_ticks(pid)? as f64 / TICKS)
}

/// What a process holds in memory of its own, MiB.
fn memory_mib(pid: u32) -> Result<f64> {
    Ok(resident_kib(pid)? as f64 / 1024.0)
}

/// Percent of a core and bytes in a second of each machine while nothing happens.
fn idle(studio: &Studio, time: Duration) -> Result<BTreeMap<String, (f64, f64)>> {
    let look = |machine: &Machine| {
        let taken = processor(pid(machine)?)?;
        anyhow::Ok((taken, machine.host.bytes_sent()? as f64))
    };
    let before: Result<Vec<_>> = studio.machines.iter().map(look).collect();
    let (before, began) = (before?, Instant::now());
    std::thread::sleep(time);
    let seconds = began.elapsed().as_secs_f64();
    let cost = |(machine, before): (&Machine, &(f64, f64))| {
        let now = look(machine)?;
        let percent = (now.0 - before.0) / seconds * 100.0;
        let bytes = (now.1 - before.1) / seconds;
        Ok((machine.name().to_owned(), (percent, bytes)))
    };
    studio.machines.iter().zip(&before).map(cost).collect()
}

/// Starts that many machines, has all of them write, and watches them when they agree.
pub fn measure(
    lab: &Lab,
    (machines, commands): (usize, usize),
    idle_for: Duration,
) -> Result<Figures> {
    let names: Vec<String> = (1..=machines).map(|number| format!("m{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let studio = Studio::without_cloud(lab, &names)?;
    let linked = studio.linked(LIMIT)?;
    let (began, mut written) = (Instant::now(), 0);
    for machine in studio.machines.iter().cycle() {
        let count = TRANSACTION.min(commands - written);
        if count == 0 {
            break;
        }
        let client = |number| {
            let name = format!("Client {} of {}", written + number, machine.name());
            create("client", json!({"name": name}))
        };
        machine.write((0..count).map(client).collect())?;
        written += count;
    }
    studio.together(commands as u64, LIMIT)?;
    let together = began.elapsed();
    // What was still on its way, and what is tidied up behind a burst, is no idling.
    std::thread::sleep(Duration::from_secs(2));
    let idle = idle(&studio, idle_for)?;
    let most = |pick: fn(&(f64, f64)) -> f64| idle.values().map(pick).fold(0.0, f64::max);
    let memory: Result<Vec<f64>> = studio
        .machines
        .iter()
        .map(|m| memory_mib(pid(m)?))
        .collect();
    Ok(Figures {
        machines,
        commands,
        linked,
        together,
        idle_percent: most(|cost| cost.0),
        idle_bytes: most(|cost| cost.1),
        memory_mib: memory?.into_iter().fold(0.0, f64::max),
    })
}

/// The whole of it; fails if an idle machine costs more than [`IDLE_MOST`].
pub fn campaign(size: (usize, usize), idle_for: Duration) -> Result<()> {
    let lab = Lab::new("crowd")?;
    let figures = measure(&lab, size, idle_for)?;
    println!("{figures}");
    let (percent, bytes, mib) = IDLE_MOST;
    ensure!(
        figures.idle_percent <= percent,
        "more than {percent} % of a core"
    );
    ensure!(figures.idle_bytes <= bytes, "more than {bytes} B/s");
    ensure!(figures.memory_mib <= mib, "more than {mib} MiB");
    Ok(())
}
