//! What the window was told last, and what is to be looked at next.
//!
//! Events only point; within a short time they are answered by one look, since an import fires thousands.

use std::collections::BTreeSet;
use std::time::Duration;

use studiovault_protocol::api::{ConflictPage, Event, Status};
use studiovault_protocol::id::EntityId;
use tokio::time::Instant;

/// Events within this time are answered by one look: an import fires thousands, and a person sees no change faster.
const GATHER: Duration = Duration::from_millis(60);
/// A look without any event, in case one was missed or the node hangs.
const GLANCE: Duration = Duration::from_secs(30);
/// While an invite is shown, which tells nothing of its own accord, it is looked at this often.
const INVITE: Duration = Duration::from_millis(500);
/// As good as never.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What one look asks for besides the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wants {
    pub conflicts: bool,
    pub letters: bool,
    pub activity: bool,
    pub entity: bool,
}

const ALL: Wants = Wants {
    conflicts: true,
    letters: true,
    activity: true,
    entity: true,
};

pub(super) struct View {
    /// Without its time.
    status: Option<Status>,
    policy: Option<String>,
    /// The entities with an open conflict.
    disputed: BTreeSet<EntityId>,
    wants: Wants,
    /// Somebody looks at what happened.
    follows_activity: bool,
    /// The entity that somebody looks at, and its type.
    watched: Option<(EntityId, String)>,
    gathering: bool,
    look_at: Instant,
    invite_at: Instant,
}

impl Default for View {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            status: None,
            policy: None,
            disputed: BTreeSet::new(),
            wants: ALL,
            follows_activity: false,
            watched: None,
            gathering: false,
            look_at: now + GLANCE,
            invite_at: now + NEVER,
        }
    }
}

impl View {
    /// When to look next.
    pub fn look_at(&self) -> Instant {
        self.look_at
    }

    /// When to look at the invite next.
    pub fn invite_at(&self) -> Instant {
        self.invite_at
    }

    /// Remembers what an event points at. A side may change while the number of conflicts does not.
    pub fn note(&mut self, event: &Event) {
        let wants = &mut self.wants;
        match event {
            Event::Conflicts { .. } => wants.conflicts = true,
            Event::DeadLetters { .. } => wants.letters = true,
            Event::Entities { ids, .. } => {
                let named = |id: &EntityId| ids.is_empty() || ids.contains(id);
                wants.conflicts |= self.disputed.iter().any(named);
                wants.entity |= self.watched.as_ref().is_some_and(|(id, _)| named(id));
                wants.activity = true;
            }
            Event::Folded { .. } => {
                wants.conflicts |= !self.disputed.is_empty();
                (wants.activity, wants.entity) = (true, true);
            }
            _ => {}
        }
        self.soon();
    }

    /// After something a person did, everything is looked at.
    pub fn want_all(&mut self) {
        self.wants = ALL;
        self.soon();
    }

    /// What this look asks for; the next one is far.
    pub fn begin_look(&mut self) -> Wants {
        let nothing = Wants {
            conflicts: false,
            letters: false,
            activity: false,
            entity: false,
        };
        let mut wants = std::mem::replace(&mut self.wants, nothing);
        wants.activity &= self.follows_activity;
        wants.entity &= self.watched.is_some();
        self.gathering = false;
        self.look_at = Instant::now() + GLANCE;
        wants
    }

    /// Whether this says something else than the last one.
    pub fn is_new_status(&mut self, status: Status) -> bool {
        let is_new = self.status.as_ref() != Some(&status);
        self.status = Some(status);
        is_new
    }

    /// Whether another policy is in force than was told.
    pub fn is_new_policy(&mut self, status: &Status) -> bool {
        let is_new = self.policy.as_ref() != Some(&status.policy.hash);
        self.policy = Some(status.policy.hash.clone());
        is_new
    }

    pub fn set_disputed(&mut self, page: &ConflictPage) {
        let sides = page.conflicts.iter().flat_map(|row| &row.sides);
        let sides = sides.map(|side| side.entity);
        self.disputed = page
            .conflicts
            .iter()
            .map(|row| row.entity)
            .chain(sides)
            .collect();
    }

    pub fn follow_activity(&mut self) {
        self.follows_activity = true;
    }

    pub fn watch(&mut self, entity: EntityId, entity_type: String) {
        self.watched = Some((entity, entity_type));
    }

    pub fn watched(&self) -> Option<(EntityId, String)> {
        self.watched.clone()
    }

    /// An invite is shown, or no more.
    pub(super) fn follow_invite(&mut self, shown: bool) {
        let pause = if shown { INVITE } else { NEVER };
        self.invite_at = Instant::now() + pause;
    }

    fn soon(&mut self) {
        if !std::mem::replace(&mut self.gathering, true) {
            self.look_at = Instant::now() + GATHER;
        }
    }
}
