//! Names that say nothing: files named for a drawer, getters, and types named for being useful.

use super::{Finding, Rule, SourceFile};

const DRAWER_FILES: [&str; 6] = ["mod", "util", "utils", "common", "types", "misc"];
const EMPTY_WORDS: [&str; 6] = ["Manager", "Managers", "Helper", "Helpers", "Util", "Utils"];

/// File, function and type names use the words of the domain.
pub fn name_findings(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let below_root = file
        .path
        .components()
        .filter_map(|part| part.as_os_str().to_str());
    for part in below_root {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        if DRAWER_FILES.contains(&stem) || stem.starts_with("helper") {
            let message = format!(
                "`{part}` names a drawer: name the file for the one noun it holds (foo.rs + foo/part.rs, no mod.rs)"
            );
            findings.push(file.finding(Rule::Name, (0, stem), message));
        }
    }
    for function in file
        .facts
        .functions
        .iter()
        .filter(|function| !function.in_trait_impl)
    {
        if let Some(noun) = function.name.strip_prefix("get_") {
            let message = format!("fn {} : call it `{noun}`", function.name);
            findings.push(file.finding(Rule::Name, (function.line, &function.name), message));
        }
    }
    for named in &file.facts.type_names {
        if let Some(word) = camel_words(&named.name).find(|word| EMPTY_WORDS.contains(word)) {
            let message = format!(
                "type {} says `{word}`: name it for what it is or keeps",
                named.name
            );
            findings.push(file.finding(Rule::Name, (named.line, &named.name), message));
        }
    }
    findings
}

/// `TopicManager` as `Topic`, `Manager`.
fn camel_words(name: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = name
        .char_indices()
        .filter(|(_, letter)| letter.is_uppercase())
        .map(|(at, _)| at)
        .collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([name.len()]).collect();
    starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| &name[start..end])
}
