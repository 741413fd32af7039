//! What a check says that cannot run on this machine: loudly, although it succeeds.
//!
//! A test harness keeps to itself what a test prints that passes. This goes past it, and into the summary of `tests/all`.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

/// Names the file that `tests/all` reads what was skipped from.
const LIST: &str = "STUDIOVAULT_SKIPPED";

/// Says that `what` was not checked, and why.
pub fn skipped(what: &str, reason: &str) {
    let line = format!("SKIPPED: {what}: {reason}\n");
    let mut out = std::io::stdout().lock();
    // The words of other tests may stand before it on the line.
    let told = out.write_all(format!("\n{line}").as_bytes());
    told.and_then(|()| out.flush()).expect("somebody listens");
    if let Some(list) = std::env::var_os(LIST) {
        let list = OpenOptions::new().append(true).create(true).open(list);
        let mut list = list.expect("the list of what was skipped opens");
        list.write_all(line.as_bytes()).expect("it is listed");
    }
}

/// Runs a test of this program again where there are no tools at all, and fails unless it succeeds and says this one line
/// past the harness and into the list.
pub fn assert_skipped_without_tools(test: &str, line: &str) {
    let list = tempfile::NamedTempFile::new().expect("a file");
    let this = std::env::current_exe().expect("this program");
    let run = Command::new(this)
        .args(["--exact", test])
        .env("PATH", "/nowhere")
        .env(LIST, list.path())
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&run.stdout);
    let is_run = run.status.success() && told.contains("1 passed");
    assert!(is_run && told.contains(&format!("\n{line}\n")), "{told}");
    let listed = std::fs::read_to_string(list.path()).expect("reads");
    assert_eq!(listed, format!("{line}\n"));
}
