//! The lab's helper processes inside a namespace: a way in to a loopback port, and datagrams to count.
//! A namespace shares the file system with the lab, so a Unix socket leads out of it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};

use super::namespace::Namespace;
use super::{lab_agent, run};

/// A helper process that has said `ready`; it ends when dropped, or when the lab does.
struct Agent {
    child: Child,
    output: Option<BufReader<std::process::ChildStdout>>,
}

impl Agent {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let mut output = BufReader::new(child.stdout.take().expect("its output was asked for"));
        let mut line = String::new();
        output.read_line(&mut line)?;
        let agent = Agent {
            child,
            output: Some(output),
        };
        ensure!(
            line.trim() == "ready",
            "{command:?} did not start; what it said stands above"
        );
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Leads from a Unix socket to a port of a namespace's loopback.
pub(super) struct Forwarder {
    socket: PathBuf,
    _agent: Agent,
}

impl Forwarder {
    pub(super) fn start(namespace: &Namespace, socket: PathBuf, port: u16) -> Result<Self> {
        let _none_left = std::fs::remove_file(&socket);
        let mut command = namespace.command(lab_agent()?);
        command.arg("forward").arg(&socket).arg(port.to_string());
        Ok(Forwarder {
            socket,
            _agent: Agent::start(command)?,
        })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Counts the numbered datagrams that arrive at one host.
pub struct Hearing {
    heard: Arc<Mutex<BTreeSet<u32>>>,
    _agent: Agent,
}

impl Hearing {
    pub(super) fn start(namespace: &Namespace, at: Ipv4Addr, on: (Ipv4Addr, u16)) -> Result<Self> {
        let mut command = namespace.command(lab_agent()?);
        command.args(["hear", &at.to_string(), &format!("{}:{}", on.0, on.1)]);
        let mut agent = Agent::start(command)?;
        let output = agent.output.take().expect("a started agent has its output");
        let heard: Arc<Mutex<BTreeSet<u32>>> = Arc::default();
        let shared = Arc::clone(&heard);
        std::thread::spawn(move || {
            for number in output.lines().map_while(|line| line.ok()?.parse().ok()) {
                shared
                    .lock()
                    .expect("no holder of the lock panics")
                    .insert(number);
            }
        });
        Ok(Hearing {
            heard,
            _agent: agent,
        })
    }

    /// How many different datagrams have arrived so far.
    pub fn count(&self) -> usize {
        self.heard
            .lock()
            .expect("no holder of the lock panics")
            .len()
    }

    /// Forgets what has arrived.
    pub fn clear(&self) {
        self.heard
            .lock()
            .expect("no holder of the lock panics")
            .clear();
    }
}

pub(super) fn say(
    namespace: &Namespace,
    (from, to): (Ipv4Addr, (Ipv4Addr, u16)),
    count: u32,
) -> Result<()> {
    let mut command = namespace.command(lab_agent()?);
    command.args([
        "say",
        &from.to_string(),
        &format!("{}:{}", to.0, to.1),
        &count.to_string(),
    ]);
    run(&mut command).map(drop)
}
