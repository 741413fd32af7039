//! Sizes and surfaces: the opening line, lines of files and functions, arguments, fields, bool parameters.
//! It counts lines as an editor shows them, blank lines and comments included.

use super::{Finding, Rule, SourceFile};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
/// A panel reads from top to bottom like the screen, so it may be longer.
const VIEW_FUNCTION_LINES: usize = 100;
const ARGUMENTS: usize = 4;
const FIELDS: usize = 15;
/// Derives of a struct that mirrors a command line, where every option is a field.
const COMMAND_LINE_DERIVES: [&str; 3] = ["Parser", "Args", "Subcommand"];

/// The first line of every file says what it is responsible for.
pub fn header_findings(file: &SourceFile) -> Vec<Finding> {
    let first = file.text.lines().next().unwrap_or_default();
    if first.starts_with("//!") && first.len() > "//! ".len() {
        return Vec::new();
    }
    let message = "does not open with `//!`: say in its first line what it is responsible for, then the invariant it keeps";
    vec![file.finding(Rule::Header, (1, ""), message.to_owned())]
}

/// Files and functions short enough to be read in one go.
pub fn size_findings(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count() - file.facts.inline_test_lines;
    if lines > FILE_LINES && !is_free_of_file_size(file) {
        let message = format!(
            "has {lines} lines without its tests, {FILE_LINES} at most: move one noun into its own file beside it"
        );
        findings.push(file.finding(Rule::FileSize, (0, ""), message));
    }
    let limit = if file.path.starts_with("gui-egui/src/view")
        || file.path.starts_with("gui-egui/src/view.rs")
    {
        VIEW_FUNCTION_LINES
    } else {
        FUNCTION_LINES
    };
    for function in file
        .facts
        .functions
        .iter()
        .filter(|function| function.lines > limit)
    {
        let (name, lines) = (&function.name, function.lines);
        let message =
            format!("fn {name} has {lines} lines, {limit} at most: give one of its steps a name");
        findings.push(file.finding(Rule::FunctionSize, (function.line, name), message));
    }
    findings
}

/// Signatures and structs small enough to be understood where they are used.
pub fn surface_findings(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in &file.facts.functions {
        let (name, count, place) = (
            &function.name,
            function.arguments,
            (function.line, function.name.as_str()),
        );
        if count > ARGUMENTS && !function.in_trait_impl {
            let message = format!(
                "fn {name} takes {count} arguments, {ARGUMENTS} at most: give the group of them a struct"
            );
            findings.push(file.finding(Rule::Arguments, place, message));
        }
        if function.public && !function.bools.is_empty() && !function.in_trait_impl {
            let names = function.bools.join(", ");
            let message = format!(
                "pub fn {name} takes a bool ({names}): a reader of the call sees only true or false, use an enum with two named variants"
            );
            findings.push(file.finding(Rule::BoolParameter, place, message));
        }
    }
    for record in &file.facts.records {
        let mirrors_command_line = record
            .derives
            .iter()
            .any(|name| COMMAND_LINE_DERIVES.contains(&name.as_str()));
        if record.fields > FIELDS && !mirrors_command_line && !is_api_json(file, &record.derives) {
            let (name, count) = (&record.name, record.fields);
            let message = format!(
                "{name} has {count} fields, {FIELDS} at most: the fields that change together are a struct of their own"
            );
            findings.push(file.finding(Rule::Fields, (record.line, name), message));
        }
    }
    findings
}

/// The lab's library keeps the limit; only files that hold nothing but tests need not.
fn is_free_of_file_size(file: &SourceFile) -> bool {
    file.is_test_code() && !file.path.starts_with("tests/src")
}

fn is_api_json(file: &SourceFile, derives: &[String]) -> bool {
    let is_api =
        file.path.starts_with("protocol/src/api") || file.path.starts_with("protocol/src/api.rs");
    is_api
        && derives
            .iter()
            .any(|name| name == "Serialize" || name == "Deserialize")
}
