//! Hearing: what each kind of frame of a peer does. Nothing is heard before its hello checked out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use crate::event::{Effects, LinkId, Moment, Notice, PagesRead};
use crate::fault::FaultKind;
use crate::frontier::Frontier;
use crate::id::DeviceId;
use crate::limits;
use crate::refusal::{Refusal, RefusedBy};
use crate::session::Serving;
use crate::time::MonoMs;
use crate::wire::{Beat, Frame, Gone, Packed, Status};

impl Engine {
    pub(super) fn frame(&mut self, moment: Moment, link: LinkId, frame: Frame, fx: &mut Effects) {
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.heard_at = moment.now.mono;
        if self.hear_restricted(link, &frame, fx) {
            return;
        }
        let Some(state) = self.links.get(&link) else {
            return;
        };
        match (frame, state.session.is_some()) {
            (Frame::Hello(hello), false) => self.greet(moment, link, *hello, fx),
            (Frame::Hello(_), true) => self.close(link, "a second hello", fx),
            (Frame::Refuse(reason), _) => self.hear_refusal(link, reason, fx),
            (_, false) => self.close(link, "a frame before the hello", fx),
            (frame, true) => self.hear((link, moment.now.mono), frame, fx),
        }
    }

    fn hear(&mut self, (link, now): (LinkId, MonoMs), frame: Frame, fx: &mut Effects) {
        match frame {
            Frame::Roster(records) => {
                self.records(records, Some(link), fx);
                self.plan(now, fx);
            }
            Frame::Policy(record) => self.policy(*record, Some(link), fx),
            Frame::Beat(beat) => self.hear_beat(link, beat, now, fx),
            Frame::Frontier(frontier) => self.hear_frontier((link, now), &frontier, fx),
            Frame::Links(devices) => self.hear_links(link, devices.into_iter().collect(), fx),
            Frame::Want {
                id,
                frontier,
                devices,
            } => {
                if let Some(session) = self.session_mut(link) {
                    session.hear_want(&frontier);
                    session.serving = Some(Serving::new(id, devices.into_iter().collect()));
                }
                self.read_on(link, fx);
            }
            Frame::Credit { id, bytes } => {
                if let Some(serving) = self.session_mut(link).and_then(|s| s.serving.as_mut())
                    && serving.id == id
                {
                    serving.add_credit(bytes);
                }
                self.read_on(link, fx);
            }
            Frame::Push(bundles) => self.hear_push((link, now), bundles, fx),
            Frame::Held(dots) => {
                if let Some(session) = self.session_mut(link) {
                    dots.into_iter().for_each(|dot| session.hear_held(dot));
                }
            }
            Frame::WantFeed(after) => {
                if let Some(session) = self.session_mut(link) {
                    session.feed = after;
                }
                let max_bytes = limits::BUNDLE_BYTES;
                fx.pages.push(PagesRead {
                    link,
                    after,
                    max_bytes,
                });
            }
            Frame::Pages(pages) => self.hear_pages((link, now), pages, fx),
            Frame::Statuses(statuses) => self.hear_statuses((link, now), statuses, fx),
            Frame::Gone(gone) => self.hear_gone(link, gone, fx),
            Frame::Rekey(rekey) => self.rekey(*rekey, Some(link), fx),
            Frame::Moved(words) => self.hear_moved(words, link, fx),
            Frame::Offer(_) | Frame::WantPiece { .. } | Frame::Piece { .. } => {
                self.hear_relay((link, now), frame, fx);
            }
            // Blocks are unpacked by the driver and come as an input of their own; greetings were heard before.
            Frame::Block { .. } | Frame::Hello(_) | Frame::Refuse(_) => {
                self.close(link, "a frame out of place", fx);
            }
        }
    }

    fn hear_refusal(&mut self, link: LinkId, refusal: Refusal, fx: &mut Effects) {
        let reason: String = refusal
            .words
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        let words = format!("a peer refused this machine: {reason}");
        fx.notices.push(Notice::fault(FaultKind::Refused, words));
        let refusal = Refusal::new(refusal.kind, reason);
        let by = RefusedBy::Them;
        fx.notices.push(Notice::Turned { link, by, refusal });
        self.close(link, "refused by the other side", fx);
    }

