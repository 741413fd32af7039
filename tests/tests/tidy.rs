//! The tidy test: the tree keeps the house style, and every rule is shown to catch what it forbids.
//! Each finding prints `file:line: what is wrong: the fix`.

use std::path::{Path, PathBuf};

use studiovault_lab::tidy::{
    Arrow, EXEMPTIONS, Exemption, Finding, Rule, SourceFile, SourceTree, arrow_findings,
    built_crate_findings, confinement_findings, floor_findings, forbidden_findings,
    header_findings, idle_exemptions, machine_path_findings, name_findings, purity_findings,
    read_arrows, read_lock, root_findings, size_findings, surface_findings, without_exempted,
    workspace_root,
};

type RustRule = fn(&SourceFile) -> Vec<Finding>;

const RUST_RULES: [RustRule; 7] = [
    header_findings,
    size_findings,
    surface_findings,
    name_findings,
    forbidden_findings,
    confinement_findings,
    purity_findings,
];

fn tree() -> SourceTree {
    SourceTree::read(workspace_root()).expect("the repository can be read")
}

fn findings_of(rule: RustRule) -> Vec<Finding> {
    tree().rust.iter().flat_map(rule).collect()
}

#[track_caller]
fn assert_none(findings: Vec<Finding>) {
    let left = without_exempted(findings, EXEMPTIONS);
    let lines: Vec<String> = left.iter().map(Finding::to_string).collect();
    assert!(
        left.is_empty(),
        "{} to mend:\n{}\n",
        left.len(),
        lines.join("\n")
    );
}

#[track_caller]
fn assert_finds(rule: RustRule, (path, text): (&str, &str), items: &[&str]) {
    let file = SourceFile::parse(path, text).expect("the snippet is Rust");
    let found: Vec<String> = rule(&file)
        .into_iter()
        .map(|finding| finding.item)
        .collect();
    assert_eq!(found, items, "in {path}:\n{text}");
}

// The tree.

#[test]
fn every_rust_file_parses() {
    assert_none(tree().unparsed);
}

#[test]
fn every_file_opens_with_what_it_is_responsible_for() {
    assert_none(findings_of(header_findings));
}

#[test]
fn files_and_functions_are_short_enough_to_read() {
    assert_none(findings_of(size_findings));
}

#[test]
fn signatures_and_structs_are_small_and_take_no_bools() {
    assert_none(findings_of(surface_findings));
}

#[test]
fn names_come_from_the_domain() {
    assert_none(findings_of(name_findings));
}

#[test]
fn nothing_unfinished_or_switched_off_is_landed() {
    assert_none(findings_of(forbidden_findings));
}

#[test]
fn each_crate_is_named_only_where_it_belongs() {
    assert_none(findings_of(confinement_findings));
}

#[test]
fn protocol_knows_no_clock_no_chance_and_no_io() {
    assert_none(findings_of(purity_findings));
}

#[test]
fn packages_depend_on_each_other_along_the_arrows_only() {
    assert_none(arrow_findings(
        &read_arrows().expect("the manifests can be read"),
    ));
}

#[test]
fn the_root_shows_the_product_and_nothing_else() {
    let entries = std::fs::read_dir(workspace_root()).expect("the root can be read");
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert_none(root_findings(&names.collect::<Vec<_>>()));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let found = |(path, text): &(PathBuf, String)| machine_path_findings(path, text);
    assert_none(tree().texts.iter().flat_map(found).collect());
}

#[test]
fn no_crate_stands_below_the_floor_of_a_known_advisory() {
    let lock = std::fs::read_to_string(workspace_root().join("Cargo.lock")).unwrap();
    assert_none(floor_findings(&read_lock(&lock)));
}

#[test]
fn ring_is_the_only_crypto_provider_that_is_built() {
    assert_none(built_crate_findings().expect("the tree of crates can be read"));
}

#[test]
fn sqlite_is_newer_than_its_wal_reset_bug() {
    // SQLite 3.7.0 to 3.51.2 can corrupt a database that two connections write and checkpoint.
    let version = rusqlite::version_number();
    assert!(
        version >= 3_051_003,
        "SQLite {}: update rusqlite",
        rusqlite::version()
    );
}

