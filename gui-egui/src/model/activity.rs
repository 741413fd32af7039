//! What happened on all machines: the rows that were fetched, newest first, and which of them a person wants to see.
//!
//! Rows are kept up to a limit; which are shown is worked out when something changes, never per frame.

use std::collections::BTreeSet;

use studiovault_protocol::api::{ActivityPage, ActivityRow, SyncState, WhyView};
use studiovault_protocol::id::EntityId;

use super::words::{changes_text, op_words};
use crate::action::Step;
use crate::message::{EntityFacts, Request};

/// Rows kept at most; older ones are found through the filter of a smaller range, or in the export.
pub const ROWS: usize = 100_000;

/// Where rows stand, as people narrow them down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Not in the cloud yet.
    Waiting,
    /// Confirmed.
    Confirmed,
    /// Not taken.
    Refused,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Confirmed, Self::Refused];

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Confirmed => "confirmed",
            Self::Refused => "not taken",
        }
    }

    fn of(row: &ActivityRow) -> Self {
        match row.sync_state {
            SyncState::Confirmed => Self::Confirmed,
            SyncState::Rejected | SyncState::NeedsFixing => Self::Refused,
            _ => Self::Waiting,
        }
    }
}

/// Which rows a person wants to see.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActivityFilter {
    /// Those that contain a text, in small letters.
    pub text: String,
    /// Those of one machine.
    pub device: Option<String>,
    /// Those that stand so.
    pub standing: Option<Standing>,
}

impl ActivityFilter {
    /// Whether a row is wanted.
    pub fn admits(&self, row: &ActivityRow) -> bool {
        let of = self
            .device
            .as_ref()
            .is_none_or(|device| row.device == *device);
        let stands = self
            .standing
            .is_none_or(|standing| Standing::of(row) == standing);
        of && stands && (self.text.is_empty() || self.is_in(row))
    }

