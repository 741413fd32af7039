//! `studiovault bootstrap`: this machine's store made anew from the newest snapshot of the cloud truth.
//!
//! What was fetched is kept if it is broken off; until the last step the store is as it was.

use clap::Args;
use serde_json::json;
use studiovault_node::bootstrap::{Bootstrap, BootstrapError, Stage, fetch};
use studiovault_node::config::Machine;
use studiovault_node::node::cloud_client;

use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::{print_json, say};
use super::pack::{Follower, Progress};
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Asked {
    /// Print how far it is, as lines of JSON before the report
    #[arg(long)]
    progress: bool,
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
                Stage::Loading => "chunks loaded",
            };
            self.finish();
            self.stage = Some((stage, Progress::new(self.follower, all, what)));
        }
        if let Some((_, progress)) = &mut self.stage {
            progress.reach(done);
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
    let client = cloud_client(&machine).map_err(BootstrapError::from)?;
    let client = client.ok_or(BootstrapError::NoCloud)?;
    let bootstrap = Bootstrap::begin(machine)?;
    let follower = Follower::asked(asked.progress);
    let mut shown = Shown {
        follower,
        stage: None,
    };
    let mut tell = |stage, done, all| shown.tell(stage, done, all);
    let manifest = runtime()?.block_on(fetch(&bootstrap, &client, &mut tell));
    let loaded = manifest.and_then(|manifest| bootstrap.load(&manifest, &mut tell));
    shown.finish();
    let loaded = loaded?;
    if call.json {
        print_json(&json!({
            "position": loaded.position,
            "bundles": loaded.bundles,
            "pages": loaded.pages,
            "carried_over": loaded.carried_over,
        }));
    } else {
        say!(
            "begun anew at position {} of the feed: {} bundles and {} pages from the snapshot, {} bundles carried over from the store before",
            loaded.position,
            loaded.bundles,
            loaded.pages,
            loaded.carried_over
        );
    }
    Ok(())
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
