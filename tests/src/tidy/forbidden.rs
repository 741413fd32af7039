//! What has no place in a finished tree: panics by unwrap, tests that are switched off, unfinished code,
//! and paths that exist on one machine only.

use std::path::Path;

use super::{Finding, Rule, SourceFile};

const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];
/// Written in halves so that this file does not find itself.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("C:\\Us", "ers\\"),
];

/// Calls, attributes and macros that must not be landed.
pub fn forbidden_findings(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let facts = &file.facts;
    let outside_tests = |in_test: bool| !in_test && !file.is_test_code();
    for call in facts
        .method_calls
        .iter()
        .filter(|call| call.name == "unwrap" && outside_tests(call.in_test))
    {
        let message = "unwrap() outside tests: return the error, or `expect` with the reason why our own invariant holds";
        findings.push(file.finding(Rule::Forbidden, (call.line, "unwrap"), message.to_owned()));
    }
    for attribute in facts
        .attributes
        .iter()
        .filter(|attribute| attribute.name == "ignore")
    {
        let message = "#[ignore]: a test that never runs proves nothing; mend it, or move it into `cargo campaign`";
        findings.push(file.finding(
            Rule::Forbidden,
            (attribute.line, "ignore"),
            message.to_owned(),
        ));
    }
    for call in facts
        .macros
        .iter()
        .filter(|call| UNFINISHED.contains(&call.name.as_str()))
    {
        let message = format!(
            "{}!: finish it, or return an error that names the next step",
            call.name
        );
        findings.push(file.finding(Rule::Forbidden, (call.line, &call.name), message));
    }
    findings
}

/// No file names a place that only its author's machine has.
pub fn machine_path_findings(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for start in MACHINE_PATHS
            .iter()
            .filter(|start| names_a_place(line, start))
        {
            findings.push(Finding {
                rule: Rule::MachinePath,
                path: path.to_owned(),
                line: index + 1,
                item: (*start).to_owned(),
                message: format!("names `{start}...`, a path of one machine: derive it from the environment, a flag or the repository"),
            });
        }
    }
    findings
}

/// True if `start` begins an absolute path in `line`, not the tail of a longer one.
fn names_a_place(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + start.len()..].chars().next();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-}~*".contains(letter))
            && after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}
