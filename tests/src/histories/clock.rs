//! One history told with two clocks: what a machine's clock that is a year off changes, and what it does not.
//!
//! The model lets clocks decide which of concurrent values is shown or suggested, and whether one is suspect. Nothing else.

use studiovault_protocol::merge::Entity;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;

use super::{History, Tally};

/// A year, ms.
pub const YEAR_MS: i64 = 365 * 86_400_000;

/// What two machines disagree on about one entity, without clocks: fields, and each side's author, value and standing.
fn questions(history: &History, entity: &Entity) -> Vec<String> {
    let mut asked = entity.conflicts(&history.priorities);
    for side in asked.iter_mut().flat_map(|conflict| &mut conflict.sides) {
        side.ts = WallMs(0);
    }
    let told = asked.iter().map(|conflict| {
        let (field, kind, sides) = (&conflict.field, conflict.kind, &conflict.sides);
        format!("{field:?} {kind:?} {sides:?}")
    });
    told.collect()
}

/// All that stands of an entity, but for the times at which it was written.
fn timeless(entity: &Entity) -> String {
    let text = format!("{entity:?}");
    let mut parts = text.split("WallMs(");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        told += part.split_once(')').map_or(part, |(_, rest)| rest);
    }
    told
}

impl History {
    /// The same commands, but that the clock of the machine that wrote first was off by so much.
    fn with_clock_off(mut self, by_ms: i64) -> Self {
        let device = self.told.first().map(|told| told.dot.author.device);
        for told in &mut self.told {
            if Some(told.dot.author.device) == device {
                told.command.ts.0 += by_ms;
            }
        }
        self
    }

    /// The first thing that the other clock changed and may not.
    fn differs(&self, other: &Self) -> Option<String> {
        let order: Vec<usize> = (0..self.told.len()).collect();
        let mut ids: Vec<_> = self.told.iter().map(|told| told.command.entity).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().find_map(|id| {
            let (one, two) = (
                self.folded(id, &order, |_| true),
                other.folded(id, &order, |_| true),
            );
            let same =
                timeless(&one) == timeless(&two) && questions(self, &one) == questions(other, &two);
            (!same).then(|| format!("entity {id}\n{one:?}\n{two:?}"))
        })
    }
}

/// Tells `count` histories with a clock that is right, a year ahead and a year behind; how many shown values it changed.
pub fn compare(first: u64, count: u64) -> Result<u64, String> {
    let (policy, mut picks): (Policy, u64) = (super::policy(), 0);
    for seed in first..first + count {
        let right = History::of(seed, &policy);
        for by_ms in [YEAR_MS, -YEAR_MS] {
            let off = History::of(seed, &policy).with_clock_off(by_ms);
            // What the model does name, the naive merge knows as well.
            off.check(seed, &mut Tally::default())?;
            if let Some(difference) = right.differs(&off) {
                return Err(format!("seed {seed}, {by_ms} ms: {difference}"));
            }
            picks += u64::from(right.picks() != off.picks());
        }
    }
    Ok(picks)
}

impl History {
    /// What is suggested of every conflict.
    fn picks(&self) -> Vec<String> {
        let order: Vec<usize> = (0..self.told.len()).collect();
        let mut picks = Vec::new();
        for told in &self.told {
            let entity = self.folded(told.command.entity, &order, |_| true);
            let asked = entity.conflicts(&self.priorities);
            picks.extend(asked.iter().map(|asked| format!("{:?}", asked.suggested)));
        }
        picks
    }
}
