//! By how much the cloud's wall clock is off from this machine's, as its answers show it.

use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all clones of one client and whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct CloudClock(Arc<Mutex<Option<i64>>>);

impl CloudClock {
    /// The cloud's clock minus this machine's, ms, at the last answer; `None` before the first.
    pub fn offset_ms(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It showed `theirs` (Unix ms) in an answer to a question of `asked` to `answered` by this machine's clock.
    pub(super) fn note(&self, theirs: i64, (asked, answered): (i64, i64)) -> i64 {
        // Half of the way there and back is as good a guess as any.
        let middle = asked.saturating_add(answered.saturating_sub(asked) / 2);
        let offset = theirs.saturating_sub(middle);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset);
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_against_the_middle_of_the_question() {
        let clock = CloudClock::default();
        let shown = clock.clone();
        assert_eq!(shown.offset_ms(), None);
        assert_eq!(clock.note(10_150, (10_000, 10_100)), 100);
        assert_eq!(shown.offset_ms(), Some(100));
        clock.note(10_050, (10_000, 10_100));
        assert_eq!(shown.offset_ms(), Some(0));
    }
}
