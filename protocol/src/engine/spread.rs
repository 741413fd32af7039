//! Spreading what is fresh: each new bundle and page goes once to everyone who does not get it from somebody nearer.
//!
//! A push assumes that the peer holds what comes before; where that is not known, the frontier is told and the peer asks.

use super::{Engine, Fresh};
use crate::bundle::Bundle;
use crate::event::{Effects, LinkId, Moment};
use crate::feed::Page;
use crate::id::Author;
use crate::limits;
use crate::wire::{Frame, Packed};

impl Engine {
    /// Time passes, or a batch of inputs ends: what is fresh goes out, what is due happens.
    pub(super) fn tick(&mut self, moment: Moment, fx: &mut Effects) {
        self.push_fresh(moment, fx);
        self.push_pages(fx);
        self.tell_held(fx);
        self.beat(moment, fx);
        self.repair(moment.now.mono, fx);
        self.chase_pieces(moment.now.mono, fx);
        if self.election.tick(moment.now.mono) {
            let status = self.election.own().clone();
            self.broadcast(None, &Frame::Statuses(vec![status]), fx);
        }
        self.uplink_tick(moment, fx);
        self.watch_heads(moment.now.mono, fx);
    }

    fn push_fresh(&mut self, moment: Moment, fx: &mut Effects) {
        let fresh = std::mem::take(&mut self.fresh.bundles);
        if fresh.is_empty() {
            return;
        }
        let ready = self.ready_links();
        let direct = ready.len() <= limits::DIRECT_PUSH_PEERS;
        if !direct {
            let device = self.me.device;
            let own = fresh
                .iter()
                .filter(|fresh| fresh.item.author().device == device);
            let small = own.filter(|f| f.item.bytes().len() <= limits::GOSSIP_INLINE_BYTES);
            fx.gossip
                .extend(small.map(|fresh| fresh.item.bytes().clone()));
            return;
        }
        for link in ready {
            self.push_to(link, &fresh, moment, fx);
        }
    }

    /// Pushes to one peer what it lacks and does not get from the link that brought it.
    fn push_to(&mut self, link: LinkId, fresh: &[Fresh<Bundle>], moment: Moment, fx: &mut Effects) {
        let (mut frame, mut bytes) = (Vec::new(), 0);
        for Fresh { item: bundle, from } in fresh {
            if !self.is_due(link, bundle, *from) {
                continue;
            }
            let length = bundle.bytes().len();
            if bytes + length > limits::BUNDLE_BYTES {
                fx.sends
                    .push((link, Frame::Push(std::mem::take(&mut frame))));
                bytes = 0;
            }
            bytes += length;
            frame.push(Packed(bundle.bytes().to_vec()));
            if let Some(session) = self.session_mut(link) {
                session.push(bundle.tip(), length);
            }
        }
        if !frame.is_empty() {
            fx.sends.push((link, Frame::Push(frame)));
        }
        let behind = self
            .session_mut(link)
            .is_some_and(|session| session.differs);
        if behind {
            self.tell_frontier(link, moment.now.mono, fx);
        }
    }

    fn is_due(&mut self, link: LinkId, bundle: &Bundle, from: Option<LinkId>) -> bool {
        if from == Some(link) {
            return false;
        }
        let nearer = from.and_then(|from| self.links.get(&from)?.session.as_ref());
        let author = bundle.author();
        let Some(session) = self.links.get(&link).and_then(|link| link.session.as_ref()) else {
            return false;
        };
        if nearer.is_some_and(|nearer| nearer.reaches(session))
            || session.reach.held(author) >= bundle.last()
            || session.serves(author.device)
        {
            return false;
        }
        let before = session.reach.held(author) + 1 == bundle.first()
            || self.log.chain(author).is_some_and(|chain| {
                chain.start == bundle.first()
                    && chain.parent.is_none_or(|(epoch, counter)| {
                        let parent = Author {
                            device: author.device,
                            epoch,
                        }
                        .at(counter);
                        self.log.reach_covers(&session.reach, parent)
                    })
            });
        if before && session.has_window(bundle.bytes().len()) {
            return true;
        }
        if let Some(session) = self.session_mut(link) {
            session.differs = true;
        }
        false
    }

    fn push_pages(&mut self, fx: &mut Effects) {
        let fresh = std::mem::take(&mut self.fresh.pages);
        if fresh.is_empty() {
            return;
        }
        for link in self.ready_links() {
            let mut frame: Vec<Packed> = Vec::new();
            let mut bytes = 0;
            for Fresh { item: page, from } in &fresh {
                let due = self.is_page_due(link, page, *from);
                let length = page.bytes().len();
                if !due {
                    continue;
                }
                if bytes + length > limits::BUNDLE_BYTES && !frame.is_empty() {
                    fx.sends
                        .push((link, Frame::Pages(std::mem::take(&mut frame))));
                    bytes = 0;
                }
                bytes += length;
                frame.push(Packed(page.bytes().to_vec()));
                if let Some(session) = self.session_mut(link) {
                    session.feed = page.last();
                }
            }
            if !frame.is_empty() {
                fx.sends.push((link, Frame::Pages(frame)));
            }
        }
    }

    fn is_page_due(&self, link: LinkId, page: &Page, from: Option<LinkId>) -> bool {
        let session_of = |link: &LinkId| self.links.get(link).and_then(|l| l.session.as_ref());
        let Some(session) = session_of(&link) else {
            return false;
        };
        let nearer = from.as_ref().and_then(session_of);
        from != Some(link)
            && session.feed + 1 == page.body().first
            && nearer.is_none_or(|nearer| !nearer.reaches(session))
    }

    /// A bundle came by `from`: tell it at the end of the step how far we hold that log.
    pub(super) fn owe(&mut self, from: Option<LinkId>, bundle: &Bundle) {
        let author = bundle.author();
        let held = self.log.held(author);
        if let Some(session) = from.and_then(|link| self.session_mut(link)) {
            session.owes.insert(author, held);
            // It holds what it sent, and not all that we hold.
            session.reach.extend(author, bundle.last().min(held));
        }
    }

    fn tell_held(&mut self, fx: &mut Effects) {
        for (id, link) in &mut self.links {
            let Some(session) = &mut link.session else {
                continue;
            };
            if session.owes.is_empty() {
                continue;
            }
            let owes = std::mem::take(&mut session.owes);
            let held = owes.into_iter().filter(|(_, counter)| *counter > 0);
            fx.sends.push((
                *id,
                Frame::Held(held.map(|(a, counter)| a.at(counter)).collect()),
            ));
        }
    }
}
