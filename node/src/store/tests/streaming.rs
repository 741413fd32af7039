//! A transfer brings exactly what the other side lacks, in log order, from any cursor.

use std::sync::Arc;

use studiovault_protocol::event::{BlockRead, LinkId, PagesRead};
use studiovault_protocol::frontier::{Frontier, Reach};
use studiovault_protocol::id::DeviceId;

use super::*;

/// A store of many small bundles by three devices with several epochs, and the index over them.
fn a_long_log(seed: u64) -> (Machine, Store, Vec<Bundle>) {
    let mut dice = Dice(seed);
    let mut authors: Vec<Machine> = (1..=3).map(Machine::new).collect();
    let (mut here, mut store) = (Machine::new(4), a_store());
    let mut all = Vec::new();
    for step in 0..60 + dice.below(900) {
        let at = dice.below(3) as usize;
        if dice.one_in(40) {
            authors[at].restart(5000 + step);
        }
        for _ in 0..=dice.below(4) {
            let made = command(Op::Create, EntityId(dice.bytes()), &mut dice);
            let (bundle, _) = authors[at].author(vec![made]);
            let writes = here.take(&bundle);
            commit(&mut store, &writes, &here.rules()).expect("commits");
            all.push(bundle);
        }
    }
    (here, store, all)
}

fn bytes_of(bundles: &[Bundle]) -> Vec<Arc<[u8]>> {
    bundles
        .iter()
        .map(|bundle| bundle.bytes().clone())
        .collect()
}

fn all_devices() -> Vec<DeviceId> {
    (1..=3).map(device).collect()
}

fn transfer(store: &Store, mut read: BlockRead, dice: &mut Dice) -> Vec<Arc<[u8]>> {
    let mut got = Vec::new();
    loop {
        read.max_bytes = 1 + dice.below(3000) as usize;
        let chunk = store.block(&read).expect("reads");
        assert_eq!(
            chunk.raw,
            chunk.bundles.iter().map(|b| b.len()).sum::<usize>()
        );
        assert!(
            chunk.done || !chunk.bundles.is_empty(),
            "a block brings something or ends the transfer"
        );
        got.extend(chunk.bundles);
        read.cursor = Some(chunk.cursor);
        if chunk.done {
            return got;
        }
    }
}

fn a_read(ranges: Vec<studiovault_protocol::frontier::Range>, devices: Vec<DeviceId>) -> BlockRead {
    BlockRead {
        link: LinkId(1),
        id: 1,
        ranges,
        devices,
        cursor: None,
        max_bytes: 0,
    }
}

fn ranges(
    index: &LogIndex,
    frontier: &Frontier,
    devices: &[DeviceId],
) -> Vec<studiovault_protocol::frontier::Range> {
    let reach = Reach::of(frontier);
    devices
        .iter()
        .flat_map(|device| index.lacking(&reach, *device))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_transfer_brings_what_is_lacking_in_log_order_and_nothing_else(seed: u64) {
        let (here, store, all) = a_long_log(seed);
        let mut dice = Dice(seed ^ 1);
        let mut peer = Machine::new(5);
        let known = dice.below(all.len() as u64 + 1) as usize;
        for bundle in &all[..known] {
            let _ = peer.take(bundle);
        }
        let devices: Vec<DeviceId> = all_devices().into_iter().filter(|_| !dice.one_in(4)).collect();
        let read = a_read(ranges(&here.index, &peer.index.frontier(0), &devices), devices.clone());
        let got = transfer(&store, read, &mut dice);
        let wanted: Vec<Bundle> =
            all[known..].iter().filter(|b| devices.contains(&b.author().device)).cloned().collect();
        prop_assert_eq!(got, bytes_of(&wanted));
    }
}