#[test]
fn every_exemption_is_still_needed_and_says_why() {
    let tree = tree();
    let all: Vec<Finding> = tree
        .rust
        .iter()
        .flat_map(|file| RUST_RULES.iter().flat_map(move |rule| rule(file)))
        .collect();
    assert_eq!(idle_exemptions(&all, EXEMPTIONS), Vec::<&Exemption>::new());
    assert!(EXEMPTIONS.iter().all(|one| one.reason.len() > 20));
}

// Each rule on a bad snippet.

#[test]
fn a_file_without_an_opening_line_is_found() {
    assert_finds(header_findings, ("node/src/a.rs", "use std::io;\n"), &[""]);
    assert_finds(
        header_findings,
        ("node/src/a.rs", "//!\nuse std::io;\n"),
        &[""],
    );
    assert_finds(
        header_findings,
        ("node/src/a.rs", "//! Keeps the clock.\n"),
        &[],
    );
}

#[test]
fn a_long_file_is_found_and_its_inline_tests_do_not_count() {
    let line = "const A: u8 = 0;\n";
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", line.repeat(300));
    let long = format!("//! X.\n{}", line.repeat(500));
    let short = format!("//! X.\n{}{tests}", line.repeat(499));
    assert_finds(size_findings, ("node/src/a.rs", &long), &[""]);
    assert_finds(size_findings, ("node/src/a.rs", &short), &[]);
    assert_finds(size_findings, ("node/src/a_tests.rs", &long), &[]);
    assert_finds(size_findings, ("node/tests/a.rs", &long), &[]);
    assert_finds(size_findings, ("tests/src/lab.rs", &long), &[""]);
}

#[test]
fn a_long_function_is_found_wherever_it_is() {
    let body = |lines: usize| format!("{{\n{}}}", "    a();\n".repeat(lines));
    let plain = format!("fn plain() {}", body(69));
    let most = format!("/// Doc.\n#[inline]\nfn most() {}", body(68));
    let method = format!("impl A {{ fn method(&self) {} }}", body(70));
    let inner = format!("mod b {{ trait T {{ fn given() {} }} }}", body(70));
    assert_finds(size_findings, ("node/src/a.rs", &plain), &["plain"]);
    assert_finds(size_findings, ("node/src/a.rs", &most), &[]);
    assert_finds(size_findings, ("node/src/a.rs", &method), &["method"]);
    assert_finds(size_findings, ("node/src/a.rs", &inner), &["given"]);
    assert_finds(size_findings, ("gui-egui/src/view/devices.rs", &plain), &[]);
    let panel = format!("fn panel() {}", body(99));
    assert_finds(
        size_findings,
        ("gui-egui/src/view/devices.rs", &panel),
        &["panel"],
    );
}

#[test]
fn a_fifth_argument_is_found() {
    let five = "impl A { fn put(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }";
    let four = "impl A { fn put(&self, a: u8, b: u8, c: u8, d: u8) {} }";
    let given = "impl Visitor for A { fn put(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }";
    assert_finds(surface_findings, ("node/src/a.rs", five), &["put"]);
    assert_finds(surface_findings, ("node/src/a.rs", four), &[]);
    assert_finds(surface_findings, ("node/src/a.rs", given), &[]);
}

#[test]
fn a_sixteenth_field_is_found() {
    let fields: String = (0..16).map(|n| format!("f{n}: u8, ")).collect();
    let plain = format!("struct Session {{ {fields} }}");
    let variant = format!("enum Input {{ Tick {{ {fields} }} }}");
    let flags = format!("#[derive(Debug, clap::Args)] struct Flags {{ {fields} }}");
    let json = format!("#[derive(Serialize)] struct Status {{ {fields} }}");
    assert_finds(surface_findings, ("node/src/a.rs", &plain), &["Session"]);
    assert_finds(surface_findings, ("node/src/a.rs", &variant), &["Tick"]);
    assert_finds(surface_findings, ("node/src/a.rs", &flags), &[]);
    assert_finds(surface_findings, ("node/src/a.rs", &json), &["Status"]);
    assert_finds(surface_findings, ("protocol/src/api.rs", &json), &[]);
    assert_finds(surface_findings, ("protocol/src/api/status.rs", &json), &[]);
}

