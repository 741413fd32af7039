//! Which of our packages may depend on which, read from the manifests through `cargo metadata`.
//! Only direct dependencies count: a forbidden crate can come no nearer than through an allowed one.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{Finding, Rule, workspace_root};

/// Each package of the workspace and those of ours it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("studiovault-protocol", &[]),
    ("studiovault-cloud", &["studiovault-protocol"]),
    (
        "studiovault-node",
        &["studiovault-protocol", "studiovault-cloud"],
    ),
    ("studiovault-gui", &["studiovault-protocol"]),
    (
        "studiovault-lab",
        &[
            "studiovault-protocol",
            "studiovault-cloud",
            "studiovault-node",
            "studiovault-gui",
        ],
    ),
];

/// Crates that would bring a clock, chance or I/O into `protocol`.
const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "rand",
    "getrandom",
    "reqwest",
    "rusqlite",
    "libp2p",
    "mdns-sd",
    "axum",
    "tempfile",
];

/// One line of a manifest: `package` depends on `on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    pub package: String,
    pub on: String,
    /// Used by the package's tests only.
    pub for_tests: bool,
    /// The package's manifest, relative to the root.
    pub manifest: PathBuf,
}

/// Reads every direct dependency of every package in the workspace.
pub fn read_arrows() -> Result<Vec<Arrow>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(workspace_root())
        .output()
        .map_err(|error| format!("cargo metadata did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(arrows_of(&metadata))
}

fn arrows_of(metadata: &Value) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap_or_default());
        let manifest = manifest
            .strip_prefix(workspace_root())
            .unwrap_or(&manifest)
            .to_owned();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            arrows.push(Arrow {
                package: package["name"].as_str().unwrap_or_default().to_owned(),
                on: dependency["name"].as_str().unwrap_or_default().to_owned(),
                for_tests: dependency["kind"] == "dev",
                manifest: manifest.clone(),
            });
        }
    }
    arrows
}

/// The arrows of the architecture, and no others.
pub fn arrow_findings(arrows: &[Arrow]) -> Vec<Finding> {
    arrows.iter().filter_map(arrow_finding).collect()
}

fn arrow_finding(arrow: &Arrow) -> Option<Finding> {
    let Arrow {
        package,
        on,
        for_tests,
        manifest,
    } = arrow;
    let message = match ALLOWED.iter().find(|(name, _)| name == package) {
        None => format!(
            "package {package} is not in the table of arrows: add it to tests/src/tidy/arrows.rs with what it may depend on"
        ),
        Some((_, allowed)) if on.starts_with("studiovault-") && !allowed.contains(&on.as_str()) => {
            format!(
                "{package} depends on {on}: the arrows are protocol <- node, protocol <- node/cloud, protocol <- gui-egui; share it through protocol"
            )
        }
        Some(_)
            if package == "studiovault-protocol"
                && !for_tests
                && IMPURE_CRATES.contains(&on.as_str()) =>
        {
            format!(
                "protocol depends on {on}: it has no clock, no chance and no I/O; let the node do it and pass the result in"
            )
        }
        Some(_) => return None,
    };
    Some(Finding {
        rule: Rule::Arrow,
        path: manifest.clone(),
        line: 0,
        item: on.clone(),
        message,
    })
}
