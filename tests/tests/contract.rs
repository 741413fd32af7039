//! The cloud's contract, judged from outside on both databases: by our own runner, and by schemathesis over the served document.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use studiovault_lab::cluster::Cluster;
use studiovault_lab::conformance;
use studiovault_lab::processes::Running;

/// What every answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method,response_headers_conformance,allow_header_conformance";
/// Of the tester that is not ours.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

fn cloud(folder: &Path, database: Option<&str>) -> (Running, String, String) {
    let mut arguments = vec!["cloud", "--plain", "--listen", "127.0.0.1:0"];
    arguments.extend(database.into_iter().flat_map(|url| ["--database", url]));
    let running = Running::start(folder, &arguments);
    let text = |name: &str| running.ready[name].as_str().expect("text").to_owned();
    let (url, token) = (text("url"), text("token"));
    (running, url, token)
}

fn conforms(database: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (_running, url, token) = cloud(folder.path(), database);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let findings = runtime.block_on(conformance::run(&url, &token));
    let findings = findings.expect("the server can be asked");
    let faults: Vec<_> = findings.iter().filter(|it| it.fault.is_some()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(findings.len() >= 16);
}

#[test]
fn the_cloud_on_sqlite_conforms_to_the_contract() {
    conforms(None);
}

#[test]
fn the_cloud_on_postgresql_conforms_to_the_contract() {
    conforms(Some(&Cluster::shared().database()));
}

/// Its program, installed once into the folder of this build.
fn schemathesis() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(SCHEMATHESIS);
        let program = folder.join("bin/st");
        if !program.exists() {
            let run = |command: &mut Command| {
                let status = command.status().expect("python3 runs");
                assert!(status.success(), "{command:?}");
            };
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            run(Command::new(folder.join("bin/pip")).args(["install", "-q", SCHEMATHESIS]));
        }
        program
    })
}

fn judged_by_schemathesis(database: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (_running, url, admin) = cloud(folder.path(), database);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(conformance::Client::enrol(&url, &admin));
    let client = client.expect("enrols");
    // Bodies in the signed form are no text that a generator could make up; the runner of our own sends them.
    let left_out = ["postSyncTail", "postSyncChanges", "getSyncEvents"];
    let left_out = left_out
        .map(|name| ["--exclude-operation-id", name])
        .concat();
    for token in [&client.token, &admin] {
        let told = Command::new(schemathesis())
            .args(["run", &format!("{url}/v1/openapi.json"), "--url", &url])
            .args(["-H", &format!("Authorization: Bearer {token}")])
            .args(["--max-examples", "8", "--seed", "1"])
            // A question for changes may wait for half a minute.
            .args(["--phases", "coverage,fuzzing", "--request-timeout", "60"])
            .args(["--suppress-health-check", "all", "--checks", CHECKS])
            .args(&left_out)
            .current_dir(folder.path())
            .output()
            .expect("schemathesis runs");
        let text = String::from_utf8_lossy(&told.stdout);
        println!("{text}");
        assert!(told.status.success(), "{text}");
    }
}

#[test]
fn schemathesis_finds_nothing_on_sqlite() {
    judged_by_schemathesis(None);
}

#[test]
fn schemathesis_finds_nothing_on_postgresql() {
    judged_by_schemathesis(Some(&Cluster::shared().database()));
}
