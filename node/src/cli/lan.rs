//! `rekey` and `venue`: another key under the LAN, and hiding on it.

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};
use studiovault_protocol::api::{Status, VenueRequest, VenueState};

use super::client::Client;
use super::failure::{Exit, Failure};
use super::folder::{client, folder};
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Venue {
    /// On or off; it stays so until it is switched again
    state: Switch,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// `studiovault rekey`.
pub(crate) fn rekey(call: &Call) -> Outcome {
    let client = client(call)?;
    let done: Json = runtime()?.block_on(client.post("/rekey", &json!({})))?;
    if call.json {
        print_json(&done);
    } else {
        say!(
            "the network has a new key. Every machine that belongs gets it from one that has it; whoever was shut out gets no further than the first byte, once all have moved."
        );
    }
    Ok(())
}

/// `studiovault venue on|off`.
pub(crate) fn venue(call: &Call, venue: Venue) -> Outcome {
    let folder = folder(call)?;
    let state = match venue.state {
        Switch::On => VenueState::On,
        Switch::Off => VenueState::Off,
    };
    if let Ok(client) = Client::connect(&folder) {
        let request = VenueRequest { venue: state };
        let _: Status = runtime()?.block_on(client.post("/venue", &request))?;
    } else {
        // No node runs: the folder is all there is.
        let _lock = folder.lock()?;
        let kept = folder.set_venue(state);
        kept.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    }
    if call.json {
        print_json(&json!({"venue": state}));
    } else if state == VenueState::On {
        say!(
            "this machine announces nothing and looks for nobody on the network; it reaches the machines that it knows, and those named with `run --peer ADDRESS:PORT`"
        );
    } else {
        say!(
            "this machine announces itself under random names, and looks for the studio's machines"
        );
    }
    Ok(())
}
