//! Moves the write-ahead log into the database beside the writer, so that no local write waits for it.
//!
//! Loses nothing if it never runs: the writer itself checkpoints once the log is very large.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::{StoreError, schema};

/// Bytes after which the log is moved, by a rough count: often enough for one round to take a few ms.
const ROUND_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that even the smallest transaction writes: a page of each table and index that it touches.
const COMMIT_BYTES: u64 = 32 * 1024;

/// The thread that does it, and what was written since it was last woken.
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    written: u64,
}

impl Checkpointer {
    /// Starts it on a database that the writer has opened.
    pub fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        // How a checkpoint flushes is a setting of the connection that does it.
        schema::configure_flush(&connection)?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(&connection, &woken))
            .map_err(|cause| StoreError::Folder {
                folder: path.to_owned(),
                cause,
            })?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
            written: 0,
        })
    }

    /// Notes a commit of so many bytes of bundles.
    pub fn note(&mut self, bytes: u64) {
        // A bundle's commands stand in the log, in the state and in what is shown.
        self.written += COMMIT_BYTES + 3 * bytes;
        if self.written < ROUND_BYTES {
            return;
        }
        self.written = 0;
        if let Some(wake) = &self.wake {
            // Full means that a round is due already.
            let _ = wake.try_send(());
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // Passive: it never makes the writer or a reader wait. What fails here the writer meets itself, and tells.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
