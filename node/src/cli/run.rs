//! `run`: this machine's node, until it is told to stop.
//!
//! One line of JSON or text says when it is ready; everything else is log.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::Args;
use serde_json::json;
use studiovault_node::api::{self, ApiOptions};
use studiovault_node::config::Machine;
use studiovault_node::node::{Announce, Node, NodeConfig};
use tracing_subscriber::EnvFilter;

use peer::Place;

use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::written;
use super::{Call, Outcome, runtime};

mod log;
mod peer;

#[derive(Args)]
pub(crate) struct Run {
    /// Where the mesh listens [default: a free port on every address]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// A peer to dial besides those found on the LAN, by address or by name
    #[arg(long = "peer", value_name = "HOST:PORT")]
    peers: Vec<Place>,
    /// Announce nothing on the LAN for this run; `studiovault venue on` does so for good
    #[arg(long)]
    silent: bool,
    /// The port of the local API on loopback [default: a free one]
    #[arg(
        long,
        default_value_t = 0,
        value_name = "PORT",
        hide_default_value = true
    )]
    api_port: u16,
    /// Log into this file, and two older ones of at most 4 MiB each, instead of the error stream
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// `studiovault run`.
pub(crate) fn run(call: &Call, run: Run) -> Outcome {
    match &run.log {
        Some(path) => log_to_file(path)?,
        None => log_to_stderr(),
    }
    let machine = Machine::load(folder(call)?)?;
    runtime()?.block_on(serve(call, run, machine))
}

async fn serve(call: &Call, run: Run, machine: Machine) -> Outcome {
    // Before anything else: a stop that comes early must not be missed.
    let stop = stop_signal()?;
    let folder = machine.folder.clone();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let any = [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    ];
    let (peers, names) = peer::sorted(run.peers);
    let config = NodeConfig {
        machine,
        listen: if run.listen.is_empty() {
            any.into()
        } else {
            run.listen
        },
        peers,
        announce: if run.silent {
            Announce::Silent
        } else {
            Announce::Mdns
        },
    };
    let failed = |error: String| Failure::new(Exit::Failed, error);
    let node = Node::start(config)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let options = ApiOptions { port: run.api_port };
    let api = match api::serve(node.clone(), folder, options).await {
        Ok(api) => api,
        Err(error) => {
            node.shutdown().await;
            return Err(failed(error.to_string()));
        }
    };
    ready(call, &node, &api.endpoint);
    let places = tokio::spawn(peer::resolve(node.clone(), names));
    stop.await;
    places.abort();
    tracing::info!("stopping");
    api.stop().await;
    node.shutdown().await;
    Ok(())
}

fn ready(call: &Call, node: &Node, endpoint: &api::Endpoint) {
    let status = node.status();
    if call.json {
        let line = json!({
            "ready": true,
            "device": status.node.device,
            "name": status.node.name,
            "api_port": endpoint.port,
            "pid": endpoint.pid,
        });
        announce(format_args!("{line}"));
    } else {
        announce(format_args!(
            "{} runs; local API on 127.0.0.1:{}. Stop it with Ctrl-C.",
            status.node.name, endpoint.port
        ));
    }
}

/// The node runs on, whether anybody can read that it does.
fn announce(line: std::fmt::Arguments<'_>) {
    if let Err(error) = written(line) {
        tracing::warn!(%error, "the ready line could not be printed");
    }
}

/// What is logged if nobody says: what we do, and what goes wrong elsewhere.
const LOG: &str = "warn,studiovault=info,studiovault_node=info,studiovault_cloud=info,mdns_sd=off";

/// `STUDIOVAULT_LOG` says which lines are logged.
fn filter() -> EnvFilter {
    EnvFilter::try_from_env("STUDIOVAULT_LOG").unwrap_or_else(|_| EnvFilter::new(LOG))
}

/// Log lines go to a file that does not grow for ever.
fn log_to_file(path: &Path) -> Outcome {
    let log = log::RotatedLog::open(path).map_err(|error| {
        let text = format!(
            "{} cannot be written: {error}\nName another file with --log.",
            path.display()
        );
        Failure::new(Exit::Failed, text)
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(Mutex::new(log))
        .with_ansi(false);
    // A second subscriber is refused; the first one serves.
    let _ = subscriber.try_init();
    Ok(())
}

/// Log lines go to the error stream.
pub(crate) fn log_to_stderr() {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second subscriber is refused; the first one serves.
    let _ = subscriber.try_init();
}

/// Ends when the person or the system asks the process to stop.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error: std::io::Error| {
        let text = format!("stop signals cannot be heard: {error}\nStart it again.");
        Failure::new(Exit::Failed, text)
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c().map_err(failed)?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}
