//! Snapshots from machine to machine: who holds one, and the bytes of manifests and chunks in pieces.
//!
//! What comes is kept nowhere before it has the hash that it was asked by. One object is asked for at a time, of one peer at a time; what a
//! peer broke off is asked of the next one from its beginning, so that of what is wrong it is known whose it was.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::event::{Effects, LinkId, Notice, PieceRead, Wanted};
use crate::fault::FaultKind;
use crate::id::{DeviceId, Hash};
use crate::limits;
use crate::snapshot::Manifest;
use crate::time::MonoMs;
use crate::wire::{Frame, Offer, Packed, SNAPSHOTS};

/// Snapshots as this machine holds and asks for them.
#[derive(Debug, Default)]
pub(super) struct Relay {
    held: Option<Offer>,
    fetch: Option<Fetch>,
    /// What peers hold.
    offers: BTreeMap<LinkId, Offer>,
    /// Logs and the feed are asked of nobody.
    pub rests: bool,
}

/// What is asked for.
#[derive(Debug)]
struct Fetch {
    wanted: Wanted,
    /// Peers that do not have it, or gave something else.
    tried: BTreeSet<DeviceId>,
    /// Who is asked, and when it last gave something.
    asked: Option<(LinkId, MonoMs)>,
    length: u32,
    bytes: Vec<u8>,
}

impl Engine {
    /// Asks nobody for logs or the feed, for as long as this engine lives: a snapshot comes first.
    pub fn rest(&mut self) {
        self.asks.relay.rests = true;
    }

    /// The snapshots that peers hold.
    pub fn offers(&self) -> impl Iterator<Item = Offer> {
        self.asks.relay.offers.values().copied()
    }

    /// A link closed.
    pub(super) fn forget_offer(&mut self, link: LinkId) {
        self.asks.relay.offers.remove(&link);
    }

    /// The snapshot that this machine holds has changed.
    pub(super) fn hold_snapshot(&mut self, offer: Option<Offer>, fx: &mut Effects) {
        if self.asks.relay.held == offer {
            return;
        }
        self.asks.relay.held = offer;
        for link in self.ready_links() {
            self.tell_offer(link, fx);
        }
    }

    /// Tells a peer that understands it which snapshot is held.
    pub(super) fn tell_offer(&mut self, link: LinkId, fx: &mut Effects) {
        let Some(offer) = self.asks.relay.held else {
            return;
        };
        let session = self.session_mut(link);
        if session.is_some_and(|session| session.greeting.protocol >= SNAPSHOTS) {
            fx.sends.push((link, Frame::Offer(offer)));
        }
    }

    pub(super) fn hear_relay(
        &mut self,
        (link, now): (LinkId, MonoMs),
        frame: Frame,
        fx: &mut Effects,
    ) {
        match frame {
            Frame::Offer(offer) => {
                self.asks.relay.offers.insert(link, offer);
            }
            Frame::WantPiece { object, from } => {
                fx.pieces.push(PieceRead { link, object, from });
            }
            Frame::Piece {
                object,
                length,
                from,
                bytes,
            } => self.hear_piece((link, now), (object, length, from), &bytes, fx),
            _ => {}
        }
    }

    /// Asks peers for a manifest or a chunk, one after the other until one has it.
    pub(super) fn obtain(&mut self, now: MonoMs, wanted: Wanted, fx: &mut Effects) {
        if let Some(fetch) = self.asks.relay.fetch.take() {
            let ticket = fetch.wanted.ticket;
            let bytes = None;
            fx.notices.push(Notice::Obtained { ticket, bytes });
        }
        self.asks.relay.fetch = Some(Fetch {
            wanted,
            tried: BTreeSet::new(),
            asked: None,
            length: 0,
            bytes: Vec::new(),
        });
        self.ask_next(now, fx);
    }

    /// Asks the next peer if the one that was asked is gone or gives nothing.
    pub(super) fn chase_pieces(&mut self, now: MonoMs, fx: &mut Effects) {
        let Some(fetch) = &mut self.asks.relay.fetch else {
            return;
        };
        let Some((link, since)) = fetch.asked else {
            return;
        };
        let session = self.links.get(&link).and_then(|link| link.session.as_ref());
        if session.is_some() && now.since(since) < limits::TRANSFER_STALL_MS {
            return;
        }
        fetch.tried.extend(session.map(|session| session.device));
        self.ask_next(now, fx);
    }

    /// Asks a peer that holds a snapshot and was not asked for this object yet; each object goes to another first, so that all give.
    fn ask_next(&mut self, now: MonoMs, fx: &mut Effects) {
        let Some(fetch) = &self.asks.relay.fetch else {
            return;
        };
        let holders: Vec<LinkId> = self
            .sessions()
            .filter(|(link, session)| {
                self.asks.relay.offers.contains_key(link) && !fetch.tried.contains(&session.device)
            })
            .map(|(link, _)| link)
            .collect();
        let wanted = fetch.wanted;
        let Some(link) =
            (!holders.is_empty()).then(|| holders[wanted.ticket as usize % holders.len()])
        else {
            self.end_fetch(None, fx);
            return;
        };
        if let Some(fetch) = &mut self.asks.relay.fetch {
            fetch.asked = Some((link, now));
            fetch.length = 0;
            fetch.bytes.clear();
        }
        let object = wanted.object;
        fx.sends.push((link, Frame::WantPiece { object, from: 0 }));
    }

    fn hear_piece(
        &mut self,
        (link, now): (LinkId, MonoMs),
        (object, length, from): (Hash, u32, u32),
        bytes: &Packed,
        fx: &mut Effects,
    ) {
        let device = self.session_mut(link).map(|session| session.device);
        let Some(fetch) = &mut self.asks.relay.fetch else {
            return;
        };
        let is_awaited = fetch.asked.is_some_and(|(asked, _)| asked == link)
            && fetch.wanted.object == object
            && fetch.bytes.len() == from as usize;
        if !is_awaited {
            return;
        }
        let is_same = from == 0 || length == fetch.length;
        if length == 0 || length > fetch.wanted.most || bytes.0.is_empty() || !is_same {
            fetch.tried.extend(device);
            return self.ask_next(now, fx);
        }
        fetch.length = length;
        fetch.bytes.extend_from_slice(&bytes.0);
        fetch.asked = Some((link, now));
        if fetch.bytes.len() < length as usize {
            let from = fetch.bytes.len() as u32;
            fx.sends.push((link, Frame::WantPiece { object, from }));
        } else if is_object(&fetch.bytes, object) {
            let bytes = std::mem::take(&mut fetch.bytes);
            self.end_fetch(Some(bytes), fx);
        } else {
            fetch.tried.extend(device);
            let words = "a peer gave something else than the part of a snapshot that it was asked for; nothing of it was kept";
            fx.notices.push(Notice::fault(FaultKind::Record, words));
            self.ask_next(now, fx);
        }
    }

    fn end_fetch(&mut self, bytes: Option<Vec<u8>>, fx: &mut Effects) {
        if let Some(fetch) = self.asks.relay.fetch.take() {
            let ticket = fetch.wanted.ticket;
            let bytes = bytes.map(Into::into);
            fx.notices.push(Notice::Obtained { ticket, bytes });
        }
    }
}

/// Whether bytes are the chunk or the manifest of that name.
fn is_object(bytes: &[u8], object: Hash) -> bool {
    Hash::of(bytes) == object
        || Manifest::decode(bytes).is_ok_and(|manifest| manifest.id() == object)
}
