//! Snapshots of peers: which they hold, and what is asked of them.

use std::sync::Arc;

use studiovault_protocol::api;
use studiovault_protocol::event::Wanted;
use studiovault_protocol::id::Hash;
use studiovault_protocol::wire::Offer;
use tokio::sync::oneshot;

use super::Runner;
use crate::driver::Event;

/// Bytes of a manifest or a chunk; `None`: nobody in reach has it.
pub type Object = Option<Arc<[u8]>>;

/// What the loop is asked about snapshots.
#[derive(Debug)]
pub enum Relay {
    /// Which ones peers hold.
    Offers(oneshot::Sender<Vec<Offer>>),
    /// A manifest or a chunk of so many bytes at most is to be asked of peers. What was asked before and did not come is given up.
    Obtain((Hash, u32), oneshot::Sender<Object>),
    /// This one is held here now.
    Hold(Offer),
}

impl Runner {
    pub(super) fn relay(&mut self, asked: Relay, events: &mut Vec<Event>) {
        match asked {
            Relay::Offers(answer) => {
                let offers = self.driver.engine().offers();
                // Nobody waits any more if this fails.
                let _ = answer.send(offers.collect());
            }
            Relay::Obtain((object, most), answer) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.asked.object = Some((ticket, answer));
                events.push(Event::Obtain(Wanted {
                    ticket,
                    object,
                    most,
                }));
            }
            Relay::Hold(offer) => {
                events.push(Event::Offer(Some(offer)));
                self.publish(api::Event::Status);
            }
        }
    }

    /// What was asked of peers came, or nobody has it.
    pub(super) fn answer_obtained(&mut self, obtained: Vec<(u64, Object)>) {
        for (ticket, bytes) in obtained {
            let asker = self.asked.object.take_if(|(asked, _)| *asked == ticket);
            if let Some((_, asker)) = asker {
                // Nobody waits any more if this fails.
                let _ = asker.send(bytes);
            }
        }
    }
}
