//! `policy show|check|set`: the rules of the studio's types and fields, as a TOML document.
//!
//! A bad document is refused with file, line, reason and next step, by the very code with which the node reads it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use studiovault_node::config::open_plain;
use studiovault_protocol::api::{PolicyName, PolicyRequest, PolicyView};
use studiovault_protocol::limits;
use studiovault_protocol::policy::{Policy, PolicyError};

use super::client::{Client, if_running};
use super::failure::{Exit, Failure};
use super::folder::{client, folder};
use super::output::{moment, print_json, say};
use super::{Call, Outcome, runtime};

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print the document in force, its version, its hash and who signed it
    Show,
    /// Check a document; with a running node also whether it may follow the one in force
    Check {
        /// The TOML document
        file: PathBuf,
    },
    /// Sign a document and give it to every machine and the cloud
    Set {
        /// The TOML document
        file: PathBuf,
    },
}

/// `studiovault policy`.
pub(crate) fn policy(call: &Call, command: PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Show => show(call),
        PolicyCommand::Check { file } => check(call, &file),
        PolicyCommand::Set { file } => set(call, &file),
    }
}

/// The policy that the node has in force.
pub(crate) async fn in_force(client: &Client) -> Result<Policy, Failure> {
    let view: PolicyView = client.get("/policy").await?;
    Policy::parse(&view.document).map_err(|error| {
        let text = format!("the node's policy cannot be read: {error}\nCheck that node and command are of one version.");
        Failure::new(Exit::Failed, text)
    })
}

fn show(call: &Call) -> Outcome {
    let client = client(call)?;
    let view: PolicyView = runtime()?.block_on(client.get("/policy"))?;
    if call.json {
        print_json(&view);
        return Ok(());
    }
    // As comments, so that what is printed is a document that can be changed and set.
    say!("# {}", worded(&view.name));
    view.beside
        .iter()
        .for_each(|other| say!("# held beside it: {}", worded(other)));
    say!("{}", view.document.trim_end());
    Ok(())
}

fn worded(name: &PolicyName) -> String {
    let hash: String = name.hash.chars().take(16).collect();
    let signed = match &name.signed {
        Some(signed) => format!("signed on {} at {}", signed.name, moment(signed.at)),
        None => "the one that comes with the program".to_owned(),
    };
    format!("version {}, hash {hash}, {signed}", name.version)
}

fn check(call: &Call, file: &Path) -> Outcome {
    let policy = read(file)?;
    // Where nothing runs the document is judged by itself.
    let held = runtime()?.block_on(if_running(&folder(call)?, in_force))?;
    if let Some(held) = held.as_ref().filter(|held| held.hash() != policy.hash()) {
        let fits = held.check_successor(&policy);
        fits.map_err(|error| refused(file, &error))?;
    }
    if call.json {
        print_json(&json!({
            "ok": true,
            "version": policy.version(),
            "hash": policy.hash().to_string(),
            "compared": held.is_some(),
        }));
        return Ok(());
    }
    let types = policy.types().len();
    say!(
        "{}: version {} with {types} types is well-formed",
        file.display(),
        policy.version()
    );
    match held {
        Some(held) if held.hash() == policy.hash() => say!("it is the one in force"),
        Some(held) => say!(
            "it may follow version {}, which is in force",
            held.version()
        ),
        None => say!("no node runs here, so it was not compared with the one in force"),
    }
    Ok(())
}

fn set(call: &Call, file: &Path) -> Outcome {
    let client = client(call)?;
    let policy = read(file)?;
    let view: PolicyView = runtime()?.block_on(async {
        let held = in_force(&client).await?;
        let fits = held.check_successor(&policy);
        fits.map_err(|error| refused(file, &error))?;
        let document = policy.text().to_owned();
        client.put("/policy", &PolicyRequest { document }).await
    })?;
    if call.json {
        print_json(&view);
        return Ok(());
    }
    say!("{}", worded(&view.name));
    if view.name.hash != policy.hash().to_string() {
        say!(
            "another policy of the same version holds; it was set at the same time elsewhere: look at `studiovault policy show`"
        );
    }
    Ok(())
}

fn read(file: &Path) -> Result<Policy, Failure> {
    let failed = |exit, what: String, next_step: &str| {
        Failure::new(exit, format!("{}: {what}\n{next_step}", file.display()))
    };
    let size = std::fs::metadata(file).map_or(0, |facts| facts.len());
    if size > limits::POLICY_BYTES as u64 {
        let what = format!(
            "{size} bytes; a policy takes {} at most",
            limits::POLICY_BYTES
        );
        return Err(failed(Exit::Refused, what, "Shorten it."));
    }
    let read = open_plain(file).and_then(|plain| {
        let mut bytes = Vec::new();
        plain
            .take(limits::POLICY_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = read.map_err(|error| {
        let next_step = "Check the path and that you may read it.";
        failed(Exit::NotFound, error.to_string(), next_step)
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        failed(
            Exit::Refused,
            "this is not UTF-8 text".into(),
            "Save it as UTF-8.",
        )
    })?;
    Policy::parse(&text).map_err(|error| refused(file, &error))
}

fn refused(file: &Path, error: &PolicyError) -> Failure {
    let PolicyError {
        line,
        column,
        reason,
        next_step,
    } = error;
    let text = format!(
        "{}:{line}:{column}: {reason}\nTo mend it, {next_step}.",
        file.display()
    );
    Failure::new(Exit::Refused, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_document_is_refused_with_file_line_reason_and_next_step() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.toml");
        let text = "version = 2\n[type.prop.field]\nname = { kind = \"blob\" }\n";
        std::fs::write(&file, text).expect("written");
        let Err(failure) = read(&file) else {
            panic!("it is refused");
        };
        let text = failure.text();
        assert!(
            text.contains("policy.toml:3:17: `blob` is reserved for later"),
            "{text}"
        );
        assert!(text.ends_with("To mend it, leave it out."), "{text}");
        assert!(read(&folder.path().join("none.toml")).is_err());
    }
}
