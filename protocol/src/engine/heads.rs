//! Heads of the feed: what peers say that they hold of it, what the cloud itself says, and what of that does not fit.
//!
//! A peer's word alone accuses nobody: a fork is told only of pages that the cloud signed, or of the cloud's own word, and what
//! is withheld is measured by what this machine holds or heard of the cloud itself. Nothing here changes the feed.

use std::collections::BTreeMap;

use super::Engine;
use crate::event::{Effects, LinkId, Network, Notice};
use crate::feed::{FeedHead, HeadFit};
use crate::id::DeviceId;
use crate::time::MonoMs;
use crate::wire::Frame;

/// A gateway that has brought nothing for so long withholds, ms: longer than a change of gateway takes, and sooner than whoever
/// waits goes past it by itself.
const WITHHELD_MS: u64 = 20_000;
/// And is told for so long after it was last seen, ms: what heals itself is told as well.
const TOLD_MS: u64 = 600_000;
/// A peer whose head does not fit is asked to show the page this often, ms.
const SHOW_MS: u64 = 10_000;
/// A peer that holds another feed is asked for pages again after this, ms: it may have been set up anew.
const FORKED_MS: u64 = 60_000;

/// What does not fit about the feed; a person looks into it, nothing is mended by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedAlarm {
    /// The cloud gave this machine and somebody else two different feeds.
    Forked {
        /// Who holds the other one; `None`: the cloud itself.
        with: Option<DeviceId>,
        /// They have parted at this position, or before.
        position: u64,
    },
    /// The gateway passes on less of the feed than there is.
    Withheld {
        /// The gateway.
        by: DeviceId,
        /// The last position that it passed on or says that it holds.
        told: u64,
        /// The last position that there is for certain.
        known: u64,
    },
}

/// A peer's head as it told it.
#[derive(Clone, Copy, Debug)]
struct Told {
    head: FeedHead,
    asked_at: Option<MonoMs>,
}

/// Another feed that somebody holds.
#[derive(Clone, Copy, Debug)]
struct Fork {
    position: u64,
    seen_at: MonoMs,
}

/// Where a feed stands still although there is more, and who is the gateway meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stalled {
    by: DeviceId,
    held: u64,
}

/// All of it. Bounded by the peers that are linked.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads {
    /// Who was asked for pages, and when.
    pub(super) asked: Option<(LinkId, MonoMs)>,
    told: BTreeMap<DeviceId, Told>,
    /// The cloud's last own word.
    cloud: Option<FeedHead>,
    stalled: Option<(Stalled, MonoMs)>,
    /// Where the gateway says that it stands although this machine holds more, and since when that is so.
    behind: Option<(Stalled, MonoMs)>,
    withheld: Option<(FeedAlarm, MonoMs)>,
    forks: BTreeMap<Option<DeviceId>, Fork>,
    alarms: Vec<FeedAlarm>,
}

impl Heads {
    /// Whether a peer may be asked for pages: not one that holds another feed.
    pub(super) fn may_ask(&self, device: DeviceId, now: MonoMs) -> bool {
        let fork = self.forks.get(&Some(device));
        fork.is_none_or(|fork| now.since(fork.seen_at) >= FORKED_MS)
    }
}

impl Engine {
    /// What does not fit about the feed.
    pub fn feed_alarms(&self) -> &[FeedAlarm] {
        &self.heads.alarms
    }

    /// A peer says what it holds. If that does not fit it is asked to show the page: only the cloud's signature counts.
    pub(super) fn hear_head(
        &mut self,
        (link, device): (LinkId, DeviceId),
        head: FeedHead,
        now: MonoMs,
        fx: &mut Effects,
    ) {
        let fresh = Told {
            head,
            asked_at: None,
        };
        let told = self.heads.told.entry(device).or_insert(fresh);
        told.head = head;
        match self.feed.fit(head) {
            HeadFit::Unknown => {}
            HeadFit::Fits => self.heal_fork(Some(device), head.position),
            HeadFit::Differs => {
                let is_due = told.asked_at.is_none_or(|at| now.since(at) >= SHOW_MS);
                let is_known = self.heads.forks.contains_key(&Some(device));
                if let Some(after) = self.feed.end_before(head.position)
                    && is_due
                    && !is_known
                {
                    told.asked_at = Some(now);
                    fx.sends.push((link, Frame::WantFeed(after)));
                }
            }
        }
    }

