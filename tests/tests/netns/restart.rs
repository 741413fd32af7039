//! A machine is killed and started again: it is one of the studio at once, in both directions.

use std::time::{Duration, Instant};

use studiovault_lab::lab::{Lab, Studio, eventually, within};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_killed_machine_speaks_and_hears_within_2_s_of_its_start() {
    Lab::test("restart", |lab| {
        let studio = Studio::without_cloud(lab, &["front-desk", "editor", "laptop"])?;
        studio.linked(SOON)?;
        studio.machines[2].create("Before")?;
        studio.together(1, SOON)?;
        for round in 0..3 {
            studio.machines[2].kill()?;
            for number in 0..100 {
                studio.machines[0].create(&format!("Missed {round} {number}"))?;
            }
            let began = Instant::now();
            let up = studio.machines[2].start()?;
            let own = studio.machines[2].create("Its next write")?;
            let has = |machine: usize| {
                let entity = studio.machines[machine].entity("client", own);
                entity.is_ok_and(|entity| entity.is_some())
            };
            eventually("its next write is everywhere", SOON, || {
                (has(0) && has(1)).then_some(())
            })?;
            println!("    its API answered after {} ms", up.as_millis());
            let limit = Duration::from_secs(2);
            within(
                "killed and started: its next write is everywhere",
                began.elapsed(),
                limit,
            )?;
            studio.together(1 + (round + 1) * 101, SOON)?;
            within("and it has what it missed", began.elapsed(), limit)?;
        }
        Ok(())
    });
}
