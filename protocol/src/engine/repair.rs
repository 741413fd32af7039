//! Repair: frontiers are the truth. What a peer holds and we lack is asked for; what it asks for is streamed from the log.
//!
//! Every device's log is asked of one peer at a time, several peers share a big catch-up, and a transfer that stalls is asked
//! of somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::intake::Offered;
use super::{Engine, Fresh};
use crate::event::{BlockRead, Effects, LinkId, Moment, Write};
use crate::feed::{Page, PageError};
use crate::frontier::Frontier;
use crate::id::{Author, DeviceId};
use crate::limits;
use crate::session::Wanting;
use crate::time::MonoMs;
use crate::wire::{Frame, Packed};

/// A device whose transfer brought nothing new is left alone this long, ms.
const BARREN_MS: u64 = 3_000;
/// A question for feed pages that nobody answered is asked again after this long, ms.
const FEED_ASK_MS: u64 = 2_000;

impl Engine {
    /// Something before a bundle of `author` is missing: ask the one who has it.
    pub(super) fn gap(&mut self, from: Option<LinkId>, author: Author) {
        let is_held = self.log.chain(author).is_some();
        if let Some(session) = from.and_then(|link| self.session_mut(link)) {
            // It holds more than we do, whatever we believed: let the plan see it.
            session.reach.extend(author, limits::COUNTER);
            session.mending.barren.remove(&author.device);
            if is_held {
                session.mending.gaps.insert(author);
            }
        }
    }

    /// Timers of the repair: differing beats, stalled transfers.
    pub(super) fn repair(&mut self, now: MonoMs, fx: &mut Effects) {
        let mut due = false;
        for link in self.ready_links() {
            let Some(session) = self.session_mut(link) else {
                continue;
            };
            session.mending.barren.retain(|_, until| *until > now);
            let late = |w: &Wanting| now.since(w.progress_at) >= limits::TRANSFER_STALL_MS;
            if session.wanting.as_ref().is_some_and(late) {
                let wanting = session.wanting.take().expect("it stalled");
                for device in wanting.devices {
                    session.mending.barren.insert(device, now.plus(BARREN_MS));
                }
                due = true;
            }
            due |= session.differs;
            if session.differs && session.wanting.is_none() && session.serving.is_none() {
                self.tell_frontier(link, now, fx);
            }
        }
        if due {
            self.plan(now, fx);
        }
    }

    pub(super) fn tell_frontier(&mut self, link: LinkId, now: MonoMs, fx: &mut Effects) {
        let frontier = self.log.frontier(self.feed.held());
        if let Some(session) = self.session_mut(link)
            && session.may_tell_frontier(now)
        {
            session.sent.frontier_at = Some(now);
            session.differs = false;
            fx.sends.push((link, Frame::Frontier(frontier)));
        }
    }

    /// A peer told its frontier: if it lacks something of ours, it should know.
    pub(super) fn tell_if_behind(&mut self, link: LinkId, now: MonoMs, fx: &mut Effects) {
        let Some(session) = self.links.get(&link).and_then(|link| link.session.as_ref()) else {
            return;
        };
        let devices = self.log.devices();
        let behind = devices
            .iter()
            .any(|d| !self.log.lacking(&session.told, *d).is_empty());
        if behind && session.serving.is_none() {
            self.tell_frontier(link, now, fx);
        }
    }

