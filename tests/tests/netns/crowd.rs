//! More machines than one pushes to directly: gossip carries what is fresh, and repair makes sure of it. `cargo campaign crowd` has
//! twenty, 10,000 commands and a minute of doing nothing.

use std::time::Duration;

use anyhow::ensure;
use studiovault_lab::crowd::{IDLE_MOST, measure};
use studiovault_lab::lab::{Lab, within};
use studiovault_protocol::limits::DIRECT_PUSH_PEERS;

const MACHINES: usize = 14;
const COMMANDS: usize = 1_400;
/// Too short to judge processor and traffic by, which a fresh start is still part of: that is the campaign's.
const IDLE: Duration = Duration::from_secs(3);

#[test]
fn fourteen_machines_become_one() {
    Lab::test("crowd", |lab| {
        const { assert!(MACHINES - 1 > DIRECT_PUSH_PEERS, "gossip is not needed") };
        let figures = measure(lab, (MACHINES, COMMANDS), IDLE)?;
        println!("    {figures}");
        let limit = Duration::from_secs(15);
        within("14 machines found each other", figures.linked, limit)?;
        let limit = Duration::from_secs(10);
        within(
            "1,400 clients written and on 14 machines",
            figures.together,
            limit,
        )?;
        let (_, _, mib) = IDLE_MOST;
        ensure!(figures.memory_mib <= mib, "{figures}");
        Ok(())
    });
}