    /// The cloud itself says where its feed ends.
    pub(super) fn hear_cloud_head(&mut self, head: FeedHead, now: MonoMs) {
        self.heads.cloud = Some(head);
        match self.feed.fit(head) {
            HeadFit::Unknown => {}
            HeadFit::Fits => self.heal_fork(None, head.position),
            HeadFit::Differs => self.note_fork(None, head.position, now),
        }
    }

    /// Somebody showed a page that the cloud signed and that cannot stand in one feed with what is held.
    pub(super) fn note_fork(&mut self, with: Option<DeviceId>, position: u64, now: MonoMs) {
        let fork = self.heads.forks.entry(with).or_insert(Fork {
            position,
            seen_at: now,
        });
        fork.position = fork.position.min(position);
        fork.seen_at = now;
    }

    /// What it holds fits again, beyond the place where it did not: it was set up anew.
    fn heal_fork(&mut self, with: Option<DeviceId>, position: u64) {
        let fork = self.heads.forks.get(&with);
        if fork.is_some_and(|fork| fork.position <= position) {
            self.heads.forks.remove(&with);
        }
    }

    /// Time passes: looks whether all fits, and tells people if that changed.
    pub(super) fn watch_heads(&mut self, now: MonoMs, fx: &mut Effects) {
        let linked: Vec<DeviceId> = self.sessions().map(|(_, session)| session.device).collect();
        let is_linked = |device: &DeviceId| linked.contains(device);
        self.heads.told.retain(|device, _| is_linked(device));
        let forks = self.heads.forks.iter();
        let mut alarms: Vec<FeedAlarm> = forks
            .map(|(with, fork)| FeedAlarm::Forked {
                with: *with,
                position: fork.position,
            })
            .collect();
        if let Some(alarm) = self.withheld(now) {
            self.heads.withheld = Some((alarm, now));
        }
        let recent = |(_, at): &(FeedAlarm, MonoMs)| now.since(*at) < TOLD_MS;
        self.heads.withheld = self.heads.withheld.filter(recent);
        alarms.extend(self.heads.withheld.map(|(alarm, _)| alarm));
        if alarms != self.heads.alarms {
            self.heads.alarms = alarms;
            fx.notices.push(Notice::FeedDoubted);
        }
    }

    fn withheld(&mut self, now: MonoMs) -> Option<FeedAlarm> {
        let held = self.feed.held();
        let gateway = self.election.gateway();
        let Some(by) = gateway.filter(|_| {
            !self.election.is_gateway()
                && self.uplink.configured()
                && self.network == Network::Online
        }) else {
            (self.heads.stalled, self.heads.behind) = (None, None);
            return None;
        };
        self.stands_still(Stalled { by, held }, now)
            .or_else(|| self.shows_less((by, held), now))
    }

    /// The cloud told this machine itself that there is more, and nothing comes.
    fn stands_still(&mut self, place: Stalled, now: MonoMs) -> Option<FeedAlarm> {
        let head = self.heads.cloud.map_or(0, |head| head.position);
        // Without room it is this machine that waits: for what the pages name.
        if head <= place.held || !self.feed.has_room() {
            self.heads.stalled = None;
            return None;
        }
        let since = match self.heads.stalled {
            Some((before, since)) if before == place => since,
            _ => now,
        };
        self.heads.stalled = Some((place, since));
        (now.since(since) >= WITHHELD_MS).then_some(FeedAlarm::Withheld {
            by: place.by,
            told: place.held,
            known: head,
        })
    }

    /// The gateway holds all logs that are held here, and yet says that it holds less of the feed than this machine got elsewhere.
    fn shows_less(&mut self, (by, held): (DeviceId, u64), now: MonoMs) -> Option<FeedAlarm> {
        let before = self.heads.behind.take();
        let told = self.heads.told.get(&by)?.head.position;
        let (_, session) = self.sessions().find(|(_, session)| session.device == by)?;
        if told >= held || session.differs {
            return None;
        }
        let place = Stalled { by, held: told };
        // From when there was more: a head that stood for hours because there was nothing is no sign of anything.
        let since = before.filter(|(at, _)| *at == place);
        let since = since.map_or(now, |(_, since)| since);
        self.heads.behind = Some((place, since));
        (now.since(since) >= WITHHELD_MS).then_some(FeedAlarm::Withheld {
            by,
            told,
            known: held,
        })
    }
}
