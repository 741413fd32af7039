//! Everything is killed all the time, and nothing that was acknowledged is lost.

use std::time::Duration;

use studiovault_lab::lab::{Lab, within};
use studiovault_lab::skipped::skipped;

/// Of all processes together; more on demand: `cargo campaign kills --count 10000`.
const KILLS: u64 = 200;
const SEED: u64 = 1;

#[test]
fn two_hundred_kills_lose_no_acknowledged_write() {
    if let Some(reason) = Lab::unavailable() {
        skipped("netns kills", &reason);
        return;
    }
    let outcome = studiovault_lab::kills::run(SEED, KILLS).expect("nothing is lost");
    println!("    {outcome}");
    assert!(outcome.kills >= KILLS && outcome.acknowledged > KILLS);
    let settled = within(
        "all agree after the last kill",
        outcome.settled,
        Duration::from_secs(10),
    );
    settled.expect("they settle in time");
}
