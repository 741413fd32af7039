//! Signing in by a code: the product's command asks for one and waits until somebody has approved it elsewhere.
//!
//! Until then nothing is changed, whenever it is stopped. Tokens pass from the command to the node, never through here.

use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use studiovault_protocol::api::Problem;
use studiovault_protocol::time::WallMs;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::program::complaint_text;
use super::{Client, Ended, wall_now};
use crate::message::{Done, Message, Request, SignInCode};

/// Bytes of output that are read.
const OUTPUT: u64 = 64 * 1024;
/// Letters of a code or an address that are shown.
const LETTERS: usize = 512;

/// What the command says of a code.
#[derive(Deserialize)]
struct Told {
    user_code: String,
    verification_uri: String,
    /// Seconds.
    expires_in: u32,
}

impl Client {
    /// Begins to sign in; one that is under way already goes on.
    pub(super) fn sign_in_by_code(&mut self) {
        let running = self.signing_in.as_ref();
        if running.is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (command, folder) = (self.command.clone(), self.folder.clone());
        let later = self.later.clone();
        let task = tokio::spawn(async move {
            let outcome = match command {
                Ok(command) => sign_in((&command, &folder), &later).await,
                Err(sentence) => Err(sentence),
            };
            let request = Request::SignInByCode;
            let outcome = outcome.map(|()| Done::default());
            // The window may be gone meanwhile.
            let _ = later.send(Message::Answered { request, outcome }).await;
        });
        self.signing_in = Some(task.abort_handle());
    }

    /// Waits no more for a code.
    pub(super) fn drop_sign_in(&mut self) -> Result<(), Ended> {
        let Some(task) = self.signing_in.take() else {
            return Ok(());
        };
        if task.is_finished() {
            return Ok(());
        }
        // The child ends with its handle.
        task.abort();
        let sentence = "Stopped: nothing was changed. The code on the screen was the last one and is worth nothing now.";
        let (request, outcome) = (Request::SignInByCode, Err(sentence.to_owned()));
        self.tell(Message::Answered { request, outcome })
    }
}

async fn sign_in(
    (command, folder): (&Path, &Path),
    later: &mpsc::Sender<Message>,
) -> Result<(), String> {
    let mut child = Command::new(command)
        .args(["login", "--json", "--data"])
        .arg(folder)
        // A token of the environment would be taken for one that was handed over.
        .env_remove("STUDIOVAULT_CLOUD_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} does not start: {error}.", command.display()))?;
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output.take(OUTPUT)).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(code) = code_in(&line, wall_now()) {
                // As above.
                let _ = later.send(Message::Code(code)).await;
            }
        }
    }
    let mut complaint = String::new();
    if let Some(output) = child.stderr.take() {
        let _ = output.take(OUTPUT).read_to_string(&mut complaint).await;
    }
    match child.wait().await {
        Ok(ended) if ended.success() => Ok(()),
        _ => Err(refusal(&complaint)),
    }
}

fn code_in(line: &str, now: WallMs) -> Option<SignInCode> {
    let told: Told = serde_json::from_str(line).ok()?;
    let shown = |text: String| -> String {
        let plain = text.chars().filter(|letter| !letter.is_control());
        plain.take(LETTERS).collect()
    };
    Some(SignInCode {
        code: shown(told.user_code),
        page: shown(told.verification_uri),
        until: WallMs(now.0 + i64::from(told.expires_in) * 1000),
    })
}

/// Why it came to nothing, with the next step in the window.
fn refusal(complaint: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Problem>(complaint.trim()) else {
        return complaint_text(complaint);
    };
    let next_step = match problem.code.as_str() {
        "REFUSED" => "Begin anew with another code.",
        _ => "Nothing was changed; the doctor, among the devices, looks at the way to the cloud.",
    };
    let detail = problem.detail.trim_end_matches('.');
    format!("Not signed in: {detail}. {next_step}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_with_its_page_and_its_end_and_nothing_else_is_one() {
        let line = r#"{"user_code":"WDJB-MJHT","verification_uri":"https://cloud.example/device","expires_in":600}"#;
        let code = code_in(line, WallMs(1_000)).expect("a code");
        assert_eq!(code.code, "WDJB-MJHT");
        assert_eq!(code.page, "https://cloud.example/device");
        assert_eq!(code.until, WallMs(601_000));
        assert_eq!(code_in(r#"{"token":"kept"}"#, WallMs(0)), None);
    }

    #[test]
    fn a_refusal_ends_with_a_step_that_the_window_has() {
        let said = |code: &str, detail: &str| {
            let problem = Problem::new(0, code, detail.to_owned(), "type something");
            refusal(&serde_json::to_string(&problem).expect("encodes"))
        };
        assert_eq!(
            said("REFUSED", "somebody refused the code; nothing was changed"),
            "Not signed in: somebody refused the code; nothing was changed. Begin anew with another code."
        );
        assert!(said("FAILED", "the cloud is not reached").ends_with("the way to the cloud."));
        assert_eq!(refusal("boom\n"), "boom");
    }
}
