//! What goes out after a commit and needs the store to be worded: bodies of requests to the cloud, and feed pages.

use std::collections::BTreeMap;

use studiovault_protocol::cloud::{BatchRequest, ChangesRequest, TailRequest};
use studiovault_protocol::event::{Input, Moment, Order, PagesRead};
use studiovault_protocol::feed::Page;
use studiovault_protocol::frontier::Range;
use studiovault_protocol::id::{Author, StudioId};
use studiovault_protocol::limits;
use studiovault_protocol::membership::SignedRecord;
use studiovault_protocol::policy::SignedPolicy;
use studiovault_protocol::wire::{Frame, Packed};

use super::{Driver, Output};
use crate::store::StoreError;

/// A request to the cloud, ready to be sent.
#[derive(Debug)]
pub enum Request {
    /// Is it there, and does it take this machine?
    Probe(Introduction),
    /// Bundles that it lacks. Ends a waiting [`Request::Changes`] without an answer.
    Batch(Box<BatchRequest>),
    /// What is new?
    Changes(Box<ChangesRequest>),
    /// Its own feed, of which it lost the end.
    Tail(Box<TailRequest>),
}

/// What makes a machine known to a cloud that has not heard of it.
#[derive(Debug)]
pub struct Introduction {
    /// The studio.
    pub studio: StudioId,
    /// All signed records.
    pub records: Vec<SignedRecord>,
}

/// Bytes of the feed's tail in one request: with the roster beside it below what a request may carry, packed or not.
const TAIL_BYTES: usize = 512 * 1024;

/// What a page names, as ranges.
fn named(page: &Page) -> Vec<Range> {
    let mut ranges: BTreeMap<Author, Range> = BTreeMap::new();
    for named in page.named() {
        let (author, after, upto) = (named.author, named.first - 1, named.last);
        let range = ranges.entry(author).or_insert(Range {
            author,
            after,
            upto,
        });
        range.after = range.after.min(after);
        range.upto = range.upto.max(upto);
    }
    ranges.into_values().collect()
}

impl Driver {
    /// Words an order with what only the store has.
    pub(super) fn request(&mut self, moment: Moment, order: Order) -> Result<Request, StoreError> {
        let device = self.engine.identity().device;
        Ok(match order {
            Order::Probe => {
                let roster = self.engine.roster();
                Request::Probe(Introduction {
                    studio: roster.studio(),
                    records: roster.records().cloned().collect(),
                })
            }
            Order::Changes {
                since,
                have,
                wait_s,
            } => Request::Changes(Box::new(ChangesRequest {
                device,
                since,
                have,
                known: self.engine.known(),
                wait_s,
            })),
            Order::Tail { after, upto } => Request::Tail(Box::new(self.tail(after, upto)?)),
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
                let (roster, policies) = self.records();
                Request::Batch(Box::new(BatchRequest {
                    device,
                    term,
                    since,
                    have,
                    known: self.engine.known(),
                    roster,
                    policies,
                    bundles,
                    only,
                    stuck,
                }))
            }
        })
    }

    /// All records of the roster, and the signed policies that hold here.
    fn records(&self) -> (Vec<SignedRecord>, Vec<SignedPolicy>) {
        let roster = self.engine.roster().records().cloned().collect();
        let shelf = self.engine.policies();
        (roster, shelf.standing().cloned().collect())
    }

    /// The cloud's own pages after a position, and the bundles that they name: as much as one request carries.
    fn tail(&self, after: u64, upto: u64) -> Result<TailRequest, StoreError> {
        let (roster, policies) = self.records();
        let mut tail = TailRequest {
            device: self.engine.identity().device,
            roster,
            policies,
            pages: Vec::new(),
            bundles: Vec::new(),
        };
        let mut room = TAIL_BYTES;
        for page in self.store.pages_after(after, TAIL_BYTES)? {
            let Ok(page) = Page::decode(page) else {
                break;
            };
            let load =
                self.store
                    .batch_for_cloud(&named(&page), usize::MAX, limits::BATCH_BYTES)?;
            let bundles: usize = load.bundles.iter().map(|bytes| bytes.len()).sum();
            let bytes = page.bytes().len() + bundles;
            if page.last() > upto || (bytes > room && !tail.pages.is_empty()) {
                break;
            }
            room = room.saturating_sub(bytes);
            tail.pages.push(Packed(page.bytes().to_vec()));
            let bundles = load.bundles.iter().map(|bytes| Packed(bytes.to_vec()));
            tail.bundles.extend(bundles);
        }
        Ok(tail)
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
