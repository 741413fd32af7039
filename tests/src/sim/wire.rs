//! Links between two machines: ordered reliable streams that can break at any moment with what is in flight.
//!
//! A lost segment shows as delay for everything behind it, a one-way partition as frames that wait until the way is free or
//! the link is gone. That is what TCP makes of a bad network; datagrams exist nowhere in the product.

use std::collections::VecDeque;

use bytes::Bytes;
use studiovault_protocol::event::LinkId;
use studiovault_protocol::wire::Frame;

/// What travels.
#[derive(Clone, Debug)]
pub enum Item {
    /// A frame.
    Frame(Bytes),
    /// The sender closed.
    End,
}

/// One direction.
#[derive(Debug, Default)]
pub struct Stream {
    /// Under way, in order; an arrival takes the first.
    pub flight: VecDeque<Item>,
    /// Waiting because the way is blocked.
    pub held: VecDeque<Item>,
    /// When the last one under way arrives.
    pub last_at: u64,
}

/// One link.
#[derive(Debug)]
pub struct Wire {
    /// The machines: the one that dialled, the other.
    pub ends: [usize; 2],
    /// Which of them still has it open.
    pub is_open: [bool; 2],
    /// Which of them has heard that it is there.
    pub is_ready: [bool; 2],
    /// For which of them it was made under an earlier key of the mesh.
    pub is_earlier: [bool; 2],
    /// It broke: nothing that is put on it ever arrives, whether or not the ends have noticed.
    pub is_dead: bool,
    /// From end 0 to end 1, and back.
    pub streams: [Stream; 2],
}

impl Wire {
    /// The machines, the lower number first.
    pub fn pair(&self) -> [usize; 2] {
        let [a, b] = self.ends;
        [a.min(b), a.max(b)]
    }
}

/// The name of a link as one of its ends knows it.
pub fn link_id(wire: u64, end: usize) -> LinkId {
    LinkId(wire * 2 + end as u64)
}

/// The link and the end of a name.
pub fn of_link(link: LinkId) -> (u64, usize) {
    (link.0 / 2, (link.0 % 2) as usize)
}

/// What a frame is called.
pub fn word(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello(_) => "hello",
        Frame::Refuse(_) => "refuse",
        Frame::Roster(_) => "roster",
        Frame::Policy(_) => "policy",
        Frame::Beat(_) => "beat",
        Frame::Frontier(_) => "frontier",
        Frame::Links(_) => "links",
        Frame::Want { .. } => "want",
        Frame::Block { .. } => "block",
        Frame::Credit { .. } => "credit",
        Frame::Push(_) => "push",
        Frame::Held(_) => "held",
        Frame::WantFeed(_) => "want-feed",
        Frame::Pages(_) => "pages",
        Frame::Statuses(_) => "statuses",
        Frame::Gone(_) => "gone",
        Frame::Rekey(_) => "rekey",
        Frame::Moved(_) => "moved",
        Frame::Offer(_) => "offer",
        Frame::WantPiece { .. } => "want-piece",
        Frame::Piece { .. } => "piece",
    }
}
