//! Chains that split: found, proved and told.
//!
//! What contradicts a held chain is compared with what is held; where that does not show the very place of the split, the peer is
//! asked for that device's whole log, and what comes is compared bundle by bundle. The proof is a record of the roster.

use std::collections::BTreeSet;

use super::Engine;
use crate::bundle::Bundle;
use crate::event::{Effects, LinkId, Notice, Write};
use crate::fault::FaultKind;
use crate::feed::Page;
use crate::frontier::{Frontier, Tip};
use crate::id::{Author, DeviceId, Dot};
use crate::membership::{Act, Authority, Double, SignedRecord};
use crate::time::MonoMs;
use crate::wire::Packed;

impl Engine {
    /// Something of an author does not go with what is held: a peer's whole log of that device will show where they part. What
    /// nobody answers for, gossip, costs nobody a transfer.
    pub(super) fn doubt(&mut self, from: Option<LinkId>, author: Author) {
        self.asks.doubts.insert(author);
        if let Some(session) = from.and_then(|link| self.session_mut(link)) {
            session.mending.doubts.insert(author.device);
        }
    }

    /// The cloud truth took something else than is held: its feed is asked for once more, with the bundles.
    fn doubt_named(&mut self, author: Author) {
        self.asks.doubts.insert(author);
        self.reread();
    }

    /// Tips of a peer that stand where ours stand, and are others.
    pub(super) fn doubt_tips(&mut self, link: LinkId, frontier: &Frontier) {
        let parts = |tip: &&Tip| {
            let chain = self.log.chain(tip.author);
            chain.is_some_and(|chain| {
                chain.held.0 == tip.counter && chain.held.1.prefix() != tip.hash
            })
        };
        let authors: Vec<Author> = frontier
            .tips
            .iter()
            .filter(parts)
            .map(|tip| tip.author)
            .collect();
        for author in authors {
            self.doubt(Some(link), author);
        }
    }

    /// What the cloud truth names where ours ends, and is another.
    pub(super) fn doubt_page(&mut self, page: &Page) {
        for named in page.named() {
            if let Some(chain) = self.log.chain(named.author)
                && (named.first..=named.last).contains(&chain.held.0)
                && chain.held != (named.last, named.hash)
                && !self.log.is_split(named.author.at(named.first))
            {
                self.doubt_named(named.author);
            }
        }
    }

    /// The cloud truth took other bundles than are held here, however much came after them.
    pub(super) fn misnamed(&mut self, firsts: &[Dot]) {
        for first in firsts {
            if !self.log.is_split(*first) {
                self.doubt_named(first.author);
            }
        }
    }

    /// A bundle of a doubted author came: the driver reads what is held in its place. Nobody is accused by what he did not sign.
    pub(super) fn compare(&mut self, bundle: &Bundle, from: Option<LinkId>, fx: &mut Effects) {
        let author = bundle.author();
        let member = self.roster.member(author.device);
        let is_signed = || member.is_some_and(|member| bundle.verify(&member.key).is_ok());
        if self.asks.doubts.contains(&author) && is_signed() {
            fx.compares.push((bundle.clone(), from));
        }
    }

    /// What is held where a bundle of a doubted author begins, and that bundle.
    pub(super) fn compared(
        &mut self,
        (ours, theirs): (&Bundle, &Bundle),
        from: Option<LinkId>,
        fx: &mut Effects,
    ) {
        let author = ours.author();
        // Where it begins, not where it ends: it may show a split before the one that is known.
        if ours.hash() == theirs.hash() || self.log.is_split(author.at(theirs.first())) {
            return;
        }
        let Some(double) = Double::of(ours, theirs) else {
            self.doubt(from, author);
            return;
        };
        let Some(own) = self.roster.member(self.me.device) else {
            return;
        };
        let name = self.roster.name(author.device);
        let words = format!(
            "{name} signed two different things at {}: what it wrote from there on is set aside; an admin decides",
            author.at(double.split().from)
        );
        let act = Act::Double(Box::new(double));
        let authority = Authority::holder(own.record, self.me.secret.clone());
        let record = SignedRecord::seal(self.roster.studio(), act, &authority);
        fx.notices.push(Notice::fault(FaultKind::Record, words));
        fx.writes.push(Write::Evidence(theirs.clone()));
        self.records(vec![record], None, fx);
        self.asks.doubts.remove(&author);
    }

    /// Asks for the whole logs of devices that are doubted, of those who hold them otherwise.
    pub(super) fn ask_doubted(&mut self, now: MonoMs, fx: &mut Effects) {
        for link in self.ready_links() {
            let Some(session) = self.session_mut(link) else {
                continue;
            };
            if session.wanting.is_some() {
                continue;
            }
            let barren = &session.mending.barren;
            let devices: BTreeSet<DeviceId> = session
                .mending
                .doubts
                .iter()
                .copied()
                .filter(|device| !barren.contains_key(device))
                .collect();
            if devices.is_empty() {
                continue;
            }
            session
                .mending
                .doubts
                .retain(|device| !devices.contains(device));
            let frontier = self.log.frontier_without(self.feed.held(), &devices);
            self.ask((link, now), (frontier, devices), fx);
        }
    }

    /// A peer's whole logs of these devices were compared: what does not go with ours is proved, or nobody's.
    pub(super) fn settle_doubts(&mut self, devices: &BTreeSet<DeviceId>) {
        self.asks
            .doubts
            .retain(|author| !devices.contains(&author.device));
    }

    /// From which position on the cloud truth is asked for its feed: from the beginning, piece by piece, where what it names is held
    /// otherwise here or was set aside.
    pub(super) fn since(&self) -> u64 {
        let folded = self.feed.folded();
        self.asks.reread.map_or(folded, |reread| reread.min(folded))
    }

    /// What the cloud truth names of chains that split comes once more, from the beginning of its feed.
    pub(super) fn reread(&mut self) {
        self.asks.reread.get_or_insert(0);
    }

    /// The cloud truth answered with these pages; where they are the next ones that were asked for again, the question goes on.
    pub(super) fn note_reread(&mut self, pages: &[Packed]) {
        let read = |packed: &Packed| Page::decode(&packed.0[..]).ok();
        let ends = pages
            .first()
            .and_then(read)
            .zip(pages.last().and_then(read));
        if let (Some(reread), Some((first, last))) = (self.asks.reread, ends)
            && first.body().first == reread + 1
        {
            let folded = self.feed.folded();
            self.asks.reread = Some(last.last()).filter(|last| *last < folded);
            if self.asks.reread.is_none() {
                self.asks.doubts.clear();
            }
            // Only what went on goes on at once: a cloud that answers with nothing is not asked at the speed of the line.
            self.uplink.ask_at_once |= self.asks.reread.is_some();
        }
    }

    /// What the cloud truth is told to be held: nothing of devices that are doubted, so that it sends what it holds of them.
    pub(super) fn have(&self) -> Frontier {
        let devices = self
            .asks
            .doubts
            .iter()
            .map(|author| author.device)
            .collect();
        self.log.frontier_without(self.feed.held(), &devices)
    }
}
