//! The last look at a calm world: every machine against the naive reference, and the cloud against its own feed.

use std::collections::BTreeMap;

use studiovault_node::driver::Driver;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::event::{BlockRead, LinkId};
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::frontier::Range;
use studiovault_protocol::id::{Author, DeviceId, Dot};
use studiovault_protocol::membership::{Act, SignedRecord};
use studiovault_protocol::merge::{Outcome, StateSum, Verdict};

use super::reference::{self, Rulings};
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

/// Of whom nothing is waited for from which counter on, by the records themselves.
fn given_up(driver: &Driver) -> BTreeMap<Author, u64> {
    let mut given_up: BTreeMap<Author, u64> = BTreeMap::new();
    for record in driver.engine().roster().records() {
        if let Act::Lost(lost) = &record.act {
            for (author, from) in lost {
                let known = given_up.entry(*author).or_insert(*from);
                *known = (*from).min(*known);
            }
        }
    }
    given_up
}

/// What stands of whoever does not belong any more, by the records themselves: of several cuts the lowest, but for those lifted.
fn cuts(driver: &Driver) -> BTreeMap<DeviceId, BTreeMap<Author, u64>> {
    let records: Vec<&SignedRecord> = driver.engine().roster().records().collect();
    let lifted = |record: &SignedRecord| {
        let lifts = |other: &&SignedRecord| matches!(&other.act, Act::Readmit(_, lifts) if lifts.contains(&record.hash()));
        records.iter().any(lifts)
    };
    let mut cuts: BTreeMap<DeviceId, BTreeMap<Author, u64>> = BTreeMap::new();
    for record in records.iter().filter(|record| !lifted(record)) {
        let (Act::Revoke(cut) | Act::Retire(cut)) = &record.act else {
            continue;
        };
        let author = |epoch| Author {
            device: cut.device,
            epoch,
        };
        let stands = cut
            .stands
            .iter()
            .map(|(epoch, last)| (author(*epoch), *last));
        let mut stands: BTreeMap<Author, u64> = stands.collect();
        if let Some(earlier) = cuts.get(&cut.device) {
            stands.retain(|author, _| earlier.contains_key(author));
            for (author, last) in &mut stands {
                *last = (*last).min(earlier[author]);
            }
        }
        cuts.insert(cut.device, stands);
    }
    cuts
}

/// Who signed two things in one place, by the proofs themselves: of several places the first.
fn splits(driver: &Driver) -> BTreeMap<Author, u64> {
    let records = driver.engine().roster().records();
    let doubles = records.filter_map(SignedRecord::double);
    let mut splits: BTreeMap<Author, u64> = BTreeMap::new();
    for double in doubles {
        let from = splits.entry(double.author()).or_insert(u64::MAX);
        *from = double.split().from.min(*from);
    }
    splits
}

impl World {
    /// I2 and I4 at the end.
    pub fn judge(&mut self) {
        let drivers: Vec<&Driver> = self.nodes.iter().filter_map(|node| node.driver()).collect();
        // Machines that shut each other out may leave nobody who holds anything.
        let Some(first) = drivers.first() else {
            return;
        };
        let bundles = bundles(first);
        let dots: Vec<Dot> = bundles
            .iter()
            .flat_map(|b| b.commands().map(|(dot, _)| dot))
            .collect();
        let rulings = match self.rulings(first, &bundles) {
            Ok(rulings) => rulings,
            Err(wrong) => return self.checks.violated(wrong),
        };
        if self.cloud.is_some()
            && let Some(dot) = dots.iter().find(|dot| !rulings.verdicts.contains_key(dot))
        {
            return self
                .checks
                .violated(format!("I4: {dot} never got a verdict"));
        }
        let expected = reference::merge(&bundles, &rulings, &self.policy);
        let mut sum = StateSum::default();
        expected
            .values()
            .for_each(|entity| sum.add(entity.state_sum()));
        let mut wrong = None;
        for (at, driver) in drivers.iter().enumerate() {
            wrong = wrong.or(self.checks.promises.missing_from(at, driver.engine().log()));
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
        wrong = wrong.or(self.cloud_misses(&dots, &rulings, sum));
        if let Some(wrong) = wrong {
            self.checks.violated(wrong);
        }
    }

    /// What the cloud's tables hold otherwise than its feed tells of, or than the reference merges to.
    fn cloud_misses(&self, dots: &[Dot], rulings: &Rulings, sum: StateSum) -> Option<String> {
        let cloud = self.cloud.as_ref()?;
        let summary = cloud.truth.summary().expect("memory answers");
        let rejected = |v: &&Verdict| matches!(v.outcome, Outcome::Rejected { .. });
        let count = rulings.verdicts.values().filter(rejected).count() as u64;
        if (summary.commands, summary.rejected) != (dots.len() as u64, count) {
            return Some(format!(
                "I4: the cloud's tables hold {} commands, {} rejected; its feed tells of {} and {count}",
                summary.commands,
                summary.rejected,
                dots.len()
            ));
        }
        (summary.state_hash != sum.hex())
            .then(|| "I2: the cloud's state is not that of the reference".into())
    }

    fn rulings(&self, driver: &Driver, bundles: &[Bundle]) -> Result<Rulings, String> {
        Ok(Rulings {
            verdicts: self.verdicts(bundles)?,
            given_up: given_up(driver),
            cuts: cuts(driver),
            splits: splits(driver),
        })
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
