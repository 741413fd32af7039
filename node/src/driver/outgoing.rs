//! What goes out after a commit and needs the store to be worded: bodies of requests to the cloud, and feed pages.

use studiovault_protocol::cloud::{BatchRequest, ChangesRequest};
use studiovault_protocol::event::{Order, PagesRead};
use studiovault_protocol::limits;
use studiovault_protocol::wire::{Frame, Packed};

use super::{Driver, Output, Request};
use crate::store::StoreError;

impl Driver {
    /// Words an order with what only the store has.
    pub(super) fn request(&self, order: Order) -> Result<Request, StoreError> {
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
            } => {
                let bundles = self
                    .store
                    .batch_for_cloud(&ranges, limit, limits::BATCH_BYTES)?;
                let bundles = bundles
                    .into_iter()
                    .map(|bytes| Packed(bytes.to_vec()))
                    .collect();
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
