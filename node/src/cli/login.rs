//! `studiovault login`: signs this machine in at the cloud, while its node runs or before it does. A person approves a code
//! elsewhere; a token that somebody handed over is tried and kept, if nobody there refuses it.
//!
//! Until the tokens are there nothing is changed, whenever it is broken off.

use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};
use studiovault_node::config::{Folder, Machine, SignInFile, StudioFile};
use studiovault_node::node::{cloud_client, keep_login};
use studiovault_node::uplink::{CloudClient, Code, DeviceFlow, Progress, UplinkError};
use studiovault_node::wording::parted;
use studiovault_protocol::api::LoginRequest;

use super::client::{Client, if_running};
use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Login {
    /// A token that whoever hosts the cloud gave you; without it a code is shown that a person approves
    #[arg(
        long,
        value_name = "TOKEN",
        env = "STUDIOVAULT_CLOUD_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// `studiovault login`.
pub(crate) fn login(call: &Call, login: Login) -> Outcome {
    let folder = folder(call)?;
    let (request, untried) = match login.token {
        Some(token) => {
            let untried = runtime()?.block_on(try_token(&folder, &token))?;
            (LoginRequest::of_token(token), untried)
        }
        None => (runtime()?.block_on(by_code(call, &folder))?, None),
    };
    keep(&folder, &request)?;
    match untried {
        _ if call.json => print_json(&json!({
            "token": "kept",
            "tried": untried.is_none(),
            "not_tried_because": untried,
        })),
        None => say!("signed in; what waits goes up by itself (see `studiovault status`)"),
        Some(why) => say!(
            "the token is kept and was not tried: {why}\nIf the cloud does not take it, `studiovault status` says so."
        ),
    }
    Ok(())
}

/// Asks the cloud whether it takes a token, before anything is kept: why that stays open, if it does; fails if it does not take it,
/// or if that stays open and another sign-in would be lost for it.
async fn try_token(folder: &Folder, token: &str) -> Result<Option<String>, Failure> {
    let (machine, client) = way_there(folder)?;
    let told = match client.trying(token.to_owned()).ping().await {
        // It does not know the machine yet, which it asks about after the token.
        Ok(_) | Err(UplinkError::Unknown(_)) => return Ok(None),
        Err(error @ (UplinkError::Unauthorised(_) | UplinkError::ShutOut)) => {
            let told = error.to_string();
            let (what, next_step) = parted(&told);
            let text = format!(
                "{what}; nothing was kept\n{}",
                next_step.unwrap_or_default()
            );
            return Err(Failure::new(Exit::Refused, text));
        }
        Err(error) => error.to_string(),
    };
    if !is_signed_in(&machine)? {
        return Ok(Some(told));
    }
    let text = format!(
        "the token was not tried, and the sign-in of before stays: {}\nRun this again when the cloud is in reach; `studiovault doctor` looks at the way there.",
        parted(&told).0
    );
    Err(Failure::new(Exit::Failed, text))
}

/// Whether the machine has something to sign in with.
fn is_signed_in(machine: &Machine) -> Result<bool, Failure> {
    let kept = SignInFile::load(&machine.folder.sign_in_path())?;
    let cloud = machine.studio.cloud.as_ref();
    Ok(kept.is_some_and(|kept| !kept.ended) || cloud.is_some_and(|cloud| !cloud.token.is_empty()))
}

/// This machine, and its way to the cloud.
fn way_there(folder: &Folder) -> Result<(Machine, CloudClient), Failure> {
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::load(folder.clone())?;
    let client = cloud_client(&machine);
    let client = client.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let client = client.ok_or_else(no_cloud)?;
    Ok((machine, client))
}

/// With the running node, else in the folder.
fn keep(folder: &Folder, request: &LoginRequest) -> Outcome {
    let ask = async |client: &Client| client.post::<_, Json>("/login", request).await;
    if runtime()?.block_on(if_running(folder, ask))?.is_some() {
        return Ok(());
    }
    let _lock = folder.lock()?;
    if StudioFile::load(&folder.studio_path())?.cloud.is_none() {
        return Err(no_cloud());
    }
    keep_login(folder, request)?;
    Ok(())
}

fn no_cloud() -> Failure {
    let text =
        "this studio has no cloud truth\nThere is nobody to sign in to; the studio works as it is.";
    Failure::new(Exit::Refused, text)
}

async fn by_code(call: &Call, folder: &Folder) -> Result<LoginRequest, Failure> {
    let (machine, client) = way_there(folder)?;
    let who = (
        machine.studio.studio,
        machine.identity.device,
        machine.identity.name.as_str(),
    );
    let flow = async {
        let (flow, code) = DeviceFlow::begin(&client, who).await.map_err(failed)?;
        let bar = tell(call, &code);
        let done = wait(flow, &code).await;
        bar.finish_and_clear();
        done
    };
    tokio::select! {
        done = flow => done,
        _ = tokio::signal::ctrl_c() => {
            let text = "the sign-in was broken off; nothing was changed\nBegin anew with `studiovault login`.";
            Err(Failure::new(Exit::Failed, text))
        }
    }
}

fn tell(call: &Call, code: &Code) -> ProgressBar {
    if call.json {
        let line = json!({
            "user_code": code.user_code,
            "verification_uri": code.verification_uri,
            "expires_in": code.open_for.as_secs(),
        });
        say!("{line}");
        return ProgressBar::hidden();
    }
    say!(
        "Open\n\n  {}\n\nand give this code there, within {} minutes:\n\n  {}\n",
        code.verification_uri,
        code.open_for.as_secs() / 60,
        code.user_code
    );
    let bar = ProgressBar::new_spinner().with_message("waiting for somebody to approve it");
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Asks until somebody has decided. What the network breaks is asked again.
async fn wait(mut flow: DeviceFlow, code: &Code) -> Result<LoginRequest, Failure> {
    let again = |what: &str| {
        let text = format!("{what}; nothing was changed\nBegin anew with `studiovault login`.");
        Failure::new(Exit::Refused, text)
    };
    let until = Instant::now() + code.open_for;
    while Instant::now() < until {
        tokio::time::sleep(flow.interval()).await;
        match flow.ask().await {
            Ok(Progress::Waiting) => {}
            Ok(Progress::Done(request)) => return Ok(*request),
            Ok(Progress::Denied) => return Err(again("somebody refused the code")),
            Ok(Progress::Expired) => break,
            Err(UplinkError::Unreachable(_) | UplinkError::Impostor | UplinkError::Busy { .. }) => {
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(again("nobody approved the code in time"))
}

fn failed(error: UplinkError) -> Failure {
    let text = format!(
        "{error}\nNothing was changed; `studiovault doctor` looks at the way to the cloud."
    );
    Failure::new(Exit::Failed, text)
}
