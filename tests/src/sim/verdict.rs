//! The last look at a calm world: every machine against the naive reference, and the cloud against its own feed.

use std::collections::BTreeMap;

use studiovault_node::driver::Driver;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::event::{BlockRead, LinkId};
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::frontier::Range;
use studiovault_protocol::id::Dot;
use studiovault_protocol::merge::{Outcome, StateSum, Verdict};

use super::reference;
use super::world::World;

/// Every bundle that a machine holds.
fn bundles(driver: &Driver) -> Vec<Bundle> {
    let log = driver.engine().log();
    let whole = |(author, chain): (_, &studiovault_protocol::log::Chain)| Range {
        author,
        after: chain.start - 1,
        upto: chain.held.0,
    };
    let read = BlockRead {
        link: LinkId(0),
        id: 0,
        ranges: log.chains().map(whole).collect(),
        devices: log.devices().into_iter().collect(),
        cursor: None,
        max_bytes: usize::MAX / 4,
    };
    let chunk = driver.store().block(&read).expect("memory reads");
    let decode =
        |bytes: &std::sync::Arc<[u8]>| Bundle::decode(bytes.clone()).expect("a stored bundle");
    chunk.bundles.iter().map(decode).collect()
}

impl World {
    /// I2 and I4 at the end.
    pub fn judge(&mut self) {
        let drivers: Vec<&Driver> = self.nodes.iter().filter_map(|node| node.driver()).collect();
        let bundles = bundles(drivers[0]);
        let dots: Vec<Dot> = bundles
            .iter()
            .flat_map(|b| b.commands().map(|(dot, _)| dot))
            .collect();
        let verdicts = match self.verdicts(&bundles) {
            Ok(verdicts) => verdicts,
            Err(wrong) => return self.checks.violated(wrong),
        };
        if self.cloud.is_some()
            && let Some(dot) = dots.iter().find(|dot| !verdicts.contains_key(dot))
        {
            return self
                .checks
                .violated(format!("I4: {dot} never got a verdict"));
        }
        let expected = reference::merge(&bundles, &verdicts, &self.policy);
        let mut sum = StateSum::default();
        expected
            .values()
            .for_each(|entity| sum.add(entity.state_sum()));
        let mut wrong = None;
        for (at, driver) in drivers.iter().enumerate() {
            let ids = driver.store().entity_ids().expect("memory reads");
            if ids.len() != expected.len() {
                let (here, there) = (ids.len(), expected.len());
                wrong = Some(format!(
                    "I2: node {at} knows {here} entities, the reference {there}"
                ));
            }
            for (id, entity) in &expected {
                let here = driver.store().entity(*id).expect("memory reads");
                if here.as_ref() != Some(entity) {
                    wrong = Some(format!(
                        "I2: node {at} and the reference differ over {id}:\n{here:#?}\n{entity:#?}"
                    ));
                }
            }
            if driver.store().state_sum() != sum && wrong.is_none() {
                wrong = Some(format!(
                    "I2: the state sum of node {at} is not that of its entities"
                ));
            }
        }
        if let Some(cloud) = &self.cloud {
            let summary = cloud.truth.summary().expect("memory answers");
            let rejected = |v: &&Verdict| matches!(v.outcome, Outcome::Rejected { .. });
            let count = verdicts.values().filter(rejected).count() as u64;
            if (summary.commands, summary.rejected) != (dots.len() as u64, count) {
                wrong.get_or_insert(format!(
                    "I4: the cloud's tables hold {} commands, {} rejected; its feed tells of {} and {count}",
                    summary.commands,
                    summary.rejected,
                    dots.len()
                ));
            }
            if summary.state_hash != sum.hex() {
                wrong.get_or_insert("I2: the cloud's state is not that of the reference".into());
            }
        }
        if let Some(wrong) = wrong {
            self.checks.violated(wrong);
        }
    }

    /// The feed's verdicts; each command one, each bundle once, all in causal order.
    fn verdicts(&self, bundles: &[Bundle]) -> Result<BTreeMap<Dot, Verdict>, String> {
        let mut verdicts = BTreeMap::new();
        let Some(cloud) = &self.cloud else {
            return Ok(verdicts);
        };
        let held: BTreeMap<_, _> = bundles
            .iter()
            .map(|b| ((b.author(), b.first()), (b.last(), b.hash())))
            .collect();
        let mut told = BTreeMap::new();
        for part in cloud.feed(self.wall(None)) {
            for bytes in &part.pages {
                let page = Page::decode(&bytes.0[..]).map_err(|error| error.to_string())?;
                for (position, entry) in page.entries() {
                    match entry {
                        Entry::Bundle {
                            author,
                            first,
                            last,
                            hash,
                        } => {
                            if told.insert((*author, *first), position).is_some() {
                                return Err(format!(
                                    "I4: the feed tells twice of {}",
                                    author.at(*first)
                                ));
                            }
                            if held.get(&(*author, *first)) != Some(&(*last, *hash)) {
                                return Err(format!(
                                    "I1: nobody holds the feed's {}",
                                    author.at(*first)
                                ));
                            }
                        }
                        Entry::Verdicts {
                            author,
                            first,
                            last,
                            ..
                        } => {
                            for counter in *first..=*last {
                                let verdict =
                                    entry.verdict(position, counter).expect("within the entry");
                                if verdicts.insert(author.at(counter), verdict).is_some() {
                                    return Err(format!(
                                        "I4: two verdicts on {}",
                                        author.at(counter)
                                    ));
                                }
                            }
                        }
                        Entry::Genesis(_)
                        | Entry::Checkpoint(_)
                        | Entry::AsItStands { .. }
                        | Entry::Stuck { .. } => {}
                    }
                }
            }
        }
        Ok(verdicts)
    }
}
