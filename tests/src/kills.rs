//! `kill -9` across all processes of a studio that is being written to: three machines and their cloud truth.
//!
//! A write counts as acknowledged when its answer was seen. In the end every acknowledged write must be in the log of every
//! machine and of the cloud, all must agree, and nothing may count twice. A seed chooses who is killed, when, and what is
//! written; how the processes interleave is the machine's, so a seed does not repeat a run exactly.

mod ledger;
mod load;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::lab::machine::create;
use crate::lab::{Lab, Machine, Studio};
use ledger::{LogOf, Written};
use load::Load;

const NAMES: [&str; 3] = ["front-desk", "editor", "laptop"];
/// For the first links, and for the end of all waiting after the last kill.
const SETTLED: Duration = Duration::from_secs(60);
/// Between a kill and the new start, and between that and the next kill, ms.
const DOWN_MS: u64 = 120;
const UP_MS: u64 = 450;
/// One round in so many is followed by a calm in which a gateway is elected and forwards, or hardly anything would reach the
/// cloud before its carrier dies.
const CALM_EVERY: u64 = 8;
const CALM_MS: u64 = 2_000;

/// What a lab of kills came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Processes killed.
    pub kills: u64,
    /// Acknowledged transactions.
    pub acknowledged: u64,
    /// Requests whose answer was never seen.
    pub unanswered: u64,
    /// Commands that every machine and the cloud hold in the end.
    pub commands: u64,
    /// From the last start until all agreed.
    pub settled: Duration,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome {
            kills,
            acknowledged,
            unanswered,
            commands,
            settled,
        } = self;
        write!(
            f,
            "{kills} kills, {acknowledged} acknowledged transactions, none lost; {unanswered} requests unanswered; \
             {commands} commands everywhere, settled after at most {} ms",
            settled.as_millis()
        )
    }
}

/// Kills `kills` processes of a lab of its own; an error tells what was lost and where the folder is.
pub fn run(seed: u64, kills: u64) -> Result<Outcome> {
    let lab = Lab::new(&format!("kills{seed}"))?;
    let outcome = attempt(&lab, seed, kills).with_context(|| format!("SEED={seed}"));
    if outcome.is_err() {
        lab.keep();
    }
    outcome
}

/// Kills of one lab in a campaign: its logs grow with every write, so each lab starts anew.
const KILLS_A_LAB: u64 = 500;

/// Kills `count` processes in as many labs as that takes, and prints what each came to.
pub fn campaign(count: u64, seed: u64) -> Result<()> {
    let mut all = Outcome::default();
    for seed in seed.. {
        if all.kills >= count {
            break;
        }
        let outcome = run(seed, KILLS_A_LAB.min(count - all.kills))?;
        println!("SEED={seed}: {outcome}");
        all.kills += outcome.kills;
        all.acknowledged += outcome.acknowledged;
        all.unanswered += outcome.unanswered;
        all.commands += outcome.commands;
        all.settled = all.settled.max(outcome.settled);
    }
    println!("all: {all}");
    Ok(())
}

fn attempt(lab: &Lab, seed: u64, kills: u64) -> Result<Outcome> {
    let studio = Studio::with_cloud(lab, &NAMES)?;
    studio.linked(SETTLED)?;
    let fields = json!({"title": "Counted", "print_credits": {"increment": 1}});
    let project = studio.machines[0]
        .write(vec![create("project", fields)])?
        .ids[0];
    studio.together(1, SETTLED)?;
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let (written, killed) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..NAMES.len())
            .map(|number| {
                let machine: &Machine = &studio.machines[number];
                let load = Load::new(machine, project, seed.wrapping_mul(31) + number as u64);
                let stop = &stop;
                scope.spawn(move || load.write_until(stop))
            })
            .collect();
        let killed = kill_all_over(&studio, (seed, kills), &done);
        stop.store(true, Ordering::Relaxed);
        let written = writers
            .into_iter()
            .map(|writer| writer.join().expect("no writer panics"));
        (written.collect::<Vec<Written>>(), killed)
    });
    killed?;
    let began = Instant::now();
    let least = written.iter().map(Written::commands).sum::<u64>() + 1;
    let (together, _) = studio.together_again(least, SETTLED)?;
    let settled = began.elapsed();
    let shown = studio.machines[0]
        .entity("project", project)?
        .context("the project is gone")?;
    for machine in &studio.machines {
        machine.kill()?;
        let log = LogOf::machine(machine.folder())?;
        log.holds(&written)
            .with_context(|| machine.name().to_owned())?;
        let counted = log.increments(project);
        ensure!(
            shown.fields["print_credits"] == counted,
            "{counted} increments in the log, shown: {shown:?}"
        );
    }
    let cloud = studio.cloud.as_ref().context("the lab has a cloud")?;
    cloud.kill()?;
    LogOf::cloud(cloud.folder())?
        .holds(&written)
        .context("the cloud")?;
    Ok(Outcome {
        kills: done.into_inner(),
        acknowledged: written.iter().map(Written::transactions).sum(),
        unanswered: written.iter().map(|written| written.unanswered).sum(),
        commands: together.commands,
        settled,
    })
}

/// Kills one to three processes at a time, some of them while they start, and starts them again.
fn kill_all_over(studio: &Studio, (seed, kills): (u64, u64), done: &AtomicU64) -> Result<()> {
    let mut chance = Chance(seed);
    let processes = studio.machines.len() + 1;
    let cloud = studio.cloud.as_ref().context("the lab has a cloud")?;
    while done.load(Ordering::Relaxed) < kills {
        let many = [1, 1, 1, 2, 2, 3][chance.below(6) as usize];
        let first = chance.below(processes as u64) as usize;
        let victims: Vec<usize> = (0..many).map(|next| (first + next) % processes).collect();
        for victim in &victims {
            match studio.machines.get(*victim) {
                Some(machine) => machine.kill()?,
                None => cloud.kill()?,
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(chance.below(DOWN_MS)));
        for victim in &victims {
            match studio.machines.get(*victim) {
                Some(machine) => machine.spawn()?,
                None => cloud.spawn()?,
            }
        }
        let calm = if chance.below(CALM_EVERY) == 0 {
            CALM_MS
        } else {
            0
        };
        std::thread::sleep(Duration::from_millis(calm + chance.below(UP_MS)));
    }
    Ok(())
}

/// SplitMix64: the same choices for the same seed on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
