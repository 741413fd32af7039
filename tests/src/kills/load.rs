//! One writer at one machine: creates, edits of what others edit too, and increments, as fast as people and a till would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use studiovault_protocol::api::{MutationRequest, TxAnswer};
use studiovault_protocol::id::{Dot, EntityId};

use super::Chance;
use super::ledger::Written;
use crate::lab::Machine;
use crate::lab::machine::{create, update};

/// Between two writes at most, ms.
const PAUSE_MS: u64 = 16;
/// Clients that are edited: few enough for machines to meet on one.
const EDITED: usize = 20;

pub(super) struct Load<'a> {
    machine: &'a Machine,
    project: EntityId,
    chance: Chance,
    clients: Vec<EntityId>,
}

impl<'a> Load<'a> {
    pub(super) fn new(machine: &'a Machine, project: EntityId, seed: u64) -> Self {
        let chance = Chance(seed);
        Load {
            machine,
            project,
            chance,
            clients: Vec::new(),
        }
    }

    /// Writes until told to stop; what was acknowledged.
    pub(super) fn write_until(mut self, stop: &AtomicBool) -> Written {
        let mut written = Written::default();
        while !stop.load(Ordering::Relaxed) {
            let mutations = self.mutations();
            match self.machine.write(mutations) {
                Ok(answer) => {
                    self.remember(&answer);
                    written.add(range(&answer));
                }
                // Killed in the middle, not up yet, or refused: nobody was told that it is safe.
                Err(_) => written.unanswered += 1,
            }
            std::thread::sleep(Duration::from_millis(self.chance.below(PAUSE_MS)));
        }
        written
    }

    fn mutations(&mut self) -> Vec<MutationRequest> {
        let number = self.chance.below(1_000_000);
        let edited = self.clients.len().min(EDITED) as u64;
        match self.chance.below(10) {
            0..=1 => {
                let count = json!({"print_credits": {"increment": 1}});
                vec![update("project", self.project, count)]
            }
            2..=4 if edited > 0 => {
                let client = self.clients[self.chance.below(edited) as usize];
                let fields = json!({"phone": number.to_string(), "tags": {"add": [format!("tag {}", number % 9)]}});
                vec![update("client", client, fields)]
            }
            _ => (0..1 + self.chance.below(4))
                .map(|part| create("client", json!({"name": format!("Client {number} {part}")})))
                .collect(),
        }
    }

    fn remember(&mut self, answer: &TxAnswer) {
        let room = EDITED.saturating_sub(self.clients.len());
        let fresh = answer
            .ids
            .iter()
            .filter(|id| **id != self.project)
            .take(room);
        self.clients.extend(fresh);
    }
}

/// The first and the last command of an acknowledged transaction.
fn range(answer: &TxAnswer) -> (Dot, Dot) {
    let bundle = answer
        .bundle
        .as_ref()
        .expect("every write of the load writes");
    let dot = |text: &str| text.parse().expect("the API names commands by dots");
    (dot(&bundle.first), dot(&bundle.last))
}
