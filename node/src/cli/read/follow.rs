//! `status --follow`: how far this machine is with being filled, until it holds what the others in reach hold.
//!
//! The estimate is the node's own; nothing here counts.

use std::time::Duration;

use serde_json::json;
use studiovault_protocol::api::{CatchUp, Status};

use super::summary;
use crate::cli::client::Client;
use crate::cli::folder::client;
use crate::cli::import::progress_bar;
use crate::cli::output::{print_json, say};
use crate::cli::{Call, Outcome, runtime};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Prints progress, then the status.
pub(super) fn follow(call: &Call) -> Outcome {
    let client = client(call)?;
    let status = runtime()?.block_on(filled(call, &client))?;
    if call.json {
        print_json(&status);
    } else {
        summary::print(&status);
    }
    Ok(())
}

/// Waits until somebody is in reach and nobody in reach holds more.
async fn filled(call: &Call, client: &Client) -> Result<Status, super::Failure> {
    let bar = progress_bar(0, "waiting for another machine");
    let mut told = None;
    loop {
        let status: Status = client.get("/status").await?;
        match &status.lan.catching_up {
            None if !status.peers.is_empty() => {
                bar.finish_and_clear();
                return Ok(status);
            }
            None => {}
            Some(behind) if call.json => {
                if told.as_ref() != Some(behind) {
                    say!("{}", json!({ "catching_up": behind }));
                }
                told = Some(behind.clone());
            }
            Some(behind) => {
                bar.set_length(behind.of);
                bar.set_position(behind.held);
                bar.set_message(words(behind));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Where the machine stands, in words.
pub(super) fn words(behind: &CatchUp) -> String {
    let share = behind.held.saturating_mul(100) / behind.of.max(1);
    let left = match (behind.left_s, behind.per_second) {
        (Some(left), _) if left < 90 => format!("about {left} s left"),
        (Some(left), _) => format!("about {} minutes left", left.div_ceil(60)),
        (None, None) => "too soon to say how long".to_owned(),
        (None, Some(_)) => "nothing came in the last seconds".to_owned(),
    };
    format!(
        "{share} %, {} of {} commands, from {}, {left}",
        behind.held, behind.of, behind.from
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(per_second: Option<u64>, left_s: Option<u64>) -> CatchUp {
        CatchUp {
            from: "desk".to_owned(),
            held: 250,
            of: 1_000,
            per_second,
            left_s,
        }
    }

    #[test]
    fn an_estimate_is_told_only_where_there_is_one() {
        let of = |per_second, left_s| words(&behind(per_second, left_s));
        assert_eq!(
            of(Some(10), Some(75)),
            "25 %, 250 of 1000 commands, from desk, about 75 s left"
        );
        assert!(of(Some(1), Some(750)).ends_with("about 13 minutes left"));
        assert!(of(None, None).ends_with("too soon to say how long"));
        assert!(of(Some(0), None).ends_with("nothing came in the last seconds"));
    }
}
