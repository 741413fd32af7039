//! The keys of the mesh: kept in the studio file when they change, and given to every handshake from then on.
//!
//! The file is written before the mesh hears of a key, so a machine that stops in between comes back with a key that others know.

use std::path::PathBuf;

use studiovault_protocol::engine::ChangeRefused;
use studiovault_protocol::fault::{Fault, FaultKind};
use studiovault_protocol::membership::{Keyring, MeshKey};
use tokio::sync::oneshot;

use super::Runner;
use crate::config::{StudioFile, random_bytes};
use crate::driver::Event;
use crate::mesh::MeshCommand;

/// Where the keys are kept, and what was kept at the start.
#[derive(Clone, Debug)]
pub struct KeyKeeper {
    /// The studio file.
    pub file: PathBuf,
    /// What it said.
    pub keyring: Keyring,
}

impl Runner {
    /// What the engine has to know before anything else.
    pub(super) fn first_events(&self) -> Vec<Event> {
        vec![Event::Keyring(Box::new(
            self.presence.keeper().keyring.clone(),
        ))]
    }

    /// Draws a new key and signs it.
    pub(super) fn draw_key(
        &mut self,
        answer: oneshot::Sender<Result<(), ChangeRefused>>,
        events: &mut Vec<Event>,
    ) {
        match self.driver.engine().word_rekey(MeshKey(random_bytes())) {
            Ok(rekey) => {
                events.push(Event::Rekey(Box::new(rekey)));
                self.asked.rekeys.push(answer);
            }
            // Nobody waits any more if this fails.
            Err(refused) => drop(answer.send(Err(refused))),
        }
    }

    /// The key changed, or who is known to use it.
    pub(super) fn rekeyed(&mut self) {
        let file = &self.presence.keeper().file;
        let engine = self.driver.engine();
        let (keyring, roster) = (engine.keyring().clone(), engine.roster());
        let kept = StudioFile::load(file).and_then(|mut studio| {
            let before = studio.mesh_keys();
            studio.rekey(&keyring, roster);
            studio.save(file)?;
            Ok((before, studio))
        });
        match kept {
            Ok((before, studio)) if before != studio.mesh_keys() => {
                let keys = studio.mesh_keys();
                tracing::info!(keys = keys.len(), "the network's key changed");
                self.order(MeshCommand::Keys(keys));
                self.presence.rekey(studio.discovery_keys());
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "the network's new key cannot be kept");
                // Not over at the next write that the disk takes: the key is still nowhere.
                let (kind, words) = (FaultKind::Other, error.to_string());
                self.board.fault(&Fault { kind, words });
            }
        }
    }
}