    /// Asks for every log of which some peer holds more, each of one peer at a time.
    pub(super) fn plan(&mut self, now: MonoMs, fx: &mut Effects) {
        if self.asks.relay.rests {
            return;
        }
        self.ask_doubted(now, fx);
        let sessions = || {
            self.links
                .iter()
                .filter_map(|(l, link)| Some((*l, link.session.as_ref()?)))
        };
        let mut taken: BTreeSet<DeviceId> = sessions()
            .filter_map(|(_, session)| session.wanting.as_ref())
            .flat_map(|wanting| wanting.devices.iter().copied())
            .collect();
        let mut holders: BTreeMap<DeviceId, Vec<LinkId>> = BTreeMap::new();
        for (link, session) in sessions().filter(|(_, session)| session.wanting.is_none()) {
            for device in self.log.wanted(&session.reach) {
                let known = self.roster.member(device).is_some();
                if known
                    && !taken.contains(&device)
                    && !session.mending.barren.contains_key(&device)
                {
                    holders.entry(device).or_default().push(link);
                }
            }
        }
        let mut asks: BTreeMap<LinkId, BTreeSet<DeviceId>> = BTreeMap::new();
        for (device, links) in holders {
            let least = links
                .into_iter()
                .min_by_key(|link| asks.get(link).map_or(0, BTreeSet::len));
            if let Some(link) = least {
                asks.entry(link).or_default().insert(device);
                taken.insert(device);
            }
        }
        for (link, devices) in asks {
            let frontier = self.log.frontier(self.feed.held());
            self.ask((link, now), (frontier, devices), fx);
        }
    }

    /// Asks a peer for the logs of some devices beyond a frontier.
    pub(super) fn ask(
        &mut self,
        (link, now): (LinkId, MonoMs),
        (frontier, devices): (Frontier, BTreeSet<DeviceId>),
        fx: &mut Effects,
    ) {
        let id = self.asks.next_transfer;
        self.asks.next_transfer = self.asks.next_transfer.wrapping_add(1);
        let want = Frame::Want {
            id,
            frontier,
            devices: devices.iter().copied().collect(),
        };
        fx.sends.push((link, want));
        if let Some(session) = self.session_mut(link) {
            session.wanting = Some(Wanting {
                id,
                devices,
                progress_at: now,
                fruitful: false,
            });
        }
    }

    /// A block of a transfer that we asked for.
    pub(super) fn block(
        &mut self,
        moment: Moment,
        (link, id): (LinkId, u32),
        (bundles, raw, done): (Vec<Arc<[u8]>>, u32, bool),
        fx: &mut Effects,
    ) {
        let now = moment.now.mono;
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.heard_at = now;
        if state.session.is_none() {
            self.close(link, "a frame before the hello", fx);
            return;
        }
        let mut fruitful = false;
        for bytes in bundles {
            match self.take(bytes, Some(link), fx) {
                Offered::Broken => return,
                offered => fruitful |= offered == Offered::New,
            }
        }
        let Some(session) = self.session_mut(link) else {
            return;
        };
        let ours = session.wanting.as_mut().filter(|wanting| wanting.id == id);
        if let Some(wanting) = ours {
            wanting.progress_at = now;
            wanting.fruitful |= fruitful;
            if done {
                let wanting = session.wanting.take().expect("it was there");
                // What it said that it holds beyond this was wrong or is void; its next word counts.
                session.reach = session.told.clone();
                let gaps = std::mem::take(&mut session.mending.gaps);
                if !wanting.fruitful {
                    let until = now.plus(BARREN_MS);
                    session
                        .mending
                        .barren
                        .extend(wanting.devices.iter().map(|d| (*d, until)));
                }
                self.settle_doubts(&wanting.devices);
                if !wanting.fruitful {
                    // It sent what follows on what is held here, and nothing followed: its bundles end elsewhere than ours.
                    gaps.into_iter()
                        .for_each(|author| self.doubt(Some(link), author));
                }
            }
        }
        if done {
            self.plan(now, fx);
        } else {
            fx.sends.push((link, Frame::Credit { id, bytes: raw }));
        }
    }

    /// Reads the next block of a peer's transfer if its credit allows.
    pub(super) fn read_on(&mut self, link: LinkId, fx: &mut Effects) {
        let Some(session) = self.links.get(&link).and_then(|link| link.session.as_ref()) else {
            return;
        };
        let Some(serving) = &session.serving else {
            return;
        };
        if serving.reading || serving.credit <= 0 {
            return;
        }
        let devices: Vec<DeviceId> = serving.devices.iter().copied().collect();
        let ranges = devices
            .iter()
            .flat_map(|device| self.log.lacking(&session.reach, *device))
            .collect();
        let (id, cursor, max_bytes) = (serving.id, serving.cursor, limits::BLOCK_BYTES);
        fx.blocks.push(BlockRead {
            link,
            id,
            ranges,
            devices,
            cursor,
            max_bytes,
        });
        if let Some(serving) = self.session_mut(link).and_then(|s| s.serving.as_mut()) {
            serving.reading = true;
        }
    }