    fn is_in(&self, row: &ActivityRow) -> bool {
        let holds = |text: &str| text.to_lowercase().contains(&self.text);
        holds(&row.label)
            || holds(&row.actor)
            || holds(&row.device)
            || holds(&row.entity_type)
            || holds(op_words(row.op))
            || holds(&changes_text(&row.fields))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The rows on screen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Activity {
    rows: Vec<ActivityRow>,
    filter: ActivityFilter,
    typed: String,
    shown: Vec<usize>,
    /// Where the next page begins; `None` once all was fetched.
    next: Option<u64>,
    is_asked: bool,
    /// Whether anything was fetched yet.
    is_known: bool,
    /// The row that keys speak to, by its dot.
    chosen: Option<String>,
    /// The entity whose history is wanted.
    wanted: Option<EntityId>,
    opened: Option<EntityFacts>,
    /// Why the record of the open history is not everywhere.
    why: Option<WhyView>,
}

impl Activity {
    /// All rows that were fetched.
    pub fn rows(&self) -> &[ActivityRow] {
        &self.rows
    }

    /// Those that the filter lets through.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// What narrows them down.
    pub fn filter(&self) -> &ActivityFilter {
        &self.filter
    }

    /// The text of the filter as it was typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// Whether older rows can be fetched.
    pub fn has_more(&self) -> bool {
        self.next.is_some() && self.rows.len() < ROWS
    }

    /// Whether anything was fetched yet.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The history that is open.
    pub fn opened(&self) -> Option<&EntityFacts> {
        self.opened.as_ref()
    }

    /// Why the record of the open history is not everywhere, if that was asked.
    pub fn why(&self) -> Option<&WhyView> {
        self.why.as_ref()
    }

    /// The place of the row that keys speak to.
    pub fn position(&self) -> Option<usize> {
        let dot = self.chosen.as_ref()?;
        self.shown.iter().position(|at| self.rows[*at].dot == *dot)
    }

    /// What to ask for when the panel is shown.
    pub(super) fn first(&mut self) -> Option<Request> {
        let ask = !self.is_known && !std::mem::replace(&mut self.is_asked, true);
        ask.then_some(Request::Activity(None))
    }

    /// What to ask for to see further back.
    pub(super) fn more(&mut self) -> Option<Request> {
        let before = self.next.filter(|_| self.has_more() && !self.is_asked)?;
        self.is_asked = true;
        Some(Request::Activity(Some(before)))
    }

    /// Takes a page; returns what else to ask for, since a narrow filter may show nothing of it.
    pub(super) fn take(&mut self, page: ActivityPage, before: Option<u64>) -> Option<Request> {
        self.is_asked = false;
        match before {
            Some(_) => {
                self.rows.extend(page.rows);
                self.next = page.next;
            }
            None => {
                let fresh: BTreeSet<String> = page.rows.iter().map(|row| row.dot.clone()).collect();
                let known = self.rows.iter().any(|row| fresh.contains(&row.dot));
                let mut rows = page.rows;
                if known {
                    let old = std::mem::take(&mut self.rows).into_iter();
                    rows.extend(old.filter(|row| !fresh.contains(&row.dot)));
                } else {
                    // Too much happened in between: what was fetched before no longer joins on.
                    self.next = page.next;
                }
                self.rows = rows;
                self.is_known = true;
            }
        }
        self.narrow();
        let few = !self.filter.is_empty() && self.shown.len() < 200;
        few.then(|| self.more())?
    }

    pub(super) fn write(&mut self, text: String) -> Option<Request> {
        self.filter.text = text.trim().to_lowercase();
        self.typed = text;
        self.narrowed()
    }

    pub(super) fn set_device(&mut self, device: Option<String>) -> Option<Request> {
        self.filter.device = device;
        self.narrowed()
    }

    pub(super) fn set_standing(&mut self, standing: Option<Standing>) -> Option<Request> {
        self.filter.standing = standing;
        self.narrowed()
    }

    pub(super) fn open(&mut self, entity: EntityId, entity_type: String) -> Request {
        self.wanted = Some(entity);
        let open = self.opened.as_ref().map(|facts| facts.history.entity);
        if open != Some(entity) {
            (self.opened, self.why) = (None, None);
        }
        let of = |at: &usize| self.rows[*at].entity == entity;
        if !self.position().is_some_and(|at| of(&self.shown[at])) {
            let found = self.shown.iter().copied().find(of);
            self.chosen = found.map(|at| self.rows[at].dot.clone());
        }
        Request::LookAt(entity, entity_type)
    }

    pub(super) fn step(&mut self, step: Step) -> Option<Request> {
        let to = match (self.position(), step) {
            (None, _) => 0,
            (Some(at), Step::Next) => at + 1,
            (Some(at), Step::Back) => at.saturating_sub(1),
        };
        let last = self.shown.len().checked_sub(1)?;
        let row = self.rows[self.shown[to.min(last)]].clone();
        self.chosen = Some(row.dot);
        Some(self.open(row.entity, row.entity_type))
    }

    pub(super) fn close(&mut self) {
        (self.wanted, self.opened, self.why) = (None, None, None);
    }

    pub(super) fn ask_why(&self) -> Option<Request> {
        self.wanted.map(Request::Why)
    }

    pub(super) fn take_why(&mut self, entity: EntityId, view: WhyView) {
        if self.wanted == Some(entity) {
            self.why = Some(view);
        }
    }

    pub(super) fn take_facts(&mut self, facts: &EntityFacts) {
        if self.wanted == Some(facts.history.entity) {
            self.opened = Some(facts.clone());
        }
    }

    fn narrowed(&mut self) -> Option<Request> {
        self.narrow();
        if self.shown.len() < 200 {
            self.more()
        } else {
            None
        }
    }

    fn narrow(&mut self) {
        let rows = &self.rows;
        self.shown = if self.filter.is_empty() {
            (0..rows.len()).collect()
        } else {
            (0..rows.len())
                .filter(|at| self.filter.admits(&rows[*at]))
                .collect()
        };
    }
}
