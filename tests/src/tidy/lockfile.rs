//! The versions in `Cargo.lock` against known advisories, and the one crypto provider.
//! The table stands here because the advisory databases lack some of these, and a test must not need the network.

use std::path::PathBuf;
use std::process::Command;

use super::{Finding, Rule, workspace_root};

type Version = (u64, u64, u64);

/// Crate, lowest version without the hole, and the advisory.
const FLOORS: &[(&str, Version, &str)] = &[
    (
        "libp2p",
        (0, 57, 0),
        "RUSTSEC-2022-0084, and earlier ones pull yamux 0.12",
    ),
    (
        "libp2p-gossipsub",
        (0, 50, 1),
        "GHSA-gc42-3jg7-rxr2, GHSA-g3g5-x568-qvqx, GHSA-vrx6-jcp8-vm7m",
    ),
    (
        "yamux",
        (0, 13, 10),
        "GHSA-vxx9-2994-q338: a remote panic without authentication",
    ),
    ("snow", (0, 9, 5), "RUSTSEC-2024-0011"),
    (
        "quinn-proto",
        (0, 11, 15),
        "RUSTSEC-2026-0037, RUSTSEC-2026-0185",
    ),
    (
        "hickory-proto",
        (0, 26, 1),
        "RUSTSEC-2026-0118, -0119, -0120",
    ),
    ("rustls", (0, 23, 18), "RUSTSEC-2024-0399"),
    (
        "rustls-webpki",
        (0, 103, 13),
        "RUSTSEC-2026-0049, -0098, -0099, -0104",
    ),
    ("h2", (0, 4, 16), "RUSTSEC-2026-0258"),
    ("bytes", (1, 11, 1), "RUSTSEC-2026-0007"),
];

/// Must not even be resolved.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls with ring"),
    ("openssl-sys", "TLS is rustls with ring"),
    ("native-tls", "TLS is rustls with ring"),
    (
        "atomic-polyfill",
        "RUSTSEC-2023-0089: postcard needs default-features = false, features = [\"use-std\"]",
    ),
];

/// Must not be built in; `Cargo.lock` may list them for a feature that nothing turns on.
const NOT_BUILT: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "openssl-sys",
    "native-tls",
    "libp2p-mdns",
];

/// One `[[package]]` of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedCrate {
    pub name: String,
    pub version: String,
    /// Where it stands in the lock file.
    pub line: usize,
}

/// Name and version of every package in the text of a `Cargo.lock`.
pub fn read_lock(text: &str) -> Vec<LockedCrate> {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).enumerate();
    pairs
        .filter_map(|(index, pair)| {
            let name = value(pair[0], "name = ")?;
            Some(LockedCrate {
                name,
                version: value(pair[1], "version = ")?,
                line: index + 1,
            })
        })
        .collect()
}

/// Crates below their floor, banned crates, and anything but exactly one `ring`.
pub fn floor_findings(crates: &[LockedCrate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in crates {
        let LockedCrate { name, version, .. } = one;
        let floor = FLOORS.iter().find(|(krate, ..)| krate == name);
        if let Some((_, floor, advisory)) =
            floor.filter(|(_, floor, _)| parse_version(version) < *floor)
        {
            let (major, minor, patch) = floor;
            let message = format!(
                "{name} {version} has a known hole ({advisory}): `cargo update -p {name}` to {major}.{minor}.{patch} or later"
            );
            findings.push(lock_finding(one.line, name, message));
        }
        if let Some((_, reason)) = BANNED.iter().find(|(krate, _)| krate == name) {
            let message = format!(
                "{name} must not be in the tree ({reason}): `cargo tree -i {name} --target all` shows who brings it"
            );
            findings.push(lock_finding(one.line, name, message));
        }
    }
    let rings = crates.iter().filter(|one| one.name == "ring").count();
    if rings != 1 {
        findings.push(lock_finding(
            0,
            "ring",
            format!("{rings} versions of ring, the one crypto provider: there must be exactly one"),
        ));
    }
    findings
}

/// Forbidden crates among those that are really built for this machine.
pub fn built_crate_findings() -> Result<Vec<Finding>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(workspace_root())
        .output()
        .map_err(|error| format!("cargo tree did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo tree failed: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(findings_in_tree(&String::from_utf8_lossy(&output.stdout)))
}

fn findings_in_tree(tree: &str) -> Vec<Finding> {
    let mut names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    names.sort_unstable();
    names.dedup();
    let forbidden = names.into_iter().filter(|name| NOT_BUILT.contains(name));
    forbidden
        .map(|name| lock_finding(0, name, format!("{name} is built in: `cargo tree -i {name} -e features` shows which feature to turn off")))
        .collect()
}

fn lock_finding(line: usize, item: &str, message: String) -> Finding {
    Finding {
        rule: Rule::Dependency,
        path: PathBuf::from("Cargo.lock"),
        line,
        item: item.to_owned(),
        message,
    }
}

/// Pre-release and build parts do not count.
fn parse_version(version: &str) -> Version {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = plain.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_crypto_provider_in_the_build_is_found() {
        assert_eq!(findings_in_tree("ring v0.17.14\nrustls v0.23.46\n"), []);
        assert_eq!(
            findings_in_tree("ring v0.17.14\naws-lc-sys v0.30.0 (*)\n")[0].item,
            "aws-lc-sys"
        );
    }

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert!(parse_version("0.9.10") > parse_version("0.9.5"));
        assert_eq!(parse_version("1.2.1+spec-1.1.0"), (1, 2, 1));
    }
}
