//! Telling the studio's own cloud truth how this machine fares: once a day, and only after a person has said so.
//!
//! What is shown and what is sent is made by one function, and what was sent is kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use studiovault_protocol::api::{TelemetrySent, TelemetryState, TelemetryView};
use tokio::sync::Notify;

use super::{Inner, Node, NodeError};
use crate::clock;
use crate::config::{Folder, TelemetryFile};
use crate::store::StoreError;
use crate::telemetry::Recorder;

/// How often a machine tells, ms.
const EVERY_MS: i64 = 24 * 60 * 60 * 1000;
/// How often it looks whether it is time; what the network broke is made up for by then.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// What is recorded, and what a person said of it.
#[derive(Debug)]
pub(super) struct Telling {
    /// Since the start.
    pub recorder: Arc<Recorder>,
    path: PathBuf,
    file: Mutex<TelemetryFile>,
    problem: Mutex<Option<String>>,
    /// A person said no: what is under way is broken off.
    off: Notify,
    /// One attempt at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Telling {
    /// As a folder has it.
    pub fn of(folder: &Folder) -> Self {
        let path = folder.telemetry_path();
        let file = TelemetryFile::load(&path);
        Self {
            recorder: Arc::default(),
            path,
            file: Mutex::new(file),
            problem: Mutex::default(),
            off: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn file(&self) -> MutexGuard<'_, TelemetryFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    fn is_due(&self) -> bool {
        let file = self.file();
        let since = file.sent.as_ref().map(|sent| clock::wall().0 - sent.at.0);
        // A clock that was set back makes it no later than a day.
        let is_time = since.is_none_or(|ms| !(0..EVERY_MS).contains(&ms));
        file.state == TelemetryState::On && is_time
    }

    fn keep(&self, sent: TelemetrySent) {
        let mut file = self.file();
        file.sent = Some(sent);
        if let Err(error) = file.save(&self.path) {
            tracing::warn!(%error, "what was told is not on the disk");
        }
    }
}

impl Node {
    /// What this machine counts of itself.
    pub fn recorder(&self) -> &Recorder {
        &self.inner.telling.recorder
    }

    /// What is, or would be sent, and whether it is. Blocks for the store.
    pub fn telemetry(&self) -> Result<TelemetryView, StoreError> {
        let telling = &self.inner.telling;
        let file = telling.file().clone();
        let problem = telling.problem.lock();
        Ok(TelemetryView {
            state: file.state,
            report: self.inner.report()?,
            sent: file.sent,
            problem: problem.unwrap_or_else(PoisonError::into_inner).clone(),
        })
    }

    /// Lets this machine tell, or no longer; it stays so over restarts. The first report goes out at once.
    pub async fn set_telemetry(&self, state: TelemetryState) -> Result<(), NodeError> {
        let telling = &self.inner.telling;
        {
            let mut file = telling.file();
            let next = TelemetryFile {
                state,
                ..file.clone()
            };
            next.save(&telling.path)?;
            *file = next;
        }
        telling.note_problem(None);
        match state {
            TelemetryState::On => self.inner.tell().await,
            TelemetryState::Off => telling.off.notify_waiters(),
        }
        Ok(())
    }
}

impl Inner {
    /// The request's body.
    fn report(&self) -> Result<String, StoreError> {
        let turns = self.reader.read(|view| view.conflict_turns())?;
        let report = self.telling.recorder.report(&self.board.status(), turns);
        Ok(serde_json::to_string_pretty(&report).expect("a report always encodes"))
    }

    /// One report, if it is time and may be.
    async fn tell(self: &Arc<Self>) {
        // Whoever says no from here on is heard.
        let off = self.telling.off.notified();
        let _turn = self.telling.turn.lock().await;
        if !self.telling.is_due() {
            return;
        }
        tokio::select! {
            biased;
            () = off => {}
            problem = self.tell_now() => self.telling.note_problem(problem),
        }
    }

    /// What went wrong, if something did.
    async fn tell_now(self: &Arc<Self>) -> Option<String> {
        let Some(cloud) = &self.cloud else {
            return Some("this studio has no cloud truth: nothing is sent anywhere".into());
        };
        let inner = self.clone();
        let report = match tokio::task::spawn_blocking(move || inner.report()).await {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some("the node broke on it; look at its log".into()),
        };
        match cloud.tell(report.clone()).await {
            Ok(()) => {
                let at = clock::wall();
                self.telling.keep(TelemetrySent { at, report });
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Tells when it is time, for as long as the node runs.
pub(super) fn spawn(inner: &Arc<Inner>) {
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        while let Some(running) = inner.upgrade() {
            running.tell().await;
            drop(running);
            tokio::time::sleep(LOOK).await;
        }
    });
}
