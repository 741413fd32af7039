//! The mesh: five real nodes in network namespaces on one bridge, with real multicast.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::agent::{Agent, Answer, Order, now_ns};
use super::{Figure, ms, percentile, rate, studio};
use crate::lab::{Host, Lab};
use crate::skipped::skipped;
use crate::system::{processor_ticks, resident_kib};

/// Nodes of the mesh.
const NODES: usize = 5;

/// The lab with a studio's nodes in it.
struct Mesh<'l> {
    lab: &'l Lab,
    hosts: Vec<Host>,
    folders: Vec<PathBuf>,
    agents: Vec<Agent>,
}

fn start(host: &Host, folder: &Path) -> Result<Agent> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bench-node").arg("--folder").arg(folder);
    Agent::start(host.inside(&command))
}

impl<'l> Mesh<'l> {
    fn start(lab: &'l Lab, root: &Path, (made, started): (usize, usize)) -> Result<Self> {
        let machines = studio::machines(root, made)?;
        let folders: Vec<PathBuf> = machines
            .iter()
            .map(|m| m.folder.path().to_owned())
            .collect();
        // Every machine must know all others: the last folder's studio file names them all.
        let all = machines.last().context("a machine")?.folder.studio_path();
        for machine in &machines {
            if machine.folder.studio_path() != all {
                std::fs::copy(&all, machine.folder.studio_path())?;
            }
        }
        let mut mesh = Self {
            lab,
            hosts: Vec::new(),
            folders,
            agents: Vec::new(),
        };
        for number in 0..made {
            mesh.hosts.push(mesh.lab.host(&format!("n{number}"))?);
        }
        for number in 0..started {
            mesh.agents
                .push(start(&mesh.hosts[number], &mesh.folders[number])?);
        }
        mesh.linked()?;
        Ok(mesh)
    }

    fn linked(&mut self) -> Result<u64> {
        let others = self.agents.len() - 1;
        let mut last = 0;
        for agent in &mut self.agents {
            last = last.max(agent.at(&Order::Peers(others))?);
        }
        Ok(last)
    }

    /// When every agent but `except` has seen so many rows, ns.
    fn all_seen(&mut self, least: u64, except: Option<usize>) -> Result<u64> {
        let mut last = 0;
        for (number, agent) in self.agents.iter_mut().enumerate() {
            if Some(number) != except {
                last = last.max(agent.at(&Order::Seen(least))?);
            }
        }
        Ok(last)
    }

    fn bytes(&self) -> Result<u64> {
        self.hosts.iter().map(Host::bytes_sent).sum()
    }
}

fn elapsed(from: u64, to: u64) -> Duration {
    Duration::from_nanos(to.saturating_sub(from))
}

/// One write seen by all others: latency and bytes.
fn one_write(mesh: &mut Mesh) -> Result<Vec<Figure>> {
    const WRITES: usize = 500;
    let warm = Order::Write {
        count: 50,
        size: 1,
        pause_us: 5_000,
    };
    mesh.agents[0].ask(&warm)?;
    mesh.all_seen(50, None)?;
    let bytes = mesh.bytes()?;
    let order = Order::Write {
        count: WRITES,
        size: 1,
        pause_us: 10_000,
    };
    let Answer::Wrote(wrote) = mesh.agents[0].ask(&order)? else {
        bail!("not written")
    };
    mesh.all_seen(50 + WRITES as u64, None)?;
    let sent = mesh.bytes()? - bytes;
    let mut seen = std::collections::HashMap::new();
    for agent in &mut mesh.agents[1..] {
        let Answer::Times(times) = agent.ask(&Order::Times)? else {
            bail!("no times")
        };
        for (id, at) in times {
            let last = seen.entry(id).or_insert(0);
            *last = at.max(*last);
        }
    }
    let mut samples: Vec<Duration> = wrote
        .iter()
        .map(|(id, start)| Ok(elapsed(*start, *seen.get(id).context("seen by all")?)))
        .collect::<Result<_>>()?;
    let p50 = percentile(&mut samples, 0.5);
    let p99 = percentile(&mut samples, 0.99);
    // One framed bundle: the bundle of one such row, a frame around it, and what Noise, yamux, TCP, IP and Ethernet add.
    let framed = bundle_bytes() + 8 + 18 + 12 + 66;
    let least = (framed * WRITES * (NODES - 1)) as u64;
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = sent as f64 / least as f64;
    let limit = format!("{framed} B a framed bundle");
    Ok(vec![
        Figure::new(
            "one write seen by all others, 5 nodes, p50",
            (ms(p50), "one commit at each side".into(), "3 ms"),
            p50 <= Duration::from_millis(3),
        ),
        Figure::new(
            "one write seen by all others, 5 nodes, p99",
            (ms(p99), "".into(), "15 ms"),
            p99 <= Duration::from_millis(15),
        ),
        Figure::new(
            "bytes on all links a write",
            (
                format!("{ratio:.2}x ({} B)", sent / WRITES as u64),
                limit,
                "2x of n-1 framed bundles",
            ),
            ratio <= 2.0,
        ),
    ])
}

