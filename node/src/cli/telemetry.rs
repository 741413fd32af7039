//! `studiovault telemetry`: what this machine would tell of itself, and whether it may.

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;
use studiovault_node::config::TelemetryFile;
use studiovault_protocol::api::{TelemetryRequest, TelemetryState, TelemetryView};

use super::client::{Client, if_running};
use super::failure::{Exit, Failure};
use super::folder::{client, folder};
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

#[derive(Subcommand)]
pub(crate) enum Telemetry {
    /// Print exactly what is sent, or would be
    Show,
    /// Let this machine tell the studio's own cloud truth once a day, beginning now
    On,
    /// Send nothing; so it is until you say `on`
    Off,
}

/// `studiovault telemetry show|on|off`.
pub(crate) fn telemetry(call: &Call, telemetry: Telemetry) -> Outcome {
    match telemetry {
        Telemetry::Show => show(call),
        Telemetry::On => set(call, TelemetryState::On),
        Telemetry::Off => set(call, TelemetryState::Off),
    }
}

fn set(call: &Call, state: TelemetryState) -> Outcome {
    let folder = folder(call)?;
    let request = TelemetryRequest { state };
    let ask = async |client: &Client| {
        client
            .post::<_, TelemetryView>("/telemetry", &request)
            .await
    };
    let told = runtime()?.block_on(if_running(&folder, ask))?;
    if told.is_none() {
        // The folder is all there is.
        let _lock = folder.lock()?;
        let path = folder.telemetry_path();
        let file = TelemetryFile {
            state,
            ..TelemetryFile::load(&path)
        };
        let kept = file.save(&path);
        kept.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    }
    let problem = told.and_then(|view| view.problem);
    if call.json {
        print_json(&json!({"state": state, "problem": problem}));
    } else if state == TelemetryState::Off {
        say!("nothing is sent");
    } else {
        say!(
            "once a day this machine tells the studio's cloud truth what `studiovault telemetry show` prints, and nobody else"
        );
        if let Some(problem) = problem {
            say!("not yet: {problem}");
        }
    }
    Ok(())
}

/// The output is what is sent and no byte more; what there is to say of it goes to the other stream.
fn show(call: &Call) -> Outcome {
    let view: TelemetryView = runtime()?.block_on(client(call)?.get("/telemetry"))?;
    if call.json {
        print_json(&view);
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    // A reader that has closed its end has seen enough.
    let _ = out
        .write_all(view.report.as_bytes())
        .and_then(|()| out.flush());
    let note = match (view.state, view.sent) {
        (TelemetryState::Off, _) => {
            "Nothing of this is sent; `studiovault telemetry on` would send it to the studio's cloud truth once a day."
        }
        (TelemetryState::On, Some(_)) => {
            "This goes to the studio's cloud truth once a day, as it is then; --json also has what was sent last. `studiovault telemetry off` ends it."
        }
        (TelemetryState::On, None) => {
            "This goes to the studio's cloud truth as soon as that takes it. `studiovault telemetry off` ends it."
        }
    };
    eprintln!("\n{note}");
    Ok(())
}
