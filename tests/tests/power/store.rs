//! The node's own store under power cuts: whatever somebody could rely on when the power went is there afterwards.

use std::path::Path;

use anyhow::{Context, Result};
use studiovault_lab::power::store::{broken_once, failing_cuts, recorded, recorded_few};
use studiovault_lab::power::{Cut, Fault, Recording, Tail};

const WRITER: &str = env!("CARGO_BIN_EXE_store-writer");
/// With each of the three tails.
const CUTS: usize = 500;

fn cuts(recording: &Recording, tail: Tail, count: usize) -> Vec<Cut> {
    let points = recording.cut_points(count).into_iter();
    points
        .map(|after| Cut {
            after,
            tail,
            seed: 11,
        })
        .collect()
}

#[test]
fn the_store_loses_no_acknowledged_command_in_1500_power_cuts() -> Result<()> {
    let recording = recorded(Path::new(WRITER))?;
    let lost = std::thread::scope(|scope| {
        let one = |tail| {
            let recording = &recording;
            scope.spawn(move || failing_cuts(recording, &cuts(recording, tail, CUTS)))
        };
        let running = Tail::ALL.map(one);
        let ended = running.map(|thread| thread.join().expect("no check panics"));
        ended
            .into_iter()
            .collect::<Result<Vec<Vec<String>>>>()
            .map(|lists| lists.concat())
    })?;
    println!(
        "power: {} cuts in {} events with {} acknowledgements; {} lost something",
        3 * CUTS,
        recording.events(),
        recording.acks(),
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:#?}");
    Ok(())
}

/// A part of the one above that ends within seconds.
#[test]
fn a_commit_waits_for_the_disk() -> Result<()> {
    let recording = recorded(Path::new(WRITER))?;
    let lost = failing_cuts(&recording, &cuts(&recording, Tail::Dropped, 60))?;
    assert!(lost.is_empty(), "{lost:#?}");
    Ok(())
}

#[test]
fn a_store_whose_log_is_not_synced_is_caught() -> Result<()> {
    let pretending = recorded(Path::new(WRITER))?.without_syncs("-wal");
    let failing = failing_cuts(&pretending, &cuts(&pretending, Tail::Dropped, 60))?;
    assert!(
        failing.len() > 30,
        "only {} of 60 cuts were caught",
        failing.len()
    );
    Ok(())
}

/// Of the calls of a short run one in so many; `cargo campaign --part disk` takes each of them.
const EVERY: usize = 149;

/// On a disk that was full while a new store was told to keep a write-ahead log it went on without one, and a cut took the last commit.
const FOUND: [(Fault, u64); 2] = [(Fault::NoSpace, 2), (Fault::NoSpace, 3)];

#[test]
fn a_disk_that_goes_wrong_once_loses_nothing_that_was_promised() -> Result<()> {
    let writer = Path::new(WRITER);
    let whole = recorded_few(writer)?;
    let of = |fault: Fault| (1..=whole.targets(fault)).map(move |number| (fault, number));
    let all: Vec<(Fault, u64)> = Fault::ALL.into_iter().flat_map(of).collect();
    let mut some: Vec<(Fault, u64)> = all.iter().copied().step_by(EVERY).collect();
    some.extend(FOUND);
    let (one, other) = some.split_at(some.len() / 2);
    let half = |tried: &[(Fault, u64)]| -> Result<usize> {
        let mut struck = 0;
        for tried in tried {
            let met = broken_once(writer, *tried).with_context(|| format!("{tried:?}"))?;
            struck += usize::from(met);
        }
        Ok(struck)
    };
    let struck = std::thread::scope(|scope| {
        let one = scope.spawn(|| half(one));
        let other = half(other)?;
        anyhow::Ok(one.join().expect("no check panics")? + other)
    })?;
    println!(
        "power: of {} calls {} went wrong once, {struck} of them met; nothing lost",
        all.len(),
        some.len()
    );
    assert_eq!(
        struck,
        some.len(),
        "a run of the same writer makes the same calls"
    );
    Ok(())
}
