//! Many machines in a good world: that they agree and fall silent, and what each of them costs.
//!
//! Frames and bytes are exact and the same in every run; the processor's time is that of the machine that simulates.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use super::dice::Dice;
use super::plan::Plan;
use super::world::{Happening, World};
use super::{Cast, LOOK_MS, happen};

/// How long people write, virtual ms.
const WRITE_MS: u64 = 5_000;
/// After that all must agree within this, virtual ms.
const AGREE_MS: u64 = 30_000;
/// How long they are then watched, virtual ms.
const IDLE_MS: u64 = 10_000;
/// Neighbours on each side at most: with 32 a machine has the 64 peers that it may have; a LAN of 200 is no longer one room.
const BESIDE: usize = 25;

/// Frames by kind.
type Kinds = BTreeMap<&'static str, u64>;

/// What a run came to, each figure of one machine.
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
    /// Frames that a machine sent for each command written anywhere.
    pub frames_per_command: f64,
    /// Bytes that a machine sent for each command written anywhere.
    pub bytes_per_command: f64,
    /// Microseconds of the processor that a machine took for each command written anywhere.
    pub micros_per_command: f64,
    /// Bytes that an idle machine sends in a second.
    pub idle_bytes_per_s: f64,
    /// Share of a processor that an idle machine takes, in percent.
    pub idle_percent: f64,
    /// Frames by kind until all agreed, and while nothing happened, of all machines.
    pub kinds: [Kinds; 2],
}

impl Cost {
    /// The head of the table whose rows these are.
    pub const HEADING: &str = "| machines | links of each | commands | all agree after the last | frames for a command | bytes for a command | processor for a command | most of these are | idle: sent | idle: of a core | most of it is |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {} ms | {:.1} | {:.0} | {:.0} us | {} | {:.0} B/s | {:.3} % | {} |",
            self.machines,
            self.links,
            self.commands,
            self.agreed_ms,
            self.frames_per_command,
            self.bytes_per_command,
            self.micros_per_command,
            most(&self.kinds[0]),
            self.idle_bytes_per_s,
            self.idle_percent,
            most(&self.kinds[1])
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
    while world.now < end && world.checks.violation.is_none() {
        match world.next() {
            None => return,
            Some(Happening::Look | Happening::Fault) => {}
            Some(happening) => happen(world, happening),
        }
    }
}

/// Runs that many machines; an error says what was wrong.
pub fn measure(machines: usize) -> Result<Cost, String> {
    let beside = BESIDE.min(machines / 2);
    let plan = Plan::large(machines, beside);
    let seed = machines as u64;
    let mut world = World::of_plan((seed, Dice::new(seed)), plan, Cast::Honest, false);
    world.checks.quiet = Some(Kinds::new());
    let (began, per_machine) = (Instant::now(), 1.0 / machines as f64);
    run_until(&mut world, WRITE_MS);
    world.heal();
    let written = world.now;
    // What waits for a look is not in the queue any more.
    while let Some(unrest) = world.unrest() {
        if let Some(violation) = &world.checks.violation {
            return Err(violation.clone());
        }
        if world.now - written > AGREE_MS {
            return Err(format!("not one after {AGREE_MS} ms: {unrest}"));
        }
        let end = world.now + LOOK_MS / 4;
        run_until(&mut world, end);
    }
    let agreed_ms = world.now - written;
    let (busy, (frames, bytes)) = (began.elapsed(), world.trace.carried);
    let log = world.nodes[0].driver().ok_or("a machine is down")?;
    let commands = log.engine().log().chains();
    let commands: u64 = commands
        .map(|(_, chain)| chain.held.0 + 1 - chain.start)
        .sum();
    let spoken = world.checks.quiet.replace(Kinds::new());
    let (idle_from, idle_began) = (world.now, Instant::now());
    run_until(&mut world, idle_from + IDLE_MS);
    let idle_s = (world.now - idle_from) as f64 / 1_000.0;
    let (idle, (_, all_bytes)) = (idle_began.elapsed().as_secs_f64(), world.trace.carried);
    let each = per_machine / commands.max(1) as f64;
    Ok(Cost {
        machines,
        links: (2 * beside).min(machines - 1),
        commands,
        agreed_ms,
        frames_per_command: frames as f64 * each,
        bytes_per_command: bytes as f64 * each,
        micros_per_command: busy.as_secs_f64() * 1e6 * each,
        idle_bytes_per_s: (all_bytes - bytes) as f64 * per_machine / idle_s,
        idle_percent: idle * per_machine / idle_s * 100.0,
        kinds: [spoken, world.checks.quiet.take()].map(Option::unwrap_or_default),
    })
}
