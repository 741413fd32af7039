//! One field's state by its rule: a register with siblings, an observed-remove set, or a counter.
//!
//! A register keeps its siblings sorted by dot; what the cloud accepted last (`top`) decides which of them lead.

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
    /// It is, or supersedes, what was accepted at the field's highest feed position ([`Top`]).
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
    /// What the cloud accepted last.
    pub top: Option<Top>,
}

/// The writes accepted at a field's highest feed position. One, but for position 0: what stood when the feed began leads
/// together, so that open conflicts stay open; of these, all that no other of them supersedes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Top {
    /// In the feed; 0 for what stood when it began.
    pub position: u64,
    /// The one with the lowest dot.
    pub dot: Dot,
    /// The others, sorted. Apart, since hardly any field has some.
    pub beside: Vec<Dot>,
}

impl Top {
    /// Of sorted dots; `None` if there are none.
    pub fn of(position: u64, dots: impl IntoIterator<Item = Dot>) -> Option<Self> {
        let mut dots = dots.into_iter();
        let dot = dots.next()?;
        let beside = dots.collect();
        Some(Self {
            position,
            dot,
            beside,
        })
    }

    /// All of them, sorted.
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        std::iter::once(self.dot).chain(self.beside.iter().copied())
    }

    /// Whether a write is, or supersedes, one of these.
    pub(super) fn is_led_by(&self, dot: Dot, ctx: &Context) -> bool {
        self.dots().any(|top| top == dot || ctx.covers(top))
    }

    /// The same with a write that stood as well, less what that supersedes.
    fn with(&self, dot: Dot, ctx: &Context) -> Option<Self> {
        let others = self.dots().filter(|other| !ctx.covers(*other));
        let mut dots: Vec<Dot> = others.chain([dot]).collect();
        dots.sort_unstable();
        Self::of(self.position, dots)
    }
}

impl Register {
    /// Applies a standing write. Exact for one without a verdict, and for one that is accepted after all others; else who leads
    /// is worked out when all are applied ([`super::fold`]).
    pub fn write(&mut self, sibling: Sibling, ctx: &Context) {
        self.siblings.retain(|other| !ctx.covers(other.dot));
        self.lost.retain(|side| !ctx.covers(side.dot));
        let dot = sibling.dot;
        if let Some(position) = sibling.accepted {
            self.raise_top((position, dot), ctx);
        }
        let leads = self.top.as_ref().is_some_and(|top| top.is_led_by(dot, ctx));
        let at = self.siblings.partition_point(|other| other.dot < dot);
        self.siblings.insert(at, Sibling { leads, ..sibling });
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

    /// Whether [`Self::accept`] is exact: the write stands alone, and is accepted after all others.
    pub fn stands_alone(&self, position: u64, dot: Dot) -> bool {
        let last = |top: &Top| top.position < position;
        self.top.as_ref().is_none_or(last)
            && matches!(&self.siblings[..], [only] if only.dot == dot)
    }

    /// Marks the write of `dot` accepted, where it [stands alone](Self::stands_alone).
    pub fn accept(&mut self, position: u64, dot: Dot) {
        for sibling in &mut self.siblings {
            (sibling.accepted, sibling.leads) = (Some(position), true);
        }
        self.top = Top::of(position, [dot]);
    }

    fn raise_top(&mut self, (position, dot): (u64, Dot), ctx: &Context) {
        match &self.top {
            Some(top) if (top.position, position) == (0, 0) => self.top = top.with(dot, ctx),
            Some(top) if (top.position, top.dot) > (position, dot) => {}
            _ => {
                self.top = Top::of(position, [dot]);
                // In causal order nothing applied before can supersede the newest write.
                self.siblings
                    .iter_mut()
                    .for_each(|other| other.leads = false);
            }
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

    /// Takes out the adds that the remove names, of those that its author had seen.
    fn remove(&mut self, element: &Value, seen: &[Dot], ctx: &Context) {
        if let Ok(at) = self
            .elements
            .binary_search_by(|(other, _)| other.cmp(element))
        {
            let dots = &mut self.elements[at].1;
            dots.retain(|dot| !(seen.contains(dot) && ctx.covers(*dot)));
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
    pub fn gather(&mut self, change: &Change, (dot, ctx): (Dot, &Context)) -> bool {
        match (self, change) {
            (Self::Set(set), Change::Add(elements)) => {
                elements.iter().for_each(|element| set.add(element, dot));
            }
            (Self::Set(set), Change::Remove(elements)) => {
                elements
                    .iter()
                    .for_each(|(element, seen)| set.remove(element, seen, ctx));
            }
            // Wrapping keeps the sum independent of the order; an author is refused what leads beyond the edge by what it holds.
            (Self::Counter(sum), Change::Increment(by)) => *sum = sum.wrapping_add(*by),
            _ => return false,
        }
        true
    }
}
