//! What goes out after a commit and needs the store to be worded: bodies of requests to the cloud, and feed pages.

use studiovault_protocol::cloud::{BatchRequest, ChangesRequest};
use studiovault_protocol::event::{Input, Moment, Order, PagesRead};
use studiovault_protocol::limits;
use studiovault_protocol::wire::{Frame, Packed};

use super::{Driver, Output, Request};
use crate::store::StoreError;

impl Driver {
    /// Words an order with what only the store has.
    pub(super) fn request(&mut self, moment: Moment, order: Order) -> Result<Request, StoreError> {
        let device = self.engine.identity().device;
        Ok(match order {
            Order::Probe => Request::Probe,
            Order::Changes {
                since,
                have,
                wait_s,
            } => Request::Changes(Box::new(ChangesRequest {
                device,
                since,
                have,
                wait_s,
            })),
            Order::Batch {
                term,
                since,
                have,
                ranges,
                limit,
                only,
                stuck,
            } => {
                let load = self
                    .store
                    .batch_for_cloud(&ranges, limit, limits::BATCH_BYTES)?;
                let effects = self.engine.handle(moment, Input::Batched(load.ranges));
                assert!(effects.writes.is_empty(), "a worded batch writes nothing");
                let bundles = load.bundles.iter().map(|bytes| Packed(bytes.to_vec()));
                let bundles = bundles.collect();
                let roster = self.engine.roster().records().cloned().collect();
                let shelf = self.engine.policies();
                let policies = shelf.signed().into_iter().chain(shelf.unreadable());
                let policies = policies.cloned().collect();
                Request::Batch(Box::new(BatchRequest {
                    device,
                    term,
                    since,
                    have,
                    roster,
                    policies,
                    bundles,
                    only,
                    stuck,
                }))
            }
        })
    }

    /// Reads feed pages and sends them.
    pub(super) fn send_pages(
        &mut self,
        read: &PagesRead,
        output: &mut Output,
    ) -> Result<(), StoreError> {
        let chunk = self.store.pages(read)?;
        let pages = chunk
            .pages
            .into_iter()
            .map(|bytes| Packed(bytes.to_vec()))
            .collect();
        output
            .sends
            .push((read.link, Frame::Pages(pages).encode().into()));
        Ok(())
    }
}
