//! A studio's network on one Linux machine: hosts in network namespaces of their own on one bridge.
//! Everything it creates carries the process id in its name and is removed with the `Lab`; what a killed lab left is
//! removed by the next one. It knows links and processes, and nothing of what the product sends over them.

mod agent;
mod api;
mod binary;
mod bus;
mod capture;
mod fault;
mod host;
pub mod machine;
mod namespace;
mod process;
mod screen;
mod studio;
mod truth;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

pub use agent::Hearing;
pub use api::{Answer, Api, Stream};
pub use binary::{lab_agent, studiovault, studiovault_window, till};
pub use bus::{BUS_VARIABLE, Bus};
pub use capture::{Capture, Recording};
pub use host::Host;
pub use machine::Machine;
pub use process::Process;
pub use screen::Screen;
pub use studio::{Studio, Together};
pub use truth::CloudTruth;

use crate::skipped::skipped;
use namespace::Namespace;

/// A bridge with its hosts. Multicast crosses it unsnooped, as on a cheap office switch.
pub struct Lab {
    network: Arc<Network>,
}

/// What the hosts of one lab share.
struct Network {
    bridge: Namespace,
    folder: PathBuf,
    /// The third byte of every address, so that two labs of one process differ.
    subnet: u8,
    hosts: AtomicU8,
    /// What is seen in it must outlive it.
    kept: AtomicBool,
}

static LABS: AtomicU8 = AtomicU8::new(0);

impl Lab {
    /// Creates the bridge; fails with what is missing if this machine cannot run a lab (see [`Lab::unavailable`]).
    pub fn new(name: &str) -> Result<Self> {
        namespace::remove_stale()?;
        let prefix = format!("sv{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(&prefix);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        let bridge = Namespace::create(format!("{prefix}-bridge"))?;
        bridge.ip("link add br0 type bridge mcast_snooping 0")?;
        bridge.ip("link set br0 up")?;
        let subnet = LABS.fetch_add(1, Ordering::Relaxed);
        let hosts = AtomicU8::new(0);
        let network = Network {
            bridge,
            folder,
            subnet,
            hosts,
            kept: AtomicBool::new(false),
        };
        Ok(Lab {
            network: Arc::new(network),
        })
    }

    /// Runs a test in a lab of its own; where there can be none, says so loudly and succeeds.
    ///
    /// Panics if the test fails, after printing the end of every log.
    pub fn test(name: &str, test: impl FnOnce(&Lab) -> Result<()>) {
        if let Some(reason) = Lab::unavailable() {
            skipped(&format!("netns {name}"), &reason);
            return;
        }
        let lab = Lab::new(name).expect("a machine that can have a lab builds one");
        if let Err(error) = test(&lab) {
            panic!("{name}: {error:?}");
        }
    }

    /// Adds a machine with a cable to the bridge, the address 10.77.x.y/24 and a loopback of its own.
    pub fn host(&self, name: &str) -> Result<Host> {
        Host::create(&self.network, name)
    }

    /// Keeps the folder and shows the logs when the lab ends: something failed in it.
    pub fn keep(&self) {
        self.network.kept.store(true, Ordering::Relaxed);
    }

    /// Where the logs and the hosts' folders lie; removed with the lab unless the test is failing.
    pub fn folder(&self) -> &Path {
        &self.network.folder
    }

    /// Why this machine cannot run a lab; `None` if it can.
    pub fn unavailable() -> Option<String> {
        let tools = [("ip", "-V", "iproute2"), ("nft", "--version", "nftables")];
        for (tool, argument, package) in tools {
            if let Err(error) = run(Command::new(tool).arg(argument)) {
                return Some(format!(
                    "`{tool}` is missing (apt install {package}): {error:#}"
                ));
            }
        }
        static PROBES: AtomicU32 = AtomicU32::new(0);
        let probe = PROBES.fetch_add(1, Ordering::Relaxed);
        let probe = Namespace::create(format!("sv{}-probe-{probe}", std::process::id()));
        probe
            .err()
            .map(|error| format!("cannot create a network namespace (run as root): {error:#}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() || self.kept.load(Ordering::Relaxed) {
            print_logs(&self.folder);
        } else if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("lab: {} stays behind: {error}", self.folder.display());
        }
    }
}

/// Asks every 10 ms until `check` gives an answer; fails with `what` when it has none in time.
///
/// Returns the answer and how long it took.
pub fn eventually<T>(
    what: &str,
    within: Duration,
    mut check: impl FnMut() -> Option<T>,
) -> Result<(T, Duration)> {
    let began = Instant::now();
    loop {
        if let Some(answer) = check() {
            return Ok((answer, began.elapsed()));
        }
        ensure!(began.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the long forms of the tests are wanted: `LAB_LONG=1`. They are the same tests with the issue's own durations.
pub fn long() -> bool {
    std::env::var_os("LAB_LONG").is_some_and(|value| value == "1")
}

/// Prints a measured time beside its limit; fails if it is over.
pub fn within(what: &str, took: Duration, limit: Duration) -> Result<()> {
    println!(
        "    {what}: {} ms (limit {} ms)",
        took.as_millis(),
        limit.as_millis()
    );
    ensure!(took <= limit, "{what}: {took:?}, at most {limit:?}");
    Ok(())
}

/// Runs a tool to its end; its output, or an error with what it said.
fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Logs that the report of a failing test shows: the newest ones.
const LOGS_SHOWN: usize = 8;

/// The last lines of the newest logs, for the report of a failing test.
fn print_logs(folder: &Path) {
    eprintln!(
        "lab: the folder of the failed test is kept: {}",
        folder.display()
    );
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut logs: Vec<_> = entries
        .filter_map(|entry| {
            let (path, facts) = entry
                .and_then(|entry| Ok((entry.path(), entry.metadata()?)))
                .ok()?;
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            is_log.then_some((facts.modified().ok()?, path))
        })
        .collect();
    logs.sort();
    for (_, path) in logs.iter().rev().take(LOGS_SHOWN) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("--- {}", path.display());
        let tail = lines.iter().skip(lines.len().saturating_sub(20));
        tail.for_each(|line| eprintln!("    {line}"));
    }
}