fn bundle_bytes() -> usize {
    let row: usize = studio::row(0).values().map(|v| v.to_string().len()).sum();
    // Header, signature, ids, nonce and names of a bundle with one command, beside its values.
    row + 64 + 90 + 90
}

/// Many rows written at one node, and at all at once.
fn many_writes(mesh: &mut Mesh, seen: &mut u64) -> Result<Vec<Figure>> {
    let count = 10_000;
    let begin = now_ns();
    mesh.agents[0].order(&Order::Write {
        count,
        size: 100,
        pause_us: 0,
    })?;
    mesh.agents[0].answer()?;
    *seen += count as u64;
    let one = rate(count, elapsed(begin, mesh.all_seen(*seen, None)?));
    let begin = now_ns();
    for agent in &mut mesh.agents {
        agent.order(&Order::Write {
            count: count / NODES,
            size: 100,
            pause_us: 0,
        })?;
    }
    for agent in &mut mesh.agents {
        agent.answer()?;
    }
    *seen += count as u64;
    let five = rate(count, elapsed(begin, mesh.all_seen(*seen, None)?));
    let limit = "5 stores on 2 cores";
    Ok(vec![
        Figure::new(
            "10,000 written at one of 5, held by all",
            (format!("{one:.0}/s"), limit.into(), "10,000/s"),
            one >= 10_000.0,
        ),
        Figure::new(
            "five writers at once, held by all",
            (format!("{five:.0}/s"), limit.into(), "5,000/s"),
            five >= 5_000.0,
        ),
    ])
}

/// A node that missed 50,000 commands catches up.
fn catch_up(mesh: &mut Mesh, seen: &mut u64) -> Result<Vec<Figure>> {
    let count = 50_000;
    let last = mesh.agents.len() - 1;
    mesh.agents[last].ask(&Order::Online(false))?;
    mesh.agents[0].ask(&Order::Write {
        count,
        size: 100,
        pause_us: 0,
    })?;
    *seen += count as u64;
    mesh.all_seen(*seen, Some(last))?;
    let bytes = mesh.bytes()?;
    mesh.agents[last].ask(&Order::Online(true))?;
    let linked = mesh.agents[last].at(&Order::Peers(1))?;
    let done = mesh.agents[last].at(&Order::Seen(*seen))?;
    let sent = mesh.bytes()? - bytes;
    let speed = rate(count, elapsed(linked, done));
    let packed = packed_log(&mesh.folders[0], count)?;
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = sent as f64 / packed as f64;
    Ok(vec![
        Figure::new(
            "catch-up of 50,000 missed commands",
            (
                format!("{speed:.0}/s"),
                "applied at a receiver, above".into(),
                "40,000/s",
            ),
            speed >= 40_000.0,
        ),
        Figure::new(
            "bytes of the catch-up",
            (
                format!("{ratio:.2}x ({sent} B)"),
                format!("one zstd -3 file: {packed} B"),
                "1.3x",
            ),
            ratio <= 1.3,
        ),
    ])
}

