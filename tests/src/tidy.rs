//! Holds the house style: reads the source tree and reports every place that leaves it, with the fix.
//! It judges the files as they lie on the disk; it never builds or changes anything.

mod arrows;
mod borders;
mod exemptions;
mod facts;
mod forbidden;
mod lockfile;
mod names;
mod root;
mod shape;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

pub use arrows::{Arrow, arrow_findings, read_arrows};
pub use borders::{confinement_findings, purity_findings};
pub use exemptions::{EXEMPTIONS, Exemption};
pub use forbidden::{forbidden_findings, machine_path_findings};
pub use lockfile::{LockedCrate, built_crate_findings, floor_findings, read_lock};
pub use names::name_findings;
pub use root::root_findings;
pub use shape::{header_findings, size_findings, surface_findings};
pub use source::{SourceFile, SourceTree};

/// What a finding is about; an exemption is given for one rule, one file and one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The file does not parse as Rust.
    Syntax,
    /// The opening `//!` line.
    Header,
    /// Lines of a file.
    FileSize,
    /// Lines of a function.
    FunctionSize,
    /// Arguments of a function.
    Arguments,
    /// Fields of a struct.
    Fields,
    /// A bool in a public signature.
    BoolParameter,
    /// File, function and type names.
    Name,
    /// Calls, attributes and macros that have no place here.
    Forbidden,
    /// A path that exists on one machine only.
    MachinePath,
    /// A crate named outside the folder that owns it.
    Confinement,
    /// Time, chance, order or I/O inside `protocol`.
    Purity,
    /// Which of our packages may depend on which.
    Arrow,
    /// What may lie in the root of the repository.
    Root,
    /// Versions with known holes, and crates that must not be built in.
    Dependency,
}

/// One place that leaves the house style, and how to bring it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub rule: Rule,
    /// Relative to the root of the repository.
    pub path: PathBuf,
    /// One-based; 0 when the finding is about the whole file.
    pub line: usize,
    /// The function, type or crate it is about; what an exemption names.
    pub item: String,
    /// What is wrong, then the fix.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            0 => write!(out, "{path}: ")?,
            line => write!(out, "{path}:{line}: ")?,
        }
        write!(out, "{}", self.message)
    }
}

/// The root of the repository this package was built from.
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the lab's package lies one folder below the root")
}

/// The findings that no exemption covers.
pub fn without_exempted(findings: Vec<Finding>, exemptions: &[Exemption]) -> Vec<Finding> {
    findings
        .into_iter()
        .filter(|finding| !exemptions.iter().any(|one| one.covers(finding)))
        .collect()
}

/// The exemptions that cover none of the findings, so that the table never outlives its reasons.
pub fn idle_exemptions<'a>(
    findings: &[Finding],
    exemptions: &'a [Exemption],
) -> Vec<&'a Exemption> {
    exemptions
        .iter()
        .filter(|one| !findings.iter().any(|finding| one.covers(finding)))
        .collect()
}
