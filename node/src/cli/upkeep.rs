//! `verify` and `rebuild`: the log against the state that stands in the store, while no node runs.

use serde_json::json;
use studiovault_node::config::Machine;
use studiovault_node::upkeep::{self, UpkeepError};

use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::{print_json, say};
use super::{Call, Outcome};

/// `studiovault verify`.
pub(crate) fn verify(call: &Call) -> Outcome {
    let machine = Machine::load(folder(call)?)?;
    let findings = upkeep::verify(&machine).map_err(failed)?;
    if call.json {
        print_json(&json!({
            "ok": findings.is_sound(),
            "bundles": findings.bundles,
            "commands": findings.commands,
            "pages": findings.pages,
            "entities": findings.entities,
            "fault_count": findings.fault_count,
            "faults": findings.faults,
        }));
    } else {
        say!(
            "{} bundles with {} commands and {} pages of the feed checked, {} entities folded anew",
            findings.bundles,
            findings.commands,
            findings.pages,
            findings.entities
        );
        findings.faults.iter().for_each(|fault| say!("! {fault}"));
    }
    if findings.is_sound() {
        return Ok(());
    }
    let text = "the store is not what it claims to be\nFold the state anew with `studiovault rebuild`; if log or feed are at fault, restore the folder from a backup, or join anew: the other machines hold the log.";
    Err(Failure::new(Exit::Failed, text))
}

/// `studiovault rebuild`.
pub(crate) fn rebuild(call: &Call) -> Outcome {
    let machine = Machine::load(folder(call)?)?;
    let mut shown = 0;
    let mut told = |done: u64, all: u64| {
        let percent = done * 100 / all.max(1);
        if percent >= shown && !call.json {
            eprintln!("{percent} % of the log folded");
            shown = percent + 10;
        }
    };
    let entities = upkeep::rebuild(&machine, &mut told).map_err(failed)?;
    if call.json {
        print_json(&json!({"entities": entities}));
    } else {
        say!("{entities} entities folded anew from the log");
    }
    Ok(())
}

fn failed(error: UpkeepError) -> Failure {
    match error {
        UpkeepError::Config(error) => error.into(),
        other => Failure::new(Exit::Failed, other.to_string()),
    }
}
