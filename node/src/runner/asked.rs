//! Who waits for something that the loop was asked for besides a write: answered after the step that made it durable.

use std::collections::HashMap;

use studiovault_protocol::engine::ChangeRefused;
use studiovault_protocol::pack::Taken;
use tokio::sync::oneshot;

use super::Runner;
use super::relay::Object;

/// Who waits for something to be durable and shown, and the answers that came so far.
#[derive(Default)]
pub(super) struct Asked {
    pub policies: Vec<oneshot::Sender<()>>,
    pub changes: HashMap<u64, oneshot::Sender<Result<(), ChangeRefused>>>,
    pub answers: HashMap<u64, Result<(), ChangeRefused>>,
    pub rekeys: Vec<oneshot::Sender<Result<(), ChangeRefused>>>,
    pub packs: HashMap<u64, oneshot::Sender<Option<Taken>>>,
    pub taken: HashMap<u64, Taken>,
    /// Who waits for a part of a snapshot: one at a time.
    pub object: Option<(u64, oneshot::Sender<Object>)>,
}

impl Runner {
    /// What was asked is durable now, or failed whole; either way the board says what is in force.
    pub(super) fn answer_asked(&mut self) {
        for answer in self.asked.rekeys.drain(..) {
            // Nobody waits any more if this fails.
            let _ = answer.send(Ok(()));
        }
        for (ticket, asker) in self.asked.packs.drain() {
            // Nobody waits any more if this fails.
            let _ = asker.send(self.asked.taken.remove(&ticket));
        }
        if self.asked.policies.is_empty() && self.asked.changes.is_empty() {
            return;
        }
        self.board.show_signed(&self.driver);
        self.shown.stale = true;
        for (ticket, asker) in self.asked.changes.drain() {
            let answer = self.asked.answers.remove(&ticket);
            // Nobody waits any more if this fails.
            let _ = asker.send(answer.unwrap_or(Err(ChangeRefused::NotTaken)));
        }
        for done in self.asked.policies.drain(..) {
            // Nobody waits any more if this fails.
            let _ = done.send(());
        }
    }
}
