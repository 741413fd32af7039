//! `studiovault login`: a new token for the cloud, while the node runs or before it does.

use clap::Args;
use serde_json::{Value as Json, json};
use studiovault_node::config::StudioFile;
use studiovault_protocol::api::LoginRequest;

use super::client::Client;
use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Login {
    /// The token that whoever hosts the cloud gave you
    #[arg(
        long,
        value_name = "TOKEN",
        env = "STUDIOVAULT_CLOUD_TOKEN",
        hide_env_values = true
    )]
    token: String,
}

/// `studiovault login`.
pub(crate) fn login(call: &Call, login: Login) -> Outcome {
    let folder = folder(call)?;
    if let Ok(client) = Client::connect(&folder) {
        let request = LoginRequest { token: login.token };
        let _: Json = runtime()?.block_on(client.post("/login", &request))?;
    } else {
        // No node runs: the file is all there is.
        let _lock = folder.lock()?;
        let mut studio = StudioFile::load(&folder.studio_path())?;
        let Some(access) = &mut studio.cloud else {
            let text = "this studio has no cloud truth\nThere is nobody to sign in to; the studio works as it is.";
            return Err(Failure::new(Exit::Refused, text));
        };
        access.token = login.token;
        studio.save(&folder.studio_path())?;
    }
    if call.json {
        print_json(&json!({"token": "kept"}));
    } else {
        say!(
            "the token is kept; what waits goes up by itself if the cloud takes it (see `studiovault status`)"
        );
    }
    Ok(())
}
