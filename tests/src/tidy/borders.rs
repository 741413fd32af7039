//! Which folder may name which crate, and what `protocol` must not know at all.
//! It reads the paths as written; a crate renamed in a manifest is the arrows' business.

use super::facts::PathUse;
use super::{Finding, Rule, SourceFile};

/// A crate and the only files that may name it, `tests/` aside. A start matches `start.rs` and everything in `start/`.
struct Confined {
    krate: &'static str,
    within: &'static [&'static str],
    fix: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        krate: "rusqlite",
        within: &["node/src/store", "node/cloud/src/store"],
        fix: "ask the store for it (node/src/store, node/cloud/src/store)",
    },
    Confined {
        krate: "rusqlite_migration",
        within: &["node/src/store", "node/cloud/src/store"],
        fix: "migrations belong to the store",
    },
    Confined {
        krate: "tokio_postgres",
        within: &["node/cloud/src/store"],
        fix: "ask the cloud's store for it (node/cloud/src/store)",
    },
    Confined {
        krate: "libp2p",
        within: &["node/src/mesh"],
        fix: "let node/src/mesh translate it into a type of ours",
    },
    Confined {
        krate: "libp2p_stream",
        within: &["node/src/mesh"],
        fix: "let node/src/mesh translate it into a type of ours",
    },
    Confined {
        krate: "mdns_sd",
        within: &["node/src/discovery"],
        fix: "let node/src/discovery translate it into a type of ours",
    },
    Confined {
        krate: "reqwest",
        within: &[
            "node/src/uplink",
            "node/src/cli/client",
            "node/cloud/src/issuer",
            "gui-egui/src/client",
        ],
        fix: "HTTP clients stand in the uplink, the command line's client, the window's client and the cloud's way to an identity provider",
    },
    Confined {
        krate: "studiovault_cloud",
        within: &["node/cloud", "node/src/cli/cloud", "node/src/cli/demo"],
        fix: "only the command line's `cloud` and `demo` may start the cloud truth; speak HTTP to it",
    },
    Confined {
        krate: "studiovault_node",
        within: &["node/src/main", "node/src/cli", "node/tests"],
        fix: "speak the local API to a node",
    },
];

/// What would make `protocol` impure: its answers must depend on its arguments alone.
const IMPURE: &[(&str, &str)] = &[
    ("HashMap", "its order differs from run to run: BTreeMap"),
    ("HashSet", "its order differs from run to run: BTreeSet"),
    ("std::time::Instant", "time comes in as an argument"),
    ("std::time::SystemTime", "time comes in as an argument"),
    ("Instant::now", "time comes in as an argument"),
    ("SystemTime", "time comes in as an argument"),
    ("rand", "chance comes in as an argument"),
    ("getrandom", "chance comes in as an argument"),
    ("std::fs", "the driver reads and writes"),
    (
        "std::net",
        "the driver talks to the network; an address is a string or a type of ours",
    ),
    ("std::thread", "the driver owns the threads"),
    ("std::env", "the driver reads the environment"),
    ("std::process", "the driver owns the process"),
    ("tokio", "async lives at the edges of the node"),
];

/// Each crate is named only in the folder that owns it.
pub fn confinement_findings(file: &SourceFile) -> Vec<Finding> {
    if file.path.starts_with("tests") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for confined in CONFINED
        .iter()
        .filter(|confined| !confined.within.iter().any(|start| lies_within(file, start)))
    {
        for path in file
            .facts
            .paths
            .iter()
            .filter(|path| path.segments[0] == confined.krate)
        {
            let message = format!("names {}: {}", confined.krate, confined.fix);
            findings.push(file.finding(Rule::Confinement, (path.line, confined.krate), message));
        }
    }
    one_per_line(findings)
}

/// `protocol` has no clock, no chance, no I/O, and no order that differs from run to run; its tests may.
pub fn purity_findings(file: &SourceFile) -> Vec<Finding> {
    if !file.path.starts_with("protocol/src") || file.is_test_code() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for path in file.facts.paths.iter().filter(|path| !path.in_test) {
        for (impure, reason) in IMPURE.iter().filter(|(impure, _)| names(path, impure)) {
            let message = format!("protocol names {impure}: {reason}");
            findings.push(file.finding(Rule::Purity, (path.line, impure), message));
        }
    }
    one_per_line(findings)
}

fn lies_within(file: &SourceFile, start: &str) -> bool {
    file.path.starts_with(start) || file.path.starts_with(format!("{start}.rs"))
}

/// A lower-case single word is a crate and must come first; anything else may stand anywhere in the path.
fn names(path: &PathUse, wanted: &str) -> bool {
    let wanted: Vec<&str> = wanted.split("::").collect();
    let is_crate = wanted.len() == 1 && wanted[0].starts_with(char::is_lowercase);
    let mut windows = path.segments.windows(wanted.len());
    if is_crate {
        path.segments[0] == wanted[0]
    } else {
        windows.any(|window| window == wanted)
    }
}

fn one_per_line(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, other| (one.line, &one.item).cmp(&(other.line, &other.item)));
    findings.dedup_by(|one, other| one.line == other.line);
    findings
}
