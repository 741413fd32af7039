//! What of the logs counts at a receiver: a function of the roster and the policies held, whatever the order in which they came.
//!
//! A cut ends what a device may say. Beside it stands what it never might: types that no grant of its, at any time, let it write
//! under any policy held. A bundle does not say which roster its author knew, so whoever had the right once is believed that it
//! was then; the cloud truth, which has an order, asks for the right of the day.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cuts, Role, Roster};
use crate::command::Command;
use crate::id::{Author, DeviceId, Dot};
use crate::policy::{Policy, PolicyShelf};

/// Why a command does not count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bar {
    /// It is beyond the cut of a device that no longer belongs.
    Cut,
    /// Its author's log splits before it.
    Split,
    /// No role that its device ever had may write this type.
    Role,
}

/// The types that each device never had the right to write; those that may write everything are not in it.
pub type Closed = BTreeMap<DeviceId, BTreeSet<String>>;

/// The cuts in force, what lies beyond splits, and the types that are closed to some.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    /// What still stands of those that no longer belong.
    pub cuts: Cuts,
    /// The first counter of each epoch that lies beyond a split: of the one that splits, and of those that go on from there.
    pub aside: BTreeMap<Author, u64>,
    /// What was never anybody's to write.
    pub closed: Closed,
}

impl Rights {
    /// What roster and policies come to for logs that do not split.
    pub fn of(roster: &Roster, shelf: &PolicyShelf) -> Self {
        let policies = shelf.readable();
        let closed = roster.roles().into_iter().filter_map(|(device, roles)| {
            let types = closed_to(&roles, &policies);
            (!types.is_empty()).then_some((device, types))
        });
        Self {
            cuts: roster.cuts().clone(),
            aside: BTreeMap::new(),
            closed: closed.collect(),
        }
    }

    /// Why a command does not count; `None` if nothing bars it.
    pub fn bar(&self, dot: Dot, command: &Command) -> Option<Bar> {
        if !self.cuts.stands(dot) {
            return Some(Bar::Cut);
        }
        let aside = self.aside.get(&dot.author);
        if aside.is_some_and(|from| *from <= dot.counter) {
            return Some(Bar::Split);
        }
        let closed = self.closed.get(&dot.author.device)?;
        closed.contains(&command.entity_type).then_some(Bar::Role)
    }

    /// Whether nothing is barred to anybody.
    pub fn is_unbarred(&self) -> bool {
        self.cuts.is_empty() && self.aside.is_empty() && self.closed.is_empty()
    }

    /// The devices of which other commands are barred than by the other.
    pub fn changed(&self, other: &Self) -> Vec<DeviceId> {
        let mut devices: BTreeSet<DeviceId> = self.cuts.changed(&other.cuts).into_iter().collect();
        let both = self.closed.keys().chain(other.closed.keys());
        devices.extend(both.filter(|device| self.closed.get(device) != other.closed.get(device)));
        let both = self.aside.keys().chain(other.aside.keys());
        let moved = both.filter(|author| self.aside.get(author) != other.aside.get(author));
        devices.extend(moved.map(|author| author.device));
        devices.into_iter().collect()
    }
}

/// The types that none of these roles may write under any of these policies. An entry of the point of sale has happened, whoever
/// wrote it down.
fn closed_to(roles: &BTreeSet<Role>, policies: &[Policy]) -> BTreeSet<String> {
    let (mut open, mut closed) = (BTreeSet::new(), BTreeSet::new());
    for (name, rules) in policies.iter().flat_map(|policy| policy.types()) {
        let may = rules.append_only || roles.iter().any(|role| rules.may_write(*role));
        let side = if may { &mut open } else { &mut closed };
        side.insert(name);
    }
    closed
        .difference(&open)
        .map(|name| (*name).clone())
        .collect()
}
