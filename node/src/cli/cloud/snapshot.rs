//! `cloud snapshot`: has a cloud truth make snapshots now, instead of when they are due.

use std::collections::BTreeSet;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use studiovault_node::uplink::{CloudClient, UplinkError};
use studiovault_protocol::id::StudioId;

use super::super::failure::{Exit, Failure};
use super::super::output::{print_json, say};
use super::super::{Call, Outcome, runtime};
use super::decide::{Place, access};

#[derive(Args)]
pub(crate) struct Snapshot {
    /// The one studio; without it, every studio to which this cloud truth has given a token
    #[arg(long, value_name = "ID")]
    studio: Option<StudioId>,
    #[command(flatten)]
    place: Place,
}

/// What the cloud made.
#[derive(Serialize, Deserialize)]
struct Made {
    id: String,
    studio: StudioId,
    position: u64,
    chunks: u64,
    bytes: u64,
    issued: i64,
    expires: i64,
}

#[derive(Deserialize)]
struct Token {
    studio: StudioId,
}

/// `studiovault cloud snapshot`.
pub(super) fn snapshot(call: &Call, asked: Snapshot) -> Outcome {
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = CloudClient::new(access(call, asked.place)?).map_err(failed)?;
    let made = runtime()?.block_on(make(&client, asked.studio));
    let made = made.map_err(failed)?;
    if call.json {
        print_json(&made);
        return Ok(());
    }
    if made.is_empty() {
        say!("no studio is served here yet, so there is nothing to make a snapshot of");
    }
    for one in made {
        say!(
            "studio {}: snapshot at position {}, {} bytes in {} chunks",
            one.studio,
            one.position,
            one.bytes,
            one.chunks
        );
    }
    Ok(())
}

async fn make(client: &CloudClient, studio: Option<StudioId>) -> Result<Vec<Made>, UplinkError> {
    let studios = match studio {
        Some(studio) => BTreeSet::from([studio]),
        None => {
            let tokens: Vec<Token> = client.read_json("tokens").await?;
            tokens.into_iter().map(|token| token.studio).collect()
        }
    };
    let mut made = Vec::new();
    for studio in studios {
        let body = json!({ "studio": studio });
        made.push(client.post_json("snapshots", &body).await?);
    }
    Ok(made)
}

fn failed(error: UplinkError) -> Failure {
    let (exit, next_step) = match error {
        UplinkError::Unauthorised(_) => (Exit::Failed, "Give the admin token with --cloud-token."),
        UplinkError::Missing(_) => (
            Exit::NotFound,
            "Check the studio's id, or leave --studio out.",
        ),
        _ => (
            Exit::Failed,
            "Check that the cloud truth runs, then try again.",
        ),
    };
    Failure::new(exit, format!("{error}\n{next_step}"))
}
