//! Snapshots for peers: which one is held here, and pieces of it.

use studiovault_protocol::event::{Input, Moment, PieceRead};
use studiovault_protocol::wire::{Frame, Packed};

use super::{Driver, Output};
use crate::snapshots::Shelf;

impl Driver {
    /// Hands on what is on this shelf.
    pub fn hand_on(&mut self, shelf: Shelf, moment: Moment) {
        self.shelf = Some(shelf);
        self.offer(moment);
    }

    /// Asks nobody for logs or the feed: a snapshot comes first.
    pub fn rest(&mut self) {
        self.engine.rest();
    }

    /// Tells an engine that was made anew what is on the shelf.
    pub(super) fn offer(&mut self, moment: Moment) {
        let offer = self.shelf.as_ref().and_then(Shelf::offer);
        let effects = self.engine.handle(moment, Input::Offer(offer));
        assert!(effects.writes.is_empty(), "an offer writes nothing");
    }

    /// Reads a piece and sends it; where it is not held or cannot be read, that it is not.
    pub(super) fn send_piece(&mut self, read: PieceRead, output: &mut Output) {
        if !self.links.contains_key(&read.link) {
            return;
        }
        let found = self
            .shelf
            .as_ref()
            .and_then(|shelf| shelf.piece(read.object, read.from));
        let (length, from, bytes) = found.map_or((0, 0, Vec::new()), |(length, bytes)| {
            (length, read.from, bytes)
        });
        let piece = Frame::Piece {
            object: read.object,
            length,
            from,
            bytes: Packed(bytes),
        };
        output.sends.push((read.link, piece.encode().into()));
    }
}
