//! `doctor`: stage by stage whether this machine, its network and the way to the cloud work, and what to do.

use studiovault_node::config::Machine;
use studiovault_node::node::examine_at_rest;
use studiovault_protocol::api::{DoctorView, StageOutcome};

use super::client::if_running;
use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

/// `studiovault doctor`.
pub(crate) fn doctor(call: &Call) -> Outcome {
    let view = runtime()?.block_on(look(call))?;
    if call.json {
        print_json(&view);
    } else {
        print(&view);
    }
    let failed = view.stages.iter();
    let failed: Vec<&str> = failed
        .filter(|stage| stage.outcome == StageOutcome::Failed)
        .map(|stage| stage.stage.word())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let text = format!(
        "failed: {}\nDo what stands beside it, the first one first.",
        failed.join(", ")
    );
    Err(Failure::new(Exit::Failed, text))
}

/// Asks the node that runs, else looks by itself.
async fn look(call: &Call) -> Result<DoctorView, Failure> {
    let folder = folder(call)?;
    match if_running(&folder, async |client| client.get("/doctor").await).await? {
        Some(view) => Ok(view),
        None => Ok(examine_at_rest(&Machine::load(folder)?).await),
    }
}

fn print(view: &DoctorView) {
    if !view.node_runs {
        say!(
            "no node runs with this folder: only the machine and the way to the cloud are looked at"
        );
    }
    for stage in &view.stages {
        let outcome = match stage.outcome {
            StageOutcome::Ok => "ok",
            StageOutcome::Failed => "FAILED",
            StageOutcome::Unknown => "unknown",
        };
        say!("{outcome:<8} {:<15} {}", stage.stage.word(), stage.evidence);
        if let Some(next_step) = &stage.next_step {
            say!("{:<24} -> {next_step}", "");
        }
    }
}
