//! The conformance runner: asks a cloud truth by its address alone whether it keeps the contract, ours or a Worker.
//!
//! It enrols a studio of its own, so it can be pointed at a server that serves others. Each claim stands for itself.

mod claims;
mod client;
mod machine;

use anyhow::Result;

pub use client::Client;
pub use machine::Machine;

/// What came of one claim.
#[derive(Debug)]
pub struct Finding {
    /// What the contract says.
    pub claim: &'static str,
    /// `None`: it is so.
    pub fault: Option<String>,
}

/// Asks everything, in order.
pub async fn run(base_url: &str, admin_token: &str) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    of_itself(&mut findings, (base_url, admin_token)).await?;
    of_commands(&mut findings, (base_url, admin_token)).await?;
    Ok(findings)
}

fn note(findings: &mut Vec<Finding>, claim: &'static str, outcome: Result<()>) {
    let fault = outcome.err().map(|error| format!("{error:#}"));
    findings.push(Finding { claim, fault });
}

/// What the server says of itself, and what it refuses.
async fn of_itself(findings: &mut Vec<Finding>, server: (&str, &str)) -> Result<()> {
    let new = || Client::enrol(server.0, server.1);
    note(
        findings,
        "limits, codes and the document are served to everybody",
        claims::describes_itself(&new().await?).await,
    );
    note(
        findings,
        "a request without a valid token is a 401 with a problem document",
        claims::unauthorised(&new().await?).await,
    );
    note(
        findings,
        "enrolling twice tells the same, another root key is refused",
        claims::enrols_once(&new().await?).await,
    );
    note(
        findings,
        "a position that is none of the feed is a 410",
        claims::made_up_positions(&new().await?).await,
    );
    note(
        findings,
        "a token revoked in the middle is a 401 from there on",
        claims::revoked(&new().await?).await,
    );
    note(
        findings,
        "what is too large is a 413, what cannot be read a 400 or 415",
        claims::limits(&new().await?).await,
    );
    note(
        findings,
        "gzip and zstd are read and written where they are asked for",
        claims::encodings(&new().await?).await,
    );
    note(
        findings,
        "a token opens its own studio only",
        claims::walls(&new().await?, &new().await?).await,
    );
    note(
        findings,
        "a snapshot is signed, every chunk is what it names, and no other studio is given one",
        claims::snapshots(&new().await?, &new().await?).await,
    );
    note(
        findings,
        "pages that the server has not signed are never taken back",
        claims::foreign_tail(&new().await?).await,
    );
    Ok(())
}

/// What becomes of commands.
async fn of_commands(findings: &mut Vec<Finding>, server: (&str, &str)) -> Result<()> {
    let new = || Client::enrol(server.0, server.1);
    note(
        findings,
        "a batch sent twice has one effect and the same verdicts",
        claims::replays(&mut new().await?).await,
    );
    note(
        findings,
        "a connection cut anywhere in a request takes nothing or all",
        claims::cut(&mut new().await?).await,
    );
    note(
        findings,
        "what comes before its predecessor waits and is named",
        claims::reorders(&mut new().await?).await,
    );
    note(
        findings,
        "paging while others write misses nothing and repeats nothing",
        claims::pages(&new().await?).await,
    );
    note(
        findings,
        "a command id means one thing for ever",
        claims::one_meaning(&new().await?).await,
    );
    note(
        findings,
        "a waiting question ends when something is new",
        claims::waits(&new().await?).await,
    );
    note(
        findings,
        "a conflict is settled by who had read its sides",
        claims::resolves(&mut new().await?).await,
    );
    Ok(())
}
