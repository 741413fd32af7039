//! The parts of a campaign, in the order in which they run: what needs a fixed time first, and seeds take what is left.

use std::time::Duration;

use anyhow::Result;

use super::Slot;
use super::ledger::Came;
use super::{measures, worlds};

/// One part.
pub struct Part {
    /// Its name, on the command line and in the report.
    pub name: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    /// Its share of the time, beside the others'.
    pub weight: u32,
    /// With less it does not begin.
    pub least: Duration,
    /// Does it.
    pub run: fn(&Slot) -> Result<Came>,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All of them.
pub const PARTS: &[Part] = &[
    Part {
        name: "sabotage",
        what: "twelve known bugs switched on, each caught by a named test",
        weight: 3,
        least: seconds(20),
        run: measures::sabotage,
    },
    Part {
        name: "bench",
        what: "figures beside their physical limit and their target",
        weight: 7,
        least: seconds(130),
        run: measures::bench,
    },
    Part {
        name: "queue",
        what: "100,000 commands of which the cloud refuses some and breaks on others",
        weight: 3,
        least: seconds(60),
        run: measures::queue,
    },
    Part {
        name: "scale",
        what: "what each of 5 to 50 machines costs in the simulator; 200 where there is time",
        weight: 4,
        least: seconds(30),
        run: measures::scale,
    },
    Part {
        name: "churn",
        what: "machines that join and leave in the simulator while the roster grows: 1,000, or 10,000 where there is time",
        weight: 2,
        least: seconds(30),
        run: measures::churn,
    },
    #[cfg(target_os = "linux")]
    Part {
        name: "crowd",
        what: "twenty real machines on one LAN",
        weight: 3,
        least: seconds(40),
        run: measures::crowd,
    },
    #[cfg(target_os = "linux")]
    Part {
        name: "netns",
        what: "real processes on real links, one test after the other, from where the last run ended",
        weight: 14,
        least: seconds(30),
        run: measures::netns,
    },
    #[cfg(target_os = "linux")]
    Part {
        name: "kills",
        what: "`kill -9` of processes of a studio that is being written to",
        weight: 7,
        least: seconds(40),
        run: measures::kills,
    },
    #[cfg(target_os = "linux")]
    Part {
        name: "power",
        what: "the writes of the store, of the real program, its packs, snapshots and bootstraps cut at random points with dropped, torn and kept tails",
        weight: 9,
        least: seconds(5),
        run: measures::power,
    },
    #[cfg(target_os = "linux")]
    Part {
        name: "disk",
        what: "each write and sync of packs, bootstraps and a short run of the store failing once: no room, broken, half of it, not synced",
        weight: 3,
        least: seconds(5),
        run: measures::disk,
    },
    Part {
        name: "fuzz",
        what: "mutations of the corpus, fed to everything that reads what others wrote",
        weight: 9,
        least: seconds(2),
        run: measures::fuzz,
    },
    Part {
        name: "histories",
        what: "random histories, merged by the product and by a naive reference",
        weight: 4,
        least: seconds(2),
        run: measures::histories,
    },
    Part {
        name: "liar",
        what: "seeds of the simulator with a member that lies",
        weight: 7,
        least: seconds(1),
        run: worlds::liar,
    },
    Part {
        name: "rights",
        what: "seeds with machines that are shut out, retire and come back",
        weight: 7,
        least: seconds(1),
        run: worlds::rights,
    },
    Part {
        name: "mixed",
        what: "seeds in which some machines run a newer version of the program",
        weight: 5,
        least: seconds(1),
        run: worlds::mixed,
    },
    Part {
        name: "seeds",
        what: "seeds of the simulator with every fault",
        weight: 20,
        least: seconds(1),
        run: worlds::seeds,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_45_minutes_of_a_campaign_every_part_has_the_time_that_it_takes() {
        let all: u32 = PARTS.iter().map(|part| part.weight).sum();
        for part in PARTS {
            let share = seconds(45 * 60) * part.weight / all;
            assert!(share >= part.least, "{}: {share:?}", part.name);
        }
    }
}
