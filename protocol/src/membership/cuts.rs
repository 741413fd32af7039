//! What still stands of the logs of devices that are revoked, retired, or whose admission fell.
//!
//! Of several cuts the lowest holds, author by author; an author that a cut does not name is cut at 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Dot, Epoch};

/// The cuts in force, by device; a device without one is whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cuts(BTreeMap<DeviceId, BTreeMap<Epoch, u64>>);

impl Cuts {
    /// No cut at all.
    pub const NONE: Self = Self(BTreeMap::new());

    /// Adds a cut: of every author the lower one holds.
    pub(super) fn lower(&mut self, device: DeviceId, stands: &[(Epoch, u64)]) {
        let stands: BTreeMap<Epoch, u64> = stands.iter().copied().collect();
        match self.0.get_mut(&device) {
            None => {
                self.0.insert(device, stands);
            }
            Some(held) => {
                held.retain(|epoch, _| stands.contains_key(epoch));
                for (epoch, counter) in held {
                    *counter = (*counter).min(stands[epoch]);
                }
            }
        }
    }

    /// Whether no cut touches a command.
    pub fn stands(&self, dot: Dot) -> bool {
        match self.0.get(&dot.author.device) {
            None => true,
            Some(stands) => stands.get(&dot.author.epoch).copied().unwrap_or(0) >= dot.counter,
        }
    }

    /// Whether nothing is cut.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The devices whose cut differs from the other's.
    pub fn changed(&self, other: &Self) -> Vec<DeviceId> {
        let both = self.0.keys().chain(other.0.keys());
        let mut devices: Vec<DeviceId> = both
            .filter(|device| self.0.get(device) != other.0.get(device))
            .copied()
            .collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }
}
