//! One field's state by its rule: a register with siblings, an observed-remove set, or a counter.
//!
//! A register keeps its siblings sorted by dot; the highest accepted write (`top`) decides which of them lead.

use serde::{Deserialize, Serialize};

use super::{Code, Context};
use crate::command::Change;
use crate::id::Dot;
use crate::sabotage::Bug;
use crate::time::WallMs;
use crate::value::Value;

/// A value that no other standing command has superseded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sibling {
    /// Who wrote it.
    pub dot: Dot,
    /// The author's wall clock.
    pub ts: WallMs,
    /// What was written.
    pub value: Value,
    /// The feed position of its accepting verdict.
    pub accepted: Option<u64>,
    /// It is, or supersedes, the write accepted at the field's highest feed position.
    pub leads: bool,
}

/// A write that the cloud did not take; it stays a side of its field's conflict until a standing command covers it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LostSide {
    /// Who wrote it.
    pub dot: Dot,
    /// The author's wall clock.
    pub ts: WallMs,
    /// What was written.
    pub value: Value,
    /// Why it lost.
    pub code: Code,
    /// The whole command was rejected, not this field alone.
    pub rejected: bool,
}

/// A field of rule `lww` or `immutable`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Register {
    /// Sorted by dot.
    pub siblings: Vec<Sibling>,
    /// Sorted by dot.
    pub lost: Vec<LostSide>,
    /// The highest accepted write: its feed position and dot.
    pub top: Option<(u64, Dot)>,
}

impl Register {
    /// Applies a standing write; `accepted` is its verdict's position, if it has one already.
    pub fn write(&mut self, sibling: Sibling, ctx: &Context) {
        let led = |other: &Sibling| other.leads && ctx.covers(other.dot);
        let succeeds = self.siblings.iter().any(led);
        self.siblings.retain(|other| !ctx.covers(other.dot));
        self.lost.retain(|side| !ctx.covers(side.dot));
        let dot = sibling.dot;
        let at = self.siblings.partition_point(|other| other.dot < dot);
        let accepted = sibling.accepted;
        let leads = succeeds || self.top.is_some_and(|(_, top)| ctx.covers(top));
        self.siblings.insert(at, Sibling { leads, ..sibling });
        if let Some(position) = accepted {
            self.raise_top(position, dot);
        }
        if Bug::LosersDropped.is_on() {
            let newest = self.siblings.iter().map(|sibling| sibling.ts).max();
            self.siblings.retain(|sibling| Some(sibling.ts) == newest);
        }
    }

    /// Takes up a write that the cloud did not take. It supersedes nothing.
    pub fn lose(&mut self, side: LostSide) {
        let at = self.lost.partition_point(|other| other.dot < side.dot);
        self.lost.insert(at, side);
    }

    /// Marks the write of `dot` accepted. Exact only with at most one sibling, which then is it or supersedes it; with more
    /// the entity is folded anew (see [`super::Entity::must_fold`]).
    pub fn accept(&mut self, position: u64, dot: Dot) {
        if let Some(sibling) = self.siblings.iter_mut().find(|sibling| sibling.dot == dot) {
            sibling.accepted = Some(position);
        }
        if self.top.is_none_or(|top| (position, dot) > top) {
            self.top = Some((position, dot));
            self.siblings
                .iter_mut()
                .for_each(|sibling| sibling.leads = true);
        }
    }

    /// In causal order nothing applied before can supersede the newest write, so it alone leads; what stood when the feed
    /// began (position 0) leads together, so that open conflicts stay open.
    fn raise_top(&mut self, position: u64, dot: Dot) {
        let stood = position == 0 && self.top.is_none_or(|(top, _)| top == 0);
        if stood {
            self.top = self.top.max(Some((position, dot)));
            let sibling = self.siblings.iter_mut().find(|sibling| sibling.dot == dot);
            sibling.expect("it was just written").leads = true;
        } else if self.top.is_none_or(|top| (position, dot) > top) {
            self.top = Some((position, dot));
            for sibling in &mut self.siblings {
                sibling.leads = sibling.dot == dot;
            }
        } else if let Some(sibling) = self.siblings.iter_mut().find(|s| s.dot == dot) {
            sibling.leads |= self.top.is_some_and(|(_, top)| top == dot);
        }
    }
}

/// A field of rule `set`: each element with the dots that added it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ElementSet {
    /// Sorted by element; each element's dots sorted.
    pub elements: Vec<(Value, Vec<Dot>)>,
}

impl ElementSet {
    fn add(&mut self, element: &Value, dot: Dot) {
        match self
            .elements
            .binary_search_by(|(other, _)| other.cmp(element))
        {
            Ok(at) => {
                let dots = &mut self.elements[at].1;
                if let Err(place) = dots.binary_search(&dot) {
                    dots.insert(place, dot);
                }
            }
            Err(at) => self.elements.insert(at, (element.clone(), vec![dot])),
        }
    }

    fn remove(&mut self, element: &Value, seen: &[Dot]) {
        if let Ok(at) = self
            .elements
            .binary_search_by(|(other, _)| other.cmp(element))
        {
            let dots = &mut self.elements[at].1;
            dots.retain(|dot| !seen.contains(dot));
            if dots.is_empty() {
                self.elements.remove(at);
            }
        }
    }

    /// The dots that added `element`: what a remove must list.
    pub fn dots_of(&self, element: &Value) -> &[Dot] {
        self.elements
            .binary_search_by(|(other, _)| other.cmp(element))
            .map_or(&[], |at| &self.elements[at].1)
    }
}

/// The state of one field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Field {
    /// `lww` and `immutable`.
    Register(Register),
    /// `set`.
    Set(ElementSet),
    /// `counter`: the sum of the standing increments.
    Counter(i64),
}

impl Field {
    /// An empty field of the kind that `change` needs.
    pub fn empty_for(change: &Change) -> Self {
        match change {
            Change::Write(_) => Self::Register(Register::default()),
            Change::Add(_) | Change::Remove(_) => Self::Set(ElementSet::default()),
            Change::Increment(_) => Self::Counter(0),
        }
    }

    /// Applies a change of a set or a counter. `false` if the change is of another kind than the field: it does not apply.
    pub fn gather(&mut self, change: &Change, dot: Dot) -> bool {
        match (self, change) {
            (Self::Set(set), Change::Add(elements)) => {
                elements.iter().for_each(|element| set.add(element, dot));
            }
            (Self::Set(set), Change::Remove(elements)) => {
                elements
                    .iter()
                    .for_each(|(element, seen)| set.remove(element, seen));
            }
            // Wrapping keeps the sum independent of the order; the policy's limits keep it far from the edge.
            (Self::Counter(sum), Change::Increment(by)) => *sum = sum.wrapping_add(*by),
            _ => return false,
        }
        true
    }
}
