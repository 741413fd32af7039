//! More machines than one pushes to directly: gossip carries what is fresh, and repair makes sure of it.

use std::time::Duration;

use studiovault_lab::lab::{Lab, Studio, within};
use studiovault_protocol::limits::DIRECT_PUSH_PEERS;

const MACHINES: usize = 14;
const SOON: Duration = Duration::from_secs(60);

#[test]
fn fourteen_machines_become_one() {
    Lab::test("crowd", |lab| {
        const { assert!(MACHINES - 1 > DIRECT_PUSH_PEERS, "gossip is not needed") };
        let names: Vec<String> = (1..=MACHINES).map(|number| format!("m{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let studio = Studio::without_cloud(lab, &names)?;
        let linked = studio.linked(SOON)?;
        within(
            "14 machines found each other",
            linked,
            Duration::from_secs(15),
        )?;
        for round in 0..5 {
            for machine in &studio.machines {
                machine.create(&format!("{round} of {}", machine.name()))?;
            }
        }
        let (_, took) = studio.together(70, SOON)?;
        within("70 clients on 14 machines", took, Duration::from_secs(5))
    });
}