/// Bytes of the newest `count` commands' bundles in one file packed by zstd -3.
fn packed_log(folder: &Path, count: usize) -> Result<usize> {
    let file = folder.join("studio.db");
    let connection =
        rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows =
        connection.prepare("SELECT bytes FROM log_bundle ORDER BY position DESC LIMIT ?1")?;
    let bytes: Vec<Vec<u8>> = rows
        .query_map([(count / 100) as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(zstd::bulk::compress(&bytes.concat(), 3)?.len())
}

/// A node killed with -9 and started again writes at once.
fn restart(mesh: &mut Mesh, seen: &mut u64) -> Result<Figure> {
    let last = mesh.agents.len() - 1;
    drop(mesh.agents.pop());
    mesh.agents[0].ask(&Order::Write {
        count: 100,
        size: 10,
        pause_us: 0,
    })?;
    *seen += 100;
    mesh.all_seen(*seen, None)?;
    let begin = now_ns();
    let mut agent = start(&mesh.hosts[last], &mesh.folders[last])?;
    agent.order(&Order::Write {
        count: 1,
        size: 1,
        pause_us: 0,
    })?;
    agent.answer()?;
    *seen += 1;
    let everywhere = mesh.all_seen(*seen, None)?;
    let caught_up = agent.at(&Order::Seen(101))?;
    mesh.agents.push(agent);
    let took = elapsed(begin, everywhere.max(caught_up));
    Ok(Figure::new(
        "killed -9, started: its write everywhere, it has all",
        (ms(took), "".into(), "2 s"),
        took <= Duration::from_secs(2),
    ))
}

/// An empty machine joins.
fn join(mesh: &mut Mesh, commands: u64) -> Result<Figure> {
    let number = mesh.agents.len();
    let begin = now_ns();
    let mut agent = start(&mesh.hosts[number], &mesh.folders[number])?;
    let done = agent.at(&Order::Seen(commands))?;
    let took = elapsed(begin, done);
    mesh.agents.push(agent);
    let share = took.mul_f64(50_000.0 / commands as f64);
    Ok(Figure::new(
        &format!("an empty node joins a studio of {commands} commands"),
        (
            format!("{} ({} a 50,000)", ms(took), ms(share)),
            "applied at a receiver, above".into(),
            "2 s a 50,000",
        ),
        share <= Duration::from_secs(2),
    ))
}

/// Five idle nodes: processor and bytes; and memory.
fn idle(mesh: &Mesh) -> Result<Vec<Figure>> {
    const WATCH: Duration = Duration::from_secs(20);
    let ticks = || -> Result<u64> {
        mesh.agents
            .iter()
            .map(|agent| processor_ticks(agent.id()))
            .sum()
    };
    let (cpu, bytes) = (ticks()?, mesh.bytes()?);
    std::thread::sleep(WATCH);
    let (cpu, bytes) = (ticks()? - cpu, mesh.bytes()? - bytes);
    let nodes = mesh.agents.len() as u64;
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let share = cpu as f64 / nodes as f64 / WATCH.as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let speed = bytes as f64 / nodes as f64 / WATCH.as_secs_f64();
    let mut rss = 0;
    for agent in &mesh.agents {
        rss = rss.max(resident_kib(agent.id())?);
    }
    Ok(vec![
        Figure::new(
            &format!("{nodes} idle nodes: processor each"),
            (
                format!("{share:.2} % of a core"),
                "clock ticks of 10 ms".into(),
                "0.5 %",
            ),
            share <= 0.5,
        ),
        Figure::new(
            &format!("{nodes} idle nodes: sent each"),
            (format!("{speed:.0} B/s"), "".into(), "1.2 kB/s (5 nodes)"),
            speed <= 1_200.0 * (nodes as f64 - 1.0) / 4.0,
        ),
        Figure::new(
            "resident with about 100,000 entities",
            (format!("{} MiB", rss / 1024), "".into(), "80 MiB"),
            rss <= 80 * 1024,
        ),
    ])
}

/// Measures.
pub fn measure(root: &Path) -> Result<Vec<Figure>> {
    if let Some(reason) = Lab::unavailable() {
        skipped("figures of the mesh", &reason);
        return Ok(Vec::new());
    }
    let lab = Lab::new("bench")?;
    let mut mesh = Mesh::start(&lab, &root.join("mesh"), (NODES + 1, NODES))?;
    let mut figures = one_write(&mut mesh)?;
    let mut seen = 550;
    figures.extend(many_writes(&mut mesh, &mut seen)?);
    figures.extend(catch_up(&mut mesh, &mut seen)?);
    figures.push(restart(&mut mesh, &mut seen)?);
    figures.push(join(&mut mesh, seen)?);
    let rest = 100_000 - usize::try_from(seen)?;
    mesh.agents[0].ask(&Order::Write {
        count: rest,
        size: 100,
        pause_us: 0,
    })?;
    mesh.all_seen(seen + rest as u64, Some(NODES - 1))?;
    figures.extend(idle(&mesh)?);
    Ok(figures)
}
