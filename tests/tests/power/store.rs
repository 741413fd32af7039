//! The node's own store under power cuts: whatever somebody could rely on when the power went is there afterwards.

use std::path::Path;

use anyhow::Result;
use studiovault_lab::power::store::{failing_cuts, recorded};
use studiovault_lab::power::{Cut, Recording, Tail};

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
