//! Packs, snapshots and stores that are begun anew, made by the real program: there whole or not at all, whenever the power goes and
//! whichever call of the disk fails.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use studiovault_lab::power::errand::{Errand, Reader};
use studiovault_lab::power::place::{Place, cuts};
use studiovault_lab::power::{Cut, Tail};

/// Of each errand, all over it and at its end, with each of the three tails.
const SPREAD: usize = 9;
const LAST: usize = 8;
/// Of the snapshots.
const OF_OBJECTS: usize = 40;
/// Of the calls of the disk one in so many; `cargo campaign --part disk` takes each of them.
const EVERY: usize = 1_201;

#[test]
fn a_pack_a_snapshot_and_a_store_begun_anew_are_there_whole_or_not_at_all() -> Result<()> {
    let place = Place::new()?;
    in_power_cuts(&place)?;
    a_disk_that_pretends_to_sync_is_caught(&place)?;
    done_again(&place)?;
    on_a_disk_that_goes_wrong_once(&place)
}

fn in_power_cuts(place: &Place) -> Result<()> {
    let (mut tried, mut failing) = (0, Vec::new());
    let events = place.objects().recording().cut_points(OF_OBJECTS);
    for tail in Tail::ALL {
        let cuts = cuts(events.iter().copied(), tail);
        tried += cuts.len();
        failing.extend(place.objects().failing_cuts(&cuts)?);
    }
    let half = |errands: &[Errand]| -> Result<(usize, Vec<String>)> {
        let (mut tried, mut failing, mut reader) = (0, Vec::new(), Reader::default());
        for errand in errands {
            for tail in Tail::ALL {
                let cuts = cuts(errand.points(SPREAD, LAST), tail);
                tried += cuts.len();
                failing.extend(errand.failing_cuts(&cuts, &mut reader)?);
            }
        }
        Ok((tried, failing))
    };
    let (one, other) = place.errands().split_at(place.errands().len() - 1);
    let halves = std::thread::scope(|scope| {
        let one = scope.spawn(|| half(one));
        let other = half(other);
        [one.join().expect("no check panics"), other]
    });
    for half in halves {
        let (cuts, of_half) = half?;
        tried += cuts;
        failing.extend(of_half);
    }
    println!(
        "power: {tried} cuts of packs, snapshots and stores begun anew; {} broke something",
        failing.len()
    );
    ensure!(failing.is_empty(), "{failing:#?}");
    Ok(())
}

/// Shows that the test can fail.
fn a_disk_that_pretends_to_sync_is_caught(place: &Place) -> Result<()> {
    let named = |name: &str| {
        let found = place.errands().iter().find(|errand| errand.name() == name);
        found.with_context(|| format!("no errand is {name}"))
    };
    let cases = [
        ("a pack to a new name", ".part"),
        ("a machine that begins", "store/studio.db"),
    ];
    for (name, ending) in cases {
        let pretending = named(name)?.without_syncs(ending);
        let cuts = cuts(pretending.points(1, LAST), Tail::Dropped);
        let failing = pretending.failing_cuts(&cuts, &mut Reader::default())?;
        ensure!(!failing.is_empty(), "{name}: nothing was caught");
    }
    let objects = place.objects().without_syncs();
    let points = objects.recording().cut_points(OF_OBJECTS);
    let failing = objects.failing_cuts(&cuts(points, Tail::Dropped))?;
    ensure!(!failing.is_empty(), "snapshots: nothing was caught");
    Ok(())
}

/// What some cuts leave the real program finds whole, and does again what was broken off.
fn done_again(place: &Place) -> Result<()> {
    let cut = |events: usize, number: usize| Cut {
        after: events * [9, 5, 7, 8, 6][number % 5] / 10,
        tail: Tail::ALL[number % 3],
        seed: 4,
    };
    let mut names = BTreeSet::new();
    for (number, errand) in place.errands().iter().enumerate() {
        let cut = cut(errand.recording().events(), number);
        let again = errand.done_again(cut, &place.taster());
        again.with_context(|| errand.name())?;
        names.insert(errand.name());
    }
    ensure!(names.len() == 5, "{names:?}");
    let events = place.objects().recording().events();
    place
        .objects()
        .made_again(cut(events, 2), &place.still_cloud())
}

fn on_a_disk_that_goes_wrong_once(place: &Place) -> Result<()> {
    let all = place.faults();
    let (mut tried, mut struck) = (0, 0);
    for (errand, fault) in all.iter().step_by(EVERY) {
        let met = errand.broken_once(*fault);
        let met = met.with_context(|| format!("{}, {fault:?}", errand.name()))?;
        tried += 1;
        struck += usize::from(met);
    }
    println!(
        "power: of {} calls {tried} went wrong once under packs and stores begun anew, {struck} of them met",
        all.len()
    );
    ensure!(struck * 2 > tried, "only {struck} of {tried} were met");
    Ok(())
}