    pub(super) fn block_sent(
        &mut self,
        (link, id): (LinkId, u32),
        (raw, cursor, done): (u32, u64, bool),
        fx: &mut Effects,
    ) {
        let Some(session) = self
            .links
            .get_mut(&link)
            .and_then(|link| link.session.as_mut())
        else {
            return;
        };
        let Some(serving) = session.serving.as_mut().filter(|serving| serving.id == id) else {
            return;
        };
        serving.reading = false;
        serving.cursor = Some(cursor);
        serving.credit -= i64::from(raw);
        if done {
            // The block reached the log's end: the peer will hold all that we hold of these logs.
            for device in std::mem::take(&mut serving.devices) {
                for range in self.log.lacking(&session.reach, device) {
                    session.reach.extend(range.author, range.upto);
                }
            }
            session.serving = None;
        }
        self.read_on(link, fx);
    }

    /// Asks one peer for feed pages that we lack.
    pub(super) fn want_feed(&mut self, now: MonoMs, fx: &mut Effects) {
        let asked = self
            .heads
            .asked
            .is_some_and(|(_, at)| now.since(at) < FEED_ASK_MS);
        if asked || self.asks.relay.rests || !self.feed.has_room() || self.roster.cloud().is_none()
        {
            return;
        }
        let held = self.feed.held();
        let best = self
            .sessions()
            .filter(|(_, s)| s.feed > held && self.heads.may_ask(s.device, now))
            .max_by_key(|(_, s)| s.feed);
        if let Some((link, _)) = best {
            self.heads.asked = Some((link, now));
            fx.sends.push((link, Frame::WantFeed(held)));
        }
    }

    pub(super) fn hear_pages(
        &mut self,
        (link, now): (LinkId, MonoMs),
        pages: Vec<Packed>,
        fx: &mut Effects,
    ) {
        if self.heads.asked.is_some_and(|(asked, _)| asked == link) {
            self.heads.asked = None;
        }
        let before = self.feed.held();
        for bytes in pages {
            match self.take_page(bytes.0.into(), Some(link), fx) {
                Ok(_) => {}
                Err(PageError::Broken { position }) => {
                    // No fault of whoever passes on what the cloud signed.
                    let with = self.session_mut(link).map(|session| session.device);
                    self.note_fork(with, position, now);
                    break;
                }
                Err(error) => {
                    self.close(link, &error.to_string(), fx);
                    return;
                }
            }
        }
        let held = self.feed.held();
        if let Some(session) = self.session_mut(link) {
            // An answer that brought nothing is not asked for again at once: the next beat says what it holds.
            session.feed = if held > before {
                session.feed.max(held)
            } else {
                held
            };
        }
        self.want_feed(now, fx);
    }

    /// Takes in one feed page. `Ok(true)` if it was new.
    pub(super) fn take_page(
        &mut self,
        bytes: Arc<[u8]>,
        from: Option<LinkId>,
        fx: &mut Effects,
    ) -> Result<bool, PageError> {
        let page = Page::decode(bytes)?;
        let Some(cloud) = self.roster.cloud() else {
            return Ok(false);
        };
        if page.body().studio != self.roster.studio()
            || page.body().author.device != cloud.grant.device
        {
            return Err(PageError::OtherStudio);
        }
        page.verify(&cloud.key)?;
        let fresh = self.feed.hold(page.clone())?;
        if fresh {
            fx.writes.push(Write::Page(page.clone()));
            self.log.note_named(&page);
            self.doubt_page(&page);
            self.fresh.pages.push(Fresh { item: page, from });
            self.fold(fx);
        }
        Ok(fresh)
    }
}