#[test]
fn a_bool_in_a_public_signature_is_found() {
    let text =
        "pub fn open(read_only: bool) {} fn own(a: bool) {} pub fn is_open() -> bool { true }";
    assert_finds(surface_findings, ("node/src/a.rs", text), &["open"]);
}

#[test]
fn names_that_say_nothing_are_found() {
    assert_finds(name_findings, ("node/src/mesh/mod.rs", ""), &["mod"]);
    assert_finds(name_findings, ("node/src/util/time.rs", ""), &["util"]);
    assert_finds(name_findings, ("node/src/helpers.rs", ""), &["helpers"]);
    let text = "struct TopicManager; enum Utilisation {} trait SyncHelper {} fn get_id() {} fn widget() {}";
    assert_finds(
        name_findings,
        ("node/src/a.rs", text),
        &["get_id", "TopicManager", "SyncHelper"],
    );
}

#[test]
fn unwraps_outside_tests_are_found_inside_macros_too() {
    let bad = "fn a() { b().unwrap(); println!(\"{}\", c().unwrap()); d.unwrap_or(1); }";
    let in_tests = "#[cfg(test)] mod tests { fn a() { b().unwrap(); } } #[tokio::test] async fn t() { b().unwrap(); }";
    let not_in_tests = "#[cfg(not(test))] mod real { fn a() { b().unwrap(); } }";
    assert_finds(
        forbidden_findings,
        ("node/src/a.rs", bad),
        &["unwrap", "unwrap"],
    );
    assert_finds(forbidden_findings, ("node/src/a.rs", in_tests), &[]);
    assert_finds(forbidden_findings, ("node/tests/a.rs", bad), &[]);
    assert_finds(
        forbidden_findings,
        ("node/src/a.rs", not_in_tests),
        &["unwrap"],
    );
}

#[test]
fn ignored_tests_and_unfinished_code_are_found() {
    let ignored = format!("#[test] #[{}] fn a() {{}}", "ignore = \"later\"");
    let unfinished =
        "fn a() { todo!(); vec![unimplemented!()]; let todo = 1; if todo != (2) {} } // todo!()";
    assert_finds(
        forbidden_findings,
        ("node/tests/a.rs", &ignored),
        &["ignore"],
    );
    assert_finds(
        forbidden_findings,
        ("node/src/a.rs", unfinished),
        &["todo", "unimplemented"],
    );
}

#[test]
fn crates_outside_their_folder_are_found() {
    let text = "use rusqlite::Connection;\nuse {libp2p::PeerId, std::io};\nfn a() {\nassert!(mdns_sd::x());\nreqwest::get(); }\nuse studiovault_cloud as cloud;";
    assert_finds(
        confinement_findings,
        ("node/src/store/log.rs", "use rusqlite::Connection;"),
        &[],
    );
    assert_finds(
        confinement_findings,
        ("node/src/store.rs", "use rusqlite::Connection;"),
        &[],
    );
    assert_finds(
        confinement_findings,
        ("node/src/storekeeper.rs", "use rusqlite::Connection;"),
        &["rusqlite"],
    );
    assert_finds(confinement_findings, ("tests/src/power.rs", text), &[]);
    assert_finds(
        confinement_findings,
        ("node/src/cli/demo/film.rs", "use studiovault_cloud::serve;"),
        &[],
    );
    let found = [
        "rusqlite",
        "libp2p",
        "mdns_sd",
        "reqwest",
        "studiovault_cloud",
    ];
    assert_finds(confinement_findings, ("node/src/driver.rs", text), &found);
}

#[test]
fn impurity_in_protocol_is_found() {
    let text = "use std::{collections::{BTreeMap, HashMap}, fs};\nuse std::time::{Duration, SystemTime};\nfn a(b: std::net::IpAddr) {}\nuse rand::Rng;\nfn b() { let at = Instant::now(); }\n#[cfg(test)] mod tests { use std::fs; }";
    let found = ["HashMap", "SystemTime", "std::net", "rand", "Instant::now"];
    assert_finds(purity_findings, ("protocol/src/engine.rs", text), &found);
    assert_finds(purity_findings, ("protocol/tests/engine.rs", text), &[]);
    assert_finds(purity_findings, ("node/src/driver.rs", text), &[]);
}

