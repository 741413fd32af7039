//! Taking in what others wrote: from a peer, the cloud, gossip or a file. Form, studio, chain and signature are checked here and
//! nowhere else, so it comes to the same whichever way it came.

use std::sync::Arc;

use super::{Engine, Fresh};
use crate::bundle::Bundle;
use crate::event::{Effects, LinkId, Notice, Write};
use crate::fault::FaultKind;
use crate::feed::Page;
use crate::log::Admission;
use crate::pack::{Part, Taken};
use crate::wire::Packed;

/// What became of a bundle that was offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Offered {
    /// Kept now.
    New,
    /// Kept before.
    Held,
    /// Not kept: what comes before it, or the record that admits its author, is missing.
    Waits,
    /// Its author contradicts itself; told to people.
    Refused,
    /// Whoever sent it is at fault, and was told so if it is a peer.
    Broken,
}

impl Engine {
    /// Takes in bundles from a peer, the cloud or gossip.
    pub(super) fn take_all(
        &mut self,
        bundles: Vec<Arc<[u8]>>,
        from: Option<LinkId>,
        fx: &mut Effects,
    ) {
        for bytes in bundles {
            self.take(bytes, from, fx);
        }
    }

    /// Takes in one bundle.
    pub(super) fn take(
        &mut self,
        bytes: Arc<[u8]>,
        from: Option<LinkId>,
        fx: &mut Effects,
    ) -> Offered {
        let bundle = match Bundle::decode(bytes) {
            Ok(bundle) => bundle,
            Err(error) => return self.fault(from, &error.to_string(), fx),
        };
        let author = bundle.author();
        if bundle.header().studio != self.roster.studio() {
            return self.fault(from, "a bundle of another studio", fx);
        }
        let admission = self.log.judge(&bundle);
        self.owe(from, &bundle);
        match admission {
            Admission::Evidence => return Offered::Held,
            Admission::Duplicate => {
                self.compare(&bundle, from, fx);
                return Offered::Held;
            }
            Admission::Gap => {
                self.gap(from, author);
                return Offered::Waits;
            }
            Admission::Contradiction(_) | Admission::Fresh => {}
        }
        let Some(member) = self.roster.member(author.device) else {
            // Not an error of the peer: beats tell that the rosters differ, and the bundle will be asked for again.
            return Offered::Waits;
        };
        if let Err(error) = bundle.verify(&member.key) {
            return self.fault(from, &error.to_string(), fx);
        }
        // Said of nobody who did not sign it.
        if let Admission::Contradiction(reason) = admission {
            let name = self.roster.name(author.device);
            let words = format!("{name}: {reason}");
            fx.notices.push(Notice::fault(FaultKind::Record, words));
            self.asks.doubts.insert(author);
            self.compare(&bundle, from, fx);
            if bundle.header().begins() {
                // What it goes on from may be what differs.
                self.doubt(from, author);
            }
            return Offered::Refused;
        }
        self.log.hold(&bundle);
        self.owe(from, &bundle);
        fx.writes.push(Write::Store {
            bundle: bundle.clone(),
            own: false,
        });
        self.fresh.bundles.push(Fresh {
            item: bundle.clone(),
            from,
        });
        if self.log.is_ready(&bundle) {
            self.apply(bundle, fx);
            fx.notices.push(Notice::Applied);
        }
        Offered::New
    }

    fn fault(&mut self, from: Option<LinkId>, reason: &str, fx: &mut Effects) -> Offered {
        match from {
            Some(link) => self.close(link, reason, fx),
            None => fx.notices.push(Notice::fault(FaultKind::Record, reason)),
        }
        Offered::Broken
    }

    /// Takes in one part of a pack, as if the cloud had brought it, and tells what became of it.
    pub(super) fn take_part(&mut self, (ticket, part): (u64, Part), fx: &mut Effects) {
        let mut taken = Taken::default();
        let (writes, notices) = (fx.writes.len(), fx.notices.len());
        match part {
            Part::Label(_) | Part::End => {}
            Part::Signed { records, policies } => {
                self.records(records, None, fx);
                for policy in policies {
                    self.policy(policy, None, fx);
                }
            }
            Part::Bundles(bundles) => {
                for Packed(bytes) in bundles {
                    match self.take(bytes.into(), None, fx) {
                        Offered::New => taken.bundles.new += 1,
                        Offered::Held => taken.bundles.held += 1,
                        Offered::Waits => taken.bundles.waiting += 1,
                        // Counted below, by what was told.
                        Offered::Refused | Offered::Broken => {}
                    }
                }
            }
            Part::Pages(pages) => {
                for Packed(bytes) in pages {
                    self.take_packed_page(bytes.into(), &mut taken, fx);
                }
            }
        }
        for write in &fx.writes[writes..] {
            taken.records += u64::from(matches!(write, Write::Record(_)));
            taken.policies += u64::from(matches!(write, Write::Policy(_)));
        }
        // Whoever brings the pack is told, and nobody else is at fault.
        let told = fx.notices.split_off(notices);
        for notice in told {
            match notice {
                Notice::Fault(fault) => taken.refuse(&fault.words),
                other => fx.notices.push(other),
            }
        }
        fx.notices.push(Notice::TookPart { ticket, taken });
    }

    fn take_packed_page(&mut self, bytes: Arc<[u8]>, taken: &mut Taken, fx: &mut Effects) {
        let last = Page::decode(bytes.clone()).map(|page| page.last());
        if last.is_ok_and(|last| last <= self.feed.held()) {
            taken.pages.held += 1;
            return;
        }
        match self.take_page(bytes, None, fx) {
            Ok(true) => taken.pages.new += 1,
            Ok(false) => taken.pages.waiting += 1,
            Err(error) => taken.refuse(&error.to_string()),
        }
    }
}
