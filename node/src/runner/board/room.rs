//! The room left on the disk of the data folder: people are told before it is full, not by the first write that fails.
//!
//! Asking the system costs next to nothing, and is done a few times a minute at most.

use std::path::PathBuf;

use studiovault_protocol::api::Warning;
use studiovault_protocol::time::MonoMs;

use crate::doctor::{ROOM_BYTES, free_bytes};

/// For programs.
pub(super) const DISK_LOW: &str = "DISK_LOW";
/// What was seen is good for so long, ms.
const LOOK_MS: u64 = 10_000;

/// What was seen last.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    looked: Option<MonoMs>,
    free_bytes: Option<u64>,
}

impl Room {
    pub fn of(folder: PathBuf) -> Self {
        Self {
            folder,
            looked: None,
            free_bytes: None,
        }
    }

    /// The warning, if there is little room left.
    pub fn warning(&mut self, now: MonoMs) -> Option<Warning> {
        if self.looked.is_none_or(|then| now.since(then) >= LOOK_MS) {
            self.looked = Some(now);
            self.free_bytes = free_bytes(&self.folder);
        }
        warning(self.free_bytes?)
    }
}

fn warning(free_bytes: u64) -> Option<Warning> {
    (free_bytes < ROOM_BYTES).then(|| Warning {
        code: DISK_LOW.into(),
        sentence: format!(
            "The disk of this machine is nearly full: {} MiB are left.",
            free_bytes / (1024 * 1024)
        ),
        next_step: "Make room on the disk that holds the data folder; nothing acknowledged is lost meanwhile.".into(),
        kind: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_told_and_one_with_room_is_not() {
        assert_eq!(warning(ROOM_BYTES), None);
        let told = warning(ROOM_BYTES - 1).expect("a warning");
        assert_eq!(told.code, DISK_LOW);
        assert!(told.sentence.contains("255 MiB are left"), "{told:?}");
    }

    #[test]
    fn a_disk_is_looked_at_now_and_then() {
        let mut room = Room::of(std::env::temp_dir());
        let _first = room.warning(MonoMs(0));
        room.free_bytes = Some(0);
        assert!(room.warning(MonoMs(LOOK_MS - 1)).is_some());
        let _seen = room.warning(MonoMs(LOOK_MS));
        assert_ne!(room.free_bytes, Some(0), "it was not looked at again");
    }
}
