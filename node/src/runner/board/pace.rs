//! How fast this machine is being filled, and how long that will take if it goes on so.
//!
//! Invariant: an estimate rests on what came in during the last [`WINDOW_MS`] and nothing else; without a second of it there is none.

use std::collections::VecDeque;

use studiovault_protocol::api::CatchUp;
use studiovault_protocol::time::MonoMs;

/// What the pace is judged by, ms.
const WINDOW_MS: u64 = 10_000;
/// Looks kept: ten a second for as long.
const LOOKS: usize = 100;
/// Less is no pace yet, ms.
const LEAST_MS: u64 = 1_000;
/// A peer that is ahead by less is being caught up with anyway, commands: fresh writes are always under way.
const SMALL: u64 = 100;

/// Commands held at the last looks.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<(MonoMs, u64)>);

impl Pace {
    /// Takes a look: commands held now, and who is ahead by how many.
    pub(super) fn look(
        &mut self,
        now: MonoMs,
        held: u64,
        ahead: Option<(&str, u64)>,
    ) -> Option<CatchUp> {
        let least = if self.0.is_empty() { SMALL } else { 1 };
        let Some((from, missing)) = ahead.filter(|(_, missing)| *missing >= least) else {
            self.0.clear();
            return None;
        };
        self.0.push_back((now, held));
        while self.0.len() > LOOKS
            || self
                .0
                .front()
                .is_some_and(|(at, _)| now.since(*at) > WINDOW_MS)
        {
            self.0.pop_front();
        }
        let per_second = self.per_second(now, held);
        let left = |pace: u64| (pace > 0).then(|| missing.div_ceil(pace));
        Some(CatchUp {
            from: from.to_owned(),
            held,
            of: held.saturating_add(missing),
            per_second,
            left_s: per_second.and_then(left),
        })
    }

    fn per_second(&self, now: MonoMs, held: u64) -> Option<u64> {
        let (at, before) = self.0.front()?;
        let took = now.since(*at);
        let came = held.saturating_sub(*before);
        (took >= LEAST_MS).then(|| came.saturating_mul(1_000) / took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_needs_a_second_and_follows_the_pace() {
        let mut pace = Pace::default();
        let first = pace.look(MonoMs(0), 0, Some(("desk", 10_000)));
        let first = first.expect("it is behind");
        assert_eq!(
            (first.of, first.per_second, first.left_s),
            (10_000, None, None)
        );
        let second = pace.look(MonoMs(2_000), 2_000, Some(("desk", 8_000)));
        let second = second.expect("it is behind");
        assert_eq!((second.per_second, second.left_s), (Some(1_000), Some(8)));
        assert_eq!(pace.look(MonoMs(9_000), 10_000, Some(("desk", 0))), None);
    }

    #[test]
    fn a_transfer_that_stands_has_no_estimate() {
        let mut pace = Pace::default();
        for second in 0..=12 {
            let held = if second == 0 { 0 } else { 500 };
            pace.look(MonoMs(second * 1_000), held, Some(("desk", 500)));
        }
        let stands = pace.look(MonoMs(13_000), 500, Some(("desk", 500)));
        let stands = stands.expect("it is behind");
        assert_eq!((stands.per_second, stands.left_s), (Some(0), None));
    }

    #[test]
    fn fresh_writes_are_no_catching_up() {
        let mut pace = Pace::default();
        assert_eq!(pace.look(MonoMs(0), 5, Some(("desk", SMALL - 1))), None);
        assert_eq!(pace.look(MonoMs(0), 5, None), None);
    }
}