#[test]
fn rows_that_come_during_a_transfer_are_part_of_it() {
    let (mut here, mut store, all) = a_long_log(3);
    let mut read = a_read(
        ranges(&here.index, &Frontier::default(), &all_devices()),
        all_devices(),
    );
    read.max_bytes = usize::MAX;
    let chunk = store.block(&read).expect("reads");
    assert!(chunk.done);
    assert_eq!(chunk.bundles, bytes_of(&all));
    let mut newcomer = Machine::new(1);
    newcomer.restart(1);
    let made = command(Op::Create, entity(1), &mut Dice(1));
    let (bundle, _) = newcomer.author(vec![made]);
    let writes = here.take(&bundle);
    commit(&mut store, &writes, &here.rules()).expect("commits");
    read.cursor = Some(chunk.cursor);
    let chunk = store.block(&read).expect("reads");
    assert_eq!(
        chunk.bundles,
        bytes_of(&[bundle]),
        "an epoch that began meanwhile"
    );
}

#[test]
fn a_peer_that_lacks_nothing_is_sent_nothing() {
    let (here, store, _) = a_long_log(4);
    let read = a_read(
        ranges(&here.index, &here.index.frontier(0), &all_devices()),
        all_devices(),
    );
    let chunk = store.block(&read).expect("reads");
    assert!(chunk.done && chunk.bundles.is_empty());
}

#[test]
fn the_cloud_gets_its_ranges_in_order_of_application_within_the_limits() {
    let (here, store, all) = a_long_log(5);
    let ranges = ranges(&here.index, &Frontier::default(), &all_devices());
    let batch = store
        .batch_for_cloud(&ranges, 7, usize::MAX)
        .expect("reads")
        .bundles;
    assert_eq!(batch, bytes_of(&all[..7]));
    let batch = store.batch_for_cloud(&ranges, 5000, 1).expect("reads");
    assert_eq!(batch.bundles, bytes_of(&all[..1]), "at least one");
    let of_one: Vec<_> = ranges
        .iter()
        .filter(|range| range.author.device == device(2))
        .copied()
        .collect();
    let batch = store
        .batch_for_cloud(&of_one, 5000, usize::MAX)
        .expect("reads")
        .bundles;
    let wanted: Vec<Bundle> = all
        .iter()
        .filter(|b| b.author().device == device(2))
        .cloned()
        .collect();
    assert_eq!(batch, bytes_of(&wanted));
}

#[test]
fn the_cloud_gets_what_a_bundle_saw_before_the_bundle() {
    let mut dice = Dice(6);
    let (mut one, mut two) = (Machine::new(1), Machine::new(2));
    let (mut here, mut store) = (Machine::new(4), a_store());
    let mut write = |machine: &mut Machine| {
        let made = command(Op::Create, EntityId(dice.bytes()), &mut dice);
        machine.author(vec![made]).0
    };
    let seen = write(&mut one);
    two.take(&seen);
    let all = [seen, write(&mut two), write(&mut two)];
    // What was seen arrives last; until then the others are parked.
    for at in [1, 2, 0] {
        let writes = here.take(&all[at]);
        commit(&mut store, &writes, &here.rules()).expect("commits");
    }
    let ranges = ranges(&here.index, &Frontier::default(), &all_devices());
    for limit in 1..=all.len() {
        let batch = store.batch_for_cloud(&ranges, limit, usize::MAX);
        assert_eq!(batch.expect("reads").bundles, bytes_of(&all[..limit]));
    }
}

#[test]
fn pages_come_in_order_and_say_whether_more_follow() {
    let (mut machine, mut store) = (Machine::new(1), a_store());
    let mut cloud = Cloud::default();
    let pages: Vec<_> = (0..5)
        .map(|_| cloud.page(vec![Entry::Genesis(Vec::new())]))
        .collect();
    for page in &pages {
        let writes = machine.take_page(page);
        commit(&mut store, &writes, &machine.rules()).expect("commits");
    }
    let read = PagesRead {
        link: LinkId(1),
        after: 1,
        max_bytes: pages[1].bytes().len() * 2,
    };
    let chunk = store.pages(&read).expect("reads");
    assert_eq!(
        chunk.pages,
        [pages[1].bytes().clone(), pages[2].bytes().clone()]
    );
    assert!(chunk.more);
    let rest = store
        .pages(&PagesRead {
            after: 3,
            max_bytes: usize::MAX,
            ..read
        })
        .expect("reads");
    assert_eq!((rest.pages.len(), rest.more), (2, false));
}