    fn hear_frontier(
        &mut self,
        (link, now): (LinkId, MonoMs),
        frontier: &Frontier,
        fx: &mut Effects,
    ) {
        if let Some(session) = self.session_mut(link) {
            session.hear_frontier(frontier);
        }
        self.doubt_tips(link, frontier);
        self.tell_if_behind(link, now, fx);
        self.plan(now, fx);
        self.want_feed(now, fx);
    }

    fn hear_push(&mut self, (link, now): (LinkId, MonoMs), bundles: Vec<Packed>, fx: &mut Effects) {
        let bundles = bundles
            .into_iter()
            .map(|bytes| Arc::from(bytes.0))
            .collect();
        self.take_all(bundles, Some(link), fx);
        self.plan(now, fx);
    }

    fn hear_beat(&mut self, link: LinkId, beat: Beat, now: MonoMs, fx: &mut Effects) {
        let digest = self.log.digest().prefix();
        let same = digest == beat.frontier;
        let agreed = self.session_mut(link).is_some_and(|s| s.agrees_on(digest));
        let held = (same && !agreed).then(|| self.log.tips());
        let Some(session) = self.session_mut(link) else {
            return;
        };
        session.differs = !same;
        if let Some(held) = held {
            // It holds exactly what we hold, from whomever it came: copies are counted by this.
            session.agree_on(digest, held);
        }
        session.feed = session.feed.max(beat.feed.position);
        session.policy = beat.policy;
        let device = session.device;
        let told = session.sent.roster_at;
        let due = told.is_none_or(|at| now.since(at) >= limits::ROSTER_REPEAT_MS);
        if due && beat.roster != self.roster.digest().prefix() {
            self.tell_roster((link, now), fx);
        }
        self.election.handle_beat(device, now);
        self.hear_head((link, device), beat.feed, now, fx);
        self.want_feed(now, fx);
    }

    /// Whom the other end is linked with. What it heard from whom it lost may have died with that link, and what we kept from
    /// it because another was nearer as well: it is told what we know of all whom it does not hear itself.
    fn hear_links(&mut self, link: LinkId, neighbours: BTreeSet<DeviceId>, fx: &mut Effects) {
        let Some(session) = self.session_mut(link) else {
            return;
        };
        let earlier = std::mem::replace(&mut session.neighbours, neighbours.clone());
        if earlier.is_subset(&neighbours) {
            return;
        }
        let device = session.device;
        let unheard =
            |status: &&Status| status.device != device && !neighbours.contains(&status.device);
        let statuses = self.election.statuses().filter(unheard);
        let statuses: Vec<Status> = statuses.cloned().collect();
        if !statuses.is_empty() {
            fx.sends.push((link, Frame::Statuses(statuses)));
        }
    }

    fn hear_statuses(
        &mut self,
        (link, now): (LinkId, MonoMs),
        statuses: Vec<Status>,
        fx: &mut Effects,
    ) {
        let Some(via) = self.session_mut(link).map(|session| session.device) else {
            return;
        };
        let news: Vec<_> = statuses
            .into_iter()
            .filter(|status| {
                // Whom we hear ourselves needs no other witness.
                let direct = self.link_of(status.device).is_some();
                let via = if direct { status.device } else { via };
                self.election.handle_status(status.clone(), via, now)
            })
            .collect();
        if !news.is_empty() {
            self.broadcast(Some(link), &Frame::Statuses(news), fx);
        }
    }

    fn hear_gone(&mut self, link: LinkId, gone: Gone, fx: &mut Effects) {
        let Some(via) = self.session_mut(link).map(|session| session.device) else {
            return;
        };
        if gone.device == self.me.device {
            self.election.handle_obituary(&gone);
        } else if let Some(direct) = self.link_of(gone.device) {
            // Still heard here: it shall speak up itself, with a status that is newer everywhere.
            fx.sends.push((direct, Frame::Gone(gone)));
        } else if self.election.handle_gone(&gone, via) {
            self.broadcast(Some(link), &Frame::Gone(gone), fx);
        } else if let Some(witness) = self.election.witness_against(&gone)
            && let Some(nearer) = self.link_of(witness)
        {
            // Still heard by another way, which leads to it: the same.
            fx.sends.push((nearer, Frame::Gone(gone)));
        }
    }
}
