//! The programs of tests that Cargo builds of this source tree, by the name of their target.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::tidy::workspace_root;

/// A program of tests, and the folder of its package.
pub struct Program {
    /// The program.
    pub executable: PathBuf,
    /// Where it expects to be started.
    pub folder: PathBuf,
}

/// All of them, built if they are not.
pub fn all() -> Result<BTreeMap<String, Program>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--release", "--workspace", "--locked", "--no-run"]);
    command
        .arg("--message-format=json")
        .stderr(Stdio::inherit());
    let built = command.current_dir(workspace_root()).output()?;
    ensure!(built.status.success(), "the tests do not build");
    let mut programs = BTreeMap::new();
    for line in String::from_utf8(built.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let target = &message["target"];
        let kind = target["kind"][0].as_str();
        let parts = (
            target["name"].as_str(),
            message["executable"].as_str(),
            message["manifest_path"].as_str(),
        );
        let (Some(name), Some(executable), Some(manifest)) = parts else {
            continue;
        };
        if message["profile"]["test"] == true && matches!(kind, Some("lib" | "test")) {
            let folder = Path::new(manifest).parent().unwrap_or(Path::new("."));
            let program = Program {
                executable: executable.into(),
                folder: folder.to_owned(),
            };
            programs.insert(name.to_owned(), program);
        }
    }
    Ok(programs)
}
