//! The one place where the cloud truth reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use studiovault_protocol::time::WallMs;

/// The wall clock now; before 1970 counts as 0.
pub fn wall_now() -> WallMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
