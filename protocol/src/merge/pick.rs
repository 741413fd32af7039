//! The pick: the shown sibling as a pure function of the whole set (model.md, "The pick").
//!
//! Read pairwise the rule is cyclic, so it is never folded: the newest, and whatever lies within the tolerance of it, counts
//! as simultaneous, and then priority decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Sibling;
use crate::id::DeviceId;
use crate::limits::TOLERANCE_MS;
use crate::sabotage::Bug;

/// The roster's priority table; a missing device has priority 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Priorities(pub BTreeMap<DeviceId, i32>);

impl Priorities {
    fn of(&self, device: DeviceId) -> i32 {
        self.0.get(&device).copied().unwrap_or(0)
    }
}

/// Which part of the rule decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PickRule {
    /// There was nothing to choose.
    Only,
    /// The cloud accepted it first.
    Confirmed,
    /// Its clock is more than the tolerance ahead of the others.
    Latest,
    /// Within the tolerance the device's priority decided.
    Priority,
    /// Of equal priority the later clock decided.
    Clock,
    /// Equal in all else: the higher dot.
    Dot,
    /// Of one natural key without any verdict: the lowest dot.
    First,
    /// A deletion shows before edits that nobody confirmed.
    Deletion,
}

/// The chosen sibling and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pick<'a> {
    /// The chosen one.
    pub sibling: &'a Sibling,
    /// Which part of the rule decided.
    pub rule: PickRule,
}

/// Picks over the whole set; `None` of an empty one.
pub fn pick<'a>(siblings: &'a [Sibling], priorities: &Priorities) -> Option<Pick<'a>> {
    if let [sibling] = siblings {
        // By far the most common case, and the only one in which nothing is gathered.
        let rule = PickRule::Only;
        return Some(Pick { sibling, rule });
    }
    let leading: Vec<&Sibling> = siblings.iter().filter(|sibling| sibling.leads).collect();
    let server_wins = !leading.is_empty() && leading.len() < siblings.len();
    let all: Vec<&Sibling> = if leading.is_empty() {
        siblings.iter().collect()
    } else {
        leading
    };
    let newest = all.iter().map(|sibling| sibling.ts.0).max()?;
    let near: Vec<&Sibling> = all
        .iter()
        .copied()
        .filter(|s| newest.saturating_sub(s.ts.0) <= TOLERANCE_MS)
        .collect();
    let key = |s: &&Sibling| (priorities.of(s.dot.author.device), s.ts, s.dot);
    let chosen = if Bug::PairwisePick.is_on() {
        all.iter().copied().reduce(|a, b| {
            let near = a.ts.0.abs_diff(b.ts.0) <= TOLERANCE_MS.unsigned_abs();
            let (ka, kb) = (key(&a), key(&b));
            let first = if near { ka > kb } else { a.ts > b.ts };
            if first { a } else { b }
        })?
    } else {
        near.iter().copied().max_by_key(key)?
    };
    let same = |with: &dyn Fn(&Sibling) -> bool| near.iter().filter(|s| with(s)).count() > 1;
    let priority = priorities.of(chosen.dot.author.device);
    let rule = if all.len() == 1 {
        if server_wins {
            PickRule::Confirmed
        } else {
            PickRule::Only
        }
    } else if near.len() == 1 {
        PickRule::Latest
    } else if !same(&|s| priorities.of(s.dot.author.device) == priority) {
        PickRule::Priority
    } else if !same(&|s| priorities.of(s.dot.author.device) == priority && s.ts == chosen.ts) {
        PickRule::Clock
    } else {
        PickRule::Dot
    };
    Some(Pick {
        sibling: chosen,
        rule,
    })
}
