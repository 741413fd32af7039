//! `studiovault bootstrap`: this machine's store made anew from the newest snapshot of the cloud truth, or from the machines on the LAN.
//!
//! What was fetched is kept if it is broken off; until the last step the store is as it was.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use serde_json::json;
use studiovault_node::bootstrap::{Bootstrap, BootstrapError, LanReach, Loaded, Stage};
use studiovault_node::config::Machine;
use studiovault_node::node::{Announce, NodeError, cloud_client};

use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::{print_json, say};
use super::pack::{Follower, Following, Progress};
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Asked {
    /// From what the machines on this network hold, with no internet: the newest snapshot among them, then their logs
    #[arg(long)]
    lan: bool,
    /// One of them, besides those found
    #[arg(long = "peer", value_name = "ADDRESS:PORT", requires = "lan")]
    peers: Vec<SocketAddr>,
    /// Where the mesh listens meanwhile [default: a free port on every address]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "lan")]
    listen: Vec<SocketAddr>,
    /// Announce nothing on the network meanwhile
    #[arg(long, requires = "lan")]
    silent: bool,
    #[command(flatten)]
    following: Following,
}

/// How far it is, stage by stage.
struct Shown {
    follower: Follower,
    stage: Option<(Stage, Progress)>,
}

impl Shown {
    fn tell(&mut self, stage: Stage, done: u64, all: u64) {
        if self.stage.as_ref().is_none_or(|(shown, _)| *shown != stage) {
            let what = match stage {
                Stage::Fetching => "bytes fetched",
                Stage::TakingOver => "places of this machine's own log loaded",
                Stage::Loading => "chunks loaded",
                Stage::Filling => "commands held",
            };
            self.finish();
            self.stage = Some((stage, Progress::new(self.follower, all, what)));
        }
        if let Some((_, progress)) = &mut self.stage {
            progress.reach_of(done, all);
        }
    }

    fn finish(&mut self) {
        if let Some((_, progress)) = self.stage.take() {
            progress.finish();
        }
    }
}

/// `studiovault bootstrap`.
pub(crate) fn bootstrap(call: &Call, asked: Asked) -> Outcome {
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::load(folder(call)?)?;
    let mut shown = Shown {
        follower: asked.following.follower(),
        stage: None,
    };
    let mut tell = |stage, done, all| shown.tell(stage, done, all);
    let asked_lan = asked.lan;
    let loaded = if asked.lan {
        let bootstrap = Bootstrap::begin(machine)?;
        runtime()?.block_on(bootstrap.load_from_lan(reach(asked), &mut tell))
    } else {
        from_cloud(machine, &mut tell)
    };
    shown.finish();
    let loaded = loaded?;
    let by_snapshot = !asked_lan || loaded.fetched > 0;
    for reason in loaded.passed.iter().filter(|_| !call.json) {
        say!("a snapshot that a machine here holds was not loaded: {reason}");
    }
    if call.json {
        print_json(&json!({
            "position": loaded.position,
            "own_position": by_snapshot.then_some(loaded.own),
            "fetched_bytes": by_snapshot.then_some(loaded.fetched),
            "bundles": loaded.bundles,
            "pages": loaded.pages,
            "commands": asked_lan.then_some(loaded.commands),
            "carried_over": loaded.carried_over,
            "passed": asked_lan.then_some(&loaded.passed),
        }));
    } else if loaded.commands > 0 && by_snapshot {
        say!(
            "begun anew with {} commands: {} bytes of a snapshot that the others hold, what came since from their logs, {} bundles carried over from the store before",
            loaded.commands,
            loaded.fetched,
            loaded.carried_over
        );
    } else if loaded.commands > 0 {
        say!(
            "begun anew with {} commands of the others, {} bundles carried over from the store before",
            loaded.commands,
            loaded.carried_over
        );
    } else {
        say!(
            "begun anew at position {} of the feed, {} bundles and {} pages: {} bytes fetched, what comes before position {} from the store before; {} bundles carried over from it",
            loaded.position,
            loaded.bundles,
            loaded.pages,
            loaded.fetched,
            loaded.own + 1,
            loaded.carried_over
        );
    }
    Ok(())
}

fn from_cloud(
    machine: Machine,
    tell: &mut dyn FnMut(Stage, u64, u64),
) -> Result<Loaded, BootstrapError> {
    let client = cloud_client(&machine)?.ok_or(BootstrapError::NoCloud)?;
    let bootstrap = Bootstrap::begin(machine)?;
    let runtime = tokio::runtime::Runtime::new().map_err(NodeError::Thread)?;
    runtime.block_on(bootstrap.load_from_cloud(&client, tell))
}

fn reach(asked: Asked) -> LanReach {
    let any = [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    ];
    LanReach {
        listen: if asked.listen.is_empty() {
            any.into()
        } else {
            asked.listen
        },
        peers: asked.peers,
        announce: if asked.silent {
            Announce::Silent
        } else {
            Announce::Mdns
        },
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        let exit = match error {
            BootstrapError::Config(error) => return error.into(),
            BootstrapError::NoCloud
            | BootstrapError::Manifest(_)
            | BootstrapError::Chunk
            | BootstrapError::Refused(_)
            | BootstrapError::OtherState
            | BootstrapError::WouldLose(_) => Exit::Refused,
            BootstrapError::NoSnapshot => Exit::NotFound,
            _ => Exit::Failed,
        };
        Self::stepped(exit, &error.to_string())
    }
}
