//! The simulator: the real driver, store and cloud truth in a world with a virtual clock, network and disk, drawn from a seed.
//!
//! First everything goes wrong for a while, then nothing does any more: in bounded time the machines must agree, with each
//! other and with a naive reference, and fall silent. `SEED=n cargo sim` replays one seed line by line.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

mod check;
pub mod churn;
mod clouds;
pub(crate) mod dice;
mod faults;
pub mod found;
pub mod gatekeeper;
mod keys;
pub mod large;
mod liar;
mod machine;
mod network;
mod newer;
mod people;
mod plan;
mod promises;
pub(crate) mod reference;
mod rights;
mod ruin;
mod trace;
mod verdict;
mod wire;
mod world;

use world::{Happening, World};

/// After the faults have ended everything must be calm within this, virtual ms.
const CALM_WITHIN_MS: u64 = 120_000;
/// Calm is believed after this long, virtual ms.
const SETTLE_MS: u64 = 3_000;
/// And must last for this long, virtual ms: longer than any repeated word but beats.
const QUIET_MS: u64 = 9_000;
/// Somebody looks this often, virtual ms.
const LOOK_MS: u64 = 400;
/// More steps than this are a loop that never rests.
const STEPS: u64 = 200_000;

/// What came of one seed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Machines.
    pub nodes: usize,
    /// Whether there was a cloud truth.
    pub has_cloud: bool,
    /// Steps of machines.
    pub events: u64,
    /// Commands written.
    pub commands: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Virtual time from the end of the faults until all was calm, ms.
    pub calm_after_ms: u64,
    /// The hash of everything that happened.
    pub hash: String,
    /// What was wrong.
    pub failure: Option<String>,
}

impl Report {
    /// Whether the seed was bad enough to count.
    pub fn counts(&self) -> bool {
        self.nodes >= 3 && self.events >= 200 && self.faults.values().sum::<u64>() >= 1
    }
}

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cast {
    /// Machines that run the product.
    Honest,
    /// The same, and none of them loses its disk.
    Spared,
    /// Some of them lose their disk, and some the right to belong.
    Rights,
    /// One of them lies, while the world is bad.
    Liar,
    /// Some of them run a newer version of the program.
    Mixed,
}

impl Cast {
    /// What `cargo sim` is told for it, with the space before.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Honest => "",
            Self::Spared => " --spared",
            Self::Rights => " --rights",
            Self::Liar => " --liar",
            Self::Mixed => " --mixed",
        }
    }
}

/// Runs one seed; shows what happens, if asked to.
pub fn run(seed: u64, is_shown: bool) -> Report {
    watched(seed, Cast::Honest, is_shown)
}

/// Runs one seed with somebody else among the machines.
pub fn run_with(seed: u64, cast: Cast) -> Report {
    watched(seed, cast, false)
}

/// The same, line by line.
pub fn replay(seed: u64, cast: Cast) -> Report {
    watched(seed, cast, true)
}

fn watched(seed: u64, cast: Cast, is_shown: bool) -> Report {
    let outcome = catch_unwind(AssertUnwindSafe(|| live((seed, cast), is_shown)));
    outcome.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Report {
            seed,
            failure: Some(format!("a panic: {}", text.unwrap_or("without words"))),
            ..Report::default()
        }
    })
}

/// Where a run is.
enum Phase {
    Bad,
    Healing {
        since: u64,
    },
    Calm {
        since: u64,
        healed_at: u64,
        batches: (u64, u64),
    },
}

fn live((seed, cast): (u64, Cast), is_shown: bool) -> Report {
    let mut world = World::new(seed, cast, is_shown);
    let mut phase = Phase::Bad;
    let mut calm_after_ms = 0;
    while let Some(happening) = world.next() {
        if let Happening::Look = happening {
            match look(&mut world, phase) {
                Ok(next) => phase = next,
                Err(calm) => {
                    calm_after_ms = calm;
                    break;
                }
            }
            world.after(LOOK_MS, Happening::Look);
        } else {
            happen(&mut world, happening);
        }
        if world.checks.events > STEPS {
            world.checks.violated(format!(
                "I6: more than {STEPS} steps: something never rests"
            ));
        }
        if world.checks.violation.is_some() {
            break;
        }
    }
    report(world, (seed, calm_after_ms))
}

/// Moves a run on. `Err` with the time that it took to become calm: it is over.
fn look(world: &mut World, phase: Phase) -> Result<Phase, u64> {
    let now = world.now;
    Ok(match phase {
        Phase::Bad if now >= world.plan.safety_ms => {
            world.heal();
            Phase::Healing { since: now }
        }
        Phase::Healing { since } => match world.unrest_inside() {
            None if world.parts() => Phase::Healing { since },
            None => Phase::Calm {
                since: now,
                healed_at: since,
                batches: (0, 0),
            },
            Some(unrest) if now - since > CALM_WITHIN_MS => {
                world
                    .checks
                    .violated(format!("I6: not calm after {CALM_WITHIN_MS} ms: {unrest}"));
                return Err(0);
            }
            Some(_) => {
                world.give_up(since);
                Phase::Healing { since }
            }
        },
        Phase::Calm {
            since,
            healed_at,
            batches,
        } => {
            if world.unrest().is_some() {
                // Something from the bad times was still under way. The time that all of it may take goes on.
                world.checks.quiet = None;
                return Ok(Phase::Healing { since: healed_at });
            }
            let (settled, over) = (since + SETTLE_MS, since + SETTLE_MS + QUIET_MS);
            if now >= over {
                world.check_quiet(batches);
                world.judge();
                world.judge_keys();
                return Err(since - healed_at);
            }
            let mut batches = batches;
            if now >= settled && world.checks.quiet.is_none() {
                world.checks.quiet = Some(BTreeMap::new());
                batches = (world.checks.batches, world.checks.tellings);
            }
            Phase::Calm {
                since,
                healed_at,
                batches,
            }
        }
        bad => bad,
    })
}

fn happen(world: &mut World, happening: Happening) {
    match happening {
        Happening::Step(at) => world.step(at),
        Happening::Arrive(wire, end) => world.arrive(wire, end),
        Happening::Open(wire, end) => world.open(wire, end),
        Happening::Break(wire, end) => world.break_off(wire, end),
        Happening::Dial => world.dial(),
        Happening::Person => world.person(),
        Happening::Fault => world.fault(),
        Happening::Undo(undo) if !world.is_healed => world.undo(undo),
        Happening::Undo(_) | Happening::Look => {}
        Happening::Blow(blow) => world.strike(blow),
        Happening::Newer => world.write_newer(),
        Happening::Ask(at, run, request) => world.asked(at, run, *request),
        Happening::PollEnd(at, run) => world.poll_end(at, run),
        Happening::Answer(at, run, event) => world.answer(at, run, *event),
    }
}

fn report(world: World, (seed, calm_after_ms): (u64, u64)) -> Report {
    let log = world
        .nodes
        .iter()
        .find_map(|node| Some(node.driver()?.engine().log()));
    let commands = log.map_or(0, |log| {
        log.chains()
            .map(|(_, chain)| chain.held.0 + 1 - chain.start)
            .sum()
    });
    Report {
        seed,
        nodes: world.plan.nodes,
        has_cloud: world.plan.has_cloud,
        events: world.checks.events,
        commands,
        calm_after_ms,
        hash: world.trace.hash(),
        faults: world.checks.faults,
        failure: world.checks.violation,
    }
}
