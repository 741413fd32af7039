//! One node of a benchmark in a process of its own: told what to do by lines of JSON, answering each with one.
//!
//! Wall-clock nanoseconds are comparable between agents: they run on one machine.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use studiovault_node::config::{Folder, Machine};
use studiovault_node::node::{Announce, Node, NodeConfig};
use studiovault_protocol::api::Event;
use studiovault_protocol::event::Network;
use studiovault_protocol::id::EntityId;
use tokio::sync::{broadcast, watch};

use super::studio;

/// What an agent is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Write so many rows in transactions of `size`, a pause between them.
    Write {
        /// Rows.
        count: usize,
        /// Rows a transaction.
        size: usize,
        /// Pause, microseconds.
        pause_us: u64,
    },
    /// Answer when so many rows have been seen since the process began, own ones included.
    Seen(u64),
    /// Tell when each entity was first seen.
    Times,
    /// Answer when so many peers are linked.
    Peers(usize),
    /// Take the machine off the LAN or bring it back.
    Online(bool),
    /// Stop.
    Stop,
}

/// What an agent answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The node runs.
    Ready,
    /// Written: per transaction its first entity and when it was begun, ns.
    Wrote(Vec<(EntityId, u64)>),
    /// That happened at this time, ns.
    At(u64),
    /// When each entity was first seen, ns.
    Times(Vec<(EntityId, u64)>),
}

/// Wall clock, ns.
pub fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// An agent as the benchmark holds it; killed when dropped.
pub struct Agent {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Agent {
    /// Starts one with a command that runs the lab's program.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("a pipe")?;
        let stdout = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut agent = Self {
            child,
            stdin,
            stdout,
        };
        match agent.answer()? {
            Answer::Ready => Ok(agent),
            other => bail!("not ready: {other:?}"),
        }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives an order.
    pub fn order(&mut self, order: &Order) -> Result<()> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        self.stdin.write_all(line.as_bytes())?;
        Ok(())
    }

    /// Waits for the next answer.
    pub fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("an agent said {line:?}"))
    }

    /// Gives an order and waits for its answer.
    pub fn ask(&mut self, order: &Order) -> Result<Answer> {
        self.order(order)?;
        self.answer()
    }

    /// Asks when something happened, ns.
    pub fn at(&mut self, order: &Order) -> Result<u64> {
        match self.ask(order)? {
            Answer::At(at) => Ok(at),
            other => bail!("not a time: {other:?}"),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Entities seen and when.
#[derive(Default)]
struct Sightings {
    first: Mutex<HashMap<EntityId, u64>>,
}

async fn watch_events(
    mut events: broadcast::Receiver<Event>,
    sightings: Arc<Sightings>,
    count: watch::Sender<u64>,
) {
    loop {
        match events.recv().await {
            Ok(Event::Entities { ids, .. }) => {
                let now = now_ns();
                let mut first = sightings
                    .first
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                ids.into_iter().for_each(|id| {
                    first.entry(id).or_insert(now);
                });
                count.send_replace(first.len() as u64);
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                eprintln!("agent: missed {missed} events");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Runs an agent until it is told to stop or its input ends.
pub async fn run(folder: PathBuf, listen: SocketAddr) -> Result<()> {
    let machine = Machine::load(Folder::at(folder))?;
    let config = NodeConfig {
        machine,
        listen: vec![listen],
        peers: Vec::new(),
        announce: Announce::Mdns,
    };
    let node = Node::start(config).await?;
    let sightings = Arc::new(Sightings::default());
    let (count, counted) = watch::channel(0);
    tokio::spawn(watch_events(node.events(), sightings.clone(), count));
    say(&Answer::Ready)?;
    let (lines, mut orders) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = orders.recv().await {
        match serde_json::from_str(&line)? {
            Order::Stop => break,
            order => say(&carry_out(&node, order, &sightings, counted.clone()).await?)?,
        }
    }
    node.shutdown().await;
    Ok(())
}

fn say(answer: &Answer) -> Result<()> {
    let mut line = serde_json::to_string(answer)?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}

async fn carry_out(
    node: &Node,
    order: Order,
    sightings: &Sightings,
    mut counted: watch::Receiver<u64>,
) -> Result<Answer> {
    match order {
        Order::Write {
            count,
            size,
            pause_us,
        } => {
            let mut wrote = Vec::new();
            for from in (0..count).step_by(size) {
                let request = studio::creates(from, size.min(count - from));
                let start = now_ns();
                let written = node.write(request).await?;
                wrote.push((*written.ids.first().context("an id")?, start));
                if pause_us > 0 {
                    tokio::time::sleep(Duration::from_micros(pause_us)).await;
                }
            }
            return Ok(Answer::Wrote(wrote));
        }
        Order::Seen(least) => {
            counted.wait_for(|count| *count >= least).await?;
        }
        Order::Times => {
            let first = sightings
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            return Ok(Answer::Times(
                first.iter().map(|(id, at)| (*id, *at)).collect(),
            ));
        }
        Order::Peers(least) => {
            while node.status().peers.len() < least {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Order::Online(online) => {
            let network = if online {
                Network::Online
            } else {
                Network::Offline
            };
            node.set_network(network).await?;
        }
        Order::Stop => {}
    }
    Ok(Answer::At(now_ns()))
}
