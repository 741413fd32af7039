//! Every type of the protocol that is written and read back, found in the sources: each has a golden vector, or a reason.

use std::path::{Path, PathBuf};

use super::vectors;

/// Types without a vector of their own, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("Body", "the inside of a bundle"),
    ("Introduction", "sealed in `pairing Proof`"),
    ("Opening", "sealed in `pairing Reply`"),
    (
        "Packed",
        "bytes as they are, in every frame that brings some",
    ),
    ("WallMs", "a bare number wherever it stands"),
    ("Epoch", "a bare number wherever it stands"),
    ("Vector", "a bare list: `vector`"),
    ("RefusalKind", "a number: `refusal kinds`"),
    ("Cuts", "a machine's own rows"),
    ("Keyring", "a machine's own file"),
    ("KeyHash", "a share of the state hash: `key share`"),
    ("KeyClaim", "a share of the state hash: `key share`"),
    ("Standing", "JSON for people"),
    ("Tally", "JSON for people"),
    ("Taken", "JSON for people"),
    ("Sums", "JSON for people"),
    ("Why", "JSON for people"),
    ("Warning", "JSON for people"),
    ("FaultKind", "JSON for people"),
    ("ConflictKind", "JSON for people"),
    ("SideState", "JSON for people"),
    ("PickRule", "JSON for people"),
    ("ValueKind", "the text of a policy"),
    ("Rule", "the text of a policy"),
];

/// The sources of the crate, without tests and without the JSON of the local API, which its OpenAPI document describes.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources are beside the test") {
        let path = entry.expect("a folder can be listed").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        match name {
            Some("api" | "tests") => {}
            _ if path.is_dir() => sources(&path, found),
            _ => found.push(path),
        }
    }
}

/// Types that derive `Deserialize`, and the variants of enums among them as `Enum::Variant`.
fn travelling(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("#[derive(") {
            continue;
        }
        let mut derived = line.to_owned();
        let mut item = "";
        // The rest of the derive and other attributes, up to the item.
        for next in lines.by_ref() {
            if let Some(named) = ["struct ", "enum "]
                .iter()
                .find(|word| next.contains(*word))
            {
                item = next.split(named).nth(1).unwrap_or_default();
                derived += if *named == "enum " { " enum" } else { "" };
                break;
            }
            derived += next;
        }
        let name: String = item.chars().take_while(|c| c.is_alphanumeric()).collect();
        if !derived.contains("Deserialize") {
            continue;
        }
        names.push(name.clone());
        if !derived.ends_with(" enum") {
            continue;
        }
        for variant in lines.by_ref().take_while(|line| *line != "}") {
            let named = variant.strip_prefix("    ").unwrap_or_default();
            if named.starts_with(char::is_uppercase) {
                let variant: String = named.chars().take_while(|c| c.is_alphanumeric()).collect();
                names.push(format!("{name}::{variant}"));
            }
        }
    }
    names
}

#[test]
fn every_type_of_the_wire_has_a_golden_vector() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    let (mut lacking, mut seen) = (Vec::new(), Vec::new());
    let vectors = vectors();
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source can be read");
        for name in travelling(&source) {
            let of = name.split("::").next().unwrap_or_default().to_owned();
            let excused = WITHOUT.iter().any(|(without, _)| *without == of);
            if !excused && !vectors.names.hold(&name) {
                lacking.push(name);
            }
            seen.push(of);
        }
    }
    assert!(
        lacking.is_empty(),
        "these are written and have no golden vector: {lacking:?}; add one to protocol/src/wire/tests/golden"
    );
    let gone = WITHOUT
        .iter()
        .filter(|(name, _)| !seen.iter().any(|seen| seen == name));
    assert_eq!(gone.count(), 0, "WITHOUT names a type that is gone");
    assert!(seen.len() > 80, "the sources were not read: {}", seen.len());
}
