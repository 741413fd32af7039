//! The real clocks and fresh randomness, in the one place where the node reads them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use studiovault_protocol::event::Moment;
use studiovault_protocol::time::{MonoMs, Now, WallMs};

use crate::driver::Random;

/// A monotonic clock that began with this process, and the wall clock beside it.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock {
    /// Both clocks now.
    pub fn now(&self) -> Now {
        Now {
            wall: wall(),
            mono: MonoMs(millis(self.start.elapsed())),
        }
    }

    /// Both clocks now, with fresh randomness.
    pub fn moment(&self) -> Moment {
        Moment {
            now: self.now(),
            entropy: Random::System.number(),
        }
    }

    /// The instant at which `at` is due.
    pub fn instant(&self, at: MonoMs) -> Instant {
        self.start + Duration::from_millis(at.0)
    }
}

/// The wall clock.
pub fn wall() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is a clock that is wrong; it counts backwards rather than stop the node.
    since.map_or_else(
        |error| WallMs(-i64::try_from(error.duration().as_millis()).unwrap_or(i64::MAX)),
        |since| WallMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