#[test]
fn an_arrow_against_the_architecture_is_found() {
    let arrow = |package: &str, on: &str| Arrow {
        package: package.to_owned(),
        on: on.to_owned(),
        for_tests: false,
        manifest: PathBuf::from("Cargo.toml"),
    };
    let bad = [
        arrow("studiovault-protocol", "studiovault-node"),
        arrow("studiovault-gui", "studiovault-node"),
        arrow("studiovault-cloud", "studiovault-node"),
        arrow("studiovault-protocol", "tokio"),
        arrow("studiovault-extra", "serde"),
    ];
    assert_eq!(arrow_findings(&bad).len(), bad.len());
    assert_eq!(
        arrow_findings(&[arrow("studiovault-node", "studiovault-cloud")]),
        []
    );
}

#[test]
fn the_arrows_of_this_workspace_are_really_read() {
    let arrows = read_arrows().expect("the manifests can be read");
    let has = |package: &str, on: &str| {
        arrows
            .iter()
            .any(|arrow| arrow.package == package && arrow.on == on)
    };
    assert!(has("studiovault-node", "studiovault-protocol"));
    assert!(has("studiovault-lab", "studiovault-node"));
}

#[test]
fn a_stranger_in_the_root_is_found() {
    let names = [".ci", "node", "LICENSE-MIT", "notes.md", "scripts"].map(str::to_owned);
    let found: Vec<String> = root_findings(&names)
        .into_iter()
        .map(|finding| finding.item)
        .collect();
    assert_eq!(found, ["notes.md", "scripts"]);
}

#[test]
fn a_path_of_one_machine_is_found() {
    let path = |text: &str| machine_path_findings(Path::new("a.md"), text).len();
    assert_eq!(path(concat!("cd /ho", "me/anna/studio")), 1);
    assert_eq!(path(concat!("open(\"/Us", "ers/anna\")")), 1);
    assert_eq!(path(concat!("GET /api/ho", "me/rooms, ~/wo", "rk/x")), 0);
}

#[test]
fn a_crate_below_its_floor_is_found() {
    let lock = |name: &str, version: &str| {
        let ring = "[[package]]\nname = \"ring\"\nversion = \"0.17.14\"\n";
        read_lock(&format!(
            "{ring}[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"
        ))
    };
    assert_eq!(floor_findings(&lock("yamux", "0.12.1")).len(), 1);
    assert_eq!(floor_findings(&lock("yamux", "0.13.10")).len(), 0);
    assert_eq!(floor_findings(&lock("native-tls", "1.0.0")).len(), 1);
    assert_eq!(
        floor_findings(&lock("ring", "0.16.0")).len(),
        1,
        "two versions of ring"
    );
}

#[test]
fn an_exemption_covers_its_item_only_and_is_found_when_idle() {
    let long = Exemption {
        rule: Rule::Name,
        path: "node/src/a.rs",
        item: "get_id",
        reason: "the name is given by an interface we do not own",
    };
    let file = SourceFile::parse("node/src/a.rs", "fn get_id() {} fn get_key() {}").unwrap();
    let findings = name_findings(&file);
    assert_eq!(without_exempted(findings.clone(), &[long]).len(), 1);
    assert_eq!(
        idle_exemptions(&findings, &[long]),
        Vec::<&Exemption>::new()
    );
    assert_eq!(idle_exemptions(&[], &[long]), [&long]);
}

#[test]
fn the_tests_that_the_page_on_testing_names_exist() {
    let page = std::fs::read_to_string(workspace_root().join("tests/README.md")).expect("a page");
    let words = page.split('`').skip(1).step_by(2);
    // A test's name is a claim; short words in code are commands.
    let named: Vec<&str> = words
        .filter(|word| word.matches('_').count() >= 3 && !word.contains(' '))
        .collect();
    assert!(named.len() > 30, "the page names tests: {named:?}");
    let tree = tree();
    let is_there = |name: &str| {
        let line = format!("fn {name}(");
        tree.rust.iter().any(|file| file.text.contains(&line))
    };
    let missing: Vec<&&str> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "renamed or gone: {missing:?}");
}
