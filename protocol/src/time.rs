//! Time as the core sees it: two newtypes that callers hand in. The core never reads a clock.

use serde::{Deserialize, Serialize};

/// Wall clock in milliseconds since 1970 UTC, as read and never clamped: two receivers would clamp differently.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct WallMs(pub i64);

/// A monotonic clock in milliseconds since some start of this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MonoMs(pub u64);

impl MonoMs {
    /// This instant `ms` milliseconds later.
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
    /// Milliseconds since `earlier`, 0 if it lies ahead.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// What people's clocks show.
    pub wall: WallMs,
    /// What timers use.
    pub mono: MonoMs,
}
