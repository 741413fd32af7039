//! The studio as a snapshot holds it: its signed records, and runs of its feed with the bundles that they name.
//!
//! The feed is append-only, so runs that are read one after the other are the same as if they had been read at one moment, and nobody
//! who writes waits for more than one of them.

use studiovault_protocol::limits;
use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::RunParts;

use super::{State, Studio};
use crate::store::{Reading, StoreError};
use crate::truth::Truth;

/// Bytes of pages and bundles at which a run ends, with the page that it is at.
const RUN_BYTES: usize = 1024 * 1024;

/// A run of the feed.
#[derive(Debug)]
pub struct Run {
    /// Encoded parts, the bundles before the pages.
    pub parts: Vec<Vec<u8>>,
    /// The position of its last page's last entry.
    pub upto: u64,
}

impl Studio {
    /// The run of the feed after `since`, not beyond `upto`.
    pub fn run(&self, truth: &Truth, (since, upto): (u64, u64)) -> Result<Run, StoreError> {
        let (mut run, mut last) = (RunParts::default(), since);
        truth.store.read(|session| {
            session.pages_after(self.row, since, |page| {
                if page.last() > upto {
                    return Ok(Reading::Enough);
                }
                for bundle in self.lacking(session, &page, |_| false)? {
                    run.bundle(bundle.0);
                }
                run.page(page.bytes().to_vec());
                last = page.last();
                Ok(if run.bytes() < RUN_BYTES {
                    Reading::More
                } else {
                    Reading::Enough
                })
            })
        })?;
        let parts = run.end();
        Ok(Run { parts, upto: last })
    }
}

impl State {
    /// The signed records and policies, as parts.
    pub fn signed_parts(&self) -> Vec<Vec<u8>> {
        let (mut parts, mut records, mut bytes) = (Vec::new(), Vec::new(), 0);
        let signed = |records, policies| Part::Signed { records, policies }.encode();
        for record in self.roster.records() {
            let length = postcard::to_stdvec(record).map_or(0, |bytes| bytes.len());
            if bytes + length > limits::FRAME_BYTES && !records.is_empty() {
                parts.push(signed(std::mem::take(&mut records), Vec::new()));
                bytes = 0;
            }
            bytes += length;
            records.push(record.clone());
        }
        parts.push(signed(records, Vec::new()));
        let policies = self.policies.standing();
        parts.extend(policies.map(|policy| signed(Vec::new(), vec![policy.clone()])));
        parts
    }
}
