//! Finds the programs the lab starts, and makes sure that they are those of this source tree.
//! Cargo is asked to build them with the features every other command uses, so this costs nothing when they are fresh.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::run;
use crate::tidy::workspace_root;

type Found = OnceLock<Result<PathBuf, String>>;

/// The product: `STUDIOVAULT_BIN` if set, else built from this tree.
pub fn studiovault() -> Result<&'static Path> {
    static FOUND: Found = OnceLock::new();
    once(&FOUND, || given_or_built("STUDIOVAULT_BIN", "studiovault"))
}

/// The product's window: `STUDIOVAULT_WINDOW_BIN` if set, else built from this tree.
pub fn studiovault_window() -> Result<&'static Path> {
    static FOUND: Found = OnceLock::new();
    once(&FOUND, || {
        given_or_built("STUDIOVAULT_WINDOW_BIN", "studiovault-window")
    })
}

/// The example of a till.
pub fn till() -> Result<&'static Path> {
    static FOUND: Found = OnceLock::new();
    once(&FOUND, || built("example", "till"))
}

/// The lab's own helper inside a namespace: `LAB_AGENT_BIN` if set, else built from this tree.
pub fn lab_agent() -> Result<&'static Path> {
    static FOUND: Found = OnceLock::new();
    once(&FOUND, || given_or_built("LAB_AGENT_BIN", "lab-agent"))
}

fn given_or_built(variable: &str, name: &str) -> Result<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    given.map_or_else(|| build(name), Ok)
}

fn once(found: &'static Found, find: impl FnOnce() -> Result<PathBuf>) -> Result<&'static Path> {
    let found = found.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow!("{error}"))
}

fn build(name: &str) -> Result<PathBuf> {
    built("bin", name)
}

/// Builds one program and returns where Cargo put it.
fn built(kind: &str, name: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Of all targets, as `./tests/all` builds them: for one target alone Cargo chooses other features and compiles half of it anew.
    command.args([
        "build",
        "--release",
        "--workspace",
        "--all-targets",
        "--locked",
        "--message-format=json",
    ]);
    // Cargo tells a test about its package; a build script that sees that believes that everything has changed.
    let told = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(told)) {
        command.env_remove(name);
    }
    let messages = run(command.current_dir(workspace_root()))?;
    let mut artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    artifacts
        .find_map(|message| {
            let target = &message["target"];
            let wanted = target["name"] == name && target["kind"][0] == kind;
            (wanted && message["profile"]["test"] == false)
                .then(|| message["executable"].as_str().map(PathBuf::from))?
        })
        .with_context(|| format!("cargo built no program named {name}"))
}
