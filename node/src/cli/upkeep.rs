//! `verify` and `rebuild`: the log against the state that stands in the store. A node that runs verifies by itself; anew it is
//! folded only while none does.

use serde_json::json;
use studiovault_node::config::{ConfigError, Machine};
use studiovault_node::upkeep::{self, UpkeepError};
use studiovault_protocol::api::VerifyView;

use super::failure::{Exit, Failure};
use super::folder::{client, folder};
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

/// `studiovault verify`.
pub(crate) fn verify(call: &Call) -> Outcome {
    let machine = Machine::load(folder(call)?)?;
    let findings = match upkeep::verify(&machine) {
        Ok(found) => VerifyView::from(found),
        // A node runs: it looks at a copy of one moment.
        Err(UpkeepError::Config(ConfigError::Busy(_))) => {
            let client = client(call)?;
            runtime()?.block_on(client.post_patiently("/verify", &json!({})))?
        }
        Err(error) => return Err(failed(error)),
    };
    let is_sound = findings.fault_count == 0;
    if call.json {
        print_json(&json!({
            "ok": is_sound,
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
    if is_sound {
        return Ok(());
    }
    let text = "the store is not what it claims to be\nFold the state anew with `studiovault rebuild`; if log or feed are at fault, begin anew with `studiovault bootstrap` (`--lan` without a cloud): what only this machine holds and is sound goes over.";
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
        other => Failure::stepped(Exit::Failed, &other.to_string()),
    }
}
