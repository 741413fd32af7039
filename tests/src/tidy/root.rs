//! What may lie in the root of the repository, so that it shows what the product is.

use std::path::PathBuf;

use super::{Finding, Rule};

const FOLDERS: &[&str] = &["protocol", "node", "gui-egui", "tests"];
const FILES: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
];
/// Cargo's build folder; never committed.
const BUILT: &str = "target";

/// `names` are the entries of the root; dotfiles are free.
pub fn root_findings(names: &[String]) -> Vec<Finding> {
    let is_allowed = |name: &str| {
        name.starts_with('.')
            || name.starts_with("LICENSE")
            || name == BUILT
            || FOLDERS.contains(&name)
            || FILES.contains(&name)
    };
    let strangers = names.iter().filter(|name| !is_allowed(name));
    strangers
        .map(|name| Finding {
            rule: Rule::Root,
            path: PathBuf::from(name),
            line: 0,
            item: name.clone(),
            message: "does not belong in the root: put it into the crate it serves, or make it a dotfile if it configures a tool".to_owned(),
        })
        .collect()
}
