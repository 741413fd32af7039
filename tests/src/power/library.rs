//! The preloaded library that records, compiled on first use with the machine's C compiler.

use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/power/recorder.c");

/// The library's bytes; compiled once per process. Each recorder has a file of its own with them, which goes with it: what only the
/// end of the process could take away would stay.
pub(super) fn recorder() -> Result<&'static [u8]> {
    static LIBRARY: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let compiled = LIBRARY.get_or_init(|| compile().map_err(|error| format!("{error:#}")));
    match compiled {
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

fn compile() -> Result<Vec<u8>> {
    let folder = super::scratch("power-library")?;
    let made = folder.path().join("recorder.so");
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O2", "-shared", "-fPIC", "-o"])
        .arg(&made)
        .args([SOURCE, "-ldl"])
        .output()
        .context("starting `cc`; the power test needs a C compiler")?;
    ensure!(
        output.status.success(),
        "cc: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(std::fs::read(made)?)
}
