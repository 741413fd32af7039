//! What a check says that cannot run on this machine: loudly, although it succeeds.
//!
//! A test harness keeps to itself what a test prints that passes. This goes past it, and into the summary of `tests/all`.

use std::fs::OpenOptions;
use std::io::Write;

/// Names the file that `tests/all` reads what was skipped from.
pub const LIST: &str = "STUDIOVAULT_SKIPPED";

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
