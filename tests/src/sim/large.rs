//! Many machines in a good world: that they agree and fall silent, and what each of them costs.
//!
//! Frames and bytes are exact and the same in every run; the processor's time is that of the machine that simulates.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::plan::Plan;
use super::world::{Happening, World};
use super::{Cast, LOOK_MS, happen};

/// How long people write, virtual ms.
const WRITE_MS: u64 = 5_000;
/// Nothing that is waited for takes longer, virtual ms.
const LIMIT_MS: u64 = 60_000;
/// How long they are then watched, virtual ms.
const IDLE_MS: u64 = 10_000;
/// Neighbours on each side at most: with 32 a machine has the 64 peers that it may have; a LAN of 200 is no longer one room.
const BESIDE: usize = 25;

/// Frames by kind.
pub type Kinds = BTreeMap<&'static str, u64>;

/// What all machines together did for a while.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// Frames sent.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long the processor worked.
    pub busy: Duration,
    /// How long it was in the simulated world, virtual ms.
    pub virtual_ms: u64,
    /// Frames by kind.
    pub kinds: Kinds,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Machines.
    pub machines: usize,
    /// Links of each.
    pub links: usize,
    /// Commands written by all.
    pub commands: u64,
    /// From the last write until all agreed, virtual ms.
    pub agreed_ms: u64,
    /// From the start until all were linked: nobody writes.
    pub linking: Stage,
    /// From the first write until all agreed.
    pub writing: Stage,
    /// While nothing happened.
    pub idle: Stage,
}

impl Cost {
    /// The head of the table whose rows these are; each figure is that of one machine.
    pub const HEADING: &str = "| machines | links of each | until all are linked: frames | most of them | commands, by anybody | for each: frames | bytes | processor | most of them | all agree after the last | idle: sent | processor | most of it |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

    fn each(&self, of_all: f64) -> f64 {
        of_all / self.machines as f64
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (linking, writing, idle) = (&self.linking, &self.writing, &self.idle);
        let command = |of_all: f64| self.each(of_all) / self.commands.max(1) as f64;
        let idle_s = idle.virtual_ms as f64 / 1_000.0;
        write!(
            f,
            "| {} | {} | {:.0} | {} | {} | {:.1} | {:.0} | {:.0} us | {} | {} ms | {:.0} B/s | {:.3} % | {} |",
            self.machines,
            self.links,
            self.each(linking.frames as f64),
            most(&linking.kinds),
            self.commands,
            command(writing.frames as f64),
            command(writing.bytes as f64),
            command(writing.busy.as_secs_f64() * 1e6),
            most(&writing.kinds),
            self.agreed_ms,
            self.each(idle.bytes as f64) / idle_s,
            self.each(idle.busy.as_secs_f64()) / idle_s * 100.0,
            most(&idle.kinds)
        )
    }
}

/// The two most frequent kinds with their shares.
fn most(kinds: &Kinds) -> String {
    let all: u64 = kinds.values().sum();
    let mut sorted: Vec<(u64, &str)> = kinds.iter().map(|(kind, count)| (*count, *kind)).collect();
    sorted.sort_unstable();
    let share = |(count, kind): &(u64, &str)| format!("{kind} {} %", count * 100 / all.max(1));
    let shares: Vec<String> = sorted.iter().rev().take(2).map(share).collect();
    shares.join(", ")
}

/// Runs the world until that time; looks and faults do not happen.
pub(super) fn run_until(world: &mut World, end: u64) {
    advance(world, end, |happening| {
        matches!(happening, Happening::Look | Happening::Fault)
    });
}

fn advance(world: &mut World, end: u64, is_left_out: fn(&Happening) -> bool) {
    while world.now < end && world.checks.violation.is_none() {
        match world.next() {
            None => return,
            Some(happening) if is_left_out(&happening) => {}
            Some(happening) => happen(world, happening),
        }
    }
}

/// What is done until it is over, in steps of a look.
fn stage(
    world: &mut World,
    step: impl Fn(&mut World, u64),
    is_over: impl Fn(&World) -> Option<String>,
) -> Result<Stage, String> {
    world.checks.quiet = Some(Kinds::new());
    let (began, from, before) = (Instant::now(), world.now, world.trace.carried);
    // What waits for a look is not in the queue any more.
    while let Some(unrest) = is_over(world) {
        if let Some(violation) = &world.checks.violation {
            return Err(violation.clone());
        }
        if world.now - from > LIMIT_MS {
            return Err(format!("not over after {LIMIT_MS} ms: {unrest}"));
        }
        let end = world.now + LOOK_MS / 4;
        step(world, end);
    }
    let after = world.trace.carried;
    Ok(Stage {
        frames: after.0 - before.0,
        bytes: after.1 - before.1,
        busy: began.elapsed(),
        virtual_ms: world.now - from,
        kinds: world.checks.quiet.take().unwrap_or_default(),
    })
}

/// Runs that many machines; an error says what was wrong.
pub fn measure(machines: usize) -> Result<Cost, String> {
    let beside = BESIDE.min(machines / 2);
    let plan = Plan::large(machines, beside);
    let seed = machines as u64;
    let mut world = World::of_plan((seed, Dice::new(seed)), plan, Cast::Honest, false);
    let without_people = |world: &mut World, end| {
        advance(world, end, |happening| {
            let waits = matches!(happening, Happening::Look | Happening::Fault);
            waits || matches!(happening, Happening::Person)
        });
    };
    let unlinked = |world: &World| {
        let pair = world.unlinked();
        pair.map(|(a, b)| format!("nodes {a} and {b} are not linked"))
    };
    let linking = stage(&mut world, without_people, unlinked)?;
    world.after(1, Happening::Person);
    let healed_at = world.now + WRITE_MS;
    let writing = stage(
        &mut world,
        |world, end| {
            run_until(world, end);
            if world.now >= healed_at && !world.is_healed {
                world.heal();
            }
        },
        |world| match world.is_healed {
            true => world.unrest(),
            false => Some("people write".into()),
        },
    )?;
    let log = world.nodes[0].driver().ok_or("a machine is down")?;
    let chains = log.engine().log().chains();
    let commands: u64 = chains
        .map(|(_, chain)| chain.held.0 + 1 - chain.start)
        .sum();
    let (agreed_ms, idle_until) = (world.now.saturating_sub(healed_at), world.now + IDLE_MS);
    let idle = stage(&mut world, run_until, |world| {
        (world.now < idle_until).then(|| "it is watched".into())
    })?;
    Ok(Cost {
        machines,
        links: (2 * beside).min(machines - 1),
        commands,
        agreed_ms,
        linking,
        writing,
        idle,
    })
}
