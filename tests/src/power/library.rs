//! The preloaded library that records, compiled on first use with the machine's C compiler.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/power/recorder.c");

/// Where the compiled library lies; compiled once per process.
pub(super) fn recorder() -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let compiled = FOLDER.get_or_init(|| compile().map_err(|error| format!("{error:#}")));
    match compiled {
        Ok(folder) => Ok(library_in(folder)),
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

fn library_in(folder: &TempDir) -> PathBuf {
    folder.path().join("recorder.so")
}

fn compile() -> Result<TempDir> {
    let folder = super::scratch("power-library")?;
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O2", "-shared", "-fPIC", "-o"])
        .arg(library_in(&folder))
        .args([SOURCE, "-ldl"])
        .output()
        .context("starting `cc`; the power test needs a C compiler")?;
    ensure!(
        output.status.success(),
        "cc: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(folder)
}
